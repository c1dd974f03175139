#include "tools/weftctl/sandbox/pod_planner.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {
namespace {

using kubernetes::Container;
using kubernetes::Pod;

constexpr int kProxyAdminPort = 15000;

std::string LabelOf(const Pod& pod, const std::string& key) {
  auto found = pod.metadata().labels().find(key);
  return found == pod.metadata().labels().end() ? "" : found->second;
}

std::string ServiceAccountOf(const Pod& pod) {
  const std::string& name = pod.spec().service_account_name();
  return name.empty() ? "default" : name;
}

// metadata.labels['KEY'] and the same of annotations.
bool Subscript(absl::string_view path, absl::string_view prefix, std::string* key) {
  if (!absl::ConsumePrefix(&path, prefix) || !absl::ConsumePrefix(&path, "['") ||
      !absl::ConsumeSuffix(&path, "']")) {
    return false;
  }
  *key = std::string(path);
  return true;
}

std::vector<std::string> AllIps(const Pod& pod) {
  std::vector<std::string> ips;
  for (const kubernetes::PodIP& one : pod.status().pod_ips()) ips.push_back(one.ip());
  if (ips.empty()) ips.push_back(pod.status().pod_ip());
  return ips;
}

absl::StatusOr<std::string> FieldOf(const Pod& pod, const std::string& path) {
  std::string key;
  if (path == "metadata.name") return pod.metadata().name();
  if (path == "metadata.namespace") return pod.metadata().namespace_();
  if (path == "metadata.uid") return pod.metadata().uid();
  if (path == "spec.nodeName") return pod.spec().node_name();
  if (path == "spec.serviceAccountName") return ServiceAccountOf(pod);
  if (path == "status.podIP") return pod.status().pod_ip();
  if (path == "status.podIPs") return absl::StrJoin(AllIps(pod), ",");
  if (path == "status.hostIP") return pod.status().host_ip();
  if (Subscript(path, "metadata.labels", &key)) return LabelOf(pod, key);
  if (Subscript(path, "metadata.annotations", &key)) {
    auto found = pod.metadata().annotations().find(key);
    return found == pod.metadata().annotations().end() ? std::string() : found->second;
  }
  return absl::InvalidArgumentError(absl::StrCat("fieldRef '", path, "' is not supported"));
}

// The data of a config map or secret of the pod's namespace; null when there is none.
template <typename Kind>
const Kind* Find(const std::map<std::string, Kind>& all, const Pod& pod, const std::string& name) {
  auto found = all.find(absl::StrCat(pod.metadata().namespace_(), "/", name));
  return found == all.end() ? nullptr : &found->second;
}

std::map<std::string, std::string> DataOf(const kubernetes::ConfigMap& map) {
  std::map<std::string, std::string> data(map.data().begin(), map.data().end());
  data.insert(map.binary_data().begin(), map.binary_data().end());
  return data;
}

std::map<std::string, std::string> DataOf(const kubernetes::Secret& secret) {
  std::map<std::string, std::string> data(secret.string_data().begin(), secret.string_data().end());
  data.insert(secret.data().begin(), secret.data().end());
  return data;
}

absl::StatusOr<std::string> KeyOf(const Pod& pod, const kubernetes::EnvVarSource& source,
                                  const PlanContext& context) {
  bool secret = source.has_secret_key_ref();
  const kubernetes::KeySelector& ref =
      secret ? source.secret_key_ref() : source.config_map_key_ref();
  std::map<std::string, std::string> data;
  if (secret) {
    if (auto* found = Find(context.objects->secrets, pod, ref.name())) data = DataOf(*found);
  } else {
    if (auto* found = Find(context.objects->config_maps, pod, ref.name())) data = DataOf(*found);
  }
  auto value = data.find(ref.key());
  if (value != data.end()) return value->second;
  if (ref.optional()) return std::string();
  return absl::InvalidArgumentError(absl::StrCat(secret ? "Secret " : "ConfigMap ", ref.name(),
                                                 " with key '", ref.key(), "' not found"));
}

absl::StatusOr<std::vector<std::string>> Environment(const Pod& pod, const Container& container,
                                                     const PlanContext& context) {
  std::vector<std::string> environment;
  for (const kubernetes::EnvVar& variable : container.env()) {
    absl::StatusOr<std::string> value = variable.value();
    const kubernetes::EnvVarSource& source = variable.value_from();
    if (source.has_field_ref()) {
      value = FieldOf(pod, source.field_ref().field_path());
    } else if (source.has_secret_key_ref() || source.has_config_map_key_ref()) {
      value = KeyOf(pod, source, context);
    }
    if (!value.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("env ", variable.name(), ": ", value.status().message()));
    }
    environment.push_back(absl::StrCat(variable.name(), "=", *value));
  }
  return environment;
}

std::vector<std::string> CommandLine(const Container& container) {
  std::vector<std::string> argv(container.command().begin(), container.command().end());
  argv.insert(argv.end(), container.args().begin(), container.args().end());
  return argv;
}

std::vector<std::string> EchoCommand(const Pod& pod, const Container& container,
                                     const std::string& workload, const PlanContext& context) {
  std::vector<std::string> argv = {context.weftctl,
                                   "sandbox",
                                   "echo",
                                   "--cluster=" + context.cluster,
                                   "--namespace=" + pod.metadata().namespace_(),
                                   "--pod=" + pod.metadata().name(),
                                   "--workload=" + workload,
                                   "--service-account=" + ServiceAccountOf(pod)};
  // CLI11 would take the next argument for an empty value.
  std::string version = LabelOf(pod, "version");
  if (!version.empty()) argv.push_back("--version=" + version);
  for (const kubernetes::ContainerPort& port : container.ports()) {
    if (port.protocol() == "UDP" || port.protocol() == "SCTP") continue;
    argv.push_back(absl::StrCat("--port=", port.container_port()));
  }
  return argv;
}

// Sets argv and the probe by what the container is: the mesh's own, mapped by --image, an echo, or
// something that only has to be there to exec into.
void ChooseCommand(const Pod& pod, const Container& container, const std::string& workload,
                   const PlanContext& context, ContainerPlan* plan) {
  if (container.image() == kProxyImage) {
    plan->argv = CommandLine(container);
    if (!plan->argv.empty() && plan->argv[0] == "weftctl") plan->argv[0] = context.weftctl;
    if (!plan->argv.empty() && plan->argv[0] == "weft-proxy") {
      plan->argv[0] = context.weft_proxy;
      plan->ready = {kProxyAdminPort, "/ready"};
    }
    return;
  }
  std::string mapped = CommandForImage(context.images, container.image());
  if (!mapped.empty()) {
    if (container.ports_size() > 0) {
      plan->environment.push_back(absl::StrCat("PORT=", container.ports(0).container_port()));
    }
    plan->argv = {"/bin/sh", "-c", mapped + " \"$@\"", container.name()};
    plan->argv.insert(plan->argv.end(), container.args().begin(), container.args().end());
    return;
  }
  if (container.ports_size() > 0) {
    plan->argv = EchoCommand(pod, container, workload, context);
    plan->ready.port = container.ports(0).container_port();
    return;
  }
  plan->argv = CommandLine(container);
  if (plan->argv.empty() || !context.exists(plan->argv[0])) plan->argv = {"sleep", "infinity"};
}

absl::StatusOr<ContainerPlan> PlanContainer(const Pod& pod, const Container& container,
                                            const std::string& workload,
                                            const PlanContext& context) {
  ContainerPlan plan;
  plan.name = container.name();
  absl::StatusOr<std::vector<std::string>> environment = Environment(pod, container, context);
  if (!environment.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("container '", container.name(), "': ", environment.status().message()));
  }
  plan.environment = *std::move(environment);
  ChooseCommand(pod, container, workload, context, &plan);
  return plan;
}

// An image that exists only in a registry cannot initialise anything here: left out.
bool RunsHere(const Container& init, const PlanContext& context) {
  if (init.image() == kProxyImage || !CommandForImage(context.images, init.image()).empty()) {
    return true;
  }
  return init.command_size() > 0 && context.exists(init.command(0));
}

// The files of a volume: relative path → content.
std::map<std::string, std::string> VolumeFiles(const Pod& pod, const kubernetes::Volume& volume,
                                               const PlanContext& context) {
  std::map<std::string, std::string> files;
  auto add_config_map = [&](const std::string& name) {
    if (name == "weft-ca-root") files["root-cert.pem"] = context.ca_root;
    const auto* map = Find(context.objects->config_maps, pod, name);
    if (map != nullptr) files.merge(DataOf(*map));
  };
  auto add_secret = [&](const std::string& name) {
    const auto* secret = Find(context.objects->secrets, pod, name);
    if (secret != nullptr) files.merge(DataOf(*secret));
  };
  if (volume.has_config_map()) add_config_map(volume.config_map().name());
  if (volume.has_secret()) add_secret(volume.secret().secret_name());
  for (const kubernetes::VolumeProjection& source : volume.projected().sources()) {
    if (source.has_service_account_token()) {
      const auto& token = source.service_account_token();
      files[token.path()] = context.sign_token(token.audience());
    }
    if (source.has_config_map()) add_config_map(source.config_map().name());
    if (source.has_secret()) add_secret(source.secret().name());
  }
  return files;
}

std::vector<PodFile> FilesOf(const Pod& pod, const PlanContext& context) {
  std::map<std::string, std::string> all;
  for (const Container& container : pod.spec().containers()) {
    for (const kubernetes::VolumeMount& mount : container.volume_mounts()) {
      for (const kubernetes::Volume& volume : pod.spec().volumes()) {
        if (volume.name() != mount.name()) continue;
        for (const auto& [name, content] : VolumeFiles(pod, volume, context)) {
          std::string path = absl::StrCat(mount.mount_path(), "/", name);
          if (IsPodPath(path)) all[path] = content;
        }
      }
    }
  }
  std::vector<PodFile> files;
  for (const auto& [path, content] : all) files.push_back({path, content});
  return files;
}

}  // namespace

std::string CommandForImage(const std::map<std::string, std::string>& images,
                            absl::string_view image) {
  absl::string_view repository = image.substr(0, image.find('@'));
  size_t slash = repository.rfind('/');
  size_t name_start = slash == absl::string_view::npos ? 0 : slash + 1;
  size_t colon = repository.find(':', name_start);
  repository = repository.substr(0, colon);
  for (absl::string_view candidate : {image, repository, repository.substr(name_start)}) {
    auto found = images.find(std::string(candidate));
    if (found != images.end()) return found->second;
  }
  return "";
}

absl::StatusOr<PodPlan> PlanPod(const Pod& pod, const std::string& workload,
                                const PlanContext& context) {
  PodPlan plan;
  plan.pod_namespace = pod.metadata().namespace_();
  plan.name = pod.metadata().name();
  plan.workload = workload;
  plan.ips.v4 = pod.status().pod_ip();
  if (pod.status().pod_ips_size() > 1) plan.ips.v6 = pod.status().pod_ips(1).ip();
  plan.view.hostname = plan.name;
  plan.view.hosts = absl::StrCat("127.0.0.1\tlocalhost\n", plan.ips.v4, "\t", plan.name, "\n");
  if (!plan.ips.v6.empty()) {
    absl::StrAppend(&plan.view.hosts, "::1\tlocalhost\n", plan.ips.v6, "\t", plan.name, "\n");
  }
  plan.view.resolv_conf =
      absl::StrCat("nameserver ", kDnsIp, "\nsearch ", plan.pod_namespace,
                   ".svc.cluster.local svc.cluster.local cluster.local\n", "options ndots:5\n");
  plan.view.files = FilesOf(pod, context);
  for (const Container& container : pod.spec().init_containers()) {
    if (!RunsHere(container, context)) continue;
    absl::StatusOr<ContainerPlan> init = PlanContainer(pod, container, workload, context);
    if (!init.ok()) return init.status();
    // A native sidecar runs beside the pod's containers. That it is there before its other init
    // containers is left out.
    const bool beside = container.restart_policy() == "Always";
    (beside ? plan.containers : plan.init_containers).push_back(*std::move(init));
  }
  for (const Container& container : pod.spec().containers()) {
    absl::StatusOr<ContainerPlan> planned = PlanContainer(pod, container, workload, context);
    if (!planned.ok()) return planned.status();
    plan.containers.push_back(*std::move(planned));
  }
  return plan;
}

}  // namespace weft::sandbox
