#include "controlplane/federation/distribution.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/config_wire.h"

namespace weft {
namespace {

using State = ConfigReport::State;

Problem MarkProblem(const ObjectDelta& delta, std::string message) {
  Problem problem;
  problem.severity = Severity::kWarning;
  problem.key = delta.key;
  problem.origin = delta.object->origin;
  problem.field = "metadata.annotations";
  problem.message = std::move(message);
  return problem;
}

bool IsRefused(const ObjectKey& key, const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(), [&](const Problem& problem) {
    return problem.key == key && problem.severity == Severity::kError;
  });
}

std::string ListOf(const std::map<std::string, std::string>& clusters) {
  return absl::StrJoin(clusters, "; ", absl::PairFormatter(": "));
}

const ConfigReport* Find(const Distribution::Heard& heard, const std::string& cluster,
                         const ObjectKey& key) {
  const auto link = heard.find(cluster);
  if (link == heard.end() || link->second == nullptr) return nullptr;
  const auto report = link->second->find(key);
  return report == link->second->end() ? nullptr : &report->second;
}

std::string FailureOf(const Rollout::State& state) {
  return absl::StrCat("revision ", state.newest->revision,
                      " was taken back, as it is rejected: ", state.failed, ". ",
                      state.stable == nullptr
                          ? "There is no earlier one to go back to"
                          : absl::StrCat("Revision ", state.stable->revision, " is in its place"));
}

// The first of these that is so of a cluster is the reason that the object is not everywhere.
const char* ReasonOf(const std::set<State>& states, bool all_answered) {
  if (states.contains(State::kRejected)) return "Rejected";
  if (states.contains(State::kConflict)) return "Conflict";
  if (states.contains(State::kNotAccepted)) return "NotAccepted";
  return all_answered ? "Distributed" : "Waiting";
}

std::shared_ptr<const ConfigText> TextOf(const std::string& json) {
  return std::make_shared<const ConfigText>(ConfigText{json, ConfigRevision(json)});
}

void ToWire(const DistributionMark& mark, peer::v1::DistributionRecord& wire) {
  wire.set_to_all(mark.to_all);
  for (const std::string& cluster : mark.to) wire.add_to(cluster);
  for (const std::set<std::string>& wave : mark.order) {
    peer::v1::DistributionRecord::Wave& to = *wire.add_order();
    for (const std::string& cluster : wave) to.add_clusters(cluster);
  }
  wire.set_pause_ms(absl::ToInt64Milliseconds(mark.pause));
}

DistributionMark MarkFrom(const peer::v1::DistributionRecord& wire) {
  DistributionMark mark;
  mark.to_all = wire.to_all();
  mark.to.insert(wire.to().begin(), wire.to().end());
  for (const peer::v1::DistributionRecord::Wave& wave : wire.order()) {
    mark.order.emplace_back(wave.clusters().begin(), wave.clusters().end());
  }
  mark.pause = absl::Milliseconds(wire.pause_ms());
  return mark;
}

}  // namespace

Distribution::Distribution(std::string own_cluster, Records known)
    : own_cluster_(std::move(own_cluster)), known_(std::move(known)) {}

// ---- Objects in.

std::vector<Problem> Distribution::OnObjects(const std::vector<ObjectDelta>& deltas,
                                             const std::vector<Problem>& problems) {
  std::vector<Problem> found;
  const bool changed_before = std::exchange(changed_, false);
  for (const ObjectDelta& delta : deltas) {
    if (delta.object == nullptr) {
      changed_ |= items_.erase(delta.key) > 0;
      continue;
    }
    GoOn(delta.key);
    if (IsRefused(delta.key, problems)) continue;
    absl::Status put = Put(*delta.object);
    if (!put.ok()) found.push_back(MarkProblem(delta, std::string(put.message())));
  }
  if (changed_) ++records_version_;
  changed_ |= changed_before;
  return found;
}

// From where it was before a restart, whatever the object is like now.
void Distribution::GoOn(const ObjectKey& key) {
  auto known = known_.extract(key);
  if (!known) return;
  items_[key] = {std::move(known.mapped().mark), Rollout(std::move(known.mapped().state))};
  changed_ = true;
}

absl::Status Distribution::Put(const RawObject& object) {
  auto mark = MarkOf(object);
  if (!mark.ok()) return mark.status();
  if (!mark->has_value()) {
    changed_ |= items_.erase(object.key) > 0;
    return absl::OkStatus();
  }
  if (!MayBeDistributed(object.key)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kDistributeTo,
                     ": has no effect: only VirtualServices, DestinationRules and "
                     "AuthorizationPolicies outside of the system's namespaces are "
                     "distributed"));
  }
  auto text = ConfigTextOf(object);
  if (!text.ok()) return text.status();
  const auto [at, added] = items_.try_emplace(object.key);
  Item& item = at->second;
  if (!added) {
    const bool same_form = item.rollout.state().newest->revision == (*text)->revision;
    if (same_form && item.mark == **mark) return absl::OkStatus();
    if (item.mark.order != (*mark)->order) item.rollout.Restart();
  }
  item.mark = **std::move(mark);
  item.rollout.Set(*std::move(text));
  changed_ = true;
  return absl::OkStatus();
}

void Distribution::OnAllRead() {
  if (known_.empty()) return;
  known_.clear();
  ++records_version_;
}

// ---- On through the waves.

Waves Distribution::WavesOf(const DistributionMark& mark) const {
  std::set<std::string> rest = mark.to;
  if (mark.to_all) {
    for (const auto& [cluster, reports] : heard_) rest.insert(cluster);
    // A canary that is not there is waited for.
    for (const std::set<std::string>& wave : mark.order) rest.insert(wave.begin(), wave.end());
  }
  rest.erase(own_cluster_);
  Waves waves;
  for (const std::set<std::string>& named : mark.order) {
    std::set<std::string> wave;
    for (const std::string& cluster : named) {
      if (rest.erase(cluster) > 0) wave.insert(cluster);
    }
    if (!wave.empty()) waves.push_back(std::move(wave));
  }
  if (!rest.empty()) waves.push_back(std::move(rest));
  return waves;
}

void Distribution::Advance(const Heard& heard, absl::Duration now) {
  if (heard_ != heard) {
    heard_ = heard;
    changed_ = true;
  }
  for (auto& [key, item] : items_) {
    if (item.rollout.done() || item.rollout.failed()) continue;
    const auto report_of = [&, &key = key](const std::string& cluster) {
      return Find(heard_, cluster, key);
    };
    if (!item.rollout.Advance(WavesOf(item.mark), item.mark.pause, report_of, now)) continue;
    changed_ = true;
    ++records_version_;
  }
  if (!std::exchange(changed_, false)) return;
  MakeTexts();
  ++statuses_version_;
  statuses_.clear();
  for (const auto& [key, item] : items_) statuses_.emplace(key, StatusOf(key, item));
}

void Distribution::MakeTexts() {
  std::map<std::string, ConfigTexts> made;
  for (const auto& [cluster, reports] : heard_) made[cluster];
  for (const auto& [key, item] : items_) {
    const Waves waves = WavesOf(item.mark);
    for (size_t i = 0; i < waves.size(); ++i) {
      const auto text = item.rollout.TextFor(i);
      if (!text.has_value()) continue;
      for (const std::string& cluster : waves[i]) {
        if (heard_.contains(cluster)) made[cluster].emplace(key, *text);
      }
    }
  }
  std::erase_if(texts_, [&](const auto& entry) { return !made.contains(entry.first); });
  for (auto& [cluster, texts] : made) {
    std::shared_ptr<const ConfigTexts>& known = texts_[cluster];
    if (known != nullptr && *known == texts) continue;
    known = std::make_shared<const ConfigTexts>(std::move(texts));
  }
}

std::shared_ptr<const ConfigTexts> Distribution::TextsFor(const std::string& cluster) const {
  const auto found = texts_.find(cluster);
  return found == texts_.end() ? nullptr : found->second;
}

Distribution::Records Distribution::records() const {
  Records records = known_;
  for (const auto& [key, item] : items_) records[key] = {item.mark, item.rollout.state()};
  return records;
}

// ---- What became of it.

std::string Distribution::FateIn(const std::string& cluster, size_t wave, const ObjectKey& key,
                                 const Item& item) const {
  const auto link = heard_.find(cluster);
  if (link == heard_.end()) return "not linked";
  if (link->second == nullptr) return "not heard at present";
  const auto text = item.rollout.TextFor(wave);
  if (!text.has_value()) return "taken back";
  const ConfigReport* report = Find(heard_, cluster, key);
  const bool of_it = report != nullptr && *text != nullptr && report->revision == (*text)->revision;
  if (of_it && report->state == State::kApplied) {
    return absl::StrCat("has revision ", report->revision);
  }
  if (of_it) return absl::StrCat(NameOf(report->state), ": ", report->message);
  return *text == nullptr ? "waits for its turn" : "was told";
}

DistributionStatus Distribution::StatusOf(const ObjectKey& key, const Item& item) const {
  DistributionStatus status;
  status.revision = item.rollout.state().newest->revision;
  std::set<State> states;
  bool all_answered = true;
  const Waves waves = WavesOf(item.mark);
  for (size_t i = 0; i < waves.size(); ++i) {
    for (const std::string& cluster : waves[i]) {
      status.clusters[cluster] = FateIn(cluster, i, key, item);
      const ConfigReport* report = Find(heard_, cluster, key);
      const bool answered = report != nullptr && report->revision == status.revision;
      all_answered &= answered;
      if (answered) states.insert(report->state);
    }
  }
  status.condition.type = "Distributed";
  status.condition.status = false;
  if (item.rollout.failed()) {
    status.condition.reason = "RolledBack";
    status.condition.message = FailureOf(item.rollout.state());
  } else if (!item.rollout.done()) {
    status.condition.reason = "InProgress";
    status.condition.message = absl::StrCat("wave ", item.rollout.state().wave + 1, " of ",
                                            waves.size(), ": ", ListOf(status.clusters));
  } else {
    status.condition.reason = ReasonOf(states, all_answered);
    status.condition.status = status.condition.reason == "Distributed";
    status.condition.message = ListOf(status.clusters);
  }
  return status;
}

// ---- On disk.

std::string EncodeRecords(const Distribution::Records& records) {
  peer::v1::Distribution all;
  for (const auto& [key, record] : records) {
    peer::v1::DistributionRecord& wire = *all.add_records();
    ToWire(key, *wire.mutable_key());
    ToWire(record.mark, wire);
    wire.set_newest_json(record.state.newest->json);
    if (record.state.stable != nullptr) wire.set_stable_json(record.state.stable->json);
    wire.set_wave(static_cast<uint32_t>(record.state.wave));
    wire.set_failed(record.state.failed);
  }
  return all.SerializeAsString();
}

absl::StatusOr<Distribution::Records> DecodeRecords(absl::string_view bytes) {
  peer::v1::Distribution all;
  if (!all.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("not what was distributed");
  }
  Distribution::Records records;
  for (const peer::v1::DistributionRecord& wire : all.records()) {
    const std::optional<ObjectKey> key = FromWire(wire.key());
    if (!key.has_value()) return absl::DataLossError("not the name of an object");
    Distribution::Record& record = records[*key];
    record.mark = MarkFrom(wire);
    record.state.newest = TextOf(wire.newest_json());
    if (!wire.stable_json().empty()) record.state.stable = TextOf(wire.stable_json());
    record.state.wave = wire.wave();
    record.state.failed = wire.failed();
  }
  return records;
}

}  // namespace weft
