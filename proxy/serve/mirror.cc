#include "proxy/serve/mirror.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/upstream_choice.h"
#include "proxy/serve/worker.h"

namespace weft {
namespace {

// A mirror that takes longer is given up: it must not collect where its target is slow.
constexpr absl::Duration kMirrorTimeout = absl::Seconds(15);

struct Copy {
  Copy(Exchange& x, const ClusterConfig& cluster)
      : worker(x.worker()),
        config(x.config),
        choice(x.worker(), cluster, x.connection.downstream, std::nullopt),
        head(x.head),
        body(x.replay.view()) {
    // Upgrades are not copied; a length that was not known is now.
    length = x.body.framing == BodyFraming::kNone ? BodyLength()
                                                  : BodyLength{BodyFraming::kLength, body.size()};
  }

  Worker& worker;
  const std::shared_ptr<const Snapshot> config;  // keeps the cluster
  UpstreamChoice choice;
  RequestHead head;
  std::string body;
  BodyLength length;
};

// "host:80" becomes "host-shadow:80".
std::string ShadowHost(const std::string& authority) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string::npos || authority.find(']', colon) != std::string::npos) {
    return absl::StrCat(authority, "-shadow");
  }
  return absl::StrCat(authority.substr(0, colon), "-shadow", authority.substr(colon));
}

// Writes what is left of the body, and reads the response away; false if it broke.
bool Move(HttpStream& stream, absl::string_view& left, bool* ended) {
  while (!left.empty()) {
    const size_t taken = stream.Write(left);
    if (taken == 0) break;
    left.remove_prefix(taken);
    if (left.empty()) stream.WriteEnd(Headers());
  }
  if (stream.Flush() == HttpStream::Flushed::kBroken) return false;
  while (true) {
    switch (stream.Next()) {
      case HttpStream::Event::kHead:
        break;
      case HttpStream::Event::kBody:
        stream.Take(stream.body().size());
        break;
      case HttpStream::Event::kEnd:
        *ended = left.empty();
        return *ended;
      case HttpStream::Event::kBroken:
        return false;
      case HttpStream::Event::kBlocked:
        return true;
    }
  }
}

Task<> Send(std::unique_ptr<Copy> copy) {
  EventLoop& loop = copy->worker.loop();
  const MonotonicTime deadline = loop.Now() + kMirrorTimeout;
  const EndpointConfig* endpoint = copy->choice.Next();
  ClusterState& state = copy->choice.state();
  const ClusterConfig& cluster = copy->choice.cluster();
  if (endpoint == nullptr || state.active_requests >= cluster.limits.max_requests) co_return;
  const ActiveRequest busy(copy->choice);
  ++state.counters.upstream_rq_total;
  Pool& pool = state.PoolOf(*endpoint);
  Pool::Wanted wanted{cluster, *endpoint, copy->worker.options().mark, deadline};
  wanted.http2_client = copy->head.version == HttpVersion::kHttp2;
  wanted.tunnels = &copy->worker.tunnels();
  Lease lease = pool.Take(wanted, loop.Now());
  if (!lease) {
    Pool::Acquired acquired = co_await pool.Acquire(loop, wanted);
    if (acquired.attempted && acquired.status.ok()) copy->choice.ConnectSucceeded();
    copy->choice.Reached(acquired.pod);
    if (acquired.attempted && !acquired.status.ok()) copy->choice.ConnectFailed();
    if (!acquired.status.ok()) co_return;
    lease = std::move(acquired.lease);
  }
  HttpStream& stream = lease.stream();
  stream.WriteHead(copy->head, copy->length);
  absl::string_view left = copy->body;
  if (left.empty() && copy->length.framing != BodyFraming::kNone) stream.WriteEnd(Headers());
  bool ended = false;
  while (Move(stream, left, &ended) && !ended) {
    const bool notified = co_await Wait(loop, {&stream.readable(), &stream.writable()}, deadline);
    if (!notified) break;
  }
  if (ended) {
    lease.Finish(loop.Now());
  } else {
    stream.Abort();
  }
}

}  // namespace

void SendMirrors(Exchange& x) {
  for (const RequestMirror& mirror : x.forward->mirrors) {
    if (!mirror.share.Takes(x.worker().Random()) || !x.upgrade.empty()) continue;
    const absl::string_view name = mirror.cluster.empty()
                                       ? x.head.headers.Get(mirror.cluster_header).value_or("")
                                       : absl::string_view(mirror.cluster);
    const ClusterConfig* cluster = x.config->FindCluster(name);
    if (cluster == nullptr) continue;
    auto copy = std::make_unique<Copy>(x, *cluster);
    if (mirror.shadow_suffix) copy->head.authority = ShadowHost(copy->head.authority);
    x.worker().Spawn(Send(std::move(copy)));
  }
}

}  // namespace weft
