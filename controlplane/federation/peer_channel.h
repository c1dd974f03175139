// PeerChannel: one Watch from either end of it: what we dialed is a call of a gRPC client, what the
// peer dialed is one at our server, and a PeerSession cares for neither.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_CHANNEL_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_CHANNEL_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/transport/grpc_call.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

class PeerChannel {
 public:
  virtual ~PeerChannel() = default;

  // The next message's bytes; nothing: wait for received(). An error: the stream is over.
  virtual std::optional<absl::StatusOr<std::string>> TryReceive() = 0;
  virtual Signal& received() = 0;
  // Whether the other side has taken enough of what was sent; else wait for sent(). Who does not
  // wait for it fills our memory.
  virtual bool CanSend() = 0;
  virtual void Send(std::string message) = 0;
  virtual Signal& sent() = 0;
};

// `stream` and `call` must outlive the channel.
std::unique_ptr<PeerChannel> DialedChannel(GrpcStream& stream);
std::unique_ptr<PeerChannel> AcceptedChannel(GrpcCall& call);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_CHANNEL_H_
