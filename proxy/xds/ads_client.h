// AdsClient: keeps one xDS stream to a control plane, for as long as its task
// runs: the aggregated one, or one of a single type; in state-of-the-world or
// delta form. It connects, asks, hands what comes to the observer, acknowledges
// or rejects, and starts again with backoff when the stream ends. What was
// accepted stays while there is no stream.
//
// One task on one loop (the proxy's main thread); publishing to workers is the
// observer's business.
#ifndef WEFT_PROXY_XDS_ADS_CLIENT_H_
#define WEFT_PROXY_XDS_ADS_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/xds/subscription.h"

namespace weft {

// What a response brings. The references hold during the call.
struct ResourceUpdate {
  absl::string_view type_url;
  const std::string& version;
  const std::vector<Subscription::Resource>& sent;
  const std::vector<std::string>& removed;
  // Whether `sent` is all there is: what it lacks is gone.
  bool full = false;
};

class AdsObserver {
 public:
  virtual ~AdsObserver() = default;
  // An error rejects the whole response: the server gets its text, and what was
  // accepted before stays. May call AdsClient::SetNames.
  virtual absl::Status OnResources(const ResourceUpdate& update) = 0;
  // A stream began, or could not, or ended (then `status` says why).
  virtual void OnStream(const absl::Status& status) {}
};

class AdsClient {
 public:
  struct Options {
    // Returns a stream that is connected, and through TLS if that is wanted,
    // within a deadline of its own.
    std::function<Task<absl::StatusOr<std::unique_ptr<ByteStream>>>()> connect;
    std::string node;  // a serialized envoy.config.core.v3.Node
    // Whether only the first request of a stream carries the node.
    bool node_only_once = true;
    // "/package.Service/Method"; empty: the aggregated service's.
    std::string path;
    Subscription::Form form = Subscription::Form::kStateOfTheWorld;
    GrpcMetadata metadata;
    GrpcConnection::Options connection;
    absl::Duration first_backoff = absl::Milliseconds(100);
    absl::Duration longest_backoff = absl::Seconds(5);
    // Of the jitter, which keeps the clients of a server that comes back from
    // coming all at once.
    uint64_t seed = 0;
  };

  struct Stats {
    uint64_t streams = 0;  // begun
    uint64_t accepted = 0;
    uint64_t rejected = 0;
    uint64_t unknown_types = 0;  // responses of a type nobody asked for
  };

  // `observer` must outlive the client.
  AdsClient(EventLoop& loop, Options options, AdsObserver* observer);

  // Before Run(): the types to ask for, in the order their requests are sent.
  void Subscribe(absl::string_view type_url, Subscription::Scope scope);
  // What to ask for from now on, of a type subscribed with kNamed.
  void SetNames(absl::string_view type_url, std::vector<std::string> names);

  // Never ends; destroy it to stop.
  Task<> Run();

  // Null if it was not subscribed to.
  const Subscription* subscription(absl::string_view type_url) const;
  const std::vector<Subscription>& subscriptions() const { return subscriptions_; }
  const Stats& stats() const { return stats_; }
  // Whether there is a stream now.
  bool connected() const { return connected_; }

 private:
  bool is_delta() const { return options_.form == Subscription::Form::kDelta; }
  Subscription* Find(absl::string_view type_url);
  Task<absl::Status> RunStream(GrpcStream& stream);
  Task<absl::Status> SendRequests(GrpcStream& stream);
  absl::Status OnResponse(absl::string_view bytes);
  absl::Duration NextBackoff();

  EventLoop& loop_;
  Options options_;
  AdsObserver* const observer_;
  std::vector<Subscription> subscriptions_;
  Stats stats_;
  bool node_sent_ = false;
  bool connected_ = false;
  int failures_ = 0;  // in a row, without a response between
  std::minstd_rand random_;
  Signal names_changed_;
};

}  // namespace weft

#endif  // WEFT_PROXY_XDS_ADS_CLIENT_H_
