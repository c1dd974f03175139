#include "controlplane/federation/cluster_description.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/weft/link.pb.h"
#include "certs/spiffe_id.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/peer_wire.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

constexpr size_t kMaxNetwork = 63;

// Letters, digits and what names are usually joined with: it stands in files and in metadata.
bool IsNetwork(absl::string_view name) {
  const auto plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxNetwork &&
         std::all_of(name.begin(), name.end(), plain);
}

// Nothing that any reader takes for the end of a line but the end of a line: roots are kept in a
// YAML file, where more could follow.
bool IsPlainPem(absl::string_view pem) {
  return std::all_of(pem.begin(), pem.end(), [](char c) {
    return c == '\n' || absl::ascii_isprint(static_cast<unsigned char>(c));
  });
}

absl::StatusOr<std::string> ReadRoots(const peer::v1::ClusterDescription& wire) {
  const std::string joined = absl::StrJoin(wire.roots_pem(), "\n");
  std::string pem = absl::StrCat(absl::StripAsciiWhitespace(joined), "\n");
  if (pem.size() > kMaxDescribedRoots) return absl::InvalidArgumentError("roots: too large");
  if (!IsPlainPem(pem)) return absl::InvalidArgumentError("roots: not PEM");
  absl::Status usable = certs::TrustBundles().Set(wire.trust_domain(), pem);
  if (!usable.ok()) return absl::InvalidArgumentError(absl::StrCat("roots: ", usable.message()));
  return pem;
}

absl::StatusOr<GatewayAddress> ReadGateway(const peer::v1::LinkGateway& wire) {
  const auto address = Address::Ip(wire.address(), 0);
  if (!address.ok() || address->is_wildcard() || wire.port() < 1 || wire.port() > 65535 ||
      wire.tunnel_port() > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("gateways: not an IP address and ports: \"",
                                                   absl::CHexEscape(wire.address().substr(0, 64)),
                                                   "\""));
  }
  return GatewayAddress{address->ip(), static_cast<uint16_t>(wire.port()),
                        static_cast<uint16_t>(wire.tunnel_port())};
}

bool SameRoots(absl::string_view a, absl::string_view b) {
  return absl::StripAsciiWhitespace(a) == absl::StripAsciiWhitespace(b);
}

absl::Status Conflict(absl::string_view what) { return absl::AlreadyExistsError(what); }

}  // namespace

void ToWire(const ClusterIdentity& self, peer::v1::ClusterDescription& wire) {
  wire.set_cluster(self.cluster);
  wire.set_network(self.network);
  wire.set_trust_domain(self.trust_domain);
  wire.add_roots_pem(self.roots_pem);
  for (const GatewayAddress& from : self.gateways) {
    peer::v1::LinkGateway* gateway = wire.add_gateways();
    gateway->set_address(from.address);
    gateway->set_port(from.port);
    gateway->set_tunnel_port(from.tunnel_port);
  }
  wire.set_outbound_only(self.outbound_only);
}

absl::StatusOr<Peer> FromWire(const peer::v1::ClusterDescription& wire) {
  if (!IsDnsLabel(wire.cluster())) return absl::InvalidArgumentError("cluster: not a DNS label");
  if (!IsNetwork(wire.network())) return absl::InvalidArgumentError("network: not a plain name");
  absl::Status domain = certs::CheckTrustDomain(wire.trust_domain());
  if (!domain.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("trust domain: ", domain.message()));
  }
  auto roots = ReadRoots(wire);
  if (!roots.ok()) return roots.status();
  if (wire.gateways_size() > kMaxGateways) return absl::InvalidArgumentError("gateways: too many");
  Peer peer;
  peer.cluster = wire.cluster();
  peer.network = wire.network();
  peer.trust_domain = wire.trust_domain();
  peer.roots_pem = *std::move(roots);
  peer.outbound_only = wire.outbound_only();
  for (const peer::v1::LinkGateway& from : wire.gateways()) {
    auto gateway = ReadGateway(from);
    if (!gateway.ok()) return gateway.status();
    peer.gateways.push_back(*std::move(gateway));
  }
  return peer;
}

absl::Status MayBeLinked(const Peer& other, const ClusterIdentity& self,
                         const std::map<std::string, Peer>& linked) {
  if (other.cluster == self.cluster) {
    return Conflict(absl::StrCat("both clusters are called ", self.cluster));
  }
  if (other.trust_domain == self.trust_domain) {
    return Conflict(absl::StrCat("both clusters have the trust domain ", self.trust_domain));
  }
  for (const auto& [cluster, peer] : linked) {
    if (cluster != other.cluster && peer.trust_domain == other.trust_domain) {
      return Conflict(absl::StrCat("the trust domain ", other.trust_domain, " is that of ", cluster,
                                   ", which is linked already"));
    }
  }
  if (other.outbound_only && self.outbound_only) {
    return absl::FailedPreconditionError(
        absl::StrCat("neither ", self.cluster, " nor ", other.cluster, " can be dialed"));
  }
  const auto known = linked.find(other.cluster);
  if (known == linked.end()) return absl::OkStatus();
  const bool same = known->second.trust_domain == other.trust_domain &&
                    SameRoots(known->second.roots_pem, other.roots_pem);
  if (same) return absl::OkStatus();
  return Conflict(absl::StrCat("a cluster ", other.cluster,
                               " is linked already, with another trust domain or other roots: "
                               "`weftctl link remove` first, if it was made anew"));
}

}  // namespace weft
