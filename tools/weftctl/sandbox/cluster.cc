#include "tools/weftctl/sandbox/cluster.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/token.h"
#include "controlplane/webhook/inject.h"
#include "tools/weftctl/sandbox/controllers.h"
#include "tools/weftctl/sandbox/namespaces.h"
#include "tools/weftctl/sandbox/pod_planner.h"
#include "tools/weftctl/sandbox/process.h"
#include "tools/weftctl/sandbox/state_dir.h"
#include "tools/weftctl/sandbox/system_objects.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {
namespace {

using kubernetes::Deployment;
using kubernetes::Pod;

// Pods get their token once, when they start: it has to last as long as anyone keeps a sandbox.
constexpr absl::Duration kTokenLifetime = absl::Hours(24 * 30);
constexpr absl::Duration kRootWait = absl::Milliseconds(20);
constexpr absl::Duration kRootWatch = absl::Seconds(1);

std::string Key(const kubernetes::ObjectMeta& meta) {
  return absl::StrCat(meta.namespace_(), "/", meta.name());
}

std::string FdPath(int fd) { return absl::StrCat("/proc/", getpid(), "/fd/", fd); }

bool ExistsLocally(const std::string& command) {
  if (absl::StrContains(command, '/')) return access(command.c_str(), X_OK) == 0;
  for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"}) {
    if (access((folder + command).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

Cluster::Cluster(EventLoop* loop, const SandboxConfig& sandbox, int index, std::string folder,
                 UniqueFd router, std::function<void()> reap)
    : loop_(loop),
      sandbox_(sandbox),
      config_(sandbox.clusters[index]),
      index_(index),
      folder_(std::move(folder)),
      router_(std::move(router)),
      reap_(std::move(reap)),
      random_(std::random_device()()),
      generated_(folder_ + "/generated"),
      dns_(loop) {}

Cluster::~Cluster() = default;

void Cluster::Log(absl::string_view text) const {
  fprintf(stderr, "%s cluster=%s %s\n",
          absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()).c_str(),
          name().c_str(), std::string(text).c_str());
}

std::string Cluster::gateway_address() const {
  if (config_.block_inbound) return "";
  return absl::StrCat(WanAddress(index_), ":", kGatewayPort);
}

std::string Cluster::gateway_ports() const {
  if (config_.block_inbound) return "";
  return absl::StrCat(gateway_address(), "/", kTunnelPort);
}

std::vector<std::string> Cluster::RegistryFolders() const {
  std::vector<std::string> folders = config_.folders;
  folders.push_back(folder_ + "/applied");
  return folders;
}

// ---- Start.

absl::Status Cluster::Start() {
  std::error_code error;
  for (const char* name : {"", "/applied", "/generated", "/peers", "/weftd", "/logs"}) {
    std::filesystem::create_directories(folder_ + name, error);
    if (error) return absl::InternalError(absl::StrCat(folder_, name, ": ", error.message()));
  }
  token_key_ = certs::NewTokenKey();
  absl::Status s =
      WriteFileAtomically(folder_ + "/token.key", absl::BytesToHexString(token_key_) + "\n");
  if (s.ok()) s = StartNetwork();
  if (!s.ok()) return s;
  absl::StatusOr<std::unique_ptr<FolderWatch>> objects = FolderWatch::Start(RegistryFolders());
  if (!objects.ok()) return objects.status();
  objects_ = *std::move(objects);
  folder_events_ = loop_->OnReadable(objects_->fd(), [this] { FollowFolders(); });
  FollowFolders();
  if (s = StartWeftd(); !s.ok()) return s;
  root_check_ = loop_->Every(kRootWait, [this] { CheckRoot(); });
  return absl::OkStatus();
}

absl::Status Cluster::StartNetwork() {
  absl::Status s = RunTool({"ip", "-batch", "-"}, RouterCommands(index_), router_.get());
  if (s.ok()) s = SetSysctl(router_.get(), "ipv4/ip_forward", "1");
  if (s.ok()) s = SetSysctl(router_.get(), "ipv4/conf/all/send_redirects", "0");
  if (s.ok() && sandbox_.dual_stack) {
    s = SetSysctl(router_.get(), "ipv6/conf/all/forwarding", "1");
  }
  if (s.ok()) s = dns_.Listen(router_.get(), kDnsIp);
  return s;
}

absl::Status Cluster::StartWeftd() {
  LivePod live;
  live.pod = WeftdPod();
  live.workload = kWeftdName;
  PodPlan plan;
  plan.pod_namespace = kSystemNamespace;
  plan.name = plan.workload = kWeftdName;
  plan.ips.v4 = kWeftdIp;
  plan.view.hostname = kWeftdName;
  plan.view.private_run = false;
  ContainerPlan weftd;
  weftd.name = kWeftdName;
  std::vector<std::string> folders = RegistryFolders();
  folders.push_back(folder_ + "/generated");
  weftd.argv = {sandbox_.weftd,
                "--cluster",
                name(),
                "--network",
                name() + "-net",
                "--mesh-id",
                "weft",
                "--trust-domain",
                name() + ".weft",
                "--registry",
                "dir:" + absl::StrJoin(folders, ","),
                "--data-dir",
                folder_ + "/weftd",
                "--token-key",
                folder_ + "/token.key",
                "--xds-listen",
                "0.0.0.0:15012",
                "--xds-plain",
                "127.0.0.1:15010",
                "--peer-listen",
                "0.0.0.0:15013",
                "--monitoring",
                "0.0.0.0:15014",
                "--peers",
                folder_ + "/peers",
                "--export",
                sandbox_.exports};
  if (config_.block_inbound) {
    weftd.argv.push_back("--outbound-only");
  } else {
    weftd.argv.push_back("--gateway-address");
    weftd.argv.push_back(gateway_ports());
  }
  if (!config_.ca_certs.empty()) {
    weftd.argv.push_back("--ca-certs");
    weftd.argv.push_back(config_.ca_certs);
  }
  weftd.ready = {15014, "/ready"};
  plan.containers.push_back(std::move(weftd));
  absl::StatusOr<PodNamespaces> namespaces = AttachPod(plan.ips, plan.view);
  if (!namespaces.ok()) return namespaces.status();
  live.runner =
      std::make_unique<PodRunner>(loop_, std::move(plan), *std::move(namespaces),
                                  folder_ + "/logs/weft-system.weftd", [this] { MarkDirty(); });
  PodRunner* runner = live.runner.get();
  pods_[absl::StrCat(kSystemNamespace, "/", kWeftdName)] = std::move(live);
  runner->Start();
  return absl::OkStatus();
}

void Cluster::CheckRoot() {
  absl::StatusOr<std::string> root = ReadFile(folder_ + "/weftd/root-cert.pem");
  if (!root.ok() || !absl::StrContains(*root, "-----END") || *root == ca_root_) return;
  ca_root_ = *std::move(root);
  Log("weftd has its root certificate");
  root_check_ = loop_->Every(kRootWatch, [this] { CheckRoot(); });
  MarkDirty();
  if (on_root) on_root();
}

void Cluster::SetPeer(const std::string& peer, const std::string& yaml) {
  absl::Status s = WriteFileAtomically(absl::StrCat(folder_, "/peers/", peer, ".yaml"), yaml);
  if (!s.ok()) Log(s.ToString());
}

// ---- Objects.

void Cluster::FollowFolders() {
  SourceUpdate update = objects_->Poll();
  folder_due_.reset();
  if (auto due = objects_->due(); due.has_value()) {
    absl::Duration left = absl::FromChrono(*due - FolderWatch::Clock::now());
    folder_due_ = loop_->After(std::max(left, absl::ZeroDuration()), [this] { FollowFolders(); });
  }
  if (!update.empty()) Reload();
}

void Cluster::Reload() {
  std::vector<Problem> problems;
  typed_ = TypedObjects(objects_->objects(), typed_, &problems);
  for (Problem& problem : CheckWorkloads(objects_->objects(), typed_)) {
    problems.push_back(std::move(problem));
  }
  if (problems != problems_) {
    for (const Problem& problem : problems) Log(absl::StrCat("problem: ", ToString(problem)));
  }
  problems_ = std::move(problems);
  Reconcile();
  Publish();
}

void Cluster::MarkDirty() {
  if (dirty_ != nullptr) return;
  dirty_ = loop_->After(absl::ZeroDuration(), [this] {
    dirty_.reset();
    Publish();  // first: the end of a pod has to be known before anything else is started
    Reconcile();
    Publish();
  });
}

// ---- Pods.

void Cluster::Reconcile() {
  if (ca_root_.empty()) return;  // a pod is given the root when it starts
  std::map<std::string, Deployment> wanted = typed_.deployments;
  Deployment gateway = GatewayDeployment();
  wanted[Key(gateway.metadata())] = gateway;
  for (auto it = pods_.begin(); it != pods_.end();) {
    bool orphan = !it->second.owner.empty() && wanted.count(it->second.owner) == 0;
    it = orphan ? pods_.erase(it) : std::next(it);
  }
  for (const auto& [key, deployment] : wanted) ReconcileDeployment(key, deployment);
  ReconcileBarePods();
  reconciled_ = true;
  if (unstarted_.empty()) return;
  Publish();  // weftd must know a pod before its proxy asks for its configuration
  for (PodRunner* runner : std::exchange(unstarted_, {})) runner->Start();
}

void Cluster::ReconcileDeployment(const std::string& key, const Deployment& deployment) {
  std::vector<ReplicaState> existing;
  for (const auto& [pod_key, live] : pods_) {
    if (live.owner != key) continue;
    bool ready = live.runner != nullptr && live.runner->ready();
    existing.push_back({pod_key, live.template_hash, ready});
  }
  ReplicaPlan plan = PlanReplicas(deployment, existing);
  for (const std::string& pod_key : plan.remove) pods_.erase(pod_key);
  for (int i = 0; i < plan.create; ++i) {
    CreatePod(PodOfDeployment(deployment, random_()), deployment.metadata().name(), key,
              TemplateHash(deployment), "");
  }
}

void Cluster::ReconcileBarePods() {
  for (auto it = pods_.begin(); it != pods_.end();) {
    const LivePod& live = it->second;
    bool bare = !live.source.empty();
    auto wanted = typed_.pods.find(it->first);
    bool keep = !bare || (wanted != typed_.pods.end() && ToJson(wanted->second) == live.source);
    it = keep ? std::next(it) : pods_.erase(it);
  }
  for (const auto& [key, pod] : typed_.pods) {
    if (pods_.count(key) == 0) CreatePod(pod, pod.metadata().name(), "", "", ToJson(pod));
  }
}

void Cluster::CreatePod(Pod pod, const std::string& workload, const std::string& owner,
                        const std::string& template_hash, const std::string& source) {
  bool gateway = owner == absl::StrCat(kSystemNamespace, "/", kGatewayName);
  std::string key = Key(pod.metadata());
  LivePod& live = pods_[key];
  live.workload = workload;
  live.owner = owner;
  live.template_hash = template_hash;
  live.source = source;
  pod.mutable_spec()->set_node_name(absl::StrCat(name(), "-node"));
  pod.mutable_metadata()->set_uid(absl::StrCat(key, "/", next_link_));
  absl::StatusOr<Pod> injected = Inject(pod, workload);
  live.pod = injected.ok() ? *std::move(injected) : pod;
  live.problem = std::string(injected.status().message());
  if (injected.ok() && next_pod_ >= kMaxPods) live.problem = "no pod address is left";
  if (!live.problem.empty()) {
    Log(absl::StrCat("pod ", key, ": ", live.problem));
    return;
  }
  AssignPodIps(&live.pod, gateway);
  live.pod.mutable_status()->set_host_ip(WanAddress(index_));
  absl::Status s = RunPod(key, &live);
  if (s.ok()) return;
  live.problem = std::string(s.message());
  Log(absl::StrCat("pod ", key, ": ", live.problem));
}

absl::StatusOr<Pod> Cluster::Inject(const Pod& pod, const std::string& workload) {
  webhook::InjectConfig inject;
  inject.default_inject = true;
  inject.image = kProxyImage;
  inject.cluster = name();
  inject.network = name() + "-net";
  inject.mesh_id = "weft";
  inject.trust_domain = name() + ".weft";
  inject.discovery_address = absl::StrCat(kWeftdIp, ":15012");
  kubernetes::Namespace pod_namespace = NamespaceOf(pod.metadata().namespace_());
  std::map<std::string, std::string> labels(pod_namespace.metadata().labels().begin(),
                                            pod_namespace.metadata().labels().end());
  return webhook::InjectSidecar(pod, labels, workload, inject);
}

std::string Cluster::SignTokenFor(const Pod& pod, const std::string& audience) const {
  certs::TokenClaims claims;
  claims.namespace_ = pod.metadata().namespace_();
  claims.service_account = pod.spec().service_account_name();
  claims.pod = pod.metadata().name();
  claims.cluster = name();
  claims.audience = audience;
  claims.expiry = absl::Now() + kTokenLifetime;
  absl::StatusOr<std::string> token = certs::SignToken(token_key_, claims);
  if (token.ok()) return *token;
  Log(absl::StrCat("token: ", token.status().message()));
  return "";
}

absl::Status Cluster::RunPod(const std::string& key, LivePod* live) {
  PlanContext context;
  context.cluster = name();
  context.weftctl = sandbox_.weftctl;
  context.weft_proxy = sandbox_.weft_proxy;
  context.images = sandbox_.images;
  context.objects = &typed_;
  context.ca_root = ca_root_;
  context.sign_token = [&](const std::string& audience) {
    return SignTokenFor(live->pod, audience);
  };
  context.exists = &ExistsLocally;
  absl::StatusOr<PodPlan> plan = PlanPod(live->pod, live->workload, context);
  if (!plan.ok()) return plan.status();
  absl::StatusOr<PodNamespaces> namespaces = AttachPod(plan->ips, plan->view);
  if (!namespaces.ok()) return namespaces.status();
  live->runner =
      std::make_unique<PodRunner>(loop_, *std::move(plan), *std::move(namespaces),
                                  absl::StrCat(folder_, "/logs/", live->pod.metadata().namespace_(),
                                               ".", live->pod.metadata().name()),
                                  [this] { MarkDirty(); });
  unstarted_.push_back(live->runner.get());
  return absl::OkStatus();
}

void Cluster::AssignPodIps(Pod* pod, bool gateway) {
  const int number = gateway ? 0 : next_pod_++;
  kubernetes::PodStatus* status = pod->mutable_status();
  status->set_pod_ip(gateway ? kGatewayIp : PodAddress(number));
  status->clear_pod_ips();
  status->add_pod_ips()->set_ip(status->pod_ip());
  if (!sandbox_.dual_stack) return;
  status->add_pod_ips()->set_ip(gateway ? kGatewayIpv6 : PodIpv6Address(number));
}

absl::StatusOr<PodNamespaces> Cluster::AttachPod(const PodIps& ips, const PodView& view) {
  absl::StatusOr<UniqueFd> net = NewNetNamespace();
  if (!net.ok()) return net.status();
  std::string link = absl::StrCat("pod", next_link_++);
  absl::Status s = RunTool({"ip", "-batch", "-"}, AttachPodCommands(link, ips, FdPath(net->get())),
                           router_.get());
  if (s.ok()) s = RunTool({"ip", "-batch", "-"}, PodCommands(ips), net->get());
  if (!s.ok()) return s;
  return MakePodNamespaces(*std::move(net), view);
}

bool Cluster::OnExit(pid_t pid, int status) {
  for (auto& [key, live] : pods_) {
    if (live.runner == nullptr || !live.runner->OnExit(pid, status)) continue;
    return true;
  }
  return false;
}

}  // namespace weft::sandbox
