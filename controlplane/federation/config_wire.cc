#include "controlplane/federation/config_wire.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {
namespace {

using State = ConfigReport::State;

constexpr size_t kMostMessage = 1024;
constexpr size_t kLongestKind = 63;
constexpr size_t kLongestRevision = 64;  // ours are shorter
constexpr size_t kLongestName = 253;     // in Kubernetes

peer::v1::ConfigReport::State WireOf(State state) {
  switch (state) {
    case State::kApplied:
      return peer::v1::ConfigReport::APPLIED;
    case State::kRejected:
      return peer::v1::ConfigReport::REJECTED;
    case State::kConflict:
      return peer::v1::ConfigReport::CONFLICT;
    case State::kNotAccepted:
      return peer::v1::ConfigReport::NOT_ACCEPTED;
  }
  return peer::v1::ConfigReport::REJECTED;
}

State StateOf(peer::v1::ConfigReport::State wire) {
  switch (wire) {
    case peer::v1::ConfigReport::APPLIED:
      return State::kApplied;
    case peer::v1::ConfigReport::CONFLICT:
      return State::kConflict;
    case peer::v1::ConfigReport::NOT_ACCEPTED:
      return State::kNotAccepted;
    default:
      return State::kRejected;
  }
}

// Goes into logs and statuses: one line of plain text.
std::string Plain(std::string foreign, size_t most = kMostMessage) {
  if (foreign.size() > most) foreign.resize(most);
  std::replace_if(
      foreign.begin(), foreign.end(), [](unsigned char c) { return !absl::ascii_isprint(c); }, ' ');
  return foreign;
}

}  // namespace

void ToWire(const ObjectKey& key, peer::v1::ConfigRef& wire) {
  wire.set_kind(key.kind);
  wire.set_namespace_(key.namespace_);
  wire.set_name(key.name);
}

std::optional<ObjectKey> FromWire(const peer::v1::ConfigRef& wire) {
  const bool may_be = wire.kind().size() <= kLongestKind && IsDnsLabel(wire.namespace_()) &&
                      !wire.name().empty() && wire.name().size() <= kLongestName;
  if (!may_be) return std::nullopt;
  return ObjectKey{wire.kind(), wire.namespace_(), wire.name()};
}

void ToWire(const ConfigReport& report, peer::v1::ConfigReport& wire) {
  wire.set_revision(report.revision);
  wire.set_state(WireOf(report.state));
  wire.set_message(Plain(report.message));
}

ConfigReport FromWire(const peer::v1::ConfigReport& wire) {
  return {StateOf(wire.state()), Plain(wire.revision(), kLongestRevision), Plain(wire.message())};
}

}  // namespace weft
