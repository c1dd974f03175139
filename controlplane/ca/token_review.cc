#include "controlplane/ca/token_review.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/yaml/document.h"

namespace weft {
namespace {

using Json = nlohmann::json;

// Bound tokens are about 1 KiB.
constexpr size_t kMaxToken = 16 * 1024;
// Of the server's own words in an error.
constexpr size_t kShown = 200;
constexpr char kPodName[] = "authentication.kubernetes.io/pod-name";

absl::Status Refused(absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("workload token: ", why));
}

bool Holds(const YamlNode& list, absl::string_view text) {
  for (const YamlItem item : list) {
    if (item.Scalar() == text) return true;
  }
  return false;
}

absl::StatusOr<Caller> CallerOf(const YamlNode& user) {
  const std::string name(user["username"].Scalar());
  const std::vector<std::string> parts = absl::StrSplit(name, ':');
  if (parts.size() != 4 || parts[0] != "system" || parts[1] != "serviceaccount" ||
      parts[2].empty() || parts[3].empty()) {
    return Refused(absl::StrCat("is of ", name, ", which is no service account"));
  }
  Caller caller;
  caller.namespace_ = parts[2];
  caller.service_account = parts[3];
  for (const YamlItem pod : user["extra"][kPodName]) caller.pod = std::string(pod.Scalar());
  return caller;
}

}  // namespace

bool MayBeReviewed(absl::string_view token) {
  return !token.empty() && token.size() <= kMaxToken &&
         std::all_of(token.begin(), token.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

std::string TokenReviewOf(absl::string_view token, absl::string_view audience) {
  const Json review = {
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenReview"},
      {"spec", {{"token", std::string(token)}, {"audiences", {std::string(audience)}}}}};
  return review.dump();
}

absl::StatusOr<Caller> ReadTokenReview(std::string review, absl::string_view audience) {
  const auto document = YamlDocument::ParseJson(std::move(review));
  if (!document.ok()) return absl::UnavailableError(document.status().message());
  const YamlNode root = (*document)->root();
  const YamlNode status = root["status"];
  if (root["kind"].Scalar() != "TokenReview" || !status.IsMap()) {
    return absl::UnavailableError("an answer that is no TokenReview");
  }
  if (status["authenticated"].Scalar() != "true") {
    const absl::string_view why = status["error"].Scalar();
    return Refused(why.empty() ? "the API server does not know it" : why.substr(0, kShown));
  }
  if (!Holds(status["audiences"], audience)) {
    return Refused(absl::StrCat("not meant for audience ", audience));
  }
  return CallerOf(status["user"]);
}

}  // namespace weft
