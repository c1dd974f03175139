#include "test/apiserver/faults.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::apiserver {
namespace {

struct NamedKind {
  const char* name;
  Fault::Kind kind;
};

constexpr NamedKind kKinds[] = {
    {"status", Fault::Kind::kStatus},
    {"slow", Fault::Kind::kSlow},
    {"cut", Fault::Kind::kCut},
    {"chunks", Fault::Kind::kChunks},
    {"long-line", Fault::Kind::kLongLine},
    {"deep", Fault::Kind::kDeep},
    {"gone-status", Fault::Kind::kGoneStatus},
    {"gone-event", Fault::Kind::kGoneEvent},
    {"silent", Fault::Kind::kSilent},
    {"duplicate", Fault::Kind::kDuplicate},
    {"reorder", Fault::Kind::kReorder},
    {"unknown-event", Fault::Kind::kUnknownEvent},
    {"expired-continue", Fault::Kind::kExpiredContinue},
    {"not-installed", Fault::Kind::kNotInstalled},
};

const char* NameOf(Fault::Kind kind) {
  for (const NamedKind& named : kKinds) {
    if (named.kind == kind) return named.name;
  }
  return "";
}

}  // namespace

Result<Fault> ParseFault(const Json& json) {
  if (!json.is_object()) return BadRequest("a fault is an object");
  const std::string name = json.value("fault", "");
  const auto named = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const NamedKind& one) { return name == one.name; });
  if (named == std::end(kKinds)) {
    std::string known;
    for (const NamedKind& one : kKinds) absl::StrAppend(&known, " ", one.name);
    return BadRequest(absl::StrCat("fault '", name, "' is not one of", known));
  }
  Fault fault;
  fault.kind = named->kind;
  fault.verb = json.value("verb", "");
  fault.resource = json.value("resource", "");
  fault.times = json.value("times", 1);
  fault.code = json.value("code", 500);
  fault.retry_after = json.value("retryAfter", 0);
  fault.message = json.value("message", "");
  fault.bytes = json.value("bytes", size_t{0});
  fault.depth = json.value("depth", 0);
  fault.sizes = json.value("sizes", std::vector<size_t>());
  fault.delay = absl::Milliseconds(json.value("delayMs", 0));
  if (fault.kind == Fault::Kind::kChunks &&
      (fault.sizes.empty() || std::count(fault.sizes.begin(), fault.sizes.end(), 0u) > 0)) {
    return BadRequest("sizes: chunks need sizes, each above 0");
  }
  if (fault.kind == Fault::Kind::kNotInstalled && fault.resource.empty()) {
    return BadRequest("resource: says which kind is not installed");
  }
  return fault;
}

uint64_t Faults::Add(Fault fault) {
  entries_.push_back({++last_id_, std::move(fault)});
  return last_id_;
}

void Faults::Remove(uint64_t id) {
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(),
                                [&](const Entry& entry) { return entry.id == id; }),
                 entries_.end());
}

Json Faults::ToJson() const {
  Json list = Json::array();
  for (const Entry& entry : entries_) {
    list.push_back({{"id", entry.id},
                    {"fault", NameOf(entry.fault.kind)},
                    {"verb", entry.fault.verb},
                    {"resource", entry.fault.resource},
                    {"times", entry.fault.times},
                    {"taken", entry.taken}});
  }
  return list;
}

std::optional<Fault> Faults::Take(Fault::Kind kind, absl::string_view verb,
                                  absl::string_view resource) {
  for (Entry& entry : entries_) {
    Fault& fault = entry.fault;
    if (fault.kind != kind || fault.times == 0) continue;
    if (!fault.verb.empty() && fault.verb != verb) continue;
    if (!fault.resource.empty() && fault.resource != resource) continue;
    if (fault.times > 0) --fault.times;
    ++entry.taken;
    return fault;
  }
  return std::nullopt;
}

std::set<std::string> Faults::NotInstalled() const {
  std::set<std::string> ids;
  for (const Entry& entry : entries_) {
    if (entry.fault.kind == Fault::Kind::kNotInstalled) ids.insert(entry.fault.resource);
  }
  return ids;
}

}  // namespace weft::apiserver
