#include "test/apiserver/admission.h"

#include <algorithm>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "test/apiserver/patch.h"
#include "test/apiserver/selector.h"
#include "test/apiserver/webhook_call.h"

namespace weft::apiserver {
namespace {

constexpr char kMutating[] = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
constexpr char kValidating[] = "validatingwebhookconfigurations.admissionregistration.k8s.io";
constexpr char kAdmissionVersion[] = "admission.k8s.io/v1";

std::vector<std::string> List(const Json& object, const char* field) {
  return object.value(field, std::vector<std::string>());
}

bool Has(const std::vector<std::string>& list, absl::string_view value) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& one) { return one == "*" || one == value; });
}

bool MatchesResource(const std::vector<std::string>& list, const Target& target) {
  const std::string& plural = target.resource->plural;
  const std::string& sub = target.subresource;
  return std::any_of(list.begin(), list.end(), [&](const std::string& one) {
    if (one == "*/*") return true;
    if (sub.empty()) return one == "*" || one == plural;
    return one == absl::StrCat(plural, "/", sub) || one == plural + "/*" || one == "*/" + sub;
  });
}

bool MatchesScope(const std::string& scope, const Resource& resource) {
  return scope == "*" || (scope == "Namespaced") == resource.namespaced;
}

// The version of the kind in which the rule wants to be asked, or "": the rule is not about it.
// `equivalent`: the same object in another version will do.
std::string VersionByRule(const Json& rule, const Attempt& attempt, bool equivalent) {
  const Target& target = attempt.target;
  if (!Has(List(rule, "operations"), attempt.operation)) return "";
  if (!Has(List(rule, "apiGroups"), target.resource->group)) return "";
  if (!MatchesResource(List(rule, "resources"), target)) return "";
  if (!MatchesScope(rule.value("scope", "*"), *target.resource)) return "";
  const std::vector<std::string> versions = List(rule, "apiVersions");
  if (Has(versions, target.version)) return target.version;
  if (!equivalent) return "";
  for (const std::string& version : target.resource->versions) {
    if (Has(versions, version)) return version;
  }
  return "";
}

Labels LabelsOf(const Json& object) {
  const Json::json_pointer at("/metadata/labels");
  if (!object.is_object() || !object.contains(at) || !object.at(at).is_object()) return {};
  return object.at(at).get<Labels>();
}

bool SelectsObject(const LabelSelector& selector, const Attempt& attempt) {
  if (selector.empty()) return true;
  return (!attempt.object.is_null() && selector.Matches(LabelsOf(attempt.object))) ||
         (!attempt.old.is_null() && selector.Matches(LabelsOf(attempt.old)));
}

Webhook WebhookOf(const Json& json, std::string version) {
  Webhook webhook;
  webhook.name = json.value("name", "");
  webhook.version = std::move(version);
  webhook.timeout = absl::Seconds(json.value("timeoutSeconds", 10));
  webhook.ignore_failure = json.value("failurePolicy", "Fail") == "Ignore";
  const Json client = json.value("clientConfig", Json::object());
  webhook.url = client.value("url", "");
  absl::Base64Unescape(client.value("caBundle", ""), &webhook.ca_pem);
  const Json service = client.value("service", Json::object());
  webhook.service_namespace = service.value("namespace", "");
  webhook.service_name = service.value("name", "");
  webhook.service_path = service.value("path", "/");
  webhook.service_port = service.value("port", 443);
  return webhook;
}

// In the version in which the webhook is asked: only the name of the version differs.
Json InVersion(Json object, const Attempt& attempt, const std::string& version) {
  if (!object.is_null()) object["apiVersion"] = attempt.target.resource->ApiVersion(version);
  return object;
}

Json KindJson(const Resource& resource, const std::string& version) {
  return {{"group", resource.group}, {"version", version}, {"kind", resource.kind}};
}

Json ResourceJson(const Resource& resource, const std::string& version) {
  return {{"group", resource.group}, {"version", version}, {"resource", resource.plural}};
}

// As Kubernetes phrases a webhook's refusal.
Failure RefusalOf(const std::string& webhook, const Json& status) {
  Failure failure;
  failure.code = std::max(400, status.value("code", 400));
  failure.reason = status.value("reason", "");
  if (failure.reason == "Success") failure.reason.clear();
  if (status.contains("details")) failure.details = status["details"];
  const std::string denied = absl::StrCat("admission webhook \"", webhook, "\" denied the request");
  const std::string message = status.value("message", "");
  if (!message.empty()) {
    failure.message = absl::StrCat(denied, ": ", message);
  } else if (!failure.reason.empty()) {
    failure.message = absl::StrCat(denied, ": ", failure.reason);
  } else {
    failure.message = absl::StrCat(denied, " without explanation");
  }
  return failure;
}

// "https://HOST[:PORT]/PATH"
struct Url {
  std::string host, port = "443", path = "/";
};

std::optional<Url> ParseUrl(absl::string_view text) {
  Url url;
  if (!absl::ConsumePrefix(&text, "https://")) return std::nullopt;
  const size_t slash = std::min(text.find('/'), text.size());
  absl::string_view authority = text.substr(0, slash);
  if (slash < text.size()) url.path = std::string(text.substr(slash));
  const size_t colon = authority.rfind(':');
  if (colon != absl::string_view::npos && authority.back() != ']') {
    url.port = std::string(authority.substr(colon + 1));
    authority = authority.substr(0, colon);
  }
  absl::ConsumePrefix(&authority, "[");
  absl::ConsumeSuffix(&authority, "]");
  url.host = std::string(authority);
  return url;
}

// Webhooks of tests are on this machine.
absl::StatusOr<Address> Resolve(const std::string& host, const std::string& port) {
  int number = 0;
  if (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("port '", port, "' is not one"));
  }
  return Address::Ip(host == "localhost" ? "127.0.0.1" : host, static_cast<uint16_t>(number));
}

std::string WhereOf(const Webhook& webhook) {
  if (!webhook.url.empty()) return webhook.url;
  return absl::StrCat("https://", webhook.service_name, ".", webhook.service_namespace,
                      ".svc:", webhook.service_port, webhook.service_path);
}

}  // namespace

std::vector<Webhook> MatchingWebhooks(const Json& configuration, const Attempt& attempt,
                                      const Labels& namespace_labels) {
  std::vector<Webhook> matching;
  const Resource& resource = *attempt.target.resource;
  // Webhooks cannot keep themselves from being repaired.
  if (resource.group == "admissionregistration.k8s.io") return matching;
  for (const Json& json : configuration.value("webhooks", Json::array())) {
    const bool equivalent = json.value("matchPolicy", "Equivalent") == "Equivalent";
    std::string version;
    for (const Json& rule : json.value("rules", Json::array())) {
      if (version.empty()) version = VersionByRule(rule, attempt, equivalent);
    }
    if (version.empty()) continue;
    const LabelSelector namespaces =
        LabelSelector::FromJson(json.value("namespaceSelector", Json()));
    const bool in_namespace = resource.namespaced || resource.Id() == "namespaces";
    if (in_namespace && !namespaces.Matches(namespace_labels)) continue;
    const LabelSelector objects = LabelSelector::FromJson(json.value("objectSelector", Json()));
    if (!SelectsObject(objects, attempt)) continue;
    matching.push_back(WebhookOf(json, version));
  }
  return matching;
}

Json AdmissionReviewOf(const Attempt& attempt, const Webhook& webhook, const std::string& uid) {
  const Target& target = attempt.target;
  const Resource& resource = *target.resource;
  const Json& named = attempt.object.is_null() ? attempt.old : attempt.object;
  Json request = {{"uid", uid},
                  {"kind", KindJson(resource, webhook.version)},
                  {"resource", ResourceJson(resource, webhook.version)},
                  {"requestKind", KindJson(resource, target.version)},
                  {"requestResource", ResourceJson(resource, target.version)},
                  {"operation", attempt.operation},
                  {"userInfo", attempt.user.ToJson()},
                  {"dryRun", attempt.dry_run}};
  request["name"] = named["metadata"].value("name", "");
  if (resource.namespaced) request["namespace"] = target.ns;
  if (resource.Id() == "namespaces") request["namespace"] = request["name"];
  if (!target.subresource.empty()) {
    request["subResource"] = target.subresource;
    request["requestSubResource"] = target.subresource;
  }
  request["object"] = InVersion(attempt.object, attempt, webhook.version);
  request["oldObject"] = InVersion(attempt.old, attempt, webhook.version);
  const char* options = attempt.operation == "CREATE"   ? "CreateOptions"
                        : attempt.operation == "UPDATE" ? "UpdateOptions"
                                                        : "DeleteOptions";
  request["options"] = {{"kind", options}, {"apiVersion", "meta.k8s.io/v1"}};
  Json review = {{"kind", "AdmissionReview"}, {"apiVersion", kAdmissionVersion}};
  review["request"] = std::move(request);
  return review;
}

std::optional<Verdict> ReadVerdict(const std::string& answer, const std::string& webhook,
                                   const std::string& uid, std::string& wrong) {
  const Json review = Json::parse(answer, nullptr, false);
  if (!review.is_object() || !review.contains("response") || !review["response"].is_object()) {
    wrong = "the answer is no AdmissionReview with a response";
    return std::nullopt;
  }
  const Json& response = review["response"];
  if (review.value("kind", "") != "AdmissionReview" ||
      review.value("apiVersion", "") != kAdmissionVersion) {
    wrong = absl::StrCat("expected webhook response of ", kAdmissionVersion,
                         ", Kind=AdmissionReview, got ", review.value("apiVersion", ""),
                         ", Kind=", review.value("kind", ""));
    return std::nullopt;
  }
  if (response.value("uid", "") != uid) {
    wrong = absl::StrCat("expected response.uid=\"", uid, "\", got \"", response.value("uid", ""),
                         "\"");
    return std::nullopt;
  }
  Verdict verdict;
  verdict.warnings = response.value("warnings", std::vector<std::string>());
  if (!response.value("allowed", false)) {
    verdict.refusal = RefusalOf(webhook, response.value("status", Json::object()));
    return verdict;
  }
  const std::string encoded = response.value("patch", "");
  if (encoded.empty()) return verdict;
  std::string patch;
  if (response.value("patchType", "") != "JSONPatch" || !absl::Base64Unescape(encoded, &patch)) {
    wrong = "webhook returned a response.patch that is no base64 of patchType JSONPatch";
    return std::nullopt;
  }
  verdict.patch = Json::parse(patch, nullptr, false);
  if (!verdict.patch.is_array()) {
    wrong = "the patch is no JSON patch";
    return std::nullopt;
  }
  return verdict;
}

Labels Admission::NamespaceLabels(const Attempt& attempt) {
  if (attempt.target.resource->Id() == "namespaces") {
    return LabelsOf(attempt.object.is_null() ? attempt.old : attempt.object);
  }
  const StoredPtr found = cluster_.store().Get("namespaces", "", attempt.target.ns);
  return found == nullptr ? Labels() : found->labels;
}

std::vector<Webhook> Admission::Find(const char* configurations, const Attempt& attempt) {
  std::vector<Webhook> matching;
  if (cluster_.store().Count(configurations) == 0) return matching;
  const Labels labels = NamespaceLabels(attempt);
  const Store::Page all = cluster_.store().List(configurations, "", cluster_.store().version(),
                                                std::nullopt, std::numeric_limits<size_t>::max());
  for (const StoredPtr& stored : all.objects) {
    const Json configuration = Json::parse(stored->text, nullptr, false);
    for (Webhook& webhook : MatchingWebhooks(configuration, attempt, labels)) {
      matching.push_back(std::move(webhook));
    }
  }
  return matching;
}

absl::StatusOr<WebhookCall> Admission::CallOf(const Webhook& webhook) const {
  WebhookCall call;
  call.ca_pem = webhook.ca_pem;
  if (webhook.ca_pem.empty()) {
    return absl::UnavailableError("x509: certificate signed by unknown authority");
  }
  if (!webhook.url.empty()) {
    const auto url = ParseUrl(webhook.url);
    if (!url.has_value()) return absl::InvalidArgumentError("the URL is not https://HOST/PATH");
    auto address = Resolve(url->host, url->port);
    if (!address.ok()) return address.status();
    call.address = *address;
    call.server_name = url->host;
    call.authority = absl::StrCat(url->host, ":", url->port);
    call.path = url->path;
    return call;
  }
  const auto mapped = services_.find(absl::StrCat(webhook.service_namespace, "/",
                                                  webhook.service_name, ":", webhook.service_port));
  if (mapped == services_.end()) {
    return absl::NotFoundError(absl::StrCat("service \"", webhook.service_name, "\" not found"));
  }
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(mapped->second, absl::MaxSplits(':', 1));
  auto address = Resolve(parts.first, parts.second);
  if (!address.ok()) return address.status();
  call.address = *address;
  call.server_name = absl::StrCat(webhook.service_name, ".", webhook.service_namespace, ".svc");
  call.authority = absl::StrCat(call.server_name, ":", webhook.service_port);
  call.path = webhook.service_path;
  return call;
}

Task<Result<Verdict>> Admission::Ask(Webhook webhook, const Attempt* attempt) {
  const std::string uid = cluster_.NewUid();
  const std::string timeout = absl::StrCat("?timeout=", absl::ToInt64Seconds(webhook.timeout), "s");
  absl::Status failed;
  auto call = CallOf(webhook);
  if (call.ok()) {
    call->path += timeout;
    call->body = AdmissionReviewOf(*attempt, webhook, uid).dump();
    call->deadline = loop_.Now() + webhook.timeout;
    auto answer = co_await PostToWebhook(loop_, *std::move(call));
    failed = answer.status();
    if (answer.ok()) {
      std::string wrong;
      auto read = Guard([&]() -> Result<std::optional<Verdict>> {
        return ReadVerdict(*answer, webhook.name, uid, wrong);
      });
      if (read.ok() && read->has_value()) co_return std::move(**read);
      failed = absl::InternalError(read.ok() ? wrong : read.failure().message);
    }
  } else {
    failed = call.status();
  }
  if (webhook.ignore_failure) co_return Verdict();
  co_return InternalError(absl::StrCat("failed calling webhook \"", webhook.name,
                                       "\": failed to call webhook: Post \"", WhereOf(webhook),
                                       timeout, "\": ", failed.message()));
}

Task<Result<Json>> Admission::Admit(Attempt attempt, std::vector<std::string>* warnings) {
  for (const char* configurations : {kMutating, kValidating}) {
    const auto webhooks =
        Guard([&]() -> Result<std::vector<Webhook>> { return Find(configurations, attempt); });
    if (!webhooks.ok()) co_return InternalError(webhooks.failure().message);
    for (const Webhook& webhook : *webhooks) {
      auto verdict = co_await Ask(webhook, &attempt);
      if (!verdict.ok()) co_return verdict.failure();
      warnings->insert(warnings->end(), verdict->warnings.begin(), verdict->warnings.end());
      if (verdict->refusal.has_value()) co_return *verdict->refusal;
      if (verdict->patch.is_null() || configurations == kValidating || attempt.object.is_null()) {
        continue;
      }
      auto patched = JsonPatch(attempt.object, verdict->patch);
      if (!patched.ok()) co_return InternalError(patched.failure().message);
      attempt.object = *std::move(patched);
    }
  }
  co_return std::move(attempt.object);
}

}  // namespace weft::apiserver
