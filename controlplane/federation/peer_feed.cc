#include "controlplane/federation/peer_feed.h"

#include <algorithm>
#include <utility>

#include "api/weft/peer.pb.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {

using peer::v1::PeerMessage;

namespace {

ExportedGroup WithoutCount(ExportedGroup group) {
  group.ready = 0;
  return group;
}

bool DifferInGroupsOnly(const ExportedService& a, const ExportedService& b) {
  ExportedService like_b = a;
  like_b.groups = b.groups;
  return like_b == b;
}

// What differs; without a look at what is the same, if the state says what that is.
void NoteChanges(const OwnState& before, const OwnState& after, std::set<ServiceName>& changed) {
  if (before.revision > 0 && before.revision >= after.resumable_from) {
    for (const auto& [name, revision] : after.changed) {
      if (revision > before.revision) changed.insert(name);
    }
    return;
  }
  changed.merge(ChangedServices(before.exports, after.exports));
}

}  // namespace

PeerFeed::PeerFeed(uint64_t epoch, uint64_t after) : epoch_(epoch), sequence_(after) {}
PeerFeed::~PeerFeed() = default;

PeerMessage PeerFeed::Message() {
  PeerMessage message;
  message.set_epoch(epoch_);
  message.set_sequence(++sequence_);
  message.set_revision(revision_);
  return message;
}

absl::Duration PeerFeed::NextDue() const { return due_; }

std::vector<PeerMessage> PeerFeed::Next(std::shared_ptr<const OwnState> own, KnownState known,
                                        absl::Duration now) {
  Messages messages;
  if (own == own_ && now < due_) return messages;
  std::set<Name> changed = std::exchange(held_back_, {});
  due_ = absl::InfiniteDuration();
  const std::shared_ptr<const OwnState> before = std::exchange(own_, std::move(own));
  if (before == nullptr) {
    Begin(known, now, messages);
    return messages;
  }
  TellSelf(before.get(), messages);
  if (before != own_) NoteChanges(*before, *own_, changed);
  for (const Name& name : changed) TellService(name, now, messages);
  if (held_back_.empty()) revision_ = own_->revision;
  if (!messages.empty()) messages.back().set_revision(revision_);
  return messages;
}

void PeerFeed::Begin(KnownState known, absl::Duration now, Messages& messages) {
  const bool resumed = known.epoch == epoch_ && known.revision > 0 &&
                       known.revision >= own_->resumable_from && known.revision <= own_->revision;
  messages.push_back(Message());
  messages.back().mutable_start()->set_resumed(resumed);
  TellSelf(nullptr, messages);
  if (resumed) {
    for (const auto& [name, revision] : own_->changed) {
      if (revision > known.revision) TellService(name, now, messages);
    }
  } else {
    for (const auto& [name, service] : own_->exports) TellService(name, now, messages);
  }
  revision_ = own_->revision;
  messages.push_back(Message());
  messages.back().mutable_synced();
}

void PeerFeed::TellSelf(const OwnState* before, Messages& messages) {
  if (before == nullptr || before->self->roots_pem != own_->self->roots_pem) {
    messages.push_back(Message());
    peer::v1::TrustBundle& bundle = *messages.back().mutable_bundle();
    bundle.set_trust_domain(own_->self->trust_domain);
    bundle.add_roots_pem(own_->self->roots_pem);
  }
  const bool same = before != nullptr && before->gateways == own_->gateways &&
                    before->self->outbound_only == own_->self->outbound_only &&
                    before->self->draining == own_->self->draining;
  if (same) return;
  messages.push_back(Message());
  ToWire(*own_->self, own_->gateways, *messages.back().mutable_gateways());
}

// As it is now; or later, if it was told too often.
void PeerFeed::TellService(const Name& name, absl::Duration now, Messages& messages) {
  const auto [at, is_new] = told_.try_emplace(name);
  Told& told = at->second;
  if (is_new) told.counted = now;
  const auto found = own_->exports.find(name);
  const bool there = found != own_->exports.end();
  // It may be again what the peer knows of it.
  if (!is_new && there == told.service.has_value() && (!there || *told.service == found->second)) {
    return;
  }
  if (!Spend(told, now)) {
    held_back_.insert(name);
    due_ = std::min(due_, told.counted + kDampedPeriod);
    return;
  }
  if (there) {
    if (!TellCounts(found->second, told, messages)) TellInFull(found->second, told, messages);
    told.service = found->second;
    return;
  }
  messages.push_back(Message());
  peer::v1::ServiceRef& removed = *messages.back().mutable_removed();
  removed.set_namespace_(name.first);
  removed.set_name(name.second);
  told.service.reset();
  told.groups.clear();
}

bool PeerFeed::Spend(Told& told, absl::Duration now) {
  told.allowance = std::min<double>(
      kBurst, told.allowance + absl::FDivDuration(now - told.counted, kDampedPeriod));
  told.counted = now;
  // What was left over by rounding is no whole change.
  if (told.allowance < 1 - 1e-9) {
    // Counted from when the next one will be whole, seen from here.
    told.counted = now - kDampedPeriod * told.allowance;
    told.allowance = 0;
    return false;
  }
  told.allowance -= 1;
  return true;
}

void PeerFeed::TellInFull(const ExportedService& service, Told& told, Messages& messages) {
  messages.push_back(Message());
  peer::v1::ServiceSummary& summary = *messages.back().mutable_upsert();
  ToWire(service, summary);
  told.id = next_id_++;
  summary.set_id(told.id);
  told.groups.clear();
  uint32_t id = 0;
  for (peer::v1::Group& group : *summary.mutable_groups()) {
    told.groups[WithoutCount(service.groups[id])] = id + 1;
    group.set_id(++id);
  }
}

// Whether that says all: each group is one that the peer knows by its id.
bool PeerFeed::TellCounts(const ExportedService& service, Told& told, Messages& messages) {
  if (!told.service.has_value() || !DifferInGroupsOnly(*told.service, service)) return false;
  std::map<uint32_t, uint32_t> before, counts;  // by id
  for (const ExportedGroup& group : told.service->groups) {
    const uint32_t id = told.groups.at(WithoutCount(group));
    before[id] = group.ready;
    counts[id] = 0;
  }
  for (const ExportedGroup& group : service.groups) {
    const auto known = told.groups.find(WithoutCount(group));
    if (known == told.groups.end()) return false;
    counts[known->second] = group.ready;
  }
  messages.push_back(Message());
  peer::v1::GroupsChange& change = *messages.back().mutable_groups();
  change.set_service(told.id);
  for (const auto& [id, ready] : counts) {
    const auto was = before.find(id);
    if (was != before.end() && was->second == ready) continue;
    change.add_group(id);
    change.add_ready(ready);
  }
  return true;
}

}  // namespace weft
