#include "controlplane/sources/kubernetes/reflector.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kGone = 410;

// For a query: tokens and versions are the server's, and may hold anything.
std::string Escape(absl::string_view value) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string escaped;
  for (const unsigned char c : value) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      escaped.push_back(static_cast<char>(c));
    } else {
      escaped += {'%', kHex[c >> 4], kHex[c & 15]};
    }
  }
  return escaped;
}

std::string StringIn(YamlNode value) {
  return value.kind() == YamlNode::Kind::kString ? std::string(value.Scalar()) : "";
}

std::string ApiVersion(const std::string& group, const std::string& version) {
  return group.empty() ? version : absl::StrCat(group, "/", version);
}

}  // namespace

Reflector::Reflector(WatchedResource resource, std::string origin, uint64_t seed)
    : resource_(std::move(resource)),
      origin_(std::move(origin)),
      kind_(KindName(resource_.group, resource_.kind)),
      random_(static_cast<uint32_t>(seed | 1)),
      candidates_(resource_.versions) {
  // The core's versions need no discovery.
  if (resource_.group.empty()) phase_ = Phase::kList;
}

// ---- What to ask.

Reflector::Step Reflector::Next(absl::Duration now) {
  if (now < not_before_) return {Step::Kind::kWait, not_before_, "", {}};
  switch (phase_) {
    case Phase::kDiscover:
      return {Step::Kind::kDiscover, {}, absl::StrCat("/apis/", resource_.group), {}};
    case Phase::kList:
      if (continue_.empty()) {
        StartList();
        listed_at_ = now;
      }
      return ListStep();
    case Phase::kWatch:
      break;
  }
  return WatchStep(now);
}

std::string Reflector::PathOf(absl::string_view query) const {
  std::string path = absl::StrCat(
      resource_.group.empty() ? "/api/" : absl::StrCat("/apis/", resource_.group, "/"), version());
  if (!resource_.namespace_.empty()) {
    absl::StrAppend(&path, "/namespaces/", Escape(resource_.namespace_));
  }
  std::vector<std::string> parts;
  if (!query.empty()) parts.emplace_back(query);
  if (!resource_.name.empty()) {
    parts.push_back(absl::StrCat("fieldSelector=metadata.name%3D", Escape(resource_.name)));
  }
  if (!resource_.label_selector.empty()) {
    parts.push_back(absl::StrCat("labelSelector=", Escape(resource_.label_selector)));
  }
  absl::StrAppend(&path, "/", resource_.plural, parts.empty() ? "" : "?");
  return absl::StrCat(path, absl::StrJoin(parts, "&"));
}

// The first list may come from the server's cache (resourceVersion 0), a later one must not be
// older than what is known; where that version is of no use, the store itself is asked.
Reflector::Step Reflector::ListStep() const {
  std::vector<std::string> query;
  if (!whole_) query.push_back(absl::StrCat("limit=", kPageSize));
  if (!continue_.empty()) {
    query.push_back(absl::StrCat("continue=", Escape(continue_)));
  } else if (!consistent_) {
    query.push_back(absl::StrCat("resourceVersion=",
                                 resource_version_.empty() ? "0" : Escape(resource_version_)));
    query.push_back("resourceVersionMatch=NotOlderThan");
  }
  return {Step::Kind::kList, {}, PathOf(absl::StrJoin(query, "&")), {}};
}

Reflector::Step Reflector::WatchStep(absl::Duration now) {
  watch_began_ = now;
  watch_spoke_ = false;
  const int64_t shortest = absl::ToInt64Seconds(kShortestWatch);
  int64_t seconds = std::uniform_int_distribution<int64_t>(shortest, 2 * shortest)(random_);
  if (incomplete_) seconds = std::max<int64_t>(1, absl::ToInt64Seconds(NextBackoff()));
  return {Step::Kind::kWatch,
          {},
          PathOf(absl::StrCat("watch=1&allowWatchBookmarks=true&resourceVersion=",
                              Escape(resource_version_), "&timeoutSeconds=", seconds)),
          absl::Seconds(seconds)};
}

// ---- What came of it.

void Reflector::OnStatus(int status, absl::Duration retry_after, absl::string_view message,
                         absl::Duration now) {
  const std::string reason = absl::StrCat("status ", status, ": ", message);
  if (status == kGone) return OnExpired(reason, now);
  if (phase_ == Phase::kDiscover) {
    if (status == kNotFound) return OnMissing(reason, now);
    // Discovery is a right of its own; without it, listing tells which version there is.
    if (status != kForbidden) return Retry(reason, retry_after, now);
    candidates_ = resource_.versions;
    candidate_ = 0;
    phase_ = Phase::kList;
    return;
  }
  if (status == kNotFound && phase_ == Phase::kList && candidate_ + 1 < candidates_.size()) {
    ++candidate_;
    return;
  }
  if (status == kNotFound) return OnMissing(reason, now);
  if (status == kForbidden) return OnForbidden(reason, now);
  // 400 and 504 also mean that our resourceVersion is too new for this server, or not one of its.
  if (phase_ == Phase::kList && (status == 400 || status == 504)) {
    consistent_ = true;
    continue_.clear();
  }
  const bool passing = status >= 500 || status == 429 || status == 401;
  if (phase_ == Phase::kWatch && !passing) phase_ = Phase::kList;
  // The same page or the same watch again: nothing that was listed is listed once more.
  Retry(reason, retry_after, now);
}

void Reflector::OnBroken(absl::string_view reason, absl::Duration now) {
  // A watch goes on from where it was: nothing is lost, and nothing has to be listed. One that
  // went well is tried again at once.
  if (phase_ == Phase::kWatch && now - watch_began_ >= kCalm) {
    failures_ = 0;
    return Tell(Notice::Kind::kAway, reason);
  }
  Retry(reason, absl::ZeroDuration(), now);
}

void Reflector::OnGroup(std::string json, absl::Duration now) {
  const auto document = YamlDocument::ParseJson(std::move(json));
  if (!document.ok()) return Retry(document.status().message(), absl::ZeroDuration(), now);
  std::set<std::string> served;
  for (const YamlItem& item : (*document)->root()["versions"]) {
    served.insert(StringIn(item["version"]));
  }
  candidates_.clear();
  candidate_ = 0;
  for (const std::string& version : resource_.versions) {
    if (served.contains(version)) candidates_.push_back(version);
  }
  if (candidates_.empty()) {
    candidates_ = resource_.versions;
    return OnMissing(absl::StrCat("the server has versions ", absl::StrJoin(served, ", "),
                                  "; known are ", absl::StrJoin(resource_.versions, ", ")),
                     now);
  }
  phase_ = Phase::kList;
}

void Reflector::OnItem(std::string json) {
  auto document = YamlDocument::ParseJson(std::move(json));
  if (!document.ok()) {
    incomplete_ = true;
    return Refuse(std::string(document.status().message()));
  }
  const YamlNode root = (*document)->root();
  Put(ReadJsonObject({*std::move(document), root}, ApiVersion(resource_.group, version()),
                     resource_.kind, origin_));
}

void Reflector::OnPageEnd(std::string envelope, absl::Duration now) {
  const auto document = YamlDocument::ParseJson(std::move(envelope));
  if (!document.ok()) return OnBroken(document.status().message(), now);
  const YamlNode metadata = (*document)->root()["metadata"];
  const std::string version = StringIn(metadata["resourceVersion"]);
  if (version.empty()) return OnBroken("a list without resourceVersion", now);
  continue_ = StringIn(metadata["continue"]);
  if (!continue_.empty()) return;
  resource_version_ = version;
  FinishList();
}

bool Reflector::OnEvent(std::string json, absl::Duration now) {
  auto document = YamlDocument::ParseJson(std::move(json));
  if (!document.ok()) {
    OnRefused(std::string(document.status().message()), now);
    return false;
  }
  const YamlNode event = (*document)->root();
  const std::string type = StringIn(event["type"]);
  const YamlNode object = event["object"];
  if (type == "ERROR") return OnErrorEvent(object, now);
  const std::string version = StringIn(object["metadata"]["resourceVersion"]);
  if (version.empty()) {
    Refuse(absl::StrCat("an event '", type, "' without resourceVersion"));
    return true;
  }
  watch_spoke_ = true;
  resource_version_ = version;
  Tell(Notice::Kind::kWatching, "");
  if (type == "BOOKMARK") return true;
  if (type != "ADDED" && type != "MODIFIED" && type != "DELETED") {
    Refuse(absl::StrCat("an event of unknown type '", type, "' is passed over"));
    return true;
  }
  ParsedObject parsed =
      ReadJsonObject({*std::move(document), object}, ApiVersion(resource_.group, this->version()),
                     resource_.kind, origin_);
  if (type != "DELETED" || parsed.object == nullptr) {
    Put(std::move(parsed));
  } else {
    Remove({parsed.object->key.namespace_, parsed.object->key.name});
  }
  return true;
}

// A Status; the watch is over by it.
bool Reflector::OnErrorEvent(YamlNode status, absl::Duration now) {
  const std::string reason =
      absl::StrCat("watch: status ", status["code"].Scalar(), ": ", StringIn(status["message"]));
  if (status["code"].Scalar() == "410" || StringIn(status["reason"]) == "Expired") {
    OnExpired(reason, now);
  } else {
    Relist(reason, now);
  }
  return false;
}

void Reflector::OnWatchEnd(absl::Duration now) {
  if (incomplete_) {
    phase_ = Phase::kList;
    return;
  }
  const bool calm = now - watch_began_ >= kCalm;
  if (calm) {
    failures_ = 0;
    Tell(Notice::Kind::kWatching, "");
  }
  // A server that ends watches at once would be asked without pause.
  if (!calm && !watch_spoke_) Retry("the watch ended at once", absl::ZeroDuration(), now);
}

void Reflector::OnRefused(std::string why, absl::Duration now) {
  incomplete_ = true;
  Refuse(std::move(why));
  if (phase_ == Phase::kWatch) Relist("an event that could not be read", now);
}

// ---- Lists.

void Reflector::StartList() {
  seen_.clear();
  incomplete_ = false;
}

void Reflector::FinishList() {
  // What could not be named may be what seems to be gone: then it stays.
  if (!incomplete_) {
    std::vector<Name> gone;
    for (const auto& [name, version] : known_) {
      if (!seen_.contains(name)) gone.push_back(name);
    }
    for (const Name& name : gone) Remove(name);
  }
  seen_.clear();
  whole_ = consistent_ = false;
  missing_ = 0;
  synced_ = true;
  phase_ = Phase::kWatch;
  Tell(Notice::Kind::kWatching, "");
}

// The first time at once; if that does not help, with growing pauses.
void Reflector::Relist(absl::string_view reason, absl::Duration now) {
  phase_ = Phase::kList;
  continue_.clear();
  if (now - listed_at_ >= kCalm) {
    failures_ = 0;
    return;
  }
  Retry(reason, absl::ZeroDuration(), now);
}

void Reflector::OnExpired(absl::string_view reason, absl::Duration now) {
  if (phase_ == Phase::kList && !continue_.empty()) {
    // The list took longer than the server remembers; without pages it cannot.
    whole_ = true;
    continue_.clear();
    return;
  }
  if (phase_ == Phase::kList && !consistent_) {
    consistent_ = true;  // from the store itself, where nothing is too old
    return;
  }
  Relist(reason, now);
}

// ---- What does not go well.

void Reflector::OnMissing(absl::string_view reason, absl::Duration now) {
  synced_ = true;
  phase_ = resource_.group.empty() ? Phase::kList : Phase::kDiscover;
  continue_.clear();
  candidate_ = 0;
  if (++missing_ >= kMissingLooks) {
    while (!known_.empty()) Remove(Name(known_.begin()->first));
    resource_version_.clear();
  }
  Tell(Notice::Kind::kMissing, reason);
  not_before_ = now + Jittered(kSlowPoll);
}

void Reflector::OnForbidden(absl::string_view reason, absl::Duration now) {
  if (!resource_.needed) synced_ = true;
  phase_ = Phase::kList;
  continue_.clear();
  Tell(Notice::Kind::kForbidden, reason);
  not_before_ = now + Jittered(kSlowPoll);
}

void Reflector::Retry(absl::string_view reason, absl::Duration retry_after, absl::Duration now) {
  Tell(Notice::Kind::kAway, reason);
  const absl::Duration asked = Jittered(std::min(retry_after, kLongestRetryAfter));
  not_before_ = now + std::max(asked, NextBackoff());
}

absl::Duration Reflector::NextBackoff() {
  const absl::Duration pause =
      std::min(kBackoffFirst * (1 << std::min(failures_, 10)), kBackoffMost);
  ++failures_;
  return Jittered(pause);
}

// Up to half as much again, so that clients that failed together do not come back together.
absl::Duration Reflector::Jittered(absl::Duration duration) {
  return duration * std::uniform_real_distribution<double>(1.0, 1.5)(random_);
}

void Reflector::Tell(Notice::Kind kind, absl::string_view reason) {
  const bool first_watch = kind == Notice::Kind::kWatching && !told_watching_;
  if (kind == told_ && !first_watch) return;
  told_ = kind;
  told_watching_ |= kind == Notice::Kind::kWatching;
  notices_.push_back({kind, std::string(reason)});
}

// ---- Objects.

void Reflector::Put(ParsedObject parsed) {
  if (parsed.object == nullptr) {
    // By its name the last good form stays; without one, all does.
    const ObjectKey& key = parsed.problem.key;
    if (key.name.empty()) incomplete_ = true;
    seen_.insert({key.namespace_, key.name});
    problems_.push_back(std::move(parsed.problem));
    return;
  }
  // One that is being deleted is there until it is gone: deletionTimestamp says nothing here.
  const ObjectKey& key = parsed.object->key;
  if (key.kind != kind_) {
    return Refuse(absl::StrCat("a ", ToString(key), " among ", resource_.Name()));
  }
  const Name name(key.namespace_, key.name);
  seen_.insert(name);
  std::string& known = known_[name];
  if (!known.empty() && known == parsed.resource_version) return;
  known = std::move(parsed.resource_version);
  deltas_.push_back({key, std::move(parsed.object)});
}

void Reflector::Remove(const Name& name) {
  if (known_.erase(name) == 0) return;
  deltas_.push_back({{kind_, name.first, name.second}, nullptr});
}

void Reflector::Refuse(std::string message) {
  Problem problem;
  problem.key.kind = kind_;
  problem.origin = origin_;
  problem.message = std::move(message);
  problems_.push_back(std::move(problem));
}

}  // namespace weft
