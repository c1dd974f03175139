#include "proxy/upstream/pool.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

// Nothing may come on an idle connection: bytes would be an answer nobody asked for, the end means
// that the peer closed. Costs no system call unless something did come.
bool StillQuiet(UpstreamConnection& connection) {
  if (!connection.in.empty()) return false;
  Buffer unexpected;
  return connection.stream->Read(unexpected, 1).status == IoStatus::kBlocked;
}

}  // namespace

std::unique_ptr<UpstreamConnection> Pool::Take(const EndpointConfig& endpoint, MonotonicTime now,
                                               absl::Duration idle_timeout) {
  const bool spread = endpoint.fanout > 1;
  // Twice the pods, so that all of them are likely met although each worker chooses alone.
  if (spread && open_ < std::min<size_t>(kMostSpread, 2 * endpoint.fanout)) return nullptr;
  while (!idle_.empty()) {
    std::unique_ptr<UpstreamConnection> connection;
    if (spread) {
      connection = std::move(idle_.front());
      idle_.pop_front();
    } else {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    const bool current = connection->tls == endpoint.tls;
    const bool fresh = now - connection->idle_since < idle_timeout;
    if (current && fresh && StillQuiet(*connection)) return connection;
    Closed();
  }
  return nullptr;
}

void Pool::Return(std::unique_ptr<UpstreamConnection> connection, MonotonicTime now) {
  connection->idle_since = now;
  idle_.push_back(std::move(connection));
}

void Pool::Sweep(MonotonicTime now, absl::Duration idle_timeout) {
  const auto gone = [&](const std::unique_ptr<UpstreamConnection>& connection) {
    return now - connection->idle_since >= idle_timeout || !StillQuiet(*connection);
  };
  const size_t before = idle_.size();
  idle_.erase(std::remove_if(idle_.begin(), idle_.end(), gone), idle_.end());
  open_ -= before - idle_.size();
}

}  // namespace weft
