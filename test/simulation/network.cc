#include "test/simulation/network.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace weft::simulation {
namespace {

constexpr size_t kRecorded = 64;
// Shares of messages, in percent: a packet that had to be sent again, and what a broken middle box
// does to some.
constexpr uint64_t kRetransmitted = 3;
constexpr uint64_t kMistreated = 6;

}  // namespace

absl::Duration Network::Latency() {
  Random& random = context_.random;
  if (random.Percent(kRetransmitted)) {
    return random.Between(absl::Milliseconds(200), absl::Milliseconds(1500));
  }
  return random.Between(absl::Milliseconds(1), absl::Milliseconds(40));
}

ConnectionId Network::Open(int dialer, int acceptor) {
  const ConnectionId id = ++last_id_;
  Connection& connection = connections_[id];
  connection.clusters[0] = dialer;
  connection.clusters[1] = acceptor;
  return id;
}

void Network::Attach(ConnectionId id, bool dialer, End end) {
  connections_.at(id).ends[dialer ? 0 : 1] = std::move(end);
}

void Network::Send(ConnectionId id, bool dialer, peer::v1::PeerMessage message) {
  const auto found = connections_.find(id);
  const int from = dialer ? 0 : 1;
  if (found == connections_.end() || !found->second.open[from]) return;
  ++messages_;
  const int to = 1 - from;
  const auto way = std::make_pair(found->second.clusters[from], found->second.clusters[to]);
  Parcel parcel{std::make_shared<const peer::v1::PeerMessage>(std::move(message)),
                context_.time.now()};
  if (middle_box_) {
    std::deque<Message>& recorded = recorded_[way];
    recorded.push_back(parcel.message);
    if (recorded.size() > kRecorded) recorded.pop_front();
    if (context_.random.Percent(kMistreated) && Misbehave(id, to, parcel)) return;
  }
  found->second.towards[to].queue.push_back(std::move(parcel));
  ScheduleArrival(id, to);
}

// Whether the message itself does not go on in order.
bool Network::Misbehave(ConnectionId id, int to, const Parcel& parcel) {
  const Connection& connection = connections_.at(id);
  const auto way = std::make_pair(connection.clusters[1 - to], connection.clusters[to]);
  switch (context_.random.Below(4)) {
    case 0:
      context_.journal.Note("middle box: loses a message of ", way.first, " to ", way.second);
      return true;
    case 1:
      context_.journal.Note("middle box: doubles a message of ", way.first, " to ", way.second);
      DeliverOutOfOrder(id, to, parcel);
      return false;
    case 2:
      context_.journal.Note("middle box: delays a message of ", way.first, " to ", way.second);
      DeliverOutOfOrder(id, to, parcel);
      return true;
    default: {
      const std::deque<Message>& recorded = recorded_[way];
      const Message& old = recorded[context_.random.Below(recorded.size())];
      context_.journal.Note("middle box: replays a message of ", way.first, " to ", way.second);
      DeliverOutOfOrder(id, to, {old, parcel.sent});
      return false;
    }
  }
}

void Network::ScheduleArrival(ConnectionId id, int to) {
  Direction& direction = connections_.at(id).towards[to];
  direction.last = std::max(context_.time.now() + Latency(), direction.last);
  context_.time.At(direction.last, [this, id, to] { Arrive(id, to); });
}

void Network::Arrive(ConnectionId id, int to) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || !found->second.open[to]) return;
  Connection& connection = found->second;
  Direction& direction = connection.towards[to];
  if (!Reaches(connection.clusters[1 - to], connection.clusters[to])) {
    ++direction.stalled;
    return;
  }
  const Parcel parcel = std::move(direction.queue.front());
  direction.queue.pop_front();
  HandOver(id, to, parcel);
}

void Network::DeliverOutOfOrder(ConnectionId id, int to, const Parcel& parcel) {
  const absl::Duration late = context_.random.Between(absl::ZeroDuration(), absl::Seconds(2));
  context_.time.After(Latency() + late, [this, id, to, parcel] {
    const auto found = connections_.find(id);
    if (found == connections_.end() || !found->second.open[to]) return;
    const auto& clusters = found->second.clusters;
    if (Reaches(clusters[1 - to], clusters[to])) HandOver(id, to, parcel);
  });
}

// The end may close the connection, and be gone with it.
void Network::HandOver(ConnectionId id, int to, const Parcel& parcel) {
  const auto on_message = connections_.at(id).ends[to].on_message;
  if (on_message != nullptr) on_message(*parcel.message, parcel.sent);
}

void Network::Close(ConnectionId id, bool dialer, bool silent) {
  const auto found = connections_.find(id);
  const int end = dialer ? 0 : 1;
  if (found == connections_.end() || !found->second.open[end]) return;
  Connection& connection = found->second;
  connection.open[end] = false;
  const bool heard = Reaches(connection.clusters[end], connection.clusters[1 - end]);
  if (!silent && heard) {
    context_.time.After(Latency(), [this, id, end] { TellClosed(id, 1 - end); });
  }
  ForgetIfClosed(id);
}

void Network::TellClosed(ConnectionId id, int end) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || !found->second.open[end]) return;
  found->second.open[end] = false;
  const auto on_closed = found->second.ends[end].on_closed;
  ForgetIfClosed(id);
  if (on_closed != nullptr) on_closed();
}

void Network::ForgetIfClosed(ConnectionId id) {
  const auto found = connections_.find(id);
  if (!found->second.open[0] && !found->second.open[1]) connections_.erase(found);
}

void Network::BreakOne() {
  if (connections_.empty()) return;
  const auto broken =
      std::next(connections_.begin(), static_cast<long>(context_.random.Below(connections_.size())));
  const ConnectionId id = broken->first;
  context_.journal.Note("a connection breaks: ", broken->second.clusters[0], " to ",
                        broken->second.clusters[1]);
  for (int end : {0, 1}) context_.time.After(Latency(), [this, id, end] { TellClosed(id, end); });
}

void Network::Block(int from, int to) { blocked_.insert({from, to}); }

void Network::Unblock(int from, int to) {
  if (blocked_.erase({from, to}) == 0) return;
  for (auto& [id, connection] : connections_) {
    for (int end : {0, 1}) {
      if (connection.clusters[1 - end] != from || connection.clusters[end] != to) continue;
      const size_t stalled = std::exchange(connection.towards[end].stalled, 0);
      for (size_t i = 0; i < stalled; ++i) ScheduleArrival(id, end);
    }
  }
}

}  // namespace weft::simulation
