// Faults: what the server does wrong on command, so that clients can be shown what a bad day is
// like. Each is for certain requests, a number of times. Not thread-safe.
#ifndef WEFT_TEST_APISERVER_FAULTS_H_
#define WEFT_TEST_APISERVER_FAULTS_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "test/apiserver/failure.h"

namespace weft::apiserver {

struct Fault {
  enum class Kind {
    kStatus,           // answers `code`, with Retry-After if that is set
    kSlow,             // waits for `delay` before it answers
    kCut,              // resets the connection after `bytes` of the answer's body
    kChunks,           // sends the answer in chunks of `sizes` bytes, over and over
    kLongLine,         // `bytes` of white space within the answer's, or the next event's, JSON
    kDeep,             // a member nested `depth` deep in it
    kGoneStatus,       // a watch is refused with 410
    kGoneEvent,        // a watch, also a running one, gets an ERROR event of 410 and ends
    kSilent,           // a watch stays open, also beyond its timeout, and says nothing any more
    kDuplicate,        // the next event comes twice
    kReorder,          // the next event comes after the one that follows it
    kUnknownEvent,     // an event of a type that there is not, before the next one
    kExpiredContinue,  // a continue token has expired
    kNotInstalled,     // the kind is not there, until the fault is removed
  };
  Kind kind = Kind::kStatus;
  std::string verb;      // "get", "list", "watch", "create", "update", "patch", "delete"; "": any
  std::string resource;  // "services", "gateways.networking.istio.io"; "": any request
  int times = 1;         // -1: until it is removed
  int code = 500;
  int retry_after = 0;  // seconds
  std::string message;
  size_t bytes = 0;
  int depth = 0;
  std::vector<size_t> sizes;
  absl::Duration delay;
};

// {"fault":"status","verb":"list","resource":"services","times":3,"code":429,"retryAfter":1,
//  "message":…,"bytes":…,"depth":…,"sizes":[…],"delayMs":…}
Result<Fault> ParseFault(const Json& json);

class Faults {
 public:
  // Returns what to Remove() it by.
  uint64_t Add(Fault fault);
  void Remove(uint64_t id);
  void Clear() { entries_.clear(); }
  // With how often each was taken so far.
  Json ToJson() const;

  // Whether such a request gets such a fault now; takes it once.
  std::optional<Fault> Take(Fault::Kind kind, absl::string_view verb, absl::string_view resource);
  // The resources that are as if not installed.
  std::set<std::string> NotInstalled() const;

 private:
  struct Entry {
    uint64_t id;
    Fault fault;
    uint64_t taken = 0;
  };
  uint64_t last_id_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_FAULTS_H_
