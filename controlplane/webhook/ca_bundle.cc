#include "controlplane/webhook/ca_bundle.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "controlplane/status/write_pace.h"
#include "proxy/base/log.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;

constexpr char kGroup[] = "admissionregistration.k8s.io";

bool IsOurs(const YamlNode& configuration, absl::string_view revision) {
  const YamlNode labels = configuration["metadata"]["labels"];
  const YamlNode of_revision = labels["istio.io/rev"];
  return labels["app"].Scalar() == "weftd" &&
         (!of_revision.IsDefined() || of_revision.Scalar() == revision);
}

Json Operation(const char* op, std::string path, absl::string_view value) {
  return {{"op", op}, {"path", std::move(path)}, {"value", std::string(value)}};
}

std::vector<WatchedResource> Configurations() {
  return {
      {kGroup, {"v1"}, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"},
      {kGroup, {"v1"}, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration"},
  };
}

std::string PathOf(const ObjectKey& key) {
  return absl::StrCat("/apis/", kGroup, "/v1/", absl::AsciiStrToLower(key.kind), "s/", key.name,
                      "?fieldManager=weftd");
}

}  // namespace

std::optional<std::string> CaBundlePatch(const YamlNode& configuration, absl::string_view roots_pem,
                                         absl::string_view revision) {
  if (!IsOurs(configuration, revision)) return std::nullopt;
  const std::string wanted = absl::Base64Escape(roots_pem);
  Json patch = Json::array();
  size_t index = 0;
  for (const YamlNode webhook : configuration["webhooks"]) {
    const std::string place = absl::StrCat("/webhooks/", index++, "/clientConfig");
    const YamlNode client = webhook["clientConfig"];
    if (!client.IsMap() || client["caBundle"].Scalar() == wanted) continue;
    patch.push_back(Operation("add", place + "/caBundle", wanted));
  }
  if (patch.empty()) return std::nullopt;
  // Places are those of this version.
  patch.insert(patch.begin(), Operation("test", "/metadata/resourceVersion",
                                        configuration["metadata"]["resourceVersion"].Scalar()));
  return patch.dump(-1, ' ', false, Json::error_handler_t::replace);
}

CaBundle::CaBundle(EventLoop& loop, KubernetesClient& client, std::string roots_pem,
                   std::string revision)
    : loop_(loop),
      client_(client),
      roots_pem_(std::move(roots_pem)),
      revision_(std::move(revision)) {
  KubernetesSource::Options options;
  options.resources = Configurations();
  source_ = std::make_unique<KubernetesSource>(
      loop_, client_.config(), std::move(options),
      [this](SourceUpdate update) { OnUpdate(std::move(update)); });
  tasks_.Spawn(Write());
}

void CaBundle::OnUpdate(SourceUpdate update) {
  for (const ObjectDelta& delta : update.deltas) {
    due_.erase(delta.key);
    if (delta.object == nullptr) {
      written_.erase(delta.key);
      continue;
    }
    auto patch = CaBundlePatch(delta.object->body.node, roots_pem_, revision_);
    if (!patch.has_value()) continue;
    const auto written = written_.find(delta.key);
    due_[delta.key] = {*std::move(patch),
                       written == written_.end() ? loop_.Now() : written->second + kBetweenWrites};
  }
  changed_.Notify();
}

std::map<ObjectKey, CaBundle::Due>::iterator CaBundle::Next() {
  return std::min_element(due_.begin(), due_.end(), [](const auto& a, const auto& b) {
    return a.second.when < b.second.when;
  });
}

Task<> CaBundle::Write() {
  while (true) {
    const auto next = Next();
    const MonotonicTime when = next == due_.end() ? kNever : next->second.when;
    if (when > loop_.Now()) {
      co_await Wait(loop_, {&changed_}, when);
      continue;
    }
    const ObjectKey key = next->first;
    std::string patch = next->second.patch;
    co_await WriteOne(key, std::move(patch));
  }
}

Task<> CaBundle::WriteOne(ObjectKey key, std::string patch) {
  KubernetesRequest request;
  request.method = "PATCH";
  request.path = PathOf(key);
  request.body = patch;
  request.content_type = "application/json-patch+json";
  const auto answer = co_await client_.Call(std::move(request), loop_.Now() + kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  const auto due = due_.find(key);
  const bool same = due != due_.end() && due->second.patch == patch;
  if (status == 200) {
    written_[key] = loop_.Now();
    backoff_ = kBackoffFirst;
    if (same) due_.erase(due);
    Log(LogLevel::kInfo, "webhook_ca_written", {{"object", ToString(key)}});
    co_return;
  }
  // Changed or gone meanwhile: the watch tells of it.
  if (status == 404 || status == 409 || status == 422) {
    if (same) due->second.when = loop_.Now() + kBackoffMost;
    co_return;
  }
  if (same) due->second.when = loop_.Now() + backoff_;
  backoff_ = std::min(backoff_ * 2, kBackoffMost);
  Log(LogLevel::kWarning, "webhook_ca_not_written",
      {{"object", ToString(key)},
       {"reason", TroubleOf(answer)},
       {"effect", "the API server cannot call the webhooks"}});
}

}  // namespace weft::webhook
