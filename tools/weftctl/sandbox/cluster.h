// One cluster of the sandbox: what kubelet, kube-proxy, the controllers and the API server's store
// are to a real one.
//
// The user's folders and what `apply` added are read into objects; objects become pods; pods and
// services become the generated folder (which weftd watches), the router's rules and the DNS table.
// Every change ends in Publish(), which is idempotent and writes only differences. One thread.
#ifndef TOOLS_WEFTCTL_SANDBOX_CLUSTER_H_
#define TOOLS_WEFTCTL_SANDBOX_CLUSTER_H_

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/kubernetes/core.pb.h"
#include "controlplane/sources/folder_watch.h"
#include "tools/weftctl/sandbox/config.h"
#include "tools/weftctl/sandbox/control.h"
#include "tools/weftctl/sandbox/dns.h"
#include "tools/weftctl/sandbox/event_loop.h"
#include "tools/weftctl/sandbox/generated.h"
#include "tools/weftctl/sandbox/objects.h"
#include "tools/weftctl/sandbox/pod_runner.h"

namespace weft::sandbox {

class Cluster {
 public:
  // `folder` is the cluster's place in the state folder; `reap` reaps children while a kill waits.
  Cluster(EventLoop* loop, const SandboxConfig& sandbox, int index, std::string folder,
          UniqueFd router, std::function<void()> reap);
  ~Cluster();

  // The router's network, weftd, and the watch on the folders. Pods start once weftd has a root.
  absl::Status Start();

  const std::string& name() const { return config_.name; }
  // "IP:PORT", as other clusters reach it, and "IP:PORT/TUNNEL-PORT" of the same gateway; empty if
  // nothing comes in.
  std::string gateway_address() const;
  std::string gateway_ports() const;
  const ClusterConfig& config() const { return config_; }
  // weftd's root certificate, empty until it has one.
  const std::string& ca_root() const { return ca_root_; }
  void SetPeer(const std::string& name, const std::string& yaml);
  // `on_root` is called when ca_root() has changed.
  std::function<void()> on_root;

  bool OnExit(pid_t pid, int status);

  // Requests. Targets are POD, WORKLOAD or NAMESPACE/WORKLOAD. A name without namespace means the
  // default one, or else wherever it is found.
  // `file` names the text in problems; an object with one is refused, and then nothing is applied.
  absl::Status Apply(const std::string& text, const std::string& file, Json* report);
  absl::Status Delete(const std::string& text, const std::string& file, Json* report);
  absl::Status Kill(const std::string& target);
  absl::Status Restart(const std::string& target);
  // A running pod to execute in.
  absl::StatusOr<const PodRunner*> PodToEnter(const std::string& target) const;
  int router() const { return router_.get(); }
  Json Status();
  // What is wrong with the objects in the folders now, one line each.
  std::vector<std::string> Problems() const;

 private:
  struct LivePod {
    kubernetes::Pod pod;  // injected, with its status
    std::string workload;
    std::string owner;  // key of the Deployment; empty for a bare pod
    std::string template_hash;
    std::string source;  // a bare pod as written, to notice changes
    std::unique_ptr<PodRunner> runner;
    std::string problem;  // why there is no runner
  };
  using PodMap = std::map<std::string, LivePod>;  // "NAMESPACE/NAME"

  void Log(absl::string_view text) const;
  absl::Status StartNetwork();
  absl::Status StartWeftd();
  void FollowFolders();
  void CheckRoot();

  void Reload();
  void MarkDirty();
  void Reconcile();
  void ReconcileDeployment(const std::string& key, const kubernetes::Deployment& deployment);
  void ReconcileBarePods();
  void CreatePod(kubernetes::Pod pod, const std::string& workload, const std::string& owner,
                 const std::string& template_hash, const std::string& source);
  absl::Status RunPod(const std::string& key, LivePod* live);
  absl::StatusOr<PodNamespaces> AttachPod(const PodIps& ips, const PodView& view);
  absl::StatusOr<kubernetes::Pod> Inject(const kubernetes::Pod& pod, const std::string& workload);
  void AssignPodIps(kubernetes::Pod* pod, bool gateway);
  void AssignServiceIps(const std::string& key, kubernetes::Service* service);
  std::string SignTokenFor(const kubernetes::Pod& pod, const std::string& audience) const;

  void Publish();
  void UpdatePodStatus(LivePod* live);
  kubernetes::Namespace NamespaceOf(const std::string& name) const;
  std::vector<std::string> PodsOf(const std::string& target) const;
  bool AllReady() const;
  void CheckLinks();
  std::vector<std::string> RegistryFolders() const;

  EventLoop* loop_;
  const SandboxConfig& sandbox_;
  ClusterConfig config_;
  int index_;
  std::string folder_;
  UniqueFd router_;
  std::function<void()> reap_;

  std::string token_key_;
  std::string ca_root_;
  std::unique_ptr<FolderWatch> objects_;
  ClusterObjects typed_;
  std::vector<Problem> problems_;               // with the workloads, at the last reading
  std::map<std::string, int> service_numbers_;  // of their addresses
  int next_service_ = 0;
  int next_pod_ = 0;
  int next_link_ = 0;
  std::mt19937_64 random_;
  PodMap pods_;                        // weftd among them
  bool reconciled_ = false;            // once: until then weftd is alone
  bool linked_ = false;                // once: weftd knew what all other clusters export
  std::vector<PodRunner*> unstarted_;  // of this round of Reconcile()

  GeneratedFolder generated_;
  std::string rules_;  // as last given to the router
  DnsServer dns_;
  std::unique_ptr<Watch> folder_events_;
  std::unique_ptr<Watch> folder_due_;
  std::unique_ptr<Watch> dirty_;
  std::unique_ptr<Watch> root_check_;
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_CLUSTER_H_
