#include "proxy/xds/ads_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/xds/ads_wire.h"

namespace weft {
namespace {

constexpr char kAggregated[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
    "StreamAggregatedResources";
constexpr char kAggregatedDelta[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
    "DeltaAggregatedResources";
// Rejections that quote a whole config would not fit a header or a log line.
constexpr size_t kMaxErrorText = 4 * 1024;

}  // namespace

AdsClient::AdsClient(EventLoop& loop, Options options, AdsObserver* observer)
    : loop_(loop),
      options_(std::move(options)),
      observer_(observer),
      random_(static_cast<std::minstd_rand::result_type>(options_.seed)) {
  if (options_.path.empty()) options_.path = is_delta() ? kAggregatedDelta : kAggregated;
}

void AdsClient::Subscribe(absl::string_view type_url, Subscription::Scope scope) {
  subscriptions_.emplace_back(type_url, scope, options_.form);
}

Subscription* AdsClient::Find(absl::string_view type_url) {
  for (Subscription& subscription : subscriptions_) {
    if (subscription.type_url() == type_url) return &subscription;
  }
  return nullptr;
}

const Subscription* AdsClient::subscription(absl::string_view type_url) const {
  return const_cast<AdsClient*>(this)->Find(type_url);
}

void AdsClient::SetNames(absl::string_view type_url, std::vector<std::string> names) {
  Subscription* subscription = Find(type_url);
  if (subscription == nullptr || !subscription->SetNames(std::move(names))) return;
  names_changed_.Notify();
}

Task<> AdsClient::Run() {
  for (;;) {
    auto bytes = co_await options_.connect();
    if (bytes.ok()) {
      GrpcConnection connection(loop_, *std::move(bytes), options_.connection);
      std::unique_ptr<GrpcStream> stream = connection.Open(options_.path, options_.metadata);
      ++failures_;  // until a response comes
      const absl::Status ended = co_await RunStream(*stream);
      connected_ = false;
      // gRPC's rule for a server that finds pings too frequent.
      if (connection.told_to_ping_less()) options_.connection.ping_interval *= 2;
      observer_->OnStream(ended);
    } else {
      ++failures_;
      observer_->OnStream(bytes.status());
    }
    co_await Sleep(loop_, NextBackoff());
  }
}

// Doubles from the first to the longest; each time somewhere in the upper half.
absl::Duration AdsClient::NextBackoff() {
  absl::Duration backoff = options_.first_backoff;
  for (int i = 1; i < failures_ && backoff < options_.longest_backoff; ++i) backoff *= 2;
  backoff = std::min(backoff, options_.longest_backoff);
  return backoff * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

// Returns why the stream ended.
Task<absl::Status> AdsClient::RunStream(GrpcStream& stream) {
  node_sent_ = false;
  for (Subscription& subscription : subscriptions_) subscription.OnStreamOpened();
  for (bool first = true;; first = false) {
    const absl::Status sent = co_await SendRequests(stream);
    if (!sent.ok()) co_return sent;
    if (first) {
      ++stats_.streams;
      connected_ = true;
      observer_->OnStream(absl::OkStatus());
    }
    std::optional<GrpcStream::Received> received = stream.TryReceive();
    if (!received.has_value()) {
      co_await Wait(loop_, {&stream.received(), &names_changed_});
      continue;
    }
    if (!received->ok()) co_return received->status();
    if (!(*received)->has_value()) co_return absl::UnavailableError("the server ended the stream");
    const absl::Status taken = OnResponse(***received);
    if (!taken.ok()) co_return taken;
  }
}

// In the order of the subscriptions, so that clusters are asked for first.
Task<absl::Status> AdsClient::SendRequests(GrpcStream& stream) {
  for (Subscription& subscription : subscriptions_) {
    std::optional<Subscription::Request> request = subscription.NextRequest();
    if (!request.has_value()) continue;
    const std::string node = node_sent_ && options_.node_only_once ? "" : options_.node;
    const auto encode = is_delta() ? EncodeDeltaDiscoveryRequest : EncodeDiscoveryRequest;
    std::string message = encode(subscription.type_url(), *std::move(request), node);
    node_sent_ = true;
    const absl::Status sent = co_await stream.Send(std::move(message));
    if (!sent.ok()) co_return sent;
  }
  co_return absl::OkStatus();
}

absl::Status AdsClient::OnResponse(absl::string_view bytes) {
  absl::StatusOr<DiscoveryUpdate> update =
      is_delta() ? DecodeDeltaDiscoveryResponse(bytes) : DecodeDiscoveryResponse(bytes);
  if (!update.ok()) return update.status();
  failures_ = 0;
  Subscription* subscription = Find(update->type_url);
  if (subscription == nullptr) {
    ++stats_.unknown_types;
    return absl::OkStatus();
  }
  absl::Status verdict = update->problem;
  if (verdict.ok()) {
    const Subscription::Response& response = update->response;
    const bool full = !is_delta() && subscription->scope() == Subscription::Scope::kAll;
    verdict = observer_->OnResources(
        {update->type_url, response.version, response.resources, response.removed, full});
  }
  if (verdict.ok()) {
    ++stats_.accepted;
    subscription->Accept(update->response);
  } else {
    ++stats_.rejected;
    subscription->Reject(update->response, verdict.message().substr(0, kMaxErrorText));
  }
  return absl::OkStatus();
}

}  // namespace weft
