// What an operator does with links: weft.admin.v1.Links, on weftd's admin socket.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_ADMIN_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_ADMIN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/federation/links.h"
#include "controlplane/federation/peer_link.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/tls/tls_context.h"

namespace weft {

struct LinkAdmin {
  EventLoop& loop;
  Links& links;
  std::function<std::vector<PeerStatus>()> statuses;
  // A linked cluster as it says that it is now; null if there is no such link.
  std::function<std::shared_ptr<const Peer>(const std::string& cluster)> current;
  // What linked clusters are shown.
  std::function<TlsCertificate()> certificate;
};

// What `admin` leads to must outlive the services' calls.
void AddLinkAdminService(LinkAdmin admin, GrpcServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_ADMIN_H_
