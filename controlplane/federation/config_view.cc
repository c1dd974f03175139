#include "controlplane/federation/config_view.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/config_wire.h"

namespace weft {
namespace {

using peer::v1::PeerMessage;
using State = ConfigReport::State;

// Of what a peer tells on one stream: what is beyond its quota is answered, too.
constexpr size_t kMostTold = 2 * kMaxConfigsOfPeer;

ConfigReport NotAccepted(const ObjectKey& key, std::string revision) {
  return {
      State::kNotAccepted, std::move(revision),
      MayBeDistributed(key)
          ? absl::StrCat("acceptConfig of the link does not name the namespace ", key.namespace_)
          : "not of a kind or namespace that is distributed"};
}

}  // namespace

ConfigView::ConfigView(const Peer& peer, std::shared_ptr<const PeerConfigs> known)
    : cluster_(peer.cluster), accepted_(peer.accept_config.begin(), peer.accept_config.end()) {
  if (known == nullptr) return;
  for (const auto& [key, config] : known->objects) {
    if (!Accepts(key)) continue;
    known_.objects.emplace(key, config);
    bytes_ += config->json.size();
  }
}

bool ConfigView::Accepts(const ObjectKey& key) const {
  return MayBeDistributed(key) && (accepted_.contains("*") || accepted_.contains(key.namespace_));
}

void ConfigView::StartStream() {
  told_.clear();
  of_ours_.clear();
  shown_reports_ = nullptr;
}

std::shared_ptr<const PeerConfigs> ConfigView::configs() const {
  if (shown_ == nullptr) shown_ = std::make_shared<const PeerConfigs>(known_);
  return shown_;
}

std::shared_ptr<const ConfigReports> ConfigView::reports() const {
  if (shown_reports_ == nullptr) shown_reports_ = std::make_shared<const ConfigReports>(of_ours_);
  return shown_reports_;
}

bool ConfigView::OnMessage(const PeerMessage& message) {
  switch (message.body_case()) {
    case PeerMessage::kConfig:
      return Take(message.config());
    case PeerMessage::kConfigRemoved: {
      const std::optional<ObjectKey> key = FromWire(message.config_removed());
      if (!key.has_value()) return false;
      told_.erase(*key);
      return Forget(*key);
    }
    case PeerMessage::kConfigsTold:
      return ForgetWhatWasNotTold();
    case PeerMessage::kConfigReport:
      TakeReport(message.config_report());
      return false;
    default:
      return false;
  }
}

void ConfigView::TakeReport(const peer::v1::ConfigReport& report) {
  const std::optional<ObjectKey> key = FromWire(report.key());
  if (!key.has_value()) return;
  if (of_ours_.size() >= kMaxConfigsOfPeer && !of_ours_.contains(*key)) return;
  of_ours_[*key] = FromWire(report);
  shown_reports_ = nullptr;
}

bool ConfigView::Take(const peer::v1::ConfigObject& config) {
  const std::optional<ObjectKey> named = FromWire(config.key());
  if (!named.has_value()) return false;
  const ObjectKey& key = *named;
  if (told_.size() >= kMostTold && !told_.contains(key)) return false;
  told_.insert(key);
  if (config.json().empty()) return false;
  const std::string revision = ConfigRevision(config.json());
  if (!Accepts(key)) return Refuse(key, NotAccepted(key, revision));
  const auto known = known_.objects.find(key);
  const bool is_known = known != known_.objects.end();
  const size_t before = is_known ? known->second->json.size() : 0;
  if (is_known && known->second->revision == revision) {
    return known_.refused.erase(key) > 0 && Changed();
  }
  if ((!is_known && known_.objects.size() >= kMaxConfigsOfPeer) ||
      bytes_ - before + config.json().size() > kMaxConfigBytesOfPeer) {
    return Refuse(key, {State::kRejected, revision, "there is too much config of this cluster"});
  }
  auto read = ReadConfig(key, config.json(), cluster_);
  if (!read.ok()) {
    return Refuse(key, {State::kRejected, revision, std::string(read.status().message())});
  }
  bytes_ += read->json.size() - before;
  known_.objects[key] = std::make_shared<const ReceivedConfig>(*std::move(read));
  known_.refused.erase(key);
  return Changed();
}

bool ConfigView::Refuse(const ObjectKey& key, ConfigReport report) {
  const auto known = known_.refused.find(key);
  if (known != known_.refused.end() && known->second == report) return false;
  known_.refused[key] = std::move(report);
  return Changed();
}

bool ConfigView::Forget(const ObjectKey& key) {
  const bool was_refused = known_.refused.erase(key) > 0;
  const auto known = known_.objects.find(key);
  if (known != known_.objects.end()) {
    bytes_ -= known->second->json.size();
    known_.objects.erase(known);
    return Changed();
  }
  return was_refused && Changed();
}

bool ConfigView::ForgetWhatWasNotTold() {
  std::vector<ObjectKey> gone;
  for (const auto& [key, config] : known_.objects) {
    if (!told_.contains(key)) gone.push_back(key);
  }
  for (const auto& [key, report] : known_.refused) {
    if (!told_.contains(key)) gone.push_back(key);
  }
  bool changed = false;
  for (const ObjectKey& key : gone) changed |= Forget(key);
  return changed;
}

bool ConfigView::Changed() {
  shown_ = nullptr;
  return true;
}

}  // namespace weft
