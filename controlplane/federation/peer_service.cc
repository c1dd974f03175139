#include "controlplane/federation/peer_service.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

absl::StatusOr<PeerLink*> Identify(const GrpcPeer& peer, const FindLink& find_link) {
  if (!peer.identity.has_value()) {
    return absl::UnauthenticatedError("the peer API needs a client certificate");
  }
  PeerLink* link = find_link(*peer.identity);
  if (link != nullptr) return link;
  return absl::PermissionDeniedError(
      absl::StrCat(peer.identity->ToString(), " is not the control plane of a linked cluster"));
}

Task<absl::Status> Watch(GrpcCall& call, const FindLink& find_link) {
  absl::StatusOr<PeerLink*> link = Identify(call.peer(), find_link);
  if (!link.ok()) {
    Log(LogLevel::kWarning, "peer_refused",
        {{"from", call.peer().address}, {"reason", std::string(link.status().message())}});
    co_return link.status();
  }
  const std::string cluster = (*link)->configured().cluster;
  Log(LogLevel::kInfo, "peer_joined", {{"peer", cluster}});
  absl::Status ended = co_await (*link)->Serve(call);
  Log(LogLevel::kInfo, "peer_left", {{"peer", cluster}, {"reason", std::string(ended.message())}});
  co_return ended;
}

}  // namespace

void AddPeerService(FindLink find_link, GrpcServices& services) {
  services["/weft.peer.v1.Peer/Watch"] = [find_link = std::move(find_link)](GrpcCall& call) {
    return Watch(call, find_link);
  };
}

}  // namespace weft
