// Reflector: one resource of an API server as a state machine. It says what to ask next, is told
// what came of it, and hands over what changed, which always leads to what the server has.
//
//   while (true) {
//     const Reflector::Step step = reflector.Next(now);
//     … do it; tell with the On… calls …
//     update = reflector.Take();
//   }
//
// Discover which version the server has, list it page by page, watch from there; list again when
// the server has forgotten where we were (410), and then tell what is gone by what was not listed.
// resourceVersion is opaque: it is compared for being the same, and given back, no more. What
// cannot be used keeps its last good form, here as in the Registry.
//
// Pure: no socket, no clock; the random numbers follow the seed. Not thread-safe.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_REFLECTOR_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_REFLECTOR_H_

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/sources/kubernetes/resources.h"

namespace weft {

class Reflector {
 public:
  // Objects of one page: as client-go, a compromise between round trips and memory of the server.
  static constexpr int kPageSize = 500;
  // The server ends a watch between these, at random so that not all end together; as client-go.
  static constexpr absl::Duration kShortestWatch = absl::Minutes(5);
  // API servers send a bookmark each minute; a watch that is silent for longer may well be dead,
  // and watching again costs one request.
  static constexpr absl::Duration kWatchSilence = absl::Seconds(90);
  // Between attempts that fail, doubling; as client-go.
  static constexpr absl::Duration kBackoffFirst = absl::Milliseconds(800);
  static constexpr absl::Duration kBackoffMost = absl::Seconds(30);
  // A resource that went well for as long has recovered; sooner, failures add up.
  static constexpr absl::Duration kCalm = absl::Seconds(10);
  // Between looks for a kind that the server does not have, or that we may not read.
  static constexpr absl::Duration kSlowPoll = absl::Seconds(10);
  // A server that asks for more is asked again after this all the same.
  static constexpr absl::Duration kLongestRetryAfter = absl::Minutes(1);
  // Looks after which a kind that was there is taken to be gone, with all its objects: an API
  // server that starts may answer 404 for a moment.
  static constexpr int kMissingLooks = 3;

  struct Step {
    enum class Kind { kWait, kDiscover, kList, kWatch };
    Kind kind = Kind::kWait;
    absl::Duration until;     // kWait: as `now`
    std::string path;         // else: what to GET
    absl::Duration duration;  // kWatch: when the server ends it
  };

  // Worth a line in the log; each is told once until it is over.
  struct Notice {
    enum class Kind {
      kWatching,   // listed, for the first time or after one of the others
      kAway,       // no answer, or none that helps
      kMissing,    // the server has no such kind
      kForbidden,  // it may not be read
    };
    Kind kind = Kind::kAway;
    std::string reason;
  };

  // `origin` names the server in problems.
  Reflector(WatchedResource resource, std::string origin, uint64_t seed);

  Step Next(absl::Duration now);

  // --- What came of the last step.
  // An answer other than 200. `retry_after` is zero where the server did not say.
  void OnStatus(int status, absl::Duration retry_after, absl::string_view message,
                absl::Duration now);
  // No answer, or one that broke off.
  void OnBroken(absl::string_view reason, absl::Duration now);
  // kDiscover: the group's versions (APIGroup).
  void OnGroup(std::string json, absl::Duration now);
  // kList: an item; then the page's end, with the list but for its items.
  void OnItem(std::string json);
  void OnPageEnd(std::string envelope, absl::Duration now);
  // kWatch: an event; false if the watch is over by it. Then its end, which is in order.
  bool OnEvent(std::string json, absl::Duration now);
  void OnWatchEnd(absl::Duration now);
  // kWatch: silent for kWatchSilence. Going on from where we are loses nothing.
  void OnSilence(absl::Duration now) { OnWatchEnd(now); }
  // kList, kWatch: an object that the stream left out. A watch is over by it: what it said is
  // listed once more, and as long as something is left out there, lists follow each other.
  void OnRefused(std::string why, absl::Duration now);
  // Whether a watch goes on after what it last told.
  bool watching() const { return phase_ == Phase::kWatch; }

  // What changed since the last call, and how much that is.
  size_t changes() const { return deltas_.size(); }
  std::vector<ObjectDelta> TakeDeltas() { return std::exchange(deltas_, {}); }
  std::vector<Problem> TakeProblems() { return std::exchange(problems_, {}); }
  std::vector<Notice> TakeNotices() { return std::exchange(notices_, {}); }

  // Nobody wants it any more: all that it told is gone.
  void Forget() {
    while (!known_.empty()) Remove(Name(known_.begin()->first));
  }

  const WatchedResource& resource() const { return resource_; }
  // In which version it is read; empty while it is not, as where the server has no such kind.
  std::string served_version() const { return watching() ? version() : ""; }
  // All that was there when it started has been told; what is not there, or is not needed and
  // may not be read, holds nobody up.
  bool synced() const { return synced_; }

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  enum class Phase { kDiscover, kList, kWatch };

  Step ListStep() const;
  Step WatchStep(absl::Duration now);
  std::string PathOf(absl::string_view query) const;
  const std::string& version() const { return candidates_[candidate_]; }

  void StartList();
  void FinishList();
  void Relist(absl::string_view reason, absl::Duration now);
  void OnExpired(absl::string_view reason, absl::Duration now);
  void OnMissing(absl::string_view reason, absl::Duration now);
  void OnForbidden(absl::string_view reason, absl::Duration now);
  void Retry(absl::string_view reason, absl::Duration retry_after, absl::Duration now);
  absl::Duration NextBackoff();
  absl::Duration Jittered(absl::Duration duration);
  void Tell(Notice::Kind kind, absl::string_view reason);

  bool OnErrorEvent(YamlNode status, absl::Duration now);
  void Put(ParsedObject parsed);
  void Remove(const Name& name);
  void Refuse(std::string message);

  const WatchedResource resource_;
  const std::string origin_;
  const std::string kind_;  // as the model names it
  std::minstd_rand random_;

  Phase phase_ = Phase::kDiscover;
  absl::Duration not_before_;
  std::vector<std::string> candidates_;  // versions to try
  size_t candidate_ = 0;
  int failures_ = 0;
  int missing_ = 0;
  bool synced_ = false;
  bool told_watching_ = false;
  Notice::Kind told_ = Notice::Kind::kWatching;

  // Listing.
  absl::Duration listed_at_ = -absl::InfiniteDuration();  // when the last list was begun
  std::string continue_;
  bool whole_ = false;       // without pages: a continue token expired
  bool consistent_ = false;  // from the store itself: our resourceVersion is of no use
  bool incomplete_ = false;  // an object of the list, or since, could not even be named
  std::set<Name> seen_;

  // Watching.
  std::string resource_version_;
  absl::Duration watch_began_;
  bool watch_spoke_ = false;

  std::map<Name, std::string> known_;  // with the resourceVersion that was told
  std::vector<ObjectDelta> deltas_;
  std::vector<Problem> problems_;
  std::vector<Notice> notices_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_REFLECTOR_H_
