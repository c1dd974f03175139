// What the rest of a cluster sees of its pods and services: weftd by the generated folder, the
// router by its rules, everyone by DNS.
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/weftctl/sandbox/cluster.h"
#include "tools/weftctl/sandbox/controllers.h"
#include "tools/weftctl/sandbox/process.h"
#include "tools/weftctl/sandbox/system_objects.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {

using kubernetes::Pod;

kubernetes::Namespace Cluster::NamespaceOf(const std::string& wanted) const {
  auto found = typed_.namespaces.find(wanted);
  kubernetes::Namespace made =
      found != typed_.namespaces.end() ? found->second : NamespaceCalled(wanted);
  (*made.mutable_metadata()->mutable_labels())["kubernetes.io/metadata.name"] = wanted;
  return made;
}

void Cluster::AssignServiceIps(const std::string& key, kubernetes::Service* service) {
  kubernetes::Service::Spec* spec = service->mutable_spec();
  const std::string asked = spec->cluster_ip();
  spec->clear_cluster_ip();
  spec->clear_cluster_ips();
  if (spec->type() == "ExternalName") return;
  const std::vector<std::string> families = IpFamiliesOf(*service, sandbox_.dual_stack);
  spec->mutable_ip_families()->Assign(families.begin(), families.end());
  if (asked == "None" || absl::StartsWith(asked, "10.96.")) return spec->set_cluster_ip(asked);
  const auto [found, is_new] = service_numbers_.try_emplace(key, next_service_);
  if (is_new && next_service_ == kMaxServices) {
    service_numbers_.erase(found);
    return;
  }
  if (is_new) ++next_service_;
  for (const std::string& family : families) {
    spec->add_cluster_ips(family == "IPv6" ? ServiceIpv6Address(found->second)
                                           : ServiceAddress(found->second));
  }
  spec->set_cluster_ip(spec->cluster_ips(0));
}

void Cluster::UpdatePodStatus(LivePod* live) {
  kubernetes::PodStatus* status = live->pod.mutable_status();
  bool running = live->runner != nullptr && live->runner->running();
  bool ready = live->runner != nullptr && live->runner->ready();
  status->set_phase(running ? "Running" : "Pending");
  status->clear_conditions();
  kubernetes::Condition* condition = status->add_conditions();
  condition->set_type("Ready");
  condition->set_status(ready ? "True" : "False");
}

void Cluster::Publish() {
  std::map<std::string, std::string> files;
  std::set<std::string> namespaces = {"default", kSystemNamespace};
  std::vector<const Pod*> pods;
  for (auto& [key, live] : pods_) {
    UpdatePodStatus(&live);
    namespaces.insert(live.pod.metadata().namespace_());
    if (live.pod.status().pod_ip().empty()) continue;
    files[absl::StrCat("Pod.", live.pod.metadata().namespace_(), ".", live.pod.metadata().name(),
                       ".json")] = ToJson(live.pod);
    pods.push_back(&live.pod);
  }
  std::vector<ServicePort> routes;
  DnsTable names;
  for (const auto& [key, written] : typed_.services) {
    kubernetes::Service service = written;
    AssignServiceIps(key, &service);
    const kubernetes::ObjectMeta& meta = service.metadata();
    namespaces.insert(meta.namespace_());
    std::string file = absl::StrCat(meta.namespace_(), ".", meta.name(), ".json");
    files[absl::StrCat("Service.", file)] = ToJson(service);
    const std::string& ip = service.spec().cluster_ip();
    if (!ip.empty() && ip != "None") {
      std::vector<std::string>& ips =
          names[absl::StrCat(meta.name(), ".", meta.namespace_(), ".svc.cluster.local")];
      ips.push_back(ip);
      if (service.spec().cluster_ips_size() > 1) ips.push_back(service.spec().cluster_ips(1));
    }
    if (service.spec().selector().empty()) continue;  // its endpoints are the user's business
    for (const std::string& family : service.spec().ip_families()) {
      kubernetes::EndpointSlice slice = SliceOfService(service, family, pods);
      files[absl::StrCat("EndpointSlice.", meta.namespace_(), ".", slice.metadata().name(),
                         ".json")] = ToJson(slice);
      for (ServicePort& route : RoutesOfService(service, slice)) routes.push_back(std::move(route));
    }
  }
  for (const std::string& each : namespaces) {
    files[absl::StrCat("Namespace.", each, ".json")] = ToJson(NamespaceOf(each));
  }
  files["Node.json"] = ToJson(NodeOf(config_, WanAddress(index_)));
  dns_.SetTable(std::move(names));
  absl::Status s = generated_.Set(files);
  std::string rules = RouterRules(
      routes, {.dual_stack = sandbox_.dual_stack, .block_inbound = config_.block_inbound});
  if (s.ok() && rules != rules_) {
    s = RunTool({"nft", "-f", "-"}, rules, router_.get());
    rules_ = std::move(rules);
  }
  if (!s.ok()) Log(absl::StrCat("publish: ", s.ToString()));
}

}  // namespace weft::sandbox
