#include "controlplane/webhook/inject.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/kubernetes/core.pb.h"
#include "controlplane/webhook/capture.h"

namespace weft::webhook {
namespace {

using kubernetes::Container;
using kubernetes::Pod;
using kubernetes::PodSpec;
using kubernetes::Volume;
using Json = nlohmann::json;
using Labels = std::map<std::string, std::string>;

constexpr char kTokenFolder[] = "/var/run/secrets/tokens";
constexpr char kRootFolder[] = "/var/run/secrets/weft";
constexpr int kTokenSeconds = 12 * 3600;  // renewed by the kubelet at 80 %
constexpr int kHealthPort = 15021;
// A native sidecar holds the pod's start back for ten minutes, then it is started anew.
constexpr int kStartupPeriod = 1;
constexpr int kStartupFailures = 600;

Labels ToMap(const google::protobuf::Map<std::string, std::string>& map) {
  return Labels(map.begin(), map.end());
}

const std::string* Find(const Labels& labels, const std::string& key) {
  auto found = labels.find(key);
  return found == labels.end() ? nullptr : &found->second;
}

std::string PodName(const Pod& pod) {
  const kubernetes::ObjectMeta& meta = pod.metadata();
  return absl::StrCat("Pod ", meta.namespace_(), "/",
                      meta.name().empty() ? meta.generate_name() : meta.name());
}

// What the pod says under `key`; the label wins over the older annotation.
absl::StatusOr<std::optional<bool>> Stated(const Pod& pod, const char* key) {
  for (const Labels& source :
       {ToMap(pod.metadata().labels()), ToMap(pod.metadata().annotations())}) {
    const std::string* value = Find(source, key);
    if (value == nullptr) continue;
    std::string lower = absl::AsciiStrToLower(*value);
    if (lower == "true" || lower == "yes" || lower == "on" || lower == "y") return true;
    if (lower == "false" || lower == "no" || lower == "off" || lower == "n") return false;
    return absl::InvalidArgumentError(absl::StrCat(PodName(pod), ": label or annotation ", key,
                                                   ": '", *value, "': use true or false"));
  }
  return std::nullopt;
}

bool IsControlPlane(const Pod& pod) {
  auto app = pod.metadata().labels().find("app");
  return pod.metadata().namespace_() == kControlPlaneNamespace &&
         app != pod.metadata().labels().end() && app->second == kControlPlaneApp;
}

bool IsGateway(const Pod& pod) {
  auto found = pod.metadata().annotations().find("inject.istio.io/templates");
  return found != pod.metadata().annotations().end() && found->second == "gateway";
}

template <typename Repeated>
auto* FindNamed(Repeated* list, const std::string& name) {
  for (auto& item : *list) {
    if (item.name() == name) return &item;
  }
  return static_cast<decltype(&*list->begin())>(nullptr);
}

template <typename Repeated>
auto* FindOrAddNamed(Repeated* list, const std::string& name) {
  auto* found = FindNamed(list, name);
  if (found != nullptr) return found;
  found = list->Add();
  found->set_name(name);
  return found;
}

// The container of that name, or a new one at that place of the list.
Container* FindOrInsertNamed(google::protobuf::RepeatedPtrField<Container>* list, int place,
                             const std::string& name) {
  Container* found = FindNamed(list, name);
  if (found != nullptr) return found;
  list->Add()->set_name(name);
  for (int i = list->size() - 1; i > place; --i) list->SwapElements(i, i - 1);
  return list->Mutable(place);
}

void SetEnv(Container* container, const std::string& name, const std::string& value) {
  kubernetes::EnvVar* variable = FindOrAddNamed(container->mutable_env(), name);
  variable->clear_value_from();
  variable->set_value(value);
}

void SetEnvFromField(Container* container, const std::string& name, const std::string& field) {
  kubernetes::EnvVar* variable = FindOrAddNamed(container->mutable_env(), name);
  variable->clear_value();
  variable->mutable_value_from()->mutable_field_ref()->set_field_path(field);
}

void SetEnvironment(const Pod& pod, const std::string& workload, const InjectConfig& config,
                    Container* proxy) {
  SetEnvFromField(proxy, "POD_NAME", "metadata.name");
  SetEnvFromField(proxy, "POD_NAMESPACE", "metadata.namespace");
  SetEnvFromField(proxy, "INSTANCE_IP", "status.podIP");
  SetEnvFromField(proxy, "SERVICE_ACCOUNT", "spec.serviceAccountName");
  SetEnv(proxy, "WEFT_CLUSTER_ID", config.cluster);
  SetEnv(proxy, "WEFT_NETWORK", config.network);
  SetEnv(proxy, "WEFT_MESH_ID", config.mesh_id);
  SetEnv(proxy, "WEFT_TRUST_DOMAIN", config.trust_domain);
  SetEnv(proxy, "WEFT_DISCOVERY_ADDRESS", config.discovery_address);
  SetEnv(proxy, "WEFT_LABELS", Json(ToMap(pod.metadata().labels())).dump());
  SetEnv(proxy, "WEFT_WORKLOAD", workload);
  SetEnv(proxy, "WEFT_CONCURRENCY", absl::StrCat(config.concurrency));
}

void SetMount(Container* container, const std::string& volume, const std::string& folder) {
  kubernetes::VolumeMount* mount = FindOrAddNamed(container->mutable_volume_mounts(), volume);
  mount->set_mount_path(folder);
  mount->set_read_only(true);
}

void SetVolumes(const InjectConfig& config, PodSpec* spec) {
  Volume* token = FindOrAddNamed(spec->mutable_volumes(), kTokenVolume);
  token->clear_projected();
  kubernetes::ServiceAccountTokenProjection* projection =
      token->mutable_projected()->add_sources()->mutable_service_account_token();
  projection->set_audience(config.token_audience);
  projection->set_expiration_seconds(kTokenSeconds);
  projection->set_path("weft-token");
  Volume* root = FindOrAddNamed(spec->mutable_volumes(), kRootVolume);
  root->mutable_config_map()->set_name(kRootVolume);
}

kubernetes::Probe ReadyProbe(int period_seconds, int failures) {
  kubernetes::Probe probe;
  probe.mutable_http_get()->set_path("/healthz/ready");
  probe.mutable_http_get()->mutable_port()->set_number_value(kHealthPort);
  probe.set_period_seconds(period_seconds);
  probe.set_failure_threshold(failures);
  return probe;
}

// The proxy's container, whatever its role.
void CompleteProxy(const Pod& pod, const std::string& workload, const InjectConfig& config,
                   const std::string& role, Container* proxy) {
  proxy->set_image(config.image);
  proxy->clear_command();
  proxy->add_command("weft-proxy");
  proxy->add_command(role);
  SetEnvironment(pod, workload, config, proxy);
  SetMount(proxy, kTokenVolume, kTokenFolder);
  SetMount(proxy, kRootVolume, kRootFolder);
  *proxy->mutable_readiness_probe() = ReadyProbe(2, 4);
}

// `before_others`: a native sidecar is to serve the pod's own init containers.
void SetCapture(const Pod& pod, const InjectConfig& config, bool before_others, PodSpec* spec) {
  auto* inits = spec->mutable_init_containers();
  Container* init = FindOrInsertNamed(inits, before_others ? 0 : inits->size(), kInitContainer);
  init->set_image(config.image);
  init->clear_command();
  init->add_command("weftctl");
  init->add_command("capture");
  for (const std::string& flag : CaptureFlags(ToMap(pod.metadata().annotations()))) {
    init->add_command(flag);
  }
  kubernetes::SecurityContext* security = init->mutable_security_context();
  security->clear_capabilities();
  security->mutable_capabilities()->add_add("NET_ADMIN");
  security->set_run_as_user(0);
  security->set_run_as_non_root(false);
}

// A user of its own, by which the capture rules know its sockets where it may not mark them.
void SetProxySecurity(Container* proxy) {
  kubernetes::SecurityContext* security = proxy->mutable_security_context();
  security->set_run_as_user(kProxyUser);
  security->set_run_as_group(kProxyUser);
  security->set_run_as_non_root(true);
}

enum class Shape { kGateway, kSidecar, kNativeSidecar };

void SetStatus(Shape shape, const InjectConfig& config, Pod* pod) {
  Json status = {{"containers", Json::array()},
                 {"initContainers", Json::array()},
                 {"volumes", {kTokenVolume, kRootVolume}},
                 {"revision", config.revision}};
  if (shape != Shape::kGateway) status["initContainers"].push_back(kInitContainer);
  const char* list = shape == Shape::kNativeSidecar ? "initContainers" : "containers";
  status[list].push_back(kProxyContainer);
  (*pod->mutable_metadata()->mutable_annotations())[kStatusAnnotation] = status.dump();
}

absl::StatusOr<Shape> ShapeOf(const Pod& pod, const InjectConfig& config) {
  if (IsGateway(pod)) return Shape::kGateway;
  absl::StatusOr<std::optional<bool>> native = Stated(pod, "sidecar.istio.io/nativeSidecar");
  if (!native.ok()) return native.status();
  // What its author began among the containers stays there.
  for (const Container& container : pod.spec().containers()) {
    if (container.name() == kProxyContainer) return Shape::kSidecar;
  }
  return native->value_or(config.native_sidecar) ? Shape::kNativeSidecar : Shape::kSidecar;
}

// Makes the proxy's container, in the place that its shape gives it.
void SetProxy(const Pod& pod, Shape shape, const std::string& workload, const InjectConfig& config,
              PodSpec* spec) {
  if (shape == Shape::kGateway) {
    return CompleteProxy(pod, workload, config, "gateway",
                         FindNamed(spec->mutable_containers(), kProxyContainer));
  }
  const bool native = shape == Shape::kNativeSidecar;
  SetCapture(pod, config, native, spec);
  Container* proxy = native ? FindOrInsertNamed(spec->mutable_init_containers(), 1, kProxyContainer)
                            : FindOrAddNamed(spec->mutable_containers(), kProxyContainer);
  CompleteProxy(pod, workload, config, "sidecar", proxy);
  SetProxySecurity(proxy);
  if (!native) return;
  proxy->set_restart_policy("Always");
  *proxy->mutable_startup_probe() = ReadyProbe(kStartupPeriod, kStartupFailures);
}

// Whether all names that the annotation has under `list` are there.
template <typename Repeated>
bool HasAll(const Json& status, const char* list, const Repeated& there) {
  if (!status.contains(list) || !status[list].is_array()) return false;
  for (const Json& name : status[list]) {
    bool found = false;
    for (const auto& item : there) found |= name.is_string() && name == item.name();
    if (!found) return false;
  }
  return true;
}

}  // namespace

bool IsInjectedAsStated(const Pod& pod) {
  auto annotation = pod.metadata().annotations().find(kStatusAnnotation);
  if (annotation == pod.metadata().annotations().end()) return false;
  const Json status = Json::parse(annotation->second, nullptr, /*allow_exceptions=*/false);
  return status.is_object() && HasAll(status, "containers", pod.spec().containers()) &&
         HasAll(status, "initContainers", pod.spec().init_containers()) &&
         HasAll(status, "volumes", pod.spec().volumes());
}

absl::StatusOr<bool> ShouldInject(const Pod& pod, const Labels& namespace_labels,
                                  const InjectConfig& config) {
  if (pod.spec().host_network()) return false;  // its network is the node's: nothing to capture
  if (IsControlPlane(pod)) return false;
  const std::string& pod_namespace = pod.metadata().namespace_();
  if (pod_namespace == "kube-system" || pod_namespace == "kube-public") return false;
  absl::StatusOr<std::optional<bool>> wish = Stated(pod, "sidecar.istio.io/inject");
  if (!wish.ok()) return wish.status();
  const std::string* injection = Find(namespace_labels, "istio-injection");
  if (injection != nullptr && *injection == "disabled") return false;
  if (wish->has_value()) return **wish;
  if (injection != nullptr && *injection == "enabled") return true;
  const std::string* revision = Find(namespace_labels, "istio.io/rev");
  if (revision != nullptr) return *revision == config.revision;
  return config.default_inject;
}

absl::StatusOr<Pod> InjectSidecar(const Pod& pod, const Labels& namespace_labels,
                                  const std::string& workload, const InjectConfig& config) {
  absl::StatusOr<bool> inject = ShouldInject(pod, namespace_labels, config);
  if (!inject.ok()) return inject.status();
  if (!*inject) return pod;
  absl::StatusOr<CaptureOptions> capture =
      CaptureFromAnnotations(ToMap(pod.metadata().annotations()));
  if (!capture.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(PodName(pod), ": ", capture.status().message()));
  }
  Pod injected = pod;
  PodSpec* spec = injected.mutable_spec();
  if (spec->service_account_name().empty()) spec->set_service_account_name("default");
  absl::StatusOr<Shape> shape = ShapeOf(pod, config);
  if (!shape.ok()) return shape.status();
  if (*shape == Shape::kGateway &&
      FindNamed(spec->mutable_containers(), kProxyContainer) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(PodName(pod), ": a gateway needs a container named '", kProxyContainer, "'"));
  }
  SetProxy(pod, *shape, workload, config, spec);
  SetVolumes(config, spec);
  SetStatus(*shape, config, &injected);
  return injected;
}

}  // namespace weft::webhook
