#include "controlplane/federation/link_joiner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/weft/link.pb.h"
#include "api/yaml/document.h"
#include "controlplane/federation/link_join.h"
#include "controlplane/federation/link_kind.h"
#include "controlplane/federation/link_tokens.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr char kTokenKey[] = "token";

absl::StatusOr<std::string> TokenOf(std::string secret) {
  const auto document = YamlDocument::ParseJson(std::move(secret));
  if (!document.ok()) return document.status();
  std::string token;
  const absl::string_view base64 = (*document)->root()["data"][kTokenKey].Scalar();
  if (base64.empty() || !absl::Base64Unescape(base64, &token)) {
    return absl::InvalidArgumentError(
        absl::StrCat("has no '", kTokenKey, "'; put there what `weftctl link token` prints"));
  }
  return token;
}

}  // namespace

LinkJoiner::LinkJoiner(EventLoop& loop, KubernetesClient& client, Links& links, Options options)
    : loop_(loop), client_(client), links_(links), options_(std::move(options)) {
  tasks_.Spawn(Run());
}

std::string LinkJoiner::TroubleOf(const std::string& cluster) const {
  const auto attempt = attempts_.find(cluster);
  return attempt == attempts_.end() ? "" : attempt->second.trouble;
}

Task<> LinkJoiner::Run() {
  while (true) {
    co_await Sleep(loop_, kLook);
    if (options_.leads()) co_await JoinNext();
  }
}

// One that is due, if any is.
Task<> LinkJoiner::JoinNext() {
  const std::map<std::string, std::string> awaiting = options_.awaiting();
  std::erase_if(attempts_, [&](const auto& entry) { return !awaiting.contains(entry.first); });
  for (const auto& [cluster, secret] : awaiting) {
    Attempt& attempt = attempts_[cluster];
    if (attempt.secret != secret) attempt = Attempt();
    attempt.secret = secret;
    if (attempt.due > loop_.Now()) continue;
    const absl::Status joined = co_await Join(cluster, secret);
    // It stays in attempts_: nobody else erases what is there.
    attempt.due = loop_.Now() + attempt.again;
    attempt.again = std::min(attempt.again * 2, kAgainMost);
    if (attempt.trouble != joined.message()) {
      attempt.trouble = std::string(joined.message());
      if (!joined.ok()) {
        Log(LogLevel::kWarning, "link_not_joined",
            {{"peer", cluster}, {"reason", attempt.trouble}});
      }
    }
    co_return;
  }
}

Task<absl::Status> LinkJoiner::Join(std::string cluster, std::string secret) {
  absl::StatusOr<std::string> token = co_await ReadToken(secret);
  if (!token.ok()) co_return token.status();
  const auto decoded = DecodeLinkToken(*token);
  if (!decoded.ok()) co_return decoded.status();
  if (decoded->issuer().cluster() != cluster) {
    co_return absl::InvalidArgumentError(
        absl::StrCat("the token is of cluster '", absl::CHexEscape(decoded->issuer().cluster()),
                     "': a Link has the name of the cluster that it leads to"));
  }
  const absl::StatusOr<std::string> joined = co_await JoinByToken(loop_, links_, *std::move(token));
  co_return joined.status();
}

Task<absl::StatusOr<std::string>> LinkJoiner::ReadToken(std::string secret) {
  const std::string name = absl::StrCat("Secret ", kLinkSecretNamespace, "/", secret, ": ");
  KubernetesRequest request;
  request.path = absl::StrCat("/api/v1/namespaces/", kLinkSecretNamespace, "/secrets/", secret);
  auto answer = co_await client_.Call(std::move(request), loop_.Now() + kCallTimeout);
  if (!answer.ok()) co_return absl::UnavailableError(absl::StrCat(name, answer.status().message()));
  if (answer->status == 404) co_return absl::NotFoundError(absl::StrCat(name, "is not there"));
  if (answer->status != 200) {
    co_return absl::PermissionDeniedError(
        absl::StrCat(name, "cannot be read (", answer->status, "); weftd needs 'get' of it"));
  }
  absl::StatusOr<std::string> token = TokenOf(std::move(answer->body));
  if (token.ok()) co_return token;
  co_return absl::Status(token.status().code(), absl::StrCat(name, token.status().message()));
}

}  // namespace weft
