#include "test/apiserver/api.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "test/apiserver/discovery.h"
#include "test/apiserver/ownership.h"
#include "test/apiserver/patch.h"
#include "test/apiserver/prepare.h"
#include "test/apiserver/reads.h"

namespace weft::apiserver {
namespace {

// Times a write begins anew since the object changed meanwhile.
constexpr int kMaxTries = 5;
// What Kubernetes gives a token that nobody states an age for.
constexpr int64_t kTokenSeconds = 3600;
constexpr int64_t kLeastTokenSeconds = 600;

constexpr char kJsonPatch[] = "application/json-patch+json";
constexpr char kMergePatch[] = "application/merge-patch+json";
constexpr char kStrategicPatch[] = "application/strategic-merge-patch+json";
constexpr char kApplyPatch[] = "application/apply-patch+yaml";

Response Sent(const Target& target, const Stored& object, int code) {
  Response response;
  response.code = code;
  object.AppendTo(response.body, target.api_version(), target.resource->kind);
  response.body += "\n";
  return response;
}

Json Parsed(const Target& target, const Stored& object) {
  return object.Parse(target.api_version(), target.resource->kind);
}

// The body as an object of the target's kind.
Result<Json> DecodeObject(const Target& target, const Request& request) {
  auto object = DecodeBody(request);
  if (!object.ok()) return object;
  if (!object->is_object()) return BadRequest("the body is not an object");
  const std::string version = object->value("apiVersion", "");
  const std::string kind = object->value("kind", "");
  if (!version.empty() && version != target.api_version()) {
    return BadRequest(absl::StrCat("the API version in the data (", version,
                                   ") does not match the expected API version (",
                                   target.api_version(), ")"));
  }
  if (!kind.empty() && kind != target.resource->kind) {
    return BadRequest(absl::StrCat("the kind in the data (", kind,
                                   ") does not match the expected kind (", target.resource->kind,
                                   ")"));
  }
  (*object)["apiVersion"] = target.api_version();
  (*object)["kind"] = target.resource->kind;
  return object;
}

Apply ApplyBy(const Target& target, const Request& request) {
  Apply apply;
  apply.subject = target.subject();
  apply.manager = request.manager();
  apply.api_version = target.api_version();
  apply.now = Rfc3339(absl::Now());
  apply.force = request.IsTrue("force");
  return apply;
}

Attempt AttemptOf(const char* operation, const Target& target, const Request& request) {
  Attempt attempt;
  attempt.operation = operation;
  attempt.target = target;
  attempt.user = request.user;
  attempt.dry_run = request.dry_run();
  return attempt;
}

Json DeletedStatus(const Target& target, const Stored& object) {
  const Json whole = Json::parse(object.text, nullptr, false);
  Json details = {{"name", object.name}, {"kind", target.resource->plural}};
  if (!target.resource->group.empty()) details["group"] = target.resource->group;
  details["uid"] = whole["metadata"].value("uid", "");
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"metadata", Json::object()},
          {"status", "Success"},
          {"details", std::move(details)}};
}

Result<Json> Patched(const Target& target, const Request& request, const Json& before) {
  const Json patch = Json::parse(request.body, nullptr, false);
  if (patch.is_discarded()) return BadRequest("error decoding patch: it is not JSON");
  if (request.content_type == kJsonPatch) return JsonPatch(before, patch);
  if (request.content_type == kMergePatch) return MergePatch(before, patch);
  return StrategicPatch(before, patch, target.resource->kind);
}

bool TakesPatch(const Target& target, const std::string& type) {
  if (type == kStrategicPatch) return !target.resource->custom;
  return type == kJsonPatch || type == kMergePatch || type == kApplyPatch;
}

// What a client of Kubernetes' own writes where nothing is said.
Json WithoutNulls(Json object) {
  for (auto member = object.begin(); member != object.end();) {
    member = member->is_null() ? object.erase(member) : std::next(member);
  }
  return object;
}

Response Text(std::string text) {
  Response response;
  response.type = "text/plain; charset=utf-8";
  response.body = std::move(text);
  return response;
}

Response Of(const Result<Json>& result) {
  return result.ok() ? Response(*result) : Response(result.failure());
}

}  // namespace

std::optional<Response> Api::HandleOther(const Request& request) {
  const std::string& path = request.path;
  const Catalog& catalog = cluster_.catalog();
  if (path == "/version" || path == "/version/") return Response(ServerVersion());
  if (path == "/healthz" || path == "/livez" || path == "/readyz") return Text("ok");
  if (path == "/openapi/v2") {
    Response response;
    response.type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    response.body = OpenApi(catalog);
    return response;
  }
  const std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  if (parts.empty()) return Response(Json{{"paths", {"/api", "/apis", "/healthz", "/version"}}});
  if (parts[0] == "api" && parts.size() == 1) return Response(CoreVersions(address_));
  if (parts[0] == "api" && parts.size() == 2) return Of(ResourceList(catalog, "", parts[1]));
  if (parts[0] == "apis" && parts.size() == 1) return Response(GroupList(catalog));
  if (parts[0] == "apis" && parts.size() == 2) return Of(OneGroup(catalog, parts[1]));
  if (parts[0] == "apis" && parts.size() == 3) {
    return Of(ResourceList(catalog, parts[1], parts[2]));
  }
  return std::nullopt;
}

Task<Response> Api::Handle(const Target& target, const Request& request) {
  const std::string& verb = target.verb;
  if (!target.resource->stored) {
    if (verb != "create") co_return Response(MethodNotAllowed());
    co_return Answer(target, request);
  }
  if (target.subresource == "token") {
    if (request.method != "POST") co_return Response(MethodNotAllowed());
    co_return IssueToken(target, request);
  }
  if (verb == "get" || verb == "list") {
    const auto read = Guard([&]() -> Result<Response> {
      return verb == "get" ? GetObject(cluster_, target, request)
                           : ListObjects(cluster_, target, request);
    });
    co_return read.ok() ? *read : Response(read.failure());
  }
  const bool named = !target.name.empty();
  if (verb == "create" && !named) co_return co_await Create(target, request);
  if (verb == "update" && named) co_return co_await Update(target, request);
  if (verb == "patch" && named) co_return co_await Patch(target, request);
  if (target.subresource.empty()) {
    if (verb == "delete") co_return co_await Delete(target, request);
    if (verb == "deletecollection") co_return co_await DeleteCollection(target, request);
  }
  co_return Response(MethodNotAllowed());
}

Task<Response> Api::Create(const Target& target, const Request& request) {
  auto object = Guard([&] { return DecodeObject(target, request); });
  co_return co_await CreateFrom(target, request, std::move(object));
}

Task<Response> Api::CreateFrom(const Target& target, const Request& request, Result<Json> object) {
  if (!object.ok()) co_return Response(object.failure());
  auto prepared =
      Guard([&] { return cluster_.PrepareNew(*target.resource, target.ns, *std::move(object)); });
  if (!prepared.ok()) co_return Response(prepared.failure());
  Attempt attempt = AttemptOf("CREATE", target, request);
  attempt.target.name = (*prepared)["metadata"]["name"].get<std::string>();
  attempt.object = *std::move(prepared);
  std::vector<std::string> warnings;
  auto admitted = co_await admission_.Admit(std::move(attempt), &warnings);
  Response response;
  if (!admitted.ok()) {
    response = Response(admitted.failure());
  } else if (request.dry_run()) {
    response = Response(*admitted, 201);
  } else {
    auto stored = Guard([&] { return cluster_.CommitNew(*target.resource, *std::move(admitted)); });
    response = stored.ok() ? Sent(target, **stored, 201) : Response(stored.failure());
  }
  response.warnings = std::move(warnings);
  co_return response;
}

Task<Response> Api::Change(const Target& target, const Request& request, Wanted wanted) {
  Response response;
  for (int tries = 1;; ++tries) {
    auto found = cluster_.Get(*target.resource, target.ns, target.name);
    if (!found.ok()) co_return Response(found.failure());
    const StoredPtr before = *found;
    const Json old = Parsed(target, *before);
    auto prepared = Guard([&]() -> Result<Json> {
      auto object = wanted(old);
      if (!object.ok()) return object;
      auto ready = cluster_.PrepareChange(*target.resource, old, *std::move(object),
                                          target.subresource == "status");
      if (ready.ok() && request.content_type != kApplyPatch) {
        NoteWrite(old, *ready, ApplyBy(target, request));
      }
      return ready;
    });
    if (!prepared.ok()) co_return Response(prepared.failure());
    Attempt attempt = AttemptOf("UPDATE", target, request);
    attempt.old = old;
    attempt.object = *std::move(prepared);
    std::vector<std::string> warnings;
    auto admitted = co_await admission_.Admit(std::move(attempt), &warnings);
    if (!admitted.ok()) {
      response = Response(admitted.failure());
    } else if (request.dry_run()) {
      response = Response(*admitted);
    } else {
      auto stored = Guard(
          [&] { return cluster_.CommitChange(*target.resource, *before, *std::move(admitted)); });
      // Who stated a version hears of the conflict in the next round.
      if (!stored.ok() && stored.failure().code == 409 && tries < kMaxTries) continue;
      response = stored.ok() ? Sent(target, **stored, 200) : Response(stored.failure());
    }
    response.warnings = std::move(warnings);
    co_return response;
  }
}

Task<Response> Api::Update(const Target& target, const Request& request) {
  Wanted wanted = [&](const Json&) { return DecodeObject(target, request); };
  co_return co_await Change(target, request, std::move(wanted));
}

Task<Response> Api::Patch(const Target& target, const Request& request) {
  if (!TakesPatch(target, request.content_type)) {
    co_return Response(UnsupportedMediaType(request.content_type));
  }
  if (request.content_type == kApplyPatch) co_return co_await ServerSideApply(target, request);
  Wanted wanted = [&](const Json& before) { return Patched(target, request, before); };
  co_return co_await Change(target, request, std::move(wanted));
}

Task<Response> Api::ServerSideApply(const Target& target, const Request& request) {
  if (!request.Has("fieldManager")) {
    co_return Response(BadRequest("fieldManager is required for apply patch"));
  }
  Wanted wanted = [&](const Json& before) -> Result<Json> {
    auto applied = DecodeObject(target, request);
    if (!applied.ok()) return applied;
    const Json metadata = applied->value("metadata", Json::object());
    if (metadata.contains("managedFields")) {
      return BadRequest("metadata.managedFields must be nil");
    }
    if (metadata.value("name", "") != target.name) {
      return BadRequest("the name of the object does not match the name on the URL");
    }
    return ApplyTo(before, *applied, ApplyBy(target, request));
  };
  if (cluster_.Get(*target.resource, target.ns, target.name).ok()) {
    co_return co_await Change(target, request, std::move(wanted));
  }
  auto object = Guard([&] { return wanted(nullptr); });
  co_return co_await CreateFrom(target, request, std::move(object));
}

Task<Response> Api::Delete(const Target& target, const Request& request) {
  auto found = cluster_.Get(*target.resource, target.ns, target.name);
  if (!found.ok()) co_return Response(found.failure());
  Json options = Json::parse(request.body, nullptr, false);
  if (!options.is_object()) options = Json::object();
  Attempt attempt = AttemptOf("DELETE", target, request);
  attempt.dry_run = attempt.dry_run || options.contains("dryRun");
  attempt.old = Parsed(target, **found);
  const bool dry_run = attempt.dry_run;
  std::vector<std::string> warnings;
  auto admitted = co_await admission_.Admit(std::move(attempt), &warnings);
  Response response;
  if (!admitted.ok()) {
    response = Response(admitted.failure());
  } else if (dry_run) {
    response = Response(DeletedStatus(target, **found));
  } else {
    auto deleted = Guard([&] {
      const std::string uid =
          options.value("preconditions", Json::object()).value("uid", std::string());
      return cluster_.Delete(*target.resource, target.ns, target.name, uid);
    });
    response = !deleted.ok()   ? Response(deleted.failure())
               : deleted->gone ? Response(DeletedStatus(target, *deleted->object))
                               : Sent(target, *deleted->object, 200);
  }
  response.warnings = std::move(warnings);
  co_return response;
}

Task<Response> Api::DeleteCollection(const Target& target, const Request& request) {
  const auto selection = ReadSelection(target, request);
  if (!selection.ok()) co_return Response(selection.failure());
  const Store::Page page =
      cluster_.store().List(target.resource->Id(), target.ns, cluster_.store().version(),
                            std::nullopt, std::numeric_limits<size_t>::max());
  for (const StoredPtr& object : page.objects) {
    if (!selection->Matches(*object)) continue;
    Target one = target;
    one.ns = object->ns;
    one.name = object->name;
    const Response response = co_await Delete(one, request);
    if (response.code >= 400 && response.code != 404) co_return response;
  }
  co_return Response(Json{{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Success"}});
}

// Reviews: everybody may do everything.
Response Api::Answer(const Target& target, const Request& request) {
  auto answered = Guard([&]() -> Result<Json> {
    auto review = DecodeObject(target, request);
    if (!review.ok()) return review;
    Json& object = *review;
    if (!object.contains("metadata")) object["metadata"] = Json::object();
    const Json spec = object.value("spec", Json::object());
    if (target.resource->kind == "TokenReview") {
      object["status"] = credentials_.Review(spec, absl::Now());
    } else {
      object["status"] = {{"allowed", true}, {"reason", "everything is allowed"}};
    }
    return review;
  });
  return answered.ok() ? Response(*answered, 201) : Response(answered.failure());
}

// Of what a token may be bound to we know pods.
std::optional<Failure> Api::BindToPod(const Json& reference, AccountToken& token) {
  if (reference.value("kind", "") != "Pod") {
    return BadRequest("cannot bind token to object of that kind");
  }
  const auto pods = cluster_.catalog().FindById("pods");
  token.pod = reference.value("name", "");
  const auto pod = cluster_.Get(*pods, token.ns, token.pod);
  if (!pod.ok()) return pod.failure();
  token.pod_uid = (*pod)->Parse("v1", "Pod")["metadata"].value("uid", "");
  const std::string uid = reference.value("uid", token.pod_uid);
  if (uid == token.pod_uid) return std::nullopt;
  return ConflictOver(pods->Named(token.pod), "the UID in the bound object reference is another");
}

Response Api::IssueToken(const Target& target, const Request& request) {
  auto issued = Guard([&]() -> Result<Json> {
    const auto account = cluster_.Get(*target.resource, target.ns, target.name);
    if (!account.ok()) return account.failure();
    auto body = DecodeBody(request);
    if (!body.ok()) return body;
    Json& object = *body;
    const Json spec = WithoutNulls(object.value("spec", Json::object()));
    const int64_t seconds = spec.value("expirationSeconds", kTokenSeconds);
    if (seconds < kLeastTokenSeconds) {
      return Invalid({"authentication.k8s.io", "tokenrequests", "TokenRequest", ""},
                     "spec.expirationSeconds",
                     absl::StrCat("Invalid value: ", seconds,
                                  ": may not specify a duration less than 10 minutes"));
    }
    AccountToken token;
    token.ns = target.ns;
    token.account = target.name;
    token.uid = Parsed(target, **account)["metadata"].value("uid", "");
    token.audiences = spec.value("audiences", std::vector<std::string>());
    token.expires = absl::Now() + absl::Seconds(seconds);
    if (spec.contains("boundObjectRef")) {
      if (auto refused = BindToPod(spec["boundObjectRef"], token)) return *std::move(refused);
    }
    object["kind"] = "TokenRequest";
    object["apiVersion"] = "authentication.k8s.io/v1";
    object["metadata"] = {{"name", target.name}, {"namespace", target.ns}};
    object["status"] = {{"token", credentials_.Issue(token, cluster_.NewUid())},
                        {"expirationTimestamp", Rfc3339(token.expires)}};
    return body;
  });
  return issued.ok() ? Response(*issued, 201) : Response(issued.failure());
}

}  // namespace weft::apiserver
