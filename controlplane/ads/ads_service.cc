#include "controlplane/ads/ads_service.h"

#include <chrono>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/discovery.pb.h"
#include "controlplane/ads/client.h"
#include "controlplane/ads/node.h"
#include "controlplane/ads/request.h"
#include "controlplane/ads/response.h"
#include "controlplane/ads/route_origins.h"
#include "proxy/base/log.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

// How much of a type that nobody knows is logged.
constexpr size_t kMaxTypeShown = 2048;

// Of a stream's last request, which acknowledgements in delta form are far below.
constexpr size_t kKeptRequest = 4096;

constexpr char kSecretUrl[] =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

constexpr char kMethods[] = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";

// The loop's clock stands still within a turn, in which much is done.
MonotonicTime Clock() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

std::string NameOf(ProxyRole role) {
  switch (role) {
    case ProxyRole::kSidecar:
      return "sidecar";
    case ProxyRole::kGateway:
    case ProxyRole::kRouter:
      return "router";
    case ProxyRole::kProxyless:
      return "grpc";
  }
  return "";
}

}  // namespace

struct AdsService::State {
  State(EventLoop& loop, Metrics& metrics, Translator translate)
      : loop(loop), metrics(metrics), translate(std::move(translate)) {}

  Task<> PushWhenDirty();
  template <typename Request, typename Of>
  Task<absl::Status> Serve(GrpcCall& call);

  EventLoop& loop;
  Metrics& metrics;
  const Translator translate;

  std::shared_ptr<const World> world;  // null before the first
  std::string version;
  MonotonicTime changed_at;
  // Versions only have to differ, also from those of the process before this one.
  const std::string epoch = absl::StrCat(absl::ToUnixMillis(absl::Now()));
  uint64_t worlds = 0;

  std::set<Stream*> streams;
  bool dirty = false;
  Signal became_dirty;
  Scope tasks;
};

// One ADS stream; lives as long as its call is served.
class AdsService::Stream {
 public:
  Stream(AdsService::State& service, GrpcCall& call) : service_(service), call_(call) {
    service_.streams.insert(this);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream();

  // Until the client has enough, or is refused.
  Task<absl::Status> Run();
  // Sends what is due; if the client is slow, when it has taken what was sent before.
  void Push() {
    dirty_ = true;
    due_.Notify();
  }
  // Ends it, within the next turn of the loop.
  void End(absl::Status why) {
    end_ = std::move(why);
    due_.Notify();
  }
  ProxyStatus Status() const;
  // Whether these bytes of a secret were acknowledged, or never asked for.
  virtual bool Holds(const std::string& secret, const std::string& bytes) const = 0;
  const GrpcPeer& peer() const { return call_.peer(); }
  std::string name() const { return node_.has_value() ? node_->id : call_.peer().address; }

 protected:
  struct Encoded {
    std::unique_ptr<GrpcPayload> message;
    absl::string_view type;
  };

  AdsService::State& service() { return service_; }
  const ClientNode& node() const { return *node_; }
  // A NACK's text, with the objects that the refused places were made of. What was sent last is
  // what it speaks of: an answer to anything older counts for nothing.
  std::string Explained(const ResourceType& type, std::string error) const {
    if (seen_ == nullptr || type.resources != &Resources::routes) return error;
    return WithRouteOrigins(std::move(error), seen_->routes);
  }
  // The node is only sure to be in the first message.
  absl::Status IdentifyOnce(const envoy::config::core::v3::Node& node) {
    return node_.has_value() ? absl::OkStatus() : Identify(node);
  }

 private:
  // What the form of the protocol makes different.
  virtual absl::Status HandleRequest(const std::string& bytes) = 0;
  virtual std::vector<Encoded> Next(const Resources& resources) = 0;
  virtual absl::string_view form() const = 0;
  virtual std::vector<TypeStatus> Types() const = 0;

  absl::Status Identify(const envoy::config::core::v3::Node& node);
  const ProxyView& View();
  bool SendDue();
  void NoteWritten();

  AdsService::State& service_;
  GrpcCall& call_;
  std::optional<ClientNode> node_;  // once it was accepted
  // What it sees, made from the node, this workload, and its cluster if that is not ours.
  std::optional<ProxyView> view_;
  std::shared_ptr<const Workload> workload_;
  std::shared_ptr<const Peer> cluster_;

  Signal due_;
  absl::Status end_;
  bool dirty_ = false;
  bool asked_ = false;                     // something since the last look
  std::shared_ptr<const Resources> seen_;  // at the last look
  // Of the push that is being written.
  std::vector<absl::string_view> writing_;  // types
  MonotonicTime push_began_;
  std::optional<MonotonicTime> push_changed_;  // if the push is of a change: when that came
};

AdsService::Stream::~Stream() {
  service_.streams.erase(this);
  if (!node_.has_value()) return;
  service_.metrics.ProxyDisconnected();
  Log(LogLevel::kInfo, "proxy_disconnected", {{"node", node_->id}});
}

Task<absl::Status> AdsService::Stream::Run() {
  if (call_.peer().secure && !call_.peer().identity.has_value()) {
    co_return absl::UnauthenticatedError("discovery needs a client certificate");
  }
  std::string message;
  while (end_.ok()) {
    const GrpcCall::Event event = call_.Next(&message);
    if (event == GrpcCall::Event::kEnd) co_return call_.status();
    if (event == GrpcCall::Event::kMessage) {
      absl::Status status = HandleRequest(message);
      // Room for thousands of names is not needed again.
      if (message.capacity() > kKeptRequest) std::string().swap(message);
      if (!status.ok()) {
        Log(LogLevel::kWarning, "proxy_refused",
            {{"peer", call_.peer().address}, {"reason", std::string(status.message())}});
        co_return status;
      }
      asked_ = dirty_ = true;
      continue;
    }
    while (call_.Flush() && SendDue()) {
    }
    co_await Wait(service_.loop, {&call_.readable(), &call_.writable(), &due_});
  }
  co_return end_;
}

absl::Status AdsService::Stream::Identify(const envoy::config::core::v3::Node& from) {
  if (service_.world == nullptr) return absl::UnavailableError("no configuration yet");
  auto node = ReadNode(from);
  if (!node.ok()) return node.status();
  node->identified = call_.peer().secure;
  if (call_.peer().identity.has_value()) {
    absl::Status checked = CheckNode(*node, *call_.peer().identity, *service_.world);
    if (!checked.ok()) return checked;
  }
  node_ = *std::move(node);
  service_.metrics.ProxyConnected();
  Log(LogLevel::kInfo, "proxy_connected",
      {{"node", node_->id}, {"peer", call_.peer().address}, {"form", std::string(form())}});
  return absl::OkStatus();
}

// Of what a World may change, only the workload makes a view another one, and the network of a
// remote cluster. Of such a one that nothing is known of any more, its proxies stay what they were.
const ProxyView& AdsService::Stream::View() {
  const World& world = *service_.world;
  if (view_.has_value() && WorkloadsOf(world, node_->cluster) == nullptr) return *view_;
  const auto peer = world.peers.find(node_->cluster);
  const auto cluster = peer == world.peers.end() ? nullptr : peer->second;
  const auto workload = FindWorkload(world, node_->cluster, node_->address);
  if (!view_.has_value() || workload != workload_ || cluster != cluster_) {
    view_ = ViewOf(*node_, world);
    workload_ = workload;
    cluster_ = cluster;
  }
  return *view_;
}

// When all that was sent has been handed on. False if there is nothing new to send.
bool AdsService::Stream::SendDue() {
  NoteWritten();
  if (!dirty_ || !node_.has_value()) return false;
  dirty_ = false;
  auto resources = service_.translate(service_.world, View());
  const bool asked = std::exchange(asked_, false);
  const bool changed = seen_ != nullptr && seen_ != resources;
  if (!asked && !changed && seen_ != nullptr) return false;
  seen_ = std::move(resources);
  push_began_ = Clock();
  if (changed) push_changed_ = service_.changed_at;
  for (Encoded& encoded : Next(*seen_)) {
    service_.metrics.Pushed(encoded.type);
    writing_.push_back(encoded.type);
    call_.Send(std::move(encoded.message));
  }
  return !writing_.empty();
}

void AdsService::Stream::NoteWritten() {
  if (writing_.empty() && !push_changed_.has_value()) return;
  const MonotonicTime now = Clock();
  for (const absl::string_view type : writing_) service_.metrics.Written(type, now - push_began_);
  writing_.clear();
  if (push_changed_.has_value()) service_.metrics.Converged(now - *push_changed_);
  push_changed_.reset();
}

ProxyStatus AdsService::Stream::Status() const {
  ProxyStatus status;
  status.form = std::string(form());
  if (node_.has_value()) {
    status.node = node_->id;
    status.role = NameOf(node_->role);
  }
  status.peer = call_.peer().address;
  if (call_.peer().identity.has_value()) status.identity = call_.peer().identity->ToString();
  status.types = Types();
  return status;
}

// A stream of one form: Request is the message, Of the subscriptions behind it.
template <typename Request, typename Of>
class AdsService::StreamOf final : public AdsService::Stream {
 public:
  using Stream::Stream;

 private:
  absl::Status HandleRequest(const std::string& bytes) override {
    Request message;
    typename Of::Request request;
    if (!ReadRequest(bytes, &message, &request)) {
      return absl::InvalidArgumentError(absl::StrCat("not a ", Request::descriptor()->name()));
    }
    absl::Status identified = IdentifyOnce(message.node());
    if (!identified.ok()) return identified;
    const ResourceType* type = FindResourceType(message.type_url());
    if (type == nullptr) {
      Log(LogLevel::kDebug, "type_not_served",
          {{"node", node().id}, {"type", message.type_url().substr(0, kMaxTypeShown)}});
      return absl::OkStatus();
    }
    if (request.error.has_value()) request.error = Explained(*type, *std::move(request.error));
    if (client_.OnRequest(*type, request) == Received::kNack) {
      service().metrics.Rejected(type->name);
      Log(LogLevel::kWarning, "proxy_nack",
          {{"node", node().id},
           {"type", std::string(type->name)},
           {"error", client_.Find(*type)->last_error()}});
    }
    return absl::OkStatus();
  }

  std::vector<Encoded> Next(const Resources& resources) override {
    std::vector<Encoded> encoded;
    for (const auto& response : client_.Next(resources, service().version)) {
      encoded.push_back({EncodeResponse(response), response.type->name});
    }
    return encoded;
  }

  bool Holds(const std::string& secret, const std::string& bytes) const override {
    const Of* subscription = client_.Find(*FindResourceType(kSecretUrl));
    if (subscription == nullptr || !subscription->interest().Wants(secret)) return true;
    const EncodedResources& sent = subscription->interest().sent();
    const auto found = sent.find(secret);
    return found != sent.end() && *found->second == bytes &&
           subscription->acked_version() == subscription->sent_version();
  }

  absl::string_view form() const override {
    return std::is_same_v<Of, DeltaSubscription> ? "delta" : "sotw";
  }

  std::vector<TypeStatus> Types() const override {
    std::vector<TypeStatus> types;
    for (const ResourceType& type : ResourceTypes()) {
      const Of* subscription = client_.Find(type);
      if (subscription == nullptr) continue;
      TypeStatus of_type;
      of_type.type = std::string(type.name);
      of_type.wildcard = subscription->interest().wildcard();
      of_type.names = subscription->interest().names().size();
      of_type.resources = subscription->interest().sent().size();
      of_type.sent = subscription->sent_version();
      of_type.acked = subscription->acked_version();
      of_type.error = subscription->last_error();
      types.push_back(std::move(of_type));
    }
    return types;
  }

  BasicAdsClient<Of> client_;
};

template <typename Request, typename Of>
Task<absl::Status> AdsService::State::Serve(GrpcCall& call) {
  StreamOf<Request, Of> stream(*this, call);
  absl::Status ended = co_await stream.Run();
  co_return ended;
}

Task<> AdsService::State::PushWhenDirty() {
  while (true) {
    while (!dirty) co_await Wait(loop, {&became_dirty});
    dirty = false;
    for (Stream* stream : streams) stream->Push();
    co_await Sleep(loop, kCoalesce);
  }
}

AdsService::AdsService(EventLoop& loop, Metrics& metrics, Translator translate)
    : state_(std::make_unique<State>(loop, metrics, std::move(translate))) {
  state_->tasks.Spawn(state_->PushWhenDirty());
}

AdsService::~AdsService() = default;

void AdsService::AddTo(GrpcServices& services) {
  services[absl::StrCat(kMethods, "StreamAggregatedResources")] = [this](GrpcCall& call) {
    return state_->Serve<DiscoveryRequest, Subscription>(call);
  };
  services[absl::StrCat(kMethods, "DeltaAggregatedResources")] = [this](GrpcCall& call) {
    return state_->Serve<DeltaDiscoveryRequest, DeltaSubscription>(call);
  };
}

void AdsService::Publish(std::shared_ptr<const World> world) {
  state_->world = std::move(world);
  state_->version = absl::StrCat(state_->epoch, "/", ++state_->worlds);
  state_->changed_at = Clock();
  state_->dirty = true;
  state_->became_dirty.Notify();
}

std::vector<ProxyStatus> AdsService::Proxies() const {
  std::vector<ProxyStatus> proxies;
  for (const Stream* stream : state_->streams) proxies.push_back(stream->Status());
  return proxies;
}

std::vector<std::string> AdsService::WithoutSecret(const std::string& name,
                                                   const std::string& bytes) const {
  std::vector<std::string> nodes;
  for (const Stream* stream : state_->streams) {
    if (!stream->peer().identity.has_value() || stream->Holds(name, bytes)) continue;
    nodes.push_back(stream->name());
  }
  return nodes;
}

std::vector<std::string> AdsService::AskToRenew(absl::string_view issuer_key_id) {
  std::vector<std::string> nodes;
  for (Stream* stream : state_->streams) {
    if (!stream->peer().identity.has_value()) continue;
    if (stream->peer().issuer_key_id == issuer_key_id) continue;
    nodes.push_back(stream->name());
    if (nodes.size() > kRenewAtOnce) continue;
    stream->End(
        absl::UnauthenticatedError("the CA is being rotated: come again with a new certificate"));
  }
  return nodes;
}

std::shared_ptr<const Resources> AdsService::ResourcesFor(const ProxyView& view) {
  if (state_->world == nullptr) return nullptr;
  return state_->translate(state_->world, view);
}

}  // namespace weft
