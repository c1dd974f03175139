#include "controlplane/webhook/admission.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;

constexpr char kVersion[] = "admission.k8s.io/v1";
constexpr char kKind[] = "AdmissionReview";
// API servers make UUIDs; what is beyond this is nobody's.
constexpr size_t kMaxUid = 256;

// "" if there is none.
absl::StatusOr<std::string> TextAt(const YamlNode& map, absl::string_view path,
                                   absl::string_view field) {
  const YamlNode value = map[field];
  if (!value.IsDefined() || value.IsNull()) return std::string();
  if (value.kind() == YamlNode::Kind::kString) return std::string(value.Scalar());
  return absl::InvalidArgumentError(absl::StrCat(path, ".", field, ": not a string"));
}

absl::Status CheckEnvelope(const YamlNode& root) {
  if (!root.IsMap()) return absl::InvalidArgumentError("the body is no object");
  if (root["kind"].Scalar() != kKind || root["apiVersion"].Scalar() != kVersion) {
    return absl::InvalidArgumentError(absl::StrCat("expected ", kKind, " of ", kVersion, ", found ",
                                                   root["kind"].Scalar(), " of ",
                                                   root["apiVersion"].Scalar()));
  }
  if (!root["request"].IsMap()) return absl::InvalidArgumentError("request: missing");
  return absl::OkStatus();
}

absl::Status CheckRequest(const AdmissionRequest& request) {
  if (request.uid.empty()) return absl::InvalidArgumentError("request.uid: missing");
  if (request.uid.size() > kMaxUid) return absl::InvalidArgumentError("request.uid: too long");
  if (request.kind.empty()) return absl::InvalidArgumentError("request.kind.kind: missing");
  const bool writes = request.operation == "CREATE" || request.operation == "UPDATE";
  if (!writes && request.operation != "DELETE" && request.operation != "CONNECT") {
    return absl::InvalidArgumentError(
        absl::StrCat("request.operation: expected CREATE, UPDATE, DELETE or CONNECT, found \"",
                     request.operation.substr(0, kMaxUid), "\""));
  }
  if (writes && !request.object.node.IsMap()) {
    return absl::InvalidArgumentError("request.object: missing");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AdmissionRequest> ReadAdmissionReview(std::string body) {
  auto document = YamlDocument::ParseJson(std::move(body));
  if (!document.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", document.status().message()));
  }
  const YamlNode root = (*document)->root();
  if (absl::Status envelope = CheckEnvelope(root); !envelope.ok()) return envelope;
  const YamlNode from = root["request"];
  AdmissionRequest request;
  const struct {
    YamlNode map;
    const char* path;
    const char* field;
    std::string& to;
  } texts[] = {
      {from, "request", "uid", request.uid},
      {from, "request", "operation", request.operation},
      {from["kind"], "request.kind", "group", request.group},
      {from["kind"], "request.kind", "version", request.version},
      {from["kind"], "request.kind", "kind", request.kind},
      {from, "request", "subResource", request.subresource},
      {from, "request", "namespace", request.namespace_},
      {from, "request", "name", request.name},
  };
  for (const auto& text : texts) {
    auto read = TextAt(text.map, text.path, text.field);
    if (!read.ok()) return read.status();
    text.to = *std::move(read);
  }
  request.object = {*document, from["object"]};
  if (absl::Status status = CheckRequest(request); !status.ok()) return status;
  return request;
}

AdmissionAnswer Refuse(std::string message) {
  AdmissionAnswer answer;
  answer.allowed = false;
  answer.message = std::move(message);
  return answer;
}

std::string WriteAdmissionReview(absl::string_view uid, const AdmissionAnswer& answer) {
  Json response = {{"uid", std::string(uid)}, {"allowed", answer.allowed}};
  if (!answer.allowed) {
    response["status"] = {
        {"status", "Failure"}, {"message", answer.message}, {"reason", "Invalid"}, {"code", 422}};
  }
  if (!answer.warnings.empty()) response["warnings"] = answer.warnings;
  if (!answer.patch.empty()) {
    response["patchType"] = "JSONPatch";
    response["patch"] = absl::Base64Escape(answer.patch);
  }
  const Json review = {
      {"apiVersion", kVersion}, {"kind", kKind}, {"response", std::move(response)}};
  // Messages quote what users wrote, which may be any bytes.
  return review.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace weft::webhook
