// GatewayProber: whether the gateways of a linked cluster answer, asked of themselves each second.
//
// The probe is a TLS handshake on the port that the data takes. At the port for tunnels it is with
// the gateway; at the other one with the weftd behind it, and if that is dead, the gateway closes
// the connection, which is an answer as well. So this says nothing of a control plane, and a
// control plane's death nothing to this. A process that is stopped, or a machine that vanished, is
// silent, and that is what a connection alone would not show: the kernel accepts it.
//
// Belongs to one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_GATEWAY_PROBER_H_
#define WEFT_CONTROLPLANE_FEDERATION_GATEWAY_PROBER_H_

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/model/world.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"

namespace weft {

class GatewayProber {
 public:
  // From the end of a probe to the next one; with the patience of two of them, a gateway that has
  // died is known to be dead within three seconds.
  static constexpr absl::Duration kPeriod = absl::Milliseconds(500);
  static constexpr absl::Duration kPatience = absl::Seconds(1);
  static constexpr int kFailures = 2;

  // The peer as it is now, and the certificate that we show.
  using CurrentPeer = std::function<std::shared_ptr<const Peer>()>;
  using OwnCertificate = std::function<TlsCertificate()>;
  // `on_change` when dead() has changed.
  GatewayProber(EventLoop& loop, CurrentPeer peer, OwnCertificate own,
                std::function<void()> on_change);

  // The gateways are others than before, maybe.
  void Follow();
  // A message of the peer came through this gateway just now, which saves a probe.
  void Heard(const GatewayAddress& gateway);

  struct Status {
    GatewayAddress gateway;
    int failures = 0;                                   // in a row
    absl::Duration latency = absl::InfiniteDuration();  // of the last probe that was answered
    bool answers() const { return failures < kFailures; }
  };
  std::vector<Status> statuses() const;
  std::vector<GatewayAddress> dead() const;

 private:
  struct Probed {
    Status status;
    MonotonicTime heard;
    Scope task;
  };

  Task<> Probe(Probed& probed);
  Task<bool> Ask(const GatewayAddress& gateway);
  void Note(Probed& probed, bool answered);

  EventLoop& loop_;
  const CurrentPeer peer_;
  const OwnCertificate own_;
  const std::function<void()> on_change_;
  std::list<Probed> probed_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_GATEWAY_PROBER_H_
