#include "controlplane/federation/peer_feed.h"

#include <utility>

#include "api/weft/peer.pb.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {

using peer::v1::WatchResponse;

PeerFeed::PeerFeed(uint64_t epoch) : epoch_(epoch) {}
PeerFeed::~PeerFeed() = default;

WatchResponse PeerFeed::Message() {
  WatchResponse message;
  message.set_epoch(epoch_);
  message.set_sequence(++sequence_);
  return message;
}

WatchResponse PeerFeed::Heartbeat() {
  WatchResponse message = Message();
  message.mutable_heartbeat();
  return message;
}

std::vector<WatchResponse> PeerFeed::Next(std::shared_ptr<const OwnState> own) {
  std::vector<WatchResponse> messages;
  if (own == told_) return messages;
  const bool first = told_ == nullptr;
  const auto say = [&]() -> WatchResponse& {
    messages.push_back(Message());
    return messages.back();
  };
  if (first) {
    peer::v1::Hello& hello = *say().mutable_hello();
    hello.set_cluster(own->self->cluster);
    hello.set_network(own->self->network);
    hello.set_mesh_id(own->self->mesh_id);
    hello.set_trust_domain(own->self->trust_domain);
    hello.set_epoch(epoch_);
  }
  if (first || told_->self->roots_pem != own->self->roots_pem) {
    peer::v1::TrustBundle& bundle = *say().mutable_bundle();
    bundle.set_trust_domain(own->self->trust_domain);
    bundle.add_roots_pem(own->self->roots_pem);
  }
  if (first || told_->gateways != own->gateways) {
    peer::v1::Gateways& gateways = *say().mutable_gateways();
    for (const GatewayAddress& from : own->gateways) {
      peer::v1::Gateway* gateway = gateways.add_gateways();
      gateway->set_address(from.address);
      gateway->set_port(from.port);
    }
  }
  for (const auto& [key, service] : own->exports) {
    if (!first) {
      auto told = told_->exports.find(key);
      if (told != told_->exports.end() && told->second == service) continue;
    }
    ToWire(service, *say().mutable_upsert());
  }
  if (!first) {
    for (const auto& [key, service] : told_->exports) {
      if (own->exports.contains(key)) continue;
      peer::v1::ServiceRef& removed = *say().mutable_removed();
      removed.set_namespace_(service.namespace_);
      removed.set_name(service.name);
    }
  }
  if (first) say().mutable_synced();
  told_ = std::move(own);
  return messages;
}

}  // namespace weft
