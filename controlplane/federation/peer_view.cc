#include "controlplane/federation/peer_view.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {

using peer::v1::WatchResponse;

namespace {

constexpr size_t kMaxRootsBytes = 64 << 10;

std::string Escaped(const std::string& foreign) { return absl::CHexEscape(foreign.substr(0, 64)); }

}  // namespace

PeerView::PeerView(Peer configured, std::shared_ptr<const PeerExports> known)
    : configured_(std::move(configured)),
      peer_(std::make_shared<Peer>(configured_)),
      exports_(known != nullptr ? std::move(known) : std::make_shared<PeerExports>()) {}

void PeerView::StartStream() {
  heard_.clear();
  sequence_ = 0;
  greeted_ = false;
  synced_ = false;
}

PeerState PeerView::state() const {
  PeerState state;
  state.peer = peer_;
  state.exports = exports_;
  return state;
}

absl::StatusOr<bool> PeerView::OnMessage(const WatchResponse& message) {
  if (message.epoch() < epoch_ || message.sequence() <= sequence_) return false;
  if (!greeted_) {
    absl::Status hello = CheckHello(message);
    if (!hello.ok()) return hello;
  } else if (message.epoch() != epoch_) {
    return absl::InvalidArgumentError("the epoch changed within a stream");
  }
  epoch_ = message.epoch();
  sequence_ = message.sequence();
  greeted_ = true;
  switch (message.body_case()) {
    case WatchResponse::kUpsert:
      return Upsert(message);
    case WatchResponse::kRemoved:
      return Remove(message);
    case WatchResponse::kSynced:
      return Sync();
    case WatchResponse::kGateways:
      return SetGateways(message);
    case WatchResponse::kBundle:
      return SetBundle(message);
    case WatchResponse::kHello:
    case WatchResponse::kHeartbeat:
    case WatchResponse::BODY_NOT_SET:
      break;
  }
  return false;
}

absl::Status PeerView::CheckHello(const WatchResponse& message) const {
  if (!message.has_hello()) return absl::InvalidArgumentError("the first message is not a hello");
  const peer::v1::Hello& hello = message.hello();
  if (hello.cluster() != configured_.cluster) {
    return absl::PermissionDeniedError(absl::StrCat("expected the cluster ", configured_.cluster,
                                                    ", found ", Escaped(hello.cluster())));
  }
  if (hello.trust_domain() != configured_.trust_domain) {
    return absl::PermissionDeniedError(absl::StrCat("expected the trust domain ",
                                                    configured_.trust_domain, ", found ",
                                                    Escaped(hello.trust_domain())));
  }
  return absl::OkStatus();
}

bool PeerView::Refuse(std::string why) {
  ++refused_;
  last_refusal_ = std::move(why);
  return false;
}

bool PeerView::Upsert(const WatchResponse& message) {
  auto service = FromWire(message.upsert());
  if (!service.ok()) return Refuse(std::string(service.status().message()));
  std::pair<std::string, std::string> key(service->namespace_, service->name);
  if (heard_.size() >= kMaxServicesOfPeer && !heard_.contains(key)) {
    return Refuse(absl::StrCat("more than ", kMaxServicesOfPeer, " services"));
  }
  heard_[std::move(key)] = *std::move(service);
  return Publish();
}

bool PeerView::Remove(const WatchResponse& message) {
  const peer::v1::ServiceRef& removed = message.removed();
  if (heard_.erase({removed.namespace_(), removed.name()}) == 0) return false;
  return Publish();
}

bool PeerView::Sync() {
  synced_ = true;
  return Publish();
}

bool PeerView::Publish() {
  if (!synced_ || *exports_ == heard_) return false;
  exports_ = std::make_shared<PeerExports>(heard_);
  return true;
}

absl::StatusOr<bool> PeerView::SetGateways(const WatchResponse& message) {
  auto gateways = FromWire(message.gateways());
  if (!gateways.ok()) return gateways.status();
  Peer changed = *peer_;
  // A peer that says it has none cannot be reached; the configured ones may still be right.
  changed.gateways = gateways->empty() ? configured_.gateways : *std::move(gateways);
  if (changed == *peer_) return false;
  peer_ = std::make_shared<Peer>(std::move(changed));
  return true;
}

absl::StatusOr<bool> PeerView::SetBundle(const WatchResponse& message) {
  const peer::v1::TrustBundle& bundle = message.bundle();
  if (bundle.trust_domain() != configured_.trust_domain) {
    return absl::PermissionDeniedError(
        absl::StrCat("a bundle for another trust domain: ", Escaped(bundle.trust_domain())));
  }
  Peer changed = *peer_;
  // The configured roots stay: a bundle adds what its domain rolls over to, and locks nobody out.
  changed.roots_pem = configured_.roots_pem;
  for (const std::string& roots : bundle.roots_pem()) {
    if (changed.roots_pem.find(roots) == std::string::npos) {
      absl::StrAppend(&changed.roots_pem, "\n", roots);
    }
  }
  if (changed.roots_pem.size() > kMaxRootsBytes) {
    return absl::InvalidArgumentError("the bundle is too large");
  }
  if (changed == *peer_) return false;
  peer_ = std::make_shared<Peer>(std::move(changed));
  return true;
}

}  // namespace weft
