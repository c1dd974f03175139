#include "controlplane/webhook/validate_review.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/model/decode.h"
#include "controlplane/model/validate.h"

namespace weft::webhook {
namespace {

// What a person reads of one answer; an object may have hundreds.
constexpr size_t kMostShown = 10;
// API servers cut longer warnings off.
constexpr size_t kMaxWarning = 256;

std::string TextAt(const YamlNode& map, const char* field) {
  return std::string(map[field].Scalar());
}

RawObject RawOf(const AdmissionRequest& request) {
  const YamlNode metadata = request.object.node["metadata"];
  RawObject raw;
  raw.key.kind = KindName(request.group, request.kind);
  raw.key.namespace_ = request.namespace_;
  raw.key.name = request.name;
  if (raw.key.name.empty()) raw.key.name = TextAt(metadata, "name");
  if (raw.key.name.empty()) raw.key.name = TextAt(metadata, "generateName");
  raw.api_version =
      request.group.empty() ? request.version : absl::StrCat(request.group, "/", request.version);
  raw.deleted = !metadata["deletionTimestamp"].Scalar().empty();
  raw.body = request.object;
  return raw;
}

std::string Shown(const Problem& problem) {
  return problem.field.empty() ? problem.message
                               : absl::StrCat(problem.field, ": ", problem.message);
}

std::string ListOf(const ObjectKey& key, std::vector<std::string> texts) {
  const size_t all = texts.size();
  if (all > kMostShown) texts.resize(kMostShown);
  std::string list = absl::StrCat(ToString(key), ": ", absl::StrJoin(texts, "; "));
  if (all > kMostShown) absl::StrAppend(&list, "; and ", all - kMostShown, " more");
  return list;
}

AdmissionAnswer Judge(const RawObject& raw) {
  const absl::StatusOr<Object> object = Decode(raw);
  if (!object.ok()) return Refuse(ListOf(raw.key, {std::string(object.status().message())}));
  AdmissionAnswer answer;
  std::vector<std::string> errors;
  for (const Problem& problem : Validate(*object)) {
    if (problem.severity == Severity::kError) {
      errors.push_back(Shown(problem));
    } else if (answer.warnings.size() < kMostShown) {
      answer.warnings.push_back(Shown(problem).substr(0, kMaxWarning));
    }
  }
  if (errors.empty()) return answer;
  AdmissionAnswer refusal = Refuse(ListOf(raw.key, std::move(errors)));
  refusal.warnings = std::move(answer.warnings);
  return refusal;
}

// Its author thinks that the mesh does something about it.
bool IsOfTheMesh(absl::string_view group) { return absl::EndsWith(group, ".istio.io"); }

}  // namespace

AdmissionAnswer AnswerValidate(const AdmissionRequest& request) {
  const bool writes = request.operation == "CREATE" || request.operation == "UPDATE";
  if (!writes || !request.subresource.empty()) return AdmissionAnswer();
  const RawObject raw = RawOf(request);
  if (raw.deleted) return AdmissionAnswer();  // what holds it up has to be able to let go
  if (IsUsed(KindOf(raw.key))) return Judge(raw);
  AdmissionAnswer answer;
  if (IsOfTheMesh(request.group)) {
    answer.warnings.push_back(absl::StrCat(ToString(raw.key).substr(0, kMaxWarning),
                                           ": weftd does not act on this kind"));
  }
  return answer;
}

}  // namespace weft::webhook
