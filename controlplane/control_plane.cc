#include "controlplane/control_plane.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/digest.h"
#include "certs/file.h"
#include "controlplane/ads/ads_service.h"
#include "controlplane/ads/load_report_service.h"
#include "controlplane/ads/node.h"
#include "controlplane/ca/authenticator.h"
#include "controlplane/ca/authority.h"
#include "controlplane/ca/ca_service.h"
#include "controlplane/ca/ca_source.h"
#include "controlplane/ca/ca_state.h"
#include "controlplane/ca/rotation_service.h"
#include "controlplane/ca/rotator.h"
#include "controlplane/ca/token_reviewer.h"
#include "controlplane/debug/http_port.h"
#include "controlplane/debug/metrics.h"
#include "controlplane/debug/pages.h"
#include "controlplane/drain.h"
#include "controlplane/engine.h"
#include "controlplane/federation/link_admin.h"
#include "controlplane/federation/link_files.h"
#include "controlplane/federation/link_join.h"
#include "controlplane/federation/link_joiner.h"
#include "controlplane/federation/link_objects.h"
#include "controlplane/federation/links.h"
#include "controlplane/federation/peer_dial.h"
#include "controlplane/federation/peer_service.h"
#include "controlplane/own_certificate.h"
#include "controlplane/remote_clusters.h"
#include "controlplane/status/import_writer.h"
#include "controlplane/status/leader.h"
#include "controlplane/status/status_book.h"
#include "controlplane/status/status_writer.h"
#include "controlplane/translate/secrets.h"
#include "controlplane/translations.h"
#include "controlplane/transport/grpc_port.h"
#include "controlplane/webhook/ca_bundle.h"
#include "controlplane/webhook/ca_root.h"
#include "controlplane/webhook/https_port.h"
#include "controlplane/webhook/namespace_labels.h"
#include "controlplane/webhook/webhooks.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// A request names all that a client subscribes to, which is 50 bytes for each service's port.
constexpr size_t kMaxXdsMessage = 16 << 20;
constexpr char kAdminSocket[] = "admin.sock";  // in the data folder
constexpr absl::Duration kRenewalCheck = absl::Minutes(1);
// How often it is looked whether all proxies hold the trust in force.
constexpr absl::Duration kTrustLook = absl::Milliseconds(250);

// For an API server to say, at the very first start, whether there is a CA for us.
constexpr absl::Duration kCaPatience = absl::Seconds(30);

// What webhooks are called by: in the cluster by weftd's Service, on this machine by hand.
std::vector<std::string> WebhookNames() {
  return {"weftd.weft-system.svc", "weftd.weft-system.svc.cluster.local", "weftd", "localhost"};
}

absl::Status Annotate(absl::string_view what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

// Rises with each start, whatever the clock does: peers drop what comes from an older epoch.
absl::StatusOr<uint64_t> NextEpoch(const std::string& data_folder) {
  const std::string path = absl::StrCat(data_folder, "/epoch");
  uint64_t epoch = static_cast<uint64_t>(absl::ToUnixMillis(absl::Now()));
  auto last = certs::ReadFile(path);
  uint64_t last_epoch = 0;
  if (last.ok() && absl::SimpleAtoi(*last, &last_epoch) && last_epoch >= epoch) {
    epoch = last_epoch + 1;
  }
  absl::Status written = certs::WriteFileAtomically(path, absl::StrCat(epoch, "\n"), 0644);
  if (!written.ok()) return written;
  return epoch;
}

Metrics::Remotes RemoteCounts(const RemoteClusters& remotes) {
  Metrics::Remotes counts;
  for (const RemoteStatus& status : remotes.Statuses()) {
    ++counts.configured;
    counts.synced += status.synced && status.connected;
  }
  counts.refused = static_cast<int>(remotes.refused());
  return counts;
}

Metrics::Ca CaCounts(const CaState& state, bool refused) {
  Metrics::Ca counts;
  counts.root_end = certs::NotAfter(state.issuer().root().x509());
  counts.end = state.issuer().End();
  counts.refused = refused;
  return counts;
}

HttpAnswer Page(std::string json) {
  HttpAnswer answer;
  answer.content_type = "application/json";
  answer.body = std::move(json);
  return answer;
}

HttpAnswer Refusal(int code, std::string text) {
  HttpAnswer answer;
  answer.code = code;
  answer.body = std::move(text);
  return answer;
}

}  // namespace

// Members are in the order in which they are made; those that depend on others come after them.
struct ControlPlane::Running {
  explicit Running(ControlPlaneOptions given) : options(std::move(given)) {}
  ~Running() { Stop(); }

  absl::Status Start();
  absl::Status LoadIdentity();
  absl::StatusOr<CaState> LoadCa();
  void MakeCaSource();
  absl::Status PlugInFirstCa();
  void MakeServices();
  void MakeRotator();
  void FollowCaSource();
  std::vector<std::string> ProxiesWithoutTrust() const;
  Task<> AcknowledgeTrust();
  void AdoptCa(const CaState& state);
  void MakeAuthenticator();
  Task<absl::StatusOr<Caller>> ReviewRemote(std::string cluster, std::string token);
  absl::Status StartPorts();
  std::unique_ptr<LinkStore> MakeLinkStore();
  void AddLinks();
  Task<> AwaitJoiners();
  std::shared_ptr<const Peer> CurrentPeer(const std::string& cluster) const;
  void StartAdmin();
  absl::Status StartPages();
  absl::Status StartWebhooks();
  void StartKubernetes();
  std::vector<LinkReport> LinkReports() const;
  absl::StatusOr<std::shared_ptr<const ServerTlsContext>> WebhookContext() const;
  Task<Labels> NamespaceLabels(std::string namespace_);
  absl::Status OnLoop(std::function<absl::Status()> call);
  void Stop();
  absl::StatusOr<std::shared_ptr<const ServerTlsContext>> XdsContext() const;
  absl::StatusOr<std::shared_ptr<const ServerTlsContext>> PeerContext(
      const std::map<std::string, PeerState>& peers) const;
  void OnPeers(const std::map<std::string, PeerState>& peers);
  std::string CaProblem() const;
  Task<> Renew();
  void RenewOwn();
  void RenewWebhook();
  void ShowOwn();
  void ShowWebhook();
  void PublishRoots();
  HttpAnswer ConfigOf(const std::map<std::string, std::string>& query);

  ControlPlaneOptions options;
  std::shared_ptr<const ClusterIdentity> self;
  std::optional<CaState> ca;  // as it was at the start; later the rotator has it
  std::shared_ptr<const Authority> authority;
  std::unique_ptr<OwnCertificate> certificate;
  std::unique_ptr<OwnCertificate> webhook_certificate;
  uint64_t epoch = 0;

  EventLoop loop;
  std::unique_ptr<CaSource> ca_source;  // null: the CA is our own
  Metrics metrics;
  Translations translations;
  std::unique_ptr<AdsService> ads;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Links> links;
  Signal tokens_changed;
  GrpcServices xds_services;
  GrpcServices peer_services;
  GrpcServices admin_services;
  std::unique_ptr<GrpcPort> admin;
  std::unique_ptr<KubernetesClient> kubernetes;  // null: the registry is folders
  std::unique_ptr<TokenReviewer> token_reviewer;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<Rotator> rotator;
  std::unique_ptr<GrpcPort> xds_plain;
  std::unique_ptr<GrpcPort> xds;
  std::unique_ptr<GrpcPort> peer;
  std::unique_ptr<HttpPort> monitoring;
  std::unique_ptr<HttpPort> debug;
  std::unique_ptr<webhook::Webhooks> webhooks;
  std::unique_ptr<webhook::HttpsPort> webhook_port;
  std::unique_ptr<webhook::CaBundle> ca_bundle;
  StatusBook status_book;
  std::unique_ptr<Leader> leader;
  std::unique_ptr<LinkJoiner> link_joiner;
  std::unique_ptr<StatusWriter> status_writer;
  std::unique_ptr<ImportWriter> import_writer;
  std::unique_ptr<webhook::CaRoot> ca_root;
  Scope tasks;
  std::thread thread;
};

absl::Status ControlPlane::Running::LoadIdentity() {
  if (mkdir(options.data_folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::UnavailableError(
        absl::StrCat("make the folder ", options.data_folder, ": ", strerror(errno)));
  }
  auto state = LoadCa();
  if (!state.ok()) return Annotate("load the CA", state.status());
  auto made = std::make_shared<ClusterIdentity>(options.self);
  made->roots_pem = state->BundlePem();
  // All weftds of the cluster have this root, and keep it for long.
  made->pod_name_key = certs::Sha256Hex(absl::StrCat("names of pods by ", state->root().KeyPem()));
  const absl::StatusOr<bool> draining = LoadDraining(options.data_folder);
  made->draining = draining.value_or(false);
  if (!draining.ok()) {
    Log(LogLevel::kError, "draining_unknown",
        {{"reason", std::string(draining.status().message())}});
  }
  made->gateways = options.gateways;
  self = std::move(made);
  authority = std::make_shared<Authority>(state->issuer());
  ca = *std::move(state);
  auto own = OwnCertificate::Create(authority, {}, absl::Now());
  if (!own.ok()) return Annotate("issue our own certificate", own.status());
  certificate = *std::move(own);
  own = OwnCertificate::Create(authority, WebhookNames(), absl::Now());
  if (!own.ok()) return Annotate("issue the webhooks' certificate", own.status());
  webhook_certificate = *std::move(own);
  auto next = NextEpoch(options.data_folder);
  if (!next.ok()) return Annotate("note the epoch", next.status());
  epoch = *next;
  return absl::OkStatus();
}

absl::StatusOr<CaState> ControlPlane::Running::LoadCa() {
  MakeCaSource();
  if (ca_source != nullptr && AwaitsPluggedCa(options.data_folder, absl::Now())) {
    absl::Status plugged = PlugInFirstCa();
    if (!plugged.ok()) return plugged;
  }
  return LoadOrCreateCa(options.data_folder, options.self.trust_domain, absl::Now());
}

void ControlPlane::Running::MakeCaSource() {
  if (!options.ca_folder.empty()) {
    ca_source = CaSource::OfFolder(loop, options.ca_folder, options.self.trust_domain);
  } else if (options.registry_server.has_value()) {
    ca_source = CaSource::OfSecret(loop, *options.registry_server, options.registry_silence,
                                   options.self.trust_domain);
  }
}

// Before anything is signed, since of two roots in a row the first would be distrusted soon. The
// loop has no thread yet.
absl::Status ControlPlane::Running::PlugInFirstCa() {
  const absl::Time deadline = absl::Now() + kCaPatience;
  while (!ca_source->read()) {
    if (absl::Now() > deadline) {
      return absl::UnavailableError(
          absl::StrCat(ca_source->origin(), ": the API server does not say whether it is there"));
    }
    loop.RunOnce(kTrustLook);
  }
  if (!ca_source->there()) return absl::OkStatus();
  if (ca_source->ca() == nullptr) return absl::FailedPreconditionError(ca_source->problem());
  return SaveCa(options.data_folder, CaState::PluggedIn(ca_source->ca(), ca_source->origin()));
}

void ControlPlane::Running::MakeServices() {
  ads = std::make_unique<AdsService>(
      loop, metrics, [this](const std::shared_ptr<const World>& world, const ProxyView& view) {
        return translations.Of(world, view);
      });
  EngineOptions of_engine;
  of_engine.self = self;
  of_engine.exports = options.exports;
  of_engine.registry_folders = options.registry_folders;
  of_engine.registry_server = options.registry_server;
  of_engine.registry_silence = options.registry_silence;
  of_engine.remote_expiry = options.remote_expiry;
  of_engine.allow_remote_exec = options.allow_remote_exec;
  of_engine.token_audience = options.token_audience;
  of_engine.peers_folder = options.peers_folder;
  of_engine.epoch = epoch;
  of_engine.data_folder = options.data_folder;
  of_engine.gateways = options.gateways;
  if (options.registry_server.has_value()) of_engine.status = &status_book;
  engine = std::make_unique<Engine>(
      loop, std::move(of_engine), translations, *ads, [this] { return certificate->Get(); },
      [this](const std::map<std::string, PeerState>& peers) { OnPeers(peers); });
}

Task<absl::StatusOr<Caller>> ControlPlane::Running::ReviewRemote(std::string cluster,
                                                                 std::string token) {
  if (engine->remotes() == nullptr) {
    co_return absl::UnauthenticatedError(
        absl::StrCat("workload token: cluster '", absl::CHexEscape(cluster), "' is not known"));
  }
  co_return co_await engine->remotes()->Review(std::move(cluster), std::move(token));
}

// Whose proxies do not hold the trust that is in force now.
std::vector<std::string> ControlPlane::Running::ProxiesWithoutTrust() const {
  if (engine->world() == nullptr) return {"weftd"};
  const EncodedResources secrets = TrustSecrets(*engine->world());
  return ads->WithoutSecret("ROOTCA", *secrets.find("ROOTCA")->second);
}

// Peers that rotate wait until their new roots are in force here, with every proxy.
Task<> ControlPlane::Running::AcknowledgeTrust() {
  while (true) {
    co_await Sleep(loop, kTrustLook);
    if (engine->peers().empty() || !ProxiesWithoutTrust().empty()) continue;
    engine->AckPeerTrust();
  }
}

// On the loop's thread, when the ports are open.
void ControlPlane::Running::MakeRotator() {
  Rotator::Fleet fleet;
  fleet.without_trust = [this](const std::string&) {
    std::vector<std::string> names = ProxiesWithoutTrust();
    for (std::string& peer : engine->PeersWithoutTrust()) names.push_back(std::move(peer));
    return names;
  };
  fleet.with_old_certificate = [this](const certs::Issuer& issuer) {
    return ads->AskToRenew(certs::SubjectKeyId(issuer.signer().x509()));
  };
  fleet.adopt = [this](const CaState& state) { AdoptCa(state); };
  rotator = std::make_unique<Rotator>(loop, options.data_folder, *ca, std::move(fleet));
  AddRotationService(loop, *rotator, admin_services);
  if (ca_source == nullptr) return;
  ca_source->OnChange([this] { FollowCaSource(); });
  FollowCaSource();
}

void ControlPlane::Running::FollowCaSource() {
  rotator->Follow(ca_source->there() ? ca_source->origin() : "", ca_source->ca());
}

// Signs with it, shows it and trusts by it, everywhere.
void ControlPlane::Running::AdoptCa(const CaState& state) {
  auto changed = std::make_shared<ClusterIdentity>(*self);
  changed->roots_pem = state.BundlePem();
  self = std::move(changed);
  authority = std::make_shared<Authority>(state.issuer());
  for (OwnCertificate* own : {certificate.get(), webhook_certificate.get()}) {
    absl::Status issued = own->Reissue(authority, absl::Now());
    if (issued.ok()) continue;
    Log(LogLevel::kError, "own_certificate_not_renewed",
        {{"reason", std::string(issued.message())}});
  }
  ShowOwn();
  ShowWebhook();
  engine->SetRoots(self->roots_pem);
  if (kubernetes != nullptr) PublishRoots();
}

void ControlPlane::Running::MakeAuthenticator() {
  Authenticator::Review review;
  if (options.registry_server.has_value()) {
    kubernetes = std::make_unique<KubernetesClient>(loop, *options.registry_server);
    token_reviewer = std::make_unique<TokenReviewer>(loop, *kubernetes, options.token_audience);
    review = [this](std::string token) { return token_reviewer->Review(std::move(token)); };
  }
  authenticator =
      std::make_unique<Authenticator>(options.token_key, self->cluster, std::move(review),
                                      [this](std::string cluster, std::string token) {
                                        return ReviewRemote(std::move(cluster), std::move(token));
                                      });
}

absl::StatusOr<std::shared_ptr<const ServerTlsContext>> ControlPlane::Running::XdsContext() const {
  auto bundles = std::make_shared<certs::TrustBundles>();
  absl::Status set = bundles->Set(self->trust_domain, self->roots_pem);
  if (!set.ok()) return set;
  ServerTlsOptions tls;
  tls.certificate = certificate->Get();
  tls.client_trust.emplace();
  tls.client_trust->bundles = std::move(bundles);
  // A workload that has none yet comes for its first one; discovery itself insists.
  tls.require_client_certificate = false;
  tls.alpn = {"h2"};
  return ServerTlsContext::Create(std::move(tls));
}

absl::StatusOr<std::shared_ptr<const ServerTlsContext>> ControlPlane::Running::PeerContext(
    const std::map<std::string, PeerState>& peers) const {
  auto bundles = std::make_shared<certs::TrustBundles>();
  for (const auto& [cluster, state] : peers) {
    absl::Status set = bundles->Set(state.peer->trust_domain, state.peer->roots_pem);
    if (!set.ok()) return Annotate(cluster, set);
  }
  ServerTlsOptions tls;
  tls.certificate = certificate->Get();
  tls.client_trust.emplace();
  tls.client_trust->bundles = std::move(bundles);
  // Who joins has none that we know yet, and shows a token instead: all other methods insist. While
  // there is no token to be shown, no stranger gets past the handshake.
  tls.require_client_certificate =
      links == nullptr || links->JoinersUntil(absl::Now()) == absl::InfinitePast();
  tls.alpn = {"h2"};
  tls.tls13_only = true;
  return ServerTlsContext::Create(std::move(tls));
}

void ControlPlane::Running::OnPeers(const std::map<std::string, PeerState>& peers) {
  auto context = PeerContext(peers);
  if (!context.ok()) {
    Log(LogLevel::kError, "peer_trust_refused",
        {{"reason", std::string(context.status().message())}});
    return;
  }
  if (peer != nullptr) peer->SetTls(*std::move(context));
}

// For operators of this machine. Without it weftd does all else, so that is no error.
void ControlPlane::Running::StartAdmin() {
  const std::string path = absl::StrCat(options.data_folder, "/", kAdminSocket);
  // One of a weftd before this one: the data folder is nobody else's.
  unlink(path.c_str());
  absl::Status status;
  if (auto address = Address::Unix(path); address.ok()) {
    auto listening = GrpcPort::Listen(loop, *address, admin_services, {nullptr});
    status = listening.status();
    if (listening.ok()) admin = *std::move(listening);
    if (status.ok() && chmod(path.c_str(), 0600) != 0) status = absl::ErrnoToStatus(errno, path);
  } else {
    status = address.status();
  }
  if (status.ok()) return;
  admin.reset();
  Log(LogLevel::kWarning, "admin_not_served", {{"reason", std::string(status.message())}});
}

std::shared_ptr<const Peer> ControlPlane::Running::CurrentPeer(const std::string& cluster) const {
  const auto found = engine->peers().find(cluster);
  return found == engine->peers().end() ? nullptr : found->second.peer;
}

// Files, where a folder is named for them; else objects of the API server; null if there is none.
std::unique_ptr<LinkStore> ControlPlane::Running::MakeLinkStore() {
  if (options.peers_folder.empty()) {
    if (kubernetes == nullptr) return nullptr;
    return std::make_unique<LinkObjects>(loop, *kubernetes, options.registry_silence,
                                         [this] { tokens_changed.Notify(); });
  }
  LinkFiles::Options of_files;
  of_files.own_cluster = self->cluster;
  of_files.data_folder = options.data_folder;
  of_files.peers_folder = options.peers_folder;
  of_files.on_change = [this] { engine->ReadPeerFolder(); };
  return std::make_unique<LinkFiles>(std::move(of_files));
}

// So that links come and go while we run.
void ControlPlane::Running::AddLinks() {
  std::unique_ptr<LinkStore> store = MakeLinkStore();
  if (store == nullptr) return;
  const auto current = [this](const std::string& cluster) { return CurrentPeer(cluster); };
  Links::Options of_links;
  of_links.self = [this] { return self; };
  of_links.current = current;
  of_links.on_token = [this] { tokens_changed.Notify(); };
  links = std::make_unique<Links>(std::move(store), std::move(of_links));
  AddLinkService(
      loop, *links, [this](const certs::SpiffeId& identity) { return engine->FindLink(identity); },
      peer_services);
  LinkAdmin of_admin{loop, *links, [this] { return engine->PeerStatuses(); }, current,
                     [this] { return certificate->Get(); }};
  AddLinkAdminService(std::move(of_admin), admin_services);
}

absl::Status ControlPlane::Running::StartPorts() {
  ads->AddTo(xds_services);
  AddLoadReportService(metrics, xds_services);
  AddCaService([this] { return authority; }, *authenticator, xds_services);
  AddPeerService([this](const certs::SpiffeId& identity) { return engine->FindLink(identity); },
                 peer_services);
  AddLinks();
  AddDrainService(
      options.data_folder, [this](bool draining) { engine->SetDraining(draining); },
      admin_services);
  auto xds_context = XdsContext();
  if (!xds_context.ok()) return xds_context.status();
  auto peer_context = PeerContext({});
  if (!peer_context.ok()) return peer_context.status();
  const auto listen = [this](const Address& address, const GrpcServices& services,
                             std::shared_ptr<const ServerTlsContext> tls, size_t max_message,
                             std::unique_ptr<GrpcPort>* port) {
    auto listening = GrpcPort::Listen(loop, address, services, {std::move(tls), max_message});
    if (listening.ok()) *port = *std::move(listening);
    return listening.status();
  };
  absl::Status status =
      listen(options.xds_plain, xds_services, nullptr, kMaxXdsMessage, &xds_plain);
  if (status.ok()) status = listen(options.xds, xds_services, *xds_context, kMaxXdsMessage, &xds);
  if (status.ok())
    status = listen(options.peer, peer_services, *peer_context, kMaxPeerMessage, &peer);
  return status;
}

HttpAnswer ControlPlane::Running::ConfigOf(const std::map<std::string, std::string>& query) {
  if (!engine->ready()) return Refusal(503, "not ready\n");
  auto address = query.find("address");
  if (address == query.end()) return Refusal(400, "say whose: ?address=POD-IP\n");
  auto found = engine->world()->workloads.find(address->second);
  if (found == engine->world()->workloads.end()) return Refusal(404, "no such workload\n");
  ClientNode node;
  node.address = found->first;
  node.namespace_ = found->second->namespace_;
  node.tunnels = true;  // as our own proxies
  return Page(ConfigPage(*ads->ResourcesFor(ViewOf(node, *engine->world()))));
}

// Why the CA is not the one it should be; empty if it is.
std::string ControlPlane::Running::CaProblem() const {
  if (ca_source != nullptr && !ca_source->problem().empty()) return ca_source->problem();
  return rotator == nullptr ? "" : rotator->error();
}

absl::Status ControlPlane::Running::StartPages() {
  using Query = std::map<std::string, std::string>;
  std::map<std::string, HttpPort::Handler> pages;
  pages["/ready"] = [this](const Query&) {
    if (!engine->ready()) return Refusal(503, "the registry is not read yet\n");
    // A CA that is refused takes nobody's traffic.
    const std::string problem = CaProblem();
    if (problem.empty()) return Refusal(200, "ready\n");
    return Refusal(200, absl::StrCat("ready\nthe last good CA signs: ", problem, "\n"));
  };
  pages["/metrics"] = [this](const Query&) {
    int synced = 0;
    const std::vector<PeerStatus> peers = engine->PeerStatuses();
    for (const PeerStatus& peer : peers) synced += peer.synced && peer.connected;
    metrics.SetPeers(static_cast<int>(peers.size()), synced);
    if (engine->remotes() != nullptr) {
      metrics.SetRemotes(RemoteCounts(*engine->remotes()));
    }
    if (rotator != nullptr) metrics.SetCa(CaCounts(rotator->state(), !CaProblem().empty()));
    return Refusal(200, metrics.Text());
  };
  auto port = HttpPort::Listen(loop, options.monitoring, pages);
  if (!port.ok()) return port.status();
  monitoring = *std::move(port);
  if (options.debug.family() == AF_UNSPEC) return absl::OkStatus();
  pages["/debug/syncz"] = [this](const Query&) {
    return Page(SyncPage(ads->Proxies(), engine->PeerStatuses()));
  };
  pages["/debug/clusterz"] = [this](const Query&) {
    return Page(ClusterPage(engine->remotes() == nullptr ? std::vector<RemoteStatus>()
                                                         : engine->remotes()->Statuses()));
  };
  pages["/debug/distributionz"] = [this](const Query&) {
    return Page(
        DistributionPage(engine->distribution().statuses(), engine->distribution().received()));
  };
  pages["/debug/adsz"] = [this](const Query&) { return Page(AdsPage(ads->Proxies())); };
  pages["/debug/importz"] = [this](const Query&) {
    return engine->ready() ? Page(ImportPage(*engine->world())) : Refusal(503, "not ready\n");
  };
  pages["/debug/registryz"] = [this](const Query&) {
    return engine->ready() ? Page(RegistryPage(*engine->world())) : Refusal(503, "not ready\n");
  };
  pages["/debug/configz"] = [this](const Query& query) { return ConfigOf(query); };
  port = HttpPort::Listen(loop, options.debug, std::move(pages));
  if (!port.ok()) return port.status();
  debug = *std::move(port);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const ServerTlsContext>> ControlPlane::Running::WebhookContext()
    const {
  ServerTlsOptions tls;
  tls.certificate = webhook_certificate->Get();
  tls.alpn = {"http/1.1"};
  return ServerTlsContext::Create(std::move(tls));
}

Task<Labels> ControlPlane::Running::NamespaceLabels(std::string namespace_) {
  if (kubernetes != nullptr) {
    auto labels = co_await webhook::FetchNamespaceLabels(loop, *kubernetes, namespace_);
    if (labels.ok()) co_return *std::move(labels);
  }
  if (!engine->ready()) co_return Labels();
  const auto known = engine->world()->namespaces.find(namespace_);
  co_return known == engine->world()->namespaces.end() ? Labels() : *known->second;
}

absl::Status ControlPlane::Running::StartWebhooks() {
  if (options.webhook.family() == AF_UNSPEC) return absl::OkStatus();
  auto context = WebhookContext();
  if (!context.ok()) return context.status();
  webhook::InjectConfig config = options.injection;
  config.cluster = self->cluster;
  config.network = self->network;
  config.mesh_id = self->mesh_id;
  config.trust_domain = self->trust_domain;
  config.token_audience = options.token_audience;
  webhooks = std::make_unique<webhook::Webhooks>(
      std::move(config),
      [this](std::string namespace_) { return NamespaceLabels(std::move(namespace_)); }, metrics);
  auto port = webhook::HttpsPort::Listen(
      loop, options.webhook, *std::move(context), [this](std::string path, std::string body) {
        return webhooks->Answer(std::move(path), std::move(body));
      });
  if (!port.ok()) return port.status();
  webhook_port = *std::move(port);
  return absl::OkStatus();
}

std::vector<LinkReport> ControlPlane::Running::LinkReports() const {
  std::vector<LinkReport> reports = engine->LinkReports();
  for (LinkReport& report : reports) {
    report.trouble = link_joiner == nullptr
                         ? "weftd keeps its links in the folder of --peers: join by weftctl"
                         : link_joiner->TroubleOf(report.cluster);
  }
  return reports;
}

// What weftd writes to an API server.
void ControlPlane::Running::StartKubernetes() {
  if (kubernetes == nullptr) return;
  leader = std::make_unique<Leader>(loop, *kubernetes, LeaderIdentity());
  if (options.peers_folder.empty()) {
    LinkJoiner::Options of_joiner;
    of_joiner.leads = [this] { return leader->leads(); };
    of_joiner.awaiting = [this] { return engine->AwaitedJoins(); };
    link_joiner = std::make_unique<LinkJoiner>(loop, *kubernetes, *links, std::move(of_joiner));
  }
  StatusWriter::Reports of_status;
  of_status.refusals = [this] { return engine->Refusals(); };
  of_status.links = [this] { return LinkReports(); };
  status_writer =
      std::make_unique<StatusWriter>(loop, *kubernetes, *leader, status_book, std::move(of_status));
  import_writer = std::make_unique<ImportWriter>(loop, *kubernetes, *leader,
                                                 [this] { return engine->world(); });
  PublishRoots();
}

// To webhook configurations and ConfigMaps; anew after a rotation.
void ControlPlane::Running::PublishRoots() {
  if (webhook_port == nullptr) return;
  ca_bundle = std::make_unique<webhook::CaBundle>(loop, *kubernetes, self->roots_pem,
                                                  options.injection.revision);
  ca_root = std::make_unique<webhook::CaRoot>(loop, *kubernetes, *leader, self->roots_pem);
}

void ControlPlane::Running::RenewOwn() {
  auto renewed = certificate->RenewIfDue(absl::Now());
  if (!renewed.ok()) {
    Log(LogLevel::kError, "own_certificate_not_renewed",
        {{"reason", std::string(renewed.status().message())}});
  } else if (*renewed) {
    ShowOwn();
    Log(LogLevel::kInfo, "own_certificate_renewed");
  }
}

void ControlPlane::Running::ShowOwn() {
  auto context = XdsContext();
  if (context.ok()) xds->SetTls(*std::move(context));
  OnPeers(engine->peers());
}

void ControlPlane::Running::RenewWebhook() {
  auto renewed = webhook_certificate->RenewIfDue(absl::Now());
  if (!renewed.ok()) {
    Log(LogLevel::kError, "webhook_certificate_not_renewed",
        {{"reason", std::string(renewed.status().message())}});
  } else if (*renewed) {
    ShowWebhook();
    Log(LogLevel::kInfo, "webhook_certificate_renewed");
  }
}

void ControlPlane::Running::ShowWebhook() {
  if (webhook_port == nullptr) return;
  auto context = WebhookContext();
  if (context.ok()) webhook_port->SetTls(*std::move(context));
}

Task<> ControlPlane::Running::Renew() {
  while (true) {
    co_await Sleep(loop, kRenewalCheck);
    RenewOwn();
    RenewWebhook();
  }
}

// Lets strangers shake hands at the peer port as long as there is a token, and no longer. Another
// weftd may make one, too: that is seen at the latest after kRenewalCheck.
Task<> ControlPlane::Running::AwaitJoiners() {
  while (true) {
    const absl::Time now = absl::Now();
    const absl::Time until = links->JoinersUntil(now);
    const absl::Duration left = until > now ? until - now : absl::InfiniteDuration();
    co_await Wait(loop, {&tokens_changed}, loop.Now() + std::min(left, kRenewalCheck));
    OnPeers(engine->peers());
  }
}

absl::Status ControlPlane::Running::OnLoop(std::function<absl::Status()> call) {
  std::promise<absl::Status> done;
  loop.Post([&] { done.set_value(call()); });
  return done.get_future().get();
}

absl::Status ControlPlane::Running::Start() {
  // Everything on the loop is made before its thread runs; the ports open last.
  absl::Status status = LoadIdentity();
  if (!status.ok()) return status;
  MakeServices();
  MakeAuthenticator();
  status = StartPages();
  if (status.ok()) status = StartPorts();
  if (!status.ok()) return status;
  StartAdmin();
  status = StartWebhooks();
  if (!status.ok()) return status;
  thread = std::thread([this] { loop.Run(); });
  return OnLoop([this] {
    tasks.Spawn(Renew());
    if (links != nullptr) tasks.Spawn(AwaitJoiners());
    tasks.Spawn(AcknowledgeTrust());
    absl::Status started = engine->Start();
    OnPeers(engine->peers());
    MakeRotator();
    StartKubernetes();
    if (webhook_port != nullptr) webhook_port->Start();
    return started;
  });
}

void ControlPlane::Running::Stop() {
  if (!thread.joinable()) return;
  (void)OnLoop([this] {
    tasks.Cancel();
    for (auto* port : {&xds_plain, &xds, &peer, &admin}) port->reset();
    rotator.reset();
    ca_source.reset();
    webhook_port.reset();
    ca_bundle.reset();
    ca_root.reset();
    status_writer.reset();
    import_writer.reset();
    link_joiner.reset();
    links.reset();
    leader.reset();
    kubernetes.reset();
    engine.reset();
    return absl::OkStatus();
  });
  loop.Stop();
  thread.join();
}

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Start(ControlPlaneOptions options) {
  auto running = std::make_unique<Running>(std::move(options));
  absl::Status started = running->Start();
  if (!started.ok()) return started;
  return std::unique_ptr<ControlPlane>(new ControlPlane(std::move(running)));
}

ControlPlane::ControlPlane(std::unique_ptr<Running> running) : running_(std::move(running)) {}
ControlPlane::~ControlPlane() = default;

Address ControlPlane::xds() const { return running_->xds->address(); }
Address ControlPlane::xds_plain() const { return running_->xds_plain->address(); }
Address ControlPlane::peer() const { return running_->peer->address(); }
Address ControlPlane::monitoring() const { return running_->monitoring->address(); }
Address ControlPlane::debug() const {
  return running_->debug == nullptr ? Address() : running_->debug->address();
}
Address ControlPlane::webhook() const {
  return running_->webhook_port == nullptr ? Address() : running_->webhook_port->address();
}
const std::string& ControlPlane::roots_pem() const { return running_->self->roots_pem; }

}  // namespace weft
