// Network: what weftds say to each other, over connections that delay, stall, break, and in some
// runs misbehave as no TCP would.
//
// A partition in one direction stalls what is on its way there; as TCP would, it arrives once the
// partition is over, if the connection still stands then. Nobody is told of a connection that broke
// during a partition. With a broken middle box, messages are also lost, doubled, swapped, and
// replayed from connections long gone.
#ifndef WEFT_TEST_SIMULATION_NETWORK_H_
#define WEFT_TEST_SIMULATION_NETWORK_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "api/weft/peer.pb.h"
#include "test/simulation/context.h"

namespace weft::simulation {

using Message = std::shared_ptr<const peer::v1::PeerMessage>;
// 0: nothing.
using ConnectionId = uint64_t;

class Network {
 public:
  // What one end does with what arrives. It may be called after its owner is gone.
  struct End {
    std::function<void(const peer::v1::PeerMessage&, absl::Duration sent)> on_message;
    std::function<void()> on_closed;
  };

  explicit Network(Context& context) : context_(context) {}

  // A connection of two clusters that took each other for who they are.
  ConnectionId Open(int dialer, int acceptor);
  void Attach(ConnectionId id, bool dialer, End end);
  void Send(ConnectionId id, bool dialer, peer::v1::PeerMessage message);
  // From one end; the other one learns of it, if it can be reached. Silent: it does not, as when
  // power fails.
  void Close(ConnectionId id, bool dialer, bool silent = false);

  void Block(int from, int to);
  void Unblock(int from, int to);
  bool Reaches(int from, int to) const { return !blocked_.contains({from, to}); }
  bool BothWays(int a, int b) const { return Reaches(a, b) && Reaches(b, a); }
  absl::Duration Latency();
  void set_middle_box(bool broken) { middle_box_ = broken; }
  // Breaks one connection, at random, as a firewall that forgets does.
  void BreakOne();

  uint64_t messages() const { return messages_; }

 private:
  struct Parcel {
    Message message;
    absl::Duration sent;
  };
  struct Direction {
    // What is on its way. Each of its parcels has an arrival, at which the first one of all comes.
    std::deque<Parcel> queue;
    absl::Duration last = absl::ZeroDuration();  // of the arrivals
    size_t stalled = 0;                          // arrivals that a partition held up
  };
  struct Connection {
    int clusters[2];  // the dialer, the acceptor
    End ends[2];
    bool open[2] = {true, true};
    Direction towards[2];
  };

  void ScheduleArrival(ConnectionId id, int to);
  void Arrive(ConnectionId id, int to);
  void DeliverOutOfOrder(ConnectionId id, int to, const Parcel& parcel);
  void HandOver(ConnectionId id, int to, const Parcel& parcel);
  bool Misbehave(ConnectionId id, int to, const Parcel& parcel);
  void TellClosed(ConnectionId id, int end);
  void ForgetIfClosed(ConnectionId id);

  Context& context_;
  ConnectionId last_id_ = 0;
  uint64_t messages_ = 0;
  bool middle_box_ = false;
  std::map<ConnectionId, Connection> connections_;
  std::set<std::pair<int, int>> blocked_;
  // What crossed lately, by who said it and to whom, for replays.
  std::map<std::pair<int, int>, std::deque<Message>> recorded_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_NETWORK_H_
