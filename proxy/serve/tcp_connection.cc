#include "proxy/serve/tcp_connection.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "proxy/decide/match_route.h"
#include "proxy/net/splice.h"
#include "proxy/runtime/scope.h"
#include "proxy/serve/access_log.h"
#include "proxy/serve/upstream_choice.h"
#include "proxy/serve/worker.h"
#include "proxy/upstream/connection.h"

namespace weft {
namespace {

// Nothing has been sent when a connect fails, so trying the next endpoint is always safe.
constexpr uint32_t kConnectAttempts = 4;

const std::string& ClusterFor(Worker& worker, const Downstream& downstream,
                              const TcpProxyConfig& config) {
  static const std::string none;
  if (config.sni_cluster && !downstream.server_name.empty()) return downstream.server_name;
  if (config.clusters.empty()) return none;
  return ChooseTarget(config.clusters, config.total_weight, worker.Random())->cluster;
}

void Finish(Worker& worker, const Downstream& downstream, const TcpProxyConfig& config,
            MonotonicTime start, RequestRecord record) {
  if (config.access_logs.empty()) return;
  record.start_time = absl::Now() - (worker.loop().Now() - start);
  record.duration = worker.loop().Now() - start;
  record.downstream_local = downstream.destination.ToString();
  record.downstream_remote = downstream.stream->peer_address().ToString();
  record.server_name = downstream.server_name;
  FormatInput input;
  input.record = &record;
  worker.access_log()->Write(config.access_logs, input, worker.Random());
}

struct Expiry {
  bool expired = false;
};

// Ends a connection that has lasted as long as it may.
Task<> EndAt(EventLoop& loop, MonotonicTime end, TcpStream& socket, Expiry& expiry) {
  co_await Sleep(loop, end - loop.Now());
  expiry.expired = true;
  socket.Sever(ETIMEDOUT);
}

}  // namespace

Task<> ServeTcp(Worker& worker, Downstream& downstream, const TcpProxyConfig& config) {
  TcpCounters& counters = worker.TcpOf(config.stat_prefix);
  const ActiveCount active(counters.downstream_cx_total, counters.downstream_cx_active);
  const MonotonicTime start = worker.loop().Now();
  RequestRecord record;

  const std::shared_ptr<const Snapshot> snapshot = worker.config();
  const std::string& name = ClusterFor(worker, downstream, config);
  const ClusterConfig* cluster = snapshot->FindCluster(name);
  record.upstream_cluster = name;
  if (cluster == nullptr) {
    ++counters.downstream_cx_no_route;
    record.flag = ResponseFlag::kNoClusterFound;
    Finish(worker, downstream, config, start, std::move(record));
    co_return;
  }

  std::optional<uint64_t> hash;
  if (config.hash_source_ip) {
    // The same in every proxy, so that they agree on where a client goes.
    const absl::string_view ip = downstream.stream->peer_address().ip_bytes();
    hash = XXH64(ip.data(), ip.size(), 0);
  }
  UpstreamChoice choice(worker, *cluster, downstream, hash);
  std::unique_ptr<UpstreamConnection> upstream;
  const EndpointConfig* endpoint = nullptr;
  ProxiedAddresses proxied;
  proxied.client = downstream.stream->peer_address();
  proxied.destination = downstream.destination;
  const uint32_t attempts = std::max(config.max_connect_attempts, kConnectAttempts);
  for (uint32_t attempt = 0; upstream == nullptr && attempt < attempts; ++attempt) {
    endpoint = choice.Next();
    if (endpoint == nullptr) break;
    Tunneling tunneling;
    tunneling.tunnels = &worker.tunnels();
    auto connected =
        co_await ConnectUpstream(worker.loop(), *cluster, *endpoint, worker.options().mark, kNever,
                                 proxied, "", std::move(tunneling));
    if (connected.ok()) {
      choice.ConnectSucceeded(/*final=*/true);
      upstream = std::move(*connected);
    } else {
      choice.ConnectFailed();
      record.upstream_failure = std::string(connected.status().message());
    }
  }
  if (upstream == nullptr) {
    record.flag = endpoint == nullptr ? ResponseFlag::kNoHealthyUpstream
                                      : ResponseFlag::kUpstreamConnectionFailure;
    Finish(worker, downstream, config, start, std::move(record));
    co_return;
  }

  const ActiveRequest busy(choice);
  record.upstream_host = endpoint->address.ToString();
  record.upstream_local = upstream->stream->local_address().ToString();
  Expiry expiry;
  Scope timer;
  if (config.max_connection_duration < absl::InfiniteDuration()) {
    const MonotonicTime end = start + config.max_connection_duration;
    timer.Spawn(EndAt(worker.loop(), end, *downstream.socket, expiry));
  }
  const SpliceResult result = co_await Splice(worker.loop(), *downstream.stream, Buffer(),
                                              *upstream->stream, Buffer(), config.idle_timeout);
  if (result.end == SpliceEnd::kIdle) ++counters.idle_timeout;
  if (expiry.expired) ++counters.max_downstream_connection_duration;
  counters.downstream_cx_rx_bytes_total += result.to_second;
  counters.downstream_cx_tx_bytes_total += result.to_first;
  choice.state().counters.upstream_cx_tx_bytes_total += result.to_second;
  choice.state().counters.upstream_cx_rx_bytes_total += result.to_first;
  record.bytes_received = result.to_second;
  record.bytes_sent = result.to_first;
  // A side that was cut must not look to the other as if it had ended.
  if (result.end == SpliceEnd::kFirstBroke) {
    record.flag = ResponseFlag::kDownstreamTermination;
    upstream->stream->ResetOnClose();
  } else if (result.end == SpliceEnd::kSecondBroke) {
    record.flag = ResponseFlag::kUpstreamTermination;
    downstream.stream->ResetOnClose();
  }
  Finish(worker, downstream, config, start, std::move(record));
}

}  // namespace weft
