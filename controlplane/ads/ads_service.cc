#include "controlplane/ads/ads_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "controlplane/ads/client.h"
#include "controlplane/ads/node.h"
#include "controlplane/ads/response.h"
#include "proxy/base/log.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

// A NACK's text is the proxy's; what is kept and logged of it is bounded.
constexpr size_t kMaxError = 2048;

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

SubscriptionRequest ToSubscriptionRequest(const DiscoveryRequest& request) {
  SubscriptionRequest read;
  read.names.assign(request.resource_names().begin(), request.resource_names().end());
  read.nonce = request.response_nonce();
  if (request.has_error_detail()) {
    read.error = request.error_detail().message().substr(0, kMaxError);
  }
  return read;
}

DeltaSubscriptionRequest ToSubscriptionRequest(const DeltaDiscoveryRequest& request) {
  DeltaSubscriptionRequest read;
  read.subscribe.assign(request.resource_names_subscribe().begin(),
                        request.resource_names_subscribe().end());
  read.unsubscribe.assign(request.resource_names_unsubscribe().begin(),
                          request.resource_names_unsubscribe().end());
  read.initial_versions.insert(request.initial_resource_versions().begin(),
                               request.initial_resource_versions().end());
  read.nonce = request.response_nonce();
  if (request.has_error_detail()) {
    read.error = request.error_detail().message().substr(0, kMaxError);
  }
  return read;
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
  State(EventLoop& loop, const Connections& connections, Metrics& metrics, Translator translate);

  Task<> PushWhenDirty();

  EventLoop& loop;
  const Connections& connections;
  Metrics& metrics;
  const Translator translate;
  std::unique_ptr<grpc::Service> service;

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

// One ADS stream. gRPC calls On…Done from its threads; each passes its news to the loop, where all
// else happens. Deletes itself there once gRPC is done with it.
class AdsService::Stream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(AdsService::State& service, std::string peer) : service_(service), peer_(std::move(peer)) {
    service_.loop.Post([this] { Start(); });
  }

  void OnReadDone(bool ok) override {
    service_.loop.Post([this, ok] { HandleRead(ok); });
  }
  void OnWriteDone(bool ok) override {
    service_.loop.Post([this, ok] { HandleWritten(ok); });
  }
  void OnDone() override {
    service_.loop.Post([this] { delete this; });
  }

  // Sends what is due; if a write is under way, when that is done.
  void Push();
  ProxyStatus Status() const;

 protected:
  struct Written {
    grpc::ByteBuffer bytes;
    absl::string_view type;
  };

  ~Stream() override {
    if (!service_.streams.erase(this) || !node_.has_value()) return;
    service_.metrics.ProxyDisconnected();
    Log(LogLevel::kInfo, "proxy_disconnected", {{"node", node_->id}});
  }

  AdsService::State& service() { return service_; }
  const ClientNode& node() const { return *node_; }
  // The node is only sure to be in the first message.
  absl::Status IdentifyOnce(const envoy::config::core::v3::Node& node) {
    return node_.has_value() ? absl::OkStatus() : Identify(node);
  }

 private:
  // What the form of the protocol makes different.
  virtual absl::Status HandleRequest(grpc::ByteBuffer& bytes) = 0;
  virtual std::vector<Written> Next(const Resources& resources) = 0;
  virtual absl::string_view form() const = 0;
  virtual std::vector<TypeStatus> Types() const = 0;

  void Start();
  void HandleRead(bool ok);
  absl::Status Identify(const envoy::config::core::v3::Node& node);
  const ProxyView& View();
  void HandleWritten(bool ok);
  void WriteNext();
  void End(absl::Status status);

  AdsService::State& service_;
  const std::string peer_;
  std::optional<ConnectionPeer> connection_;
  std::optional<ClientNode> node_;  // once it was accepted
  // What it sees, made from the node and this workload.
  std::optional<ProxyView> view_;
  std::shared_ptr<const Workload> workload_;

  grpc::ByteBuffer incoming_;
  std::deque<Written> outgoing_;  // of one push; the front is being written
  bool dirty_ = false;
  bool asked_ = false;                     // something since the last look
  std::shared_ptr<const Resources> seen_;  // at the last look
  MonotonicTime push_began_;
  std::optional<MonotonicTime> push_changed_;  // if the push is of a change: when that came
  std::optional<absl::Status> ending_;
  bool finished_ = false;
};

void AdsService::Stream::Start() {
  service_.streams.insert(this);
  connection_ = service_.connections.Find(peer_);
  if (connection_.has_value() && !connection_->identity.has_value()) {
    return End(absl::UnauthenticatedError("discovery needs a client certificate"));
  }
  StartRead(&incoming_);
}

void AdsService::Stream::End(absl::Status status) {
  if (!ending_.has_value()) ending_ = std::move(status);
  // A status must not overtake a message that is being written.
  if (!outgoing_.empty() || finished_) return;
  finished_ = true;
  Finish(ToGrpc(*ending_));
}

void AdsService::Stream::HandleRead(bool ok) {
  if (ending_.has_value()) return;
  if (!ok) return End(absl::OkStatus());
  absl::Status status = HandleRequest(incoming_);
  if (!status.ok()) {
    Log(LogLevel::kWarning, "proxy_refused",
        {{"peer", connection_.has_value() ? connection_->address : peer_},
         {"reason", std::string(status.message())}});
    return End(std::move(status));
  }
  StartRead(&incoming_);
  asked_ = true;
  Push();
}

absl::Status AdsService::Stream::Identify(const envoy::config::core::v3::Node& from) {
  if (service_.world == nullptr) return absl::UnavailableError("no configuration yet");
  auto node = ReadNode(from);
  if (!node.ok()) return node.status();
  node->identified = connection_.has_value();
  if (connection_.has_value()) {
    absl::Status checked = CheckNode(*node, *connection_->identity, *service_.world);
    if (!checked.ok()) return checked;
  }
  node_ = *std::move(node);
  service_.metrics.ProxyConnected();
  Log(LogLevel::kInfo, "proxy_connected",
      {{"node", node_->id},
       {"peer", connection_.has_value() ? connection_->address : peer_},
       {"form", std::string(form())}});
  return absl::OkStatus();
}

// Of what a World may change, only the workload makes a view another one.
const ProxyView& AdsService::Stream::View() {
  const auto found = service_.world->workloads.find(node_->address);
  const bool known = found != service_.world->workloads.end();
  const auto& workload = known ? found->second : nullptr;
  if (!view_.has_value() || workload != workload_) {
    view_ = ViewOf(*node_, *service_.world);
    workload_ = workload;
  }
  return *view_;
}

void AdsService::Stream::Push() {
  dirty_ = true;
  if (outgoing_.empty()) WriteNext();
}

void AdsService::Stream::WriteNext() {
  if (ending_.has_value() || !dirty_ || !node_.has_value()) return;
  dirty_ = false;
  auto resources = service_.translate(service_.world, View());
  const bool asked = std::exchange(asked_, false);
  const bool changed = seen_ != nullptr && seen_ != resources;
  if (!asked && !changed && seen_ != nullptr) return;
  seen_ = std::move(resources);
  push_began_ = service_.loop.Now();
  push_changed_.reset();
  if (changed) push_changed_ = service_.changed_at;
  for (Written& written : Next(*seen_)) {
    service_.metrics.Pushed(written.type);
    outgoing_.push_back(std::move(written));
  }
  if (!outgoing_.empty()) StartWrite(&outgoing_.front().bytes);
}

void AdsService::Stream::HandleWritten(bool ok) {
  if (ok) {
    service_.metrics.Written(outgoing_.front().type, service_.loop.Now() - push_began_);
  }
  outgoing_.pop_front();
  if (!ok) outgoing_.clear();
  if (ending_.has_value()) {
    outgoing_.clear();
    return End(absl::OkStatus());
  }
  if (!ok) return;  // the read fails too, and ends the stream
  if (!outgoing_.empty()) return StartWrite(&outgoing_.front().bytes);
  if (push_changed_.has_value()) {
    service_.metrics.Converged(service_.loop.Now() - *push_changed_);
  }
  WriteNext();
}

ProxyStatus AdsService::Stream::Status() const {
  ProxyStatus status;
  status.form = std::string(form());
  if (node_.has_value()) {
    status.node = node_->id;
    status.role = NameOf(node_->role);
  }
  status.peer = connection_.has_value() ? connection_->address : peer_;
  if (connection_.has_value() && connection_->identity.has_value()) {
    status.identity = connection_->identity->ToString();
  }
  status.types = Types();
  return status;
}

// A stream of one form: Request is the message, Of the subscriptions behind it.
template <typename Request, typename Of>
class AdsService::StreamOf final : public AdsService::Stream {
 public:
  using Stream::Stream;

 private:
  absl::Status HandleRequest(grpc::ByteBuffer& bytes) override {
    Request request;
    if (!grpc::SerializationTraits<Request>::Deserialize(&bytes, &request).ok()) {
      return absl::InvalidArgumentError(absl::StrCat("not a ", Request::descriptor()->name()));
    }
    absl::Status identified = IdentifyOnce(request.node());
    if (!identified.ok()) return identified;
    const ResourceType* type = FindResourceType(request.type_url());
    if (type == nullptr) {
      Log(LogLevel::kDebug, "type_not_served",
          {{"node", node().id}, {"type", request.type_url().substr(0, kMaxError)}});
      return absl::OkStatus();
    }
    if (client_.OnRequest(*type, ToSubscriptionRequest(request)) == Received::kNack) {
      service().metrics.Rejected(type->name);
      Log(LogLevel::kWarning, "proxy_nack",
          {{"node", node().id},
           {"type", std::string(type->name)},
           {"error", client_.Find(*type)->last_error()}});
    }
    return absl::OkStatus();
  }

  std::vector<Written> Next(const Resources& resources) override {
    std::vector<Written> written;
    for (const auto& response : client_.Next(resources, service().version)) {
      written.push_back({EncodeResponse(response), response.type->name});
    }
    return written;
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

// The raw flavour of the streams: responses are written as bytes that were encoded once.
class AdsService::Endpoint final
    : public AggregatedDiscoveryService::WithRawCallbackMethod_StreamAggregatedResources<
          AggregatedDiscoveryService::WithRawCallbackMethod_DeltaAggregatedResources<
              AggregatedDiscoveryService::Service>> {
 public:
  explicit Endpoint(AdsService::State& state) : state_(state) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamAggregatedResources(
      grpc::CallbackServerContext* context) override {
    return new StreamOf<DiscoveryRequest, Subscription>(state_, context->peer());
  }
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* DeltaAggregatedResources(
      grpc::CallbackServerContext* context) override {
    return new StreamOf<DeltaDiscoveryRequest, DeltaSubscription>(state_, context->peer());
  }

 private:
  AdsService::State& state_;
};

AdsService::State::State(EventLoop& loop, const Connections& connections, Metrics& metrics,
                         Translator translate)
    : loop(loop),
      connections(connections),
      metrics(metrics),
      translate(std::move(translate)),
      service(std::make_unique<Endpoint>(*this)) {}

Task<> AdsService::State::PushWhenDirty() {
  while (true) {
    while (!dirty) co_await Wait(loop, {&became_dirty});
    dirty = false;
    for (Stream* stream : streams) stream->Push();
    co_await Sleep(loop, kCoalesce);
  }
}

AdsService::AdsService(EventLoop& loop, const Connections& connections, Metrics& metrics,
                       Translator translate)
    : state_(std::make_unique<State>(loop, connections, metrics, std::move(translate))) {
  state_->tasks.Spawn(state_->PushWhenDirty());
}

AdsService::~AdsService() = default;

grpc::Service* AdsService::service() { return state_->service.get(); }

void AdsService::Publish(std::shared_ptr<const World> world) {
  state_->world = std::move(world);
  state_->version = absl::StrCat(state_->epoch, "/", ++state_->worlds);
  state_->changed_at = state_->loop.Now();
  state_->dirty = true;
  state_->became_dirty.Notify();
}

std::vector<ProxyStatus> AdsService::Proxies() const {
  std::vector<ProxyStatus> proxies;
  for (const Stream* stream : state_->streams) proxies.push_back(stream->Status());
  return proxies;
}

std::shared_ptr<const Resources> AdsService::ResourcesFor(const ProxyView& view) {
  if (state_->world == nullptr) return nullptr;
  return state_->translate(state_->world, view);
}

}  // namespace weft
