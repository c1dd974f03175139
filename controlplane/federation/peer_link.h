// PeerLink: the relation with one linked cluster: keeps a stream with it, whichever side dials, and
// tells its owner what it knows.
//
// The cluster whose name is first in order dials at once, the other one when it has had no stream
// for a while, or at once if nobody can dial it itself. One stream is enough, as both sides speak
// on it; of two, both sides keep the same one (StaysWhenTwo). Streams go through the peer's gateway
// (whichever answers), TLS with the peer's control plane end to end: the gateway passes by the
// server name. What is known holds while the peer is away; whether it counts, PeerState says.
//
// All on one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_LINK_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_LINK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controlplane/federation/exports.h"
#include "controlplane/federation/gateway_prober.h"
#include "controlplane/federation/own_state.h"
#include "controlplane/federation/peer_channel.h"
#include "controlplane/federation/peer_session.h"
#include "controlplane/federation/peer_view.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"

namespace weft {

inline constexpr absl::Duration kPeerBackoffFirst = absl::Milliseconds(100);
inline constexpr absl::Duration kPeerBackoffMost = absl::Seconds(2);
inline constexpr absl::Duration kPeerDialTimeout = absl::Seconds(5);
// How long the cluster that is second in order leaves it to the first one to dial.
inline constexpr absl::Duration kPeerDialPatience = absl::Milliseconds(1500);
// Five heartbeats missed: the stream is taken for dead.
inline constexpr absl::Duration kPeerSilence = absl::Seconds(5);
// A stream that has said nothing for this long gives way to any new one.
inline constexpr absl::Duration kPeerDoubt = absl::Seconds(2);

struct PeerStatus {
  std::string cluster;
  std::string trust_domain;
  bool connected = false;
  bool synced = false;        // on the present stream
  bool dialed_by_us = false;  // likewise
  PeerHealth health = PeerHealth::kNever;
  absl::Duration heard_ago = absl::InfiniteDuration();
  size_t services = 0;
  size_t refused = 0;
  uint32_t cost = 0;
  bool outbound_only = false;
  bool draining = false;
  std::vector<GatewayProber::Status> gateways;
  std::string last_error;
};

class PeerLink {
 public:
  struct Own {
    std::shared_ptr<const ClusterIdentity> self;
    uint64_t epoch = 0;
    // Our certificate, asked for at each dial since it is renewed.
    std::function<TlsCertificate()> certificate;
    absl::Duration expiry = kPeerExpiry;
  };
  // On the loop's thread, whenever state() has changed, and when a stream is synced.
  using OnChange = std::function<void(const PeerState&)>;

  PeerLink(EventLoop& loop, Own own, Peer configured, PeerKnowledge known, OnChange on_change);
  // Ends the stream; no call comes after.
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  // What is true of this cluster from now on.
  void Publish(std::shared_ptr<const OwnState> own);
  // The peer's bundle that is in force here (PeerSession::AckBundle).
  void AckBundle(std::string sha256);
  // The config that the peer is to have of us, and what became here of its own.
  void TellConfigs(ConfigsToTell configs);
  // A stream that the peer dialed, as its certificate proved; until it is over.
  Task<absl::Status> Serve(GrpcCall& call);

  const Peer& configured() const { return configured_; }
  PeerState state() const;
  PeerKnowledge knowledge() const { return view_.knowledge(); }
  PeerStatus status() const;
  // What the peer says became of the config that we distribute to it; null: it is not there.
  std::shared_ptr<const ConfigReports> config_reports() const;
  // SHA-256 of our bundle in force at the peer; empty: not known.
  const std::string& acked_bundle() const { return view_.acked_bundle(); }

 private:
  // Of a stream whose owner waits for its end.
  struct End {
    Signal signal;
    bool over = false;
    absl::Status status;
  };
  struct Accepted;

  Task<> KeepDialing();
  Task<absl::Status> DialOnce();
  Task<> WatchHealth();
  Task<> RunSession(PeerChannel& channel, End& end);
  bool MayDial() const;
  bool GivesWayTo(bool dialed_by_us) const;
  void Begin(PeerChannel& channel, bool dialed_by_us, End& end);
  void Stop(absl::Status why);
  absl::Status TakeAll(PeerChannel& channel);
  void SendAll(PeerChannel& channel);
  void TellRefusals();
  void Changed();
  absl::Duration NextBackoff();

  EventLoop& loop_;
  const Own own_;
  const Peer configured_;
  const OnChange on_change_;
  PeerView view_;
  std::shared_ptr<const OwnState> own_state_;
  std::string bundle_in_force_;
  ConfigsToTell configs_;
  const MonotonicTime started_;
  std::optional<MonotonicTime> last_heard_;
  PeerHealth health_ = PeerHealth::kNever;  // as last told

  // The present stream.
  std::optional<PeerSession> session_;
  End* end_ = nullptr;
  Signal news_;
  Signal idle_;  // there is none

  size_t next_gateway_ = 0;
  absl::Duration backoff_ = kPeerBackoffFirst;
  size_t told_refused_ = 0;
  std::string last_error_;
  absl::BitGen random_;
  GatewayProber prober_;
  Scope running_;  // the present stream's
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_LINK_H_
