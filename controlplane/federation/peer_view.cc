#include "controlplane/federation/peer_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/weft/peer.pb.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {

using peer::v1::PeerMessage;

namespace {

constexpr size_t kMaxRootsBytes = 64 << 10;
constexpr size_t kSha256HexSize = 64;

std::string Escaped(const std::string& foreign) { return absl::CHexEscape(foreign.substr(0, 64)); }

}  // namespace

PeerView::PeerView(Peer configured, PeerKnowledge known)
    : configured_(std::move(configured)),
      known_(known.known),
      configs_(configured_, std::move(known.configs)) {
  Peer peer = configured_;
  if (!known.roots_pem.empty()) peer.roots_pem = std::move(known.roots_pem);
  if (!known.gateways.empty()) peer.gateways = std::move(known.gateways);
  peer_ = std::make_shared<Peer>(std::move(peer));
  exports_ = known.exports != nullptr ? std::move(known.exports) : std::make_shared<PeerExports>();
  epoch_ = known_.epoch;
}

KnownState PeerView::StartStream() {
  Publish();
  heard_.clear();
  ids_.clear();
  greeted_ = started_ = synced_ = false;
  configs_.StartStream();
  told_ = known_;
  return told_;
}

// A copy for each time that somebody looks, and not for each message: else a flood of services
// would cost its square.
void PeerView::Publish() const {
  if (std::exchange(unpublished_, false)) exports_ = std::make_shared<PeerExports>(heard_);
}

PeerState PeerView::state() const {
  Publish();
  PeerState state;
  state.peer = peer_;
  state.exports = exports_;
  state.configs = configs_.configs();
  return state;
}

PeerKnowledge PeerView::knowledge() const {
  Publish();
  return {exports_, known_, peer_->roots_pem, peer_->gateways, configs_.configs()};
}

absl::StatusOr<bool> PeerView::OnMessage(const PeerMessage& message) {
  if (message.epoch() < epoch_) return false;
  const bool another_start = message.epoch() > epoch_;
  if (!another_start && message.sequence() <= sequence_) return false;
  if (!greeted_) {
    absl::Status hello = CheckHello(message);
    if (!hello.ok()) return hello;
  } else if (another_start) {
    return absl::InvalidArgumentError("the epoch changed within a stream");
  } else if (message.sequence() != sequence_ + 1) {
    // Going on would lose for good what it said.
    return absl::DataLossError("a message is missing");
  }
  epoch_ = message.epoch();
  sequence_ = message.sequence();
  greeted_ = true;
  ++heard_count_;
  auto changed = Take(message);
  if (!changed.ok()) return changed;
  if (synced_) known_ = {epoch_, message.revision()};
  return changed;
}

absl::StatusOr<bool> PeerView::Take(const PeerMessage& message) {
  switch (message.body_case()) {
    case PeerMessage::kStart: {
      absl::Status started = Start(message.start().resumed());
      if (!started.ok()) return started;
      return false;
    }
    case PeerMessage::kUpsert:
      return Upsert(message);
    case PeerMessage::kGroups:
      return ChangeGroups(message);
    case PeerMessage::kRemoved:
      return Remove(message);
    case PeerMessage::kSynced:
      if (!started_) return absl::InvalidArgumentError("synced before it was started");
      return Sync();
    case PeerMessage::kGateways:
      return SetGateways(message);
    case PeerMessage::kBundle:
      return SetBundle(message);
    case PeerMessage::kAck:
      acked_bundle_ = message.ack().bundle_sha256().substr(0, kSha256HexSize);
      return false;
    case PeerMessage::kConfig:
    case PeerMessage::kConfigRemoved:
    case PeerMessage::kConfigsTold:
    case PeerMessage::kConfigReport:
      return configs_.OnMessage(message);
    case PeerMessage::kHello:
    case PeerMessage::kHeartbeat:
    case PeerMessage::BODY_NOT_SET:
      break;
  }
  return false;
}

// What was known is gone on with only if the peer means the very state that we know.
absl::Status PeerView::Start(bool resumed) {
  if (started_) return absl::InvalidArgumentError("started twice");
  started_ = true;
  if (!resumed) return absl::OkStatus();
  if (told_.revision == 0 || told_.epoch != epoch_) {
    return absl::InvalidArgumentError("goes on from a state that we do not know");
  }
  heard_ = *exports_;
  return absl::OkStatus();
}

absl::Status PeerView::CheckHello(const PeerMessage& message) const {
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

bool PeerView::Upsert(const PeerMessage& message) {
  const peer::v1::ServiceSummary& summary = message.upsert();
  auto service = FromWire(summary);
  if (!service.ok()) return Refuse(std::string(service.status().message()));
  Name name(service->namespace_, service->name);
  if (heard_.size() >= kMaxServicesOfPeer && !heard_.contains(name)) {
    return Refuse(absl::StrCat("more than ", kMaxServicesOfPeer, " services"));
  }
  // Before it is sorted: the ids are of the groups as they came.
  if (summary.id() != 0 && ids_.size() < 2 * kMaxServicesOfPeer) {
    Ids& ids = ids_[summary.id()];
    ids.name = name;
    ids.groups.clear();
    for (const peer::v1::Group& wire : summary.groups()) {
      auto group = GroupFromWire(wire);
      if (!group.ok()) continue;  // FromWire() has looked at it
      group->ready = 0;
      ids.groups[wire.id()] = *std::move(group);
    }
  }
  const auto [at, added] = heard_.try_emplace(std::move(name));
  if (!added && at->second == *service) return false;
  at->second = *std::move(service);
  return Changed();
}

absl::StatusOr<bool> PeerView::ChangeGroups(const PeerMessage& message) {
  const peer::v1::GroupsChange& change = message.groups();
  const auto ids = ids_.find(change.service());
  if (ids == ids_.end() || change.group_size() != change.ready_size()) {
    return absl::InvalidArgumentError("a change of groups that were not told");
  }
  const auto found = heard_.find(ids->second.name);
  // It was refused, or told anew by another id since.
  if (found == heard_.end()) return false;
  std::map<ExportedGroup, uint32_t> counts;  // the keys' own are 0
  for (ExportedGroup group : found->second.groups) {
    const uint32_t ready = std::exchange(group.ready, 0);
    counts[std::move(group)] = ready;
  }
  for (int i = 0; i < change.group_size(); ++i) {
    const auto group = ids->second.groups.find(change.group(i));
    if (group == ids->second.groups.end()) {
      return absl::InvalidArgumentError("a change of a group that was not told");
    }
    counts[group->second] = change.ready(i);
  }
  std::vector<ExportedGroup> groups;
  for (const auto& [group, ready] : counts) {
    if (ready == 0) continue;
    groups.push_back(group);
    groups.back().ready = ready;
  }
  std::sort(groups.begin(), groups.end());
  if (groups == found->second.groups) return false;
  found->second.groups = std::move(groups);
  return Changed();
}

bool PeerView::Remove(const PeerMessage& message) {
  const peer::v1::ServiceRef& removed = message.removed();
  if (heard_.erase({removed.namespace_(), removed.name()}) == 0) return false;
  return Changed();
}

bool PeerView::Sync() {
  if (std::exchange(synced_, true) || *exports_ == heard_) return false;
  return Changed();
}

bool PeerView::Changed() {
  if (synced_) unpublished_ = true;
  return synced_;
}

absl::StatusOr<bool> PeerView::SetGateways(const PeerMessage& message) {
  auto gateways = FromWire(message.gateways());
  if (!gateways.ok()) return gateways.status();
  Peer changed = *peer_;
  changed.outbound_only = message.gateways().outbound_only();
  changed.draining = message.gateways().draining();
  // A peer that says it has none cannot be reached; the configured ones may still be right.
  changed.gateways = gateways->empty() ? configured_.gateways : *std::move(gateways);
  if (changed == *peer_) return false;
  peer_ = std::make_shared<Peer>(std::move(changed));
  return true;
}

// It came over a stream that the roots of before vouched for, so it takes their place: that is how
// a root is retired.
absl::StatusOr<bool> PeerView::SetBundle(const PeerMessage& message) {
  const peer::v1::TrustBundle& bundle = message.bundle();
  if (bundle.trust_domain() != configured_.trust_domain) {
    return absl::PermissionDeniedError(
        absl::StrCat("a bundle for another trust domain: ", Escaped(bundle.trust_domain())));
  }
  Peer changed = *peer_;
  changed.roots_pem = absl::StrJoin(bundle.roots_pem(), "\n");
  if (changed.roots_pem.size() > kMaxRootsBytes) {
    return absl::InvalidArgumentError("the bundle is too large");
  }
  absl::Status usable = certs::TrustBundles().Set(changed.trust_domain, changed.roots_pem);
  if (!usable.ok()) return absl::InvalidArgumentError(usable.message());
  if (changed == *peer_) return false;
  peer_ = std::make_shared<Peer>(std::move(changed));
  return true;
}

}  // namespace weft
