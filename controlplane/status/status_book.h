// StatusBook: what weftd has to say of each config object, and what its status says already: so,
// what is to be written.
//
// Conditions of an object, beside those that others wrote:
//   Accepted      False: it cannot be used; its last good form, if there was one, stays in force
//   ResolvedRefs  False: it names what is not there (of VirtualServices and DestinationRules)
//   Conflicted    True: another object has what it claims; absent otherwise
//   Programmed    False: proxies refuse what was made of it; absent otherwise
// Each says of which generation it is. An object is only written if one of them differs.
//
// Pure; belongs to one thread (the engine's).
#ifndef WEFT_CONTROLPLANE_STATUS_STATUS_BOOK_H_
#define WEFT_CONTROLPLANE_STATUS_STATUS_BOOK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"

namespace weft {

// A proxy that refused what it was sent (NACK), and has accepted nothing since.
struct ProxyRefusal {
  std::string proxy;  // its node id
  std::string text;

  friend bool operator==(const ProxyRefusal&, const ProxyRefusal&) = default;
};

class StatusBook {
 public:
  // Of one condition's message; API servers take 32 KiB.
  static constexpr size_t kMaxMessage = 2048;
  // Proxies that one condition quotes.
  static constexpr size_t kMostProxies = 3;

  // Objects as they are now, and what was found in them.
  void OnObjects(const std::vector<ObjectDelta>& deltas, const std::vector<Problem>& problems);
  // What was found in all objects together, in place of what was found before.
  struct Findings {
    std::vector<Problem> references;
    std::vector<Problem> conflicts;
    std::vector<Problem> others;
  };
  void OnWorld(const Findings& findings);
  void OnProxies(const std::vector<ProxyRefusal>& refusals);
  // Whoever wrote until now may have left anything.
  void LookAtAll();

  // One object whose status is not what it should be, once for each time that something changed.
  struct Write {
    ObjectKey key;
    std::string path;  // of its status
    std::string body;  // a JSON merge patch, for the object as it is known
  };
  std::optional<Write> Next(absl::Time now);
  // The object as it was stored.
  void OnWritten(const ObjectKey& key, std::string object);
  // It is to be looked at again.
  void OnNotWritten(const ObjectKey& key) { dirty_.insert(key); }

 private:
  struct Condition {
    std::string type;
    std::string status;
    std::string reason;
    std::string message;
    int64_t generation = 0;
    std::string since;  // lastTransitionTime

    bool SaysTheSame(const Condition& other) const;
  };
  struct Object {
    std::string path;
    std::string resource_version;
    int64_t generation = 0;
    bool refers = false;                // objects of its kind name others
    std::vector<std::string> names;     // by which proxies speak of what was made of it
    std::vector<Condition> conditions;  // ours, as they are there
    std::string others;                 // JSON: a list of conditions
    std::vector<Problem> problems;
    std::vector<Problem> references;
    std::vector<Problem> conflicts;
    std::vector<Problem> findings;
    std::vector<ProxyRefusal> refusals;
  };

  static bool ReadInto(const YamlNode& body, Object& object);
  static std::vector<Condition> WantedOf(const Object& object);
  static std::string PatchOf(const Object& object, std::vector<Condition> wanted, absl::Time now);
  void Put(const ObjectDelta& delta);
  void Replace(const std::vector<Problem>& problems, std::vector<Problem> Object::*list);

  std::map<ObjectKey, Object> objects_;
  std::set<ObjectKey> dirty_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_STATUS_BOOK_H_
