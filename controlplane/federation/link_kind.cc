#include "controlplane/federation/link_kind.h"

#include <nlohmann/json.hpp>

#include "api/weft/kinds.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "certs/digest.h"
#include "certs/trust_bundle.h"

namespace weft {
namespace {

using Json = nlohmann::json;

Json JsonOf(const std::vector<GatewayAddress>& gateways) {
  Json list = Json::array();
  for (const GatewayAddress& gateway : gateways) {
    list.push_back({{"address", gateway.address},
                    {"port", gateway.port},
                    {"tunnelPort", gateway.tunnel_port}});
  }
  return list;
}

std::string TextOf(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::optional<Peer> PeerOf(const std::string& name, const v1alpha1::LinkSpec& spec) {
  if (spec.roots().empty()) return std::nullopt;
  Peer peer;
  peer.cluster = name;
  peer.network = spec.network();
  peer.trust_domain = spec.trust_domain();
  peer.roots_pem = spec.roots();
  peer.outbound_only = spec.outbound_only();
  peer.cost = spec.cost();
  peer.accept_config.assign(spec.accept_config().begin(), spec.accept_config().end());
  for (const v1alpha1::LinkSpec::Gateway& gateway : spec.gateways()) {
    peer.gateways.push_back({gateway.address(), static_cast<uint16_t>(gateway.port()),
                             static_cast<uint16_t>(gateway.tunnel_port())});
  }
  return peer;
}

std::string LinkSpecOf(const Peer& peer) {
  return TextOf({{"network", peer.network},
                 {"trustDomain", peer.trust_domain},
                 {"roots", peer.roots_pem},
                 {"gateways", JsonOf(peer.gateways)},
                 {"outboundOnly", peer.outbound_only},
                 {"cost", peer.cost},
                 {"acceptConfig", peer.accept_config}});
}

std::string ToldBy(const Peer& linked, const Peer& now) {
  if (now.roots_pem == linked.roots_pem && now.gateways == linked.gateways) return "";
  return TextOf({{"linkedBySha256", certs::Sha256Hex(linked.roots_pem)},
                 {"roots", now.roots_pem},
                 {"gateways", JsonOf(now.gateways)}});
}

std::optional<ToldOfLink> ReadTold(const YamlNode& told, const Peer& linked) {
  if (told["linkedBySha256"].Scalar() != certs::Sha256Hex(linked.roots_pem)) return std::nullopt;
  v1alpha1::LinkSpec as_spec;
  if (!YamlToMessage(told, UnknownFields::kSkip, &as_spec).ok()) return std::nullopt;
  std::optional<Peer> peer = PeerOf(linked.cluster, as_spec);
  if (!peer.has_value()) return std::nullopt;
  if (!certs::TrustBundles().Set(linked.trust_domain, peer->roots_pem).ok()) return std::nullopt;
  return ToldOfLink{std::move(peer->roots_pem), std::move(peer->gateways)};
}

}  // namespace weft
