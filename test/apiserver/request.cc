#include "test/apiserver/request.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "test/apiserver/manifest.h"

namespace weft::apiserver {
namespace {

std::string Decode(absl::string_view text, bool plus_is_space) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value;
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::SimpleHexAtoi(text.substr(i + 1, 2), &value)) {
      decoded.push_back(static_cast<char>(value));
      i += 2;
    } else {
      decoded.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return decoded;
}

// Takes "namespaces/NAME" off the front, unless the namespace itself is what is asked for.
void TakeNamespace(std::vector<std::string>& parts, std::string& ns) {
  if (parts.size() < 3 || parts[0] != "namespaces") return;
  if (parts.size() == 3 && (parts[2] == "status" || parts[2] == "finalize")) return;
  ns = parts[1];
  parts.erase(parts.begin(), parts.begin() + 2);
}

std::string VerbOf(const Request& request, bool named) {
  const std::string& method = request.method;
  if (method == "GET" || method == "HEAD") {
    if (request.IsTrue("watch")) return "watch";
    return named ? "get" : "list";
  }
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return named ? "delete" : "deletecollection";
  return "";
}

}  // namespace

Json User::ToJson() const {
  Json json = {{"username", name}, {"groups", groups}};
  if (!uid.empty()) json["uid"] = uid;
  if (!extra.empty()) json["extra"] = extra;
  return json;
}

std::string Request::Query(absl::string_view name) const {
  for (auto parameter = query.rbegin(); parameter != query.rend(); ++parameter) {
    if (parameter->first == name) return parameter->second;
  }
  return "";
}

bool Request::Has(absl::string_view name) const {
  return std::any_of(query.begin(), query.end(), [&](const auto& p) { return p.first == name; });
}

bool Request::IsTrue(absl::string_view name) const {
  const std::string value = Query(name);
  return Has(name) && value != "0" && value != "false";
}

std::string Request::manager() const {
  const std::string stated = Query("fieldManager");
  if (!stated.empty()) return stated;
  return user_agent.substr(0, user_agent.find('/'));
}

void ReadTarget(absl::string_view target, Request& request) {
  request.raw_path = std::string(target);
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(target, absl::MaxSplits('?', 1));
  request.path = Decode(parts.first, false);
  for (absl::string_view pair : absl::StrSplit(parts.second, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    request.query.emplace_back(Decode(parameter.first, true), Decode(parameter.second, true));
  }
}

Response::Response(const Json& json, int code)
    : code(code), body(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n") {}

Response::Response(const Failure& failure) : Response(failure.ToStatus(), failure.code) {
  retry_after = failure.retry_after;
}

Result<Target> FindTarget(const Catalog& catalog, const Request& request) {
  std::vector<std::string> parts = absl::StrSplit(request.path, '/', absl::SkipEmpty());
  Target target;
  std::string group;
  if (parts.size() >= 3 && parts[0] == "api") {
    target.version = parts[1];
    parts.erase(parts.begin(), parts.begin() + 2);
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    group = parts[1];
    target.version = parts[2];
    parts.erase(parts.begin(), parts.begin() + 3);
  } else {
    return NoSuchPath();
  }
  TakeNamespace(parts, target.ns);
  if (parts.empty() || parts.size() > 3) return NoSuchPath();
  target.resource = catalog.Find(group, target.version, parts[0]);
  if (target.resource == nullptr) return NoSuchPath();
  if (parts.size() > 1) target.name = parts[1];
  if (parts.size() > 2) target.subresource = parts[2];
  const bool has_subresource =
      target.subresource.empty() || (target.subresource == "status" && target.resource->status) ||
      (target.subresource == "token" && target.resource->Id() == "serviceaccounts");
  if (!has_subresource) return NoSuchPath();
  if (!target.resource->namespaced && !target.ns.empty()) return NoSuchPath();
  if (target.resource->namespaced && target.ns.empty() && !target.name.empty()) return NoSuchPath();
  target.verb = VerbOf(request, !target.name.empty());
  if (target.verb.empty()) return MethodNotAllowed();
  return target;
}

Result<Json> DecodeBody(const Request& request) {
  const bool yaml = request.content_type == "application/yaml" ||
                    request.content_type == "application/apply-patch+yaml";
  // JSON is YAML too, and what most clients send as such.
  if (yaml && !absl::StartsWith(request.body, "{")) {
    auto documents = ReadManifest(request.body);
    if (!documents.ok()) return BadRequest(std::string(documents.status().message()));
    if (documents->size() != 1) return BadRequest("the body is not one YAML document");
    return std::move(documents->front());
  }
  if (absl::StrContains(request.content_type, "protobuf")) {
    return UnsupportedMediaType(request.content_type);
  }
  Json object = Json::parse(request.body, nullptr, false);
  if (object.is_discarded()) {
    return BadRequest("the object provided is unrecognized (must be of type JSON or YAML)");
  }
  return object;
}

}  // namespace weft::apiserver
