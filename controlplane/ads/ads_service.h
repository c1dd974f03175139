// AdsService: the gRPC edge of discovery: streams in, Worlds in, responses out.
//
// One event loop owns every stream, so nothing here is locked. A change marks a stream dirty rather
// than queueing what to send: a slow proxy gets the newest state when its last write is done, and
// nothing in between. A change is pushed at once; those that follow within kCoalesce go together.
//
// Both forms of the protocol, on a stream each. A resource's bytes are shared by all streams, and a
// stream whose Resources are what they were is not looked at any further.
#ifndef WEFT_CONTROLPLANE_ADS_ADS_SERVICE_H_
#define WEFT_CONTROLPLANE_ADS_ADS_SERVICE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/debug/metrics.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/resources.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

// How long changes that follow a push are gathered: long enough for the several files of one edit,
// too short to be felt.
inline constexpr absl::Duration kCoalesce = absl::Milliseconds(8);
// Streams that one AskToRenew() ends.
inline constexpr size_t kRenewAtOnce = 50;

// One proxy's subscription to one type, as /debug/syncz shows it.
struct TypeStatus {
  std::string type;  // "cds"
  bool wildcard = false;
  size_t names = 0;      // asked for by name
  size_t resources = 0;  // that it was sent, as they are now
  std::string sent;      // version, empty if none
  std::string acked;
  std::string error;  // of a NACK that no ACK followed
};
struct ProxyStatus {
  std::string node;
  std::string peer;      // address
  std::string identity;  // empty on the plain port
  std::string role;      // "sidecar", "router", "grpc"; empty before its first message
  std::string form;      // "sotw" or "delta"
  std::vector<TypeStatus> types;
};

class AdsService {
 public:
  // For each stream that may have to be told of a World; never null, and the
  // same object as before if it holds the same.
  using Translator = std::function<std::shared_ptr<const Resources>(
      const std::shared_ptr<const World>&, const ProxyView&)>;

  // Everything given must outlive the service.
  AdsService(EventLoop& loop, Metrics& metrics, Translator translate);
  // After the ports that serve it.
  ~AdsService();

  // For the ports of 15010 and 15012. Streams over TLS have to prove their node by a certificate;
  // those of the plain port, which is loopback only, do not.
  void AddTo(GrpcServices& services);

  // What is true from now on.
  void Publish(std::shared_ptr<const World> world);
  std::vector<ProxyStatus> Proxies() const;
  // Nodes, of streams with a client certificate, that asked for the secret of this name and have
  // not acknowledged these bytes of it.
  std::vector<std::string> WithoutSecret(const std::string& name, const std::string& bytes) const;
  // Ends the streams whose client's certificate is of another issuer (certs::SubjectKeyId of it):
  // Unauthenticated, at which weft-proxy gets a new certificate before it comes again. Their nodes;
  // some at a time, so that they do not all come back at once.
  std::vector<std::string> AskToRenew(absl::string_view issuer_key_id);
  // What a proxy of this view is sent; for /debug/configz. Null before the first World.
  std::shared_ptr<const Resources> ResourcesFor(const ProxyView& view);

 private:
  class Stream;  // one ADS stream
  template <typename Request, typename Of>
  class StreamOf;  // in one form of the protocol
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_ADS_SERVICE_H_
