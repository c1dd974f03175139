#include "controlplane/federation/link_objects.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/weft/kinds.pb.h"
#include "api/yaml/document.h"
#include "controlplane/federation/link_kind.h"
#include "controlplane/model/decode.h"
#include "controlplane/model/validate.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr size_t kShown = 200;  // of an answer that is no Status
constexpr char kTokensKey[] = "tokens.json";

std::string SecretsPath() {
  return absl::StrCat("/api/v1/namespaces/", kLinkSecretNamespace, "/secrets");
}

std::string TokensPath() { return absl::StrCat(SecretsPath(), "/", LinkObjects::kTokensSecret); }

std::string LinkPath(const std::string& cluster) { return absl::StrCat(kLinksPath, "/", cluster); }

std::string MessageOf(const std::string& body) {
  const auto document = YamlDocument::ParseJson(body);
  if (!document.ok()) return body.substr(0, kShown);
  const std::string message((*document)->root()["message"].Scalar());
  return message.empty() ? body.substr(0, kShown) : message;
}

absl::Status ErrorOf(int status, const std::string& body) {
  const std::string message = absl::StrCat("API server: ", MessageOf(body));
  switch (status) {
    case 401:
    case 403:
      return absl::PermissionDeniedError(message);
    case 404:
      return absl::NotFoundError(message);
    case 409:
      return absl::AbortedError(message);
    case 400:
    case 422:
      return absl::InvalidArgumentError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// A Secret that cannot be read holds no token that could be shown: they are made anew in a moment.
LinkTokens TokensOf(const YamlNode& secret) {
  const absl::string_view base64 = secret["data"][kTokensKey].Scalar();
  if (base64.empty()) return {};
  std::string text;
  auto tokens = absl::Base64Unescape(base64, &text)
                    ? LinkTokens::FromJson(text)
                    : absl::StatusOr<LinkTokens>(absl::DataLossError("not base64"));
  if (tokens.ok()) return *std::move(tokens);
  Log(LogLevel::kError, "link_tokens_lost",
      {{"object", absl::StrCat("Secret ", kLinkSecretNamespace, "/", LinkObjects::kTokensSecret)},
       {"reason", std::string(tokens.status().message())}});
  return {};
}

std::string VersionOf(const YamlNode& object) {
  return std::string(object["metadata"]["resourceVersion"].Scalar());
}

// One of a list. What is refused elsewhere, too, is a problem here as soon as it has roots.
void AddLink(const ObjectBody& body, const std::string& origin, StoredLinks& links) {
  ParsedObject parsed = ReadJsonObject(body, "weft.io/v1alpha1", "Link", origin);
  if (parsed.object == nullptr) {
    links.problems[ToString(parsed.problem.key)] = parsed.problem.message;
    return;
  }
  const std::string& name = parsed.object->key.name;
  links.versions[name] = parsed.resource_version;
  const absl::StatusOr<Object> object = Decode(*parsed.object);
  if (!object.ok()) {
    links.problems[ToString(parsed.object->key)] = std::string(object.status().message());
    return;
  }
  for (const Problem& problem : Validate(*object)) {
    if (problem.severity != Severity::kError) continue;
    links.problems[ToString(problem.key)] = absl::StrCat(problem.field, ": ", problem.message);
    return;
  }
  auto peer = PeerOf(name, static_cast<const v1alpha1::LinkSpec&>(*object->message));
  if (peer.has_value()) links.peers[name] = *std::move(peer);
}

}  // namespace

LinkObjects::LinkObjects(EventLoop& loop, KubernetesClient& client, absl::Duration silence,
                         std::function<void()> on_tokens)
    : loop_(loop), client_(client), on_tokens_(std::move(on_tokens)) {
  KubernetesSource::Options options;
  options.resources = {WatchedSecret(kLinkSecretNamespace, kTokensSecret)};
  options.watch_silence = silence;
  source_ =
      std::make_unique<KubernetesSource>(loop_, client_.config(), std::move(options),
                                         [this](const SourceUpdate& update) { OnSecret(update); });
}

void LinkObjects::OnSecret(const SourceUpdate& update) {
  for (const ObjectDelta& delta : update.deltas) {
    seen_ = delta.object == nullptr ? LinkTokens() : TokensOf(delta.object->body.node);
  }
  if (!update.deltas.empty()) on_tokens_();
}

Task<absl::StatusOr<std::string>> LinkObjects::Ask(std::string method, std::string path,
                                                   std::string body) {
  KubernetesRequest request;
  request.content_type = method == "PATCH" ? "application/merge-patch+json" : "application/json";
  if (body.empty()) request.content_type.clear();
  request.path = method == "GET" || method == "DELETE" ? path : path + "?fieldManager=weftd";
  request.method = std::move(method);
  request.body = std::move(body);
  auto answer = co_await client_.Call(std::move(request), loop_.Now() + kCallTimeout);
  if (!answer.ok()) co_return absl::UnavailableError(answer.status().message());
  if (answer->status / 100 != 2) co_return ErrorOf(answer->status, answer->body);
  co_return std::move(answer->body);
}

Task<absl::StatusOr<StoredTokens>> LinkObjects::LoadTokens() {
  absl::StatusOr<std::string> body = co_await Ask("GET", TokensPath(), "");
  if (absl::IsNotFound(body.status())) co_return StoredTokens();
  if (!body.ok()) co_return body.status();
  const auto secret = YamlDocument::ParseJson(*std::move(body));
  if (!secret.ok()) co_return absl::UnavailableError(secret.status().message());
  StoredTokens stored;
  stored.tokens = TokensOf((*secret)->root());
  stored.version = VersionOf((*secret)->root());
  co_return stored;
}

Task<absl::Status> LinkObjects::SaveTokens(LinkTokens tokens, std::string version, absl::Time now) {
  Json secret = {{"data", {{kTokensKey, absl::Base64Escape(tokens.ToJson(now))}}}};
  const bool create = version.empty();
  if (create) {
    secret["metadata"] = {{"name", kTokensSecret}, {"namespace", kLinkSecretNamespace}};
    secret["apiVersion"] = "v1";
    secret["kind"] = "Secret";
  } else {
    secret["metadata"] = {{"resourceVersion", std::move(version)}};
  }
  const absl::StatusOr<std::string> saved =
      co_await Ask(create ? "POST" : "PATCH", create ? SecretsPath() : TokensPath(), secret.dump());
  if (!saved.ok()) {
    // Deleted since it was read.
    co_return absl::IsNotFound(saved.status()) && !create
        ? absl::AbortedError(saved.status().message())
        : saved.status();
  }
  seen_ = std::move(tokens);  // the watch will say so, too, but later
  co_return absl::OkStatus();
}

Task<absl::StatusOr<StoredLinks>> LinkObjects::LoadLinks() {
  absl::StatusOr<std::string> body = co_await Ask("GET", kLinksPath, "");
  if (absl::IsNotFound(body.status())) {
    co_return absl::FailedPreconditionError(
        "the API server has no kind Link: apply link_definition.yaml of weftd first");
  }
  if (!body.ok()) co_return body.status();
  const auto list = YamlDocument::ParseJson(*std::move(body));
  if (!list.ok()) co_return absl::UnavailableError(list.status().message());
  StoredLinks links;
  for (const YamlNode item : (*list)->root()["items"]) {
    AddLink({*list, item}, client_.config().origin, links);
  }
  co_return links;
}

Task<absl::Status> LinkObjects::PutLink(Peer peer, const StoredLinks& read) {
  Json link = {{"spec", Json::parse(LinkSpecOf(peer))}};
  const auto version = read.versions.find(peer.cluster);
  const bool create = version == read.versions.end();
  if (create) {
    link["metadata"] = {{"name", peer.cluster}};
    link["apiVersion"] = "weft.io/v1alpha1";
    link["kind"] = "Link";
  } else {
    link["metadata"] = {{"resourceVersion", version->second}};
    // One that waited for this join has the cost that whoever made it wants.
    if (!read.peers.contains(peer.cluster)) link["spec"].erase("cost");
  }
  const absl::StatusOr<std::string> put = co_await Ask(
      create ? "POST" : "PATCH", create ? kLinksPath : LinkPath(peer.cluster), link.dump());
  if (absl::IsNotFound(put.status())) co_return absl::AbortedError(put.status().message());
  co_return put.status();
}

Task<absl::Status> LinkObjects::RemoveLink(std::string cluster) {
  const absl::StatusOr<std::string> removed = co_await Ask("DELETE", LinkPath(cluster), "");
  co_return removed.status();
}

}  // namespace weft
