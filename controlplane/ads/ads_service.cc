#include "controlplane/ads/ads_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <set>
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

}  // namespace

struct AdsService::State {
  State(EventLoop& loop, const Connections& connections, Metrics& metrics, Translator translate);

  std::shared_ptr<const Resources> Translated(const ProxyView& view);
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
  std::map<ProxyView, std::shared_ptr<const Resources>> translated;  // of `world`

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

 private:
  ~Stream() override {
    if (!service_.streams.erase(this) || !node_.has_value()) return;
    service_.metrics.ProxyDisconnected();
    Log(LogLevel::kInfo, "proxy_disconnected", {{"node", node_->id}});
  }

  void Start();
  void HandleRead(bool ok);
  absl::Status HandleRequest(const DiscoveryRequest& request);
  absl::Status Identify(const DiscoveryRequest& request);
  void HandleWritten(bool ok);
  void WriteNext();
  void End(absl::Status status);

  AdsService::State& service_;
  const std::string peer_;
  std::optional<ConnectionPeer> connection_;
  std::optional<ClientNode> node_;  // once it was accepted
  AdsClient client_;

  grpc::ByteBuffer incoming_;
  std::deque<grpc::ByteBuffer> outgoing_;  // of one push; the front is being written
  bool dirty_ = false;
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
  DiscoveryRequest request;
  grpc::Status parsed =
      grpc::SerializationTraits<DiscoveryRequest>::Deserialize(&incoming_, &request);
  absl::Status status =
      parsed.ok() ? HandleRequest(request) : absl::InvalidArgumentError("not a DiscoveryRequest");
  if (!status.ok()) {
    Log(LogLevel::kWarning, "proxy_refused",
        {{"peer", connection_.has_value() ? connection_->address : peer_},
         {"reason", std::string(status.message())}});
    return End(std::move(status));
  }
  StartRead(&incoming_);
  Push();
}

absl::Status AdsService::Stream::HandleRequest(const DiscoveryRequest& request) {
  // The node is only sure to be in the first message.
  if (!node_.has_value()) {
    absl::Status identified = Identify(request);
    if (!identified.ok()) return identified;
  }
  const ResourceType* type = FindResourceType(request.type_url());
  if (type == nullptr) {
    Log(LogLevel::kDebug, "type_not_served",
        {{"node", node_->id}, {"type", request.type_url().substr(0, kMaxError)}});
    return absl::OkStatus();
  }
  if (client_.OnRequest(*type, ToSubscriptionRequest(request)) == Subscription::Received::kNack) {
    service_.metrics.Rejected(type->name);
    Log(LogLevel::kWarning, "proxy_nack",
        {{"node", node_->id},
         {"type", std::string(type->name)},
         {"error", client_.Find(*type)->last_error()}});
  }
  return absl::OkStatus();
}

absl::Status AdsService::Stream::Identify(const DiscoveryRequest& request) {
  if (service_.world == nullptr) return absl::UnavailableError("no configuration yet");
  auto node = ReadNode(request.node());
  if (!node.ok()) return node.status();
  if (connection_.has_value()) {
    absl::Status checked = CheckNode(*node, *connection_->identity, *service_.world);
    if (!checked.ok()) return checked;
  }
  node_ = *std::move(node);
  service_.metrics.ProxyConnected();
  Log(LogLevel::kInfo, "proxy_connected",
      {{"node", node_->id}, {"peer", connection_.has_value() ? connection_->address : peer_}});
  return absl::OkStatus();
}

void AdsService::Stream::Push() {
  dirty_ = true;
  if (outgoing_.empty()) WriteNext();
}

void AdsService::Stream::WriteNext() {
  if (ending_.has_value() || !dirty_ || !node_.has_value()) return;
  dirty_ = false;
  auto resources = service_.Translated(ViewOf(*node_, *service_.world));
  for (const AdsClient::Response& response : client_.Next(*resources, service_.version)) {
    service_.metrics.Pushed(response.type->name);
    outgoing_.push_back(EncodeResponse(response));
  }
  if (!outgoing_.empty()) StartWrite(&outgoing_.front());
}

void AdsService::Stream::HandleWritten(bool ok) {
  outgoing_.pop_front();
  if (!ok) outgoing_.clear();
  if (ending_.has_value()) {
    outgoing_.clear();
    return End(absl::OkStatus());
  }
  if (!ok) return;  // the read fails too, and ends the stream
  if (!outgoing_.empty()) return StartWrite(&outgoing_.front());
  service_.metrics.Converged(service_.loop.Now() - service_.changed_at);
  WriteNext();
}

ProxyStatus AdsService::Stream::Status() const {
  ProxyStatus status;
  status.node = node_.has_value() ? node_->id : "";
  status.peer = connection_.has_value() ? connection_->address : peer_;
  if (connection_.has_value()) status.identity = connection_->identity->ToString();
  for (const ResourceType& type : ResourceTypes()) {
    const Subscription* subscription = client_.Find(type);
    if (subscription == nullptr) continue;
    TypeStatus of_type;
    of_type.type = std::string(type.name);
    of_type.sent = subscription->sent_version();
    of_type.acked = subscription->acked_version();
    of_type.error = subscription->last_error();
    status.types.push_back(std::move(of_type));
  }
  return status;
}

// The raw flavour of the stream: responses are written as bytes that were encoded once. Delta is
// the generated default: UNIMPLEMENTED.
class AdsService::Endpoint final
    : public AggregatedDiscoveryService::WithRawCallbackMethod_StreamAggregatedResources<
          AggregatedDiscoveryService::WithRawCallbackMethod_DeltaAggregatedResources<
              AggregatedDiscoveryService::Service>> {
 public:
  explicit Endpoint(AdsService::State& state) : state_(state) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamAggregatedResources(
      grpc::CallbackServerContext* context) override {
    return new Stream(state_, context->peer());
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

std::shared_ptr<const Resources> AdsService::State::Translated(const ProxyView& view) {
  std::shared_ptr<const Resources>& cached = translated[view];
  if (cached == nullptr) cached = translate(world, view);
  return cached;
}

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
  state_->translated.clear();
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
  return state_->Translated(view);
}

}  // namespace weft
