#include "controlplane/federation/peer_session.h"

#include <algorithm>
#include <utility>

#include "api/weft/peer.pb.h"
#include "controlplane/federation/peer_feed.h"

namespace weft {

using peer::v1::PeerMessage;

namespace {

// Where a stream's messages are counted from: above all earlier ones, as no stream says a million
// messages a second for as long as it lasts. A message of an earlier stream is stale by that.
uint64_t CountedFrom(absl::Duration now) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToInt64Microseconds(now)));
}

}  // namespace

struct PeerSession::State {
  State(uint64_t own_epoch, PeerView& view, bool dialer, absl::Duration now)
      : view(view),
        dialer(dialer),
        feed(own_epoch, CountedFrom(now)),
        next_beat(now),
        last_heard(now) {
    known = view.StartStream();
  }

  PeerMessage Hello(const OwnState& own);

  PeerView& view;
  const bool dialer;
  PeerFeed feed;
  KnownState known;        // of the peer, by us
  KnownState known_of_us;  // by the peer, as its hello said
  absl::Duration next_beat;
  absl::Duration last_heard;
  std::string bundle_in_force;  // of the peer's, here
  ConfigFeed config_feed;
  ConfigsToTell configs;
  bool hello_sent = false;
  bool ack_due = false;
};

PeerSession::PeerSession(uint64_t own_epoch, PeerView& view, bool dialer, absl::Duration now)
    : state_(std::make_unique<State>(own_epoch, view, dialer, now)) {}
PeerSession::~PeerSession() = default;

PeerMessage PeerSession::State::Hello(const OwnState& own) {
  PeerMessage message = feed.Message();
  peer::v1::Hello& hello = *message.mutable_hello();
  hello.set_cluster(own.self->cluster);
  hello.set_network(own.self->network);
  hello.set_mesh_id(own.self->mesh_id);
  hello.set_trust_domain(own.self->trust_domain);
  hello.set_known_epoch(known.epoch);
  hello.set_known_revision(known.revision);
  hello.set_dialer(dialer);
  return message;
}

std::vector<PeerMessage> PeerSession::Due(std::shared_ptr<const OwnState> own, absl::Duration now) {
  State& s = *state_;
  std::vector<PeerMessage> messages;
  if (own == nullptr) return messages;
  if (!std::exchange(s.hello_sent, true)) messages.push_back(s.Hello(*own));
  if (s.view.greeted()) {
    for (PeerMessage& message : s.feed.Next(std::move(own), s.known_of_us, now)) {
      messages.push_back(std::move(message));
    }
    s.config_feed.Next(s.configs, s.feed, messages);
    if (std::exchange(s.ack_due, false)) {
      messages.push_back(s.feed.Message());
      messages.back().mutable_ack()->set_bundle_sha256(s.bundle_in_force);
    }
  }
  if (messages.empty() && now >= s.next_beat) {
    messages.push_back(s.feed.Message());
    messages.back().mutable_heartbeat();
  }
  if (!messages.empty()) s.next_beat = now + kPeerHeartbeat;
  return messages;
}

absl::Duration PeerSession::NextDue() const {
  if (state_->view.greeted()) return std::min(state_->next_beat, state_->feed.NextDue());
  return state_->next_beat;
}

absl::StatusOr<bool> PeerSession::OnMessage(const PeerMessage& message, absl::Duration now) {
  State& s = *state_;
  const uint64_t heard = s.view.heard();
  auto changed = s.view.OnMessage(message);
  if (!changed.ok() || s.view.heard() == heard) return changed;
  s.last_heard = now;
  if (message.has_hello()) {
    s.known_of_us = {message.hello().known_epoch(), message.hello().known_revision()};
  }
  return changed;
}

void PeerSession::AckBundle(std::string sha256) {
  if (sha256 == state_->bundle_in_force) return;
  state_->bundle_in_force = std::move(sha256);
  state_->ack_due = true;
}

void PeerSession::TellConfigs(ConfigsToTell configs) { state_->configs = std::move(configs); }

bool PeerSession::greeted() const { return state_->view.greeted(); }
bool PeerSession::synced() const { return state_->view.synced(); }
bool PeerSession::dialer() const { return state_->dialer; }
absl::Duration PeerSession::last_heard() const { return state_->last_heard; }
const std::string& PeerSession::acked_bundle() const { return state_->view.acked_bundle(); }

}  // namespace weft
