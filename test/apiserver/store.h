// Store: the objects of the cluster, as they are now and as they were a while ago.
//
// One counter gives each change its resourceVersion. The latest changes are remembered, so that a
// watch can begin in the past and a list can be read at an earlier version (the pages of one list
// are all of the version of its first page); what is older is compacted, and asking for it fails,
// as with etcd.
//
// An object is kept as the text that is sent: its JSON without apiVersion and kind, since it is
// served in several versions. Reading 10,000 of them then costs what copying them does. Pure; not
// thread-safe.
#ifndef WEFT_TEST_APISERVER_STORE_H_
#define WEFT_TEST_APISERVER_STORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "test/apiserver/failure.h"

namespace weft::apiserver {

using Version = uint64_t;
using Labels = std::map<std::string, std::string>;

struct Stored {
  std::string ns;  // "" for cluster-wide kinds
  std::string name;
  Version version = 0;
  Labels labels;
  std::string text;  // {"metadata":…,"spec":…}

  // The whole object.
  Json Parse(absl::string_view api_version, absl::string_view kind) const;
  // The same as text, without parsing it.
  void AppendTo(std::string& out, absl::string_view api_version, absl::string_view kind) const;
};
using StoredPtr = std::shared_ptr<const Stored>;

struct Change {
  Version version = 0;
  StoredPtr before;  // null: it was created
  StoredPtr now;     // null: it was deleted; then `last` is how it was, with this version
  StoredPtr last;
};

class Store {
 public:
  // Changes remembered of each resource: more than a client misses while it reconnects.
  static constexpr size_t kHistory = 20'000;

  Version version() const { return version_; }

  StoredPtr Get(const std::string& resource, const std::string& ns, const std::string& name) const;
  // Sets metadata.resourceVersion. The object has a name, and a namespace unless it is
  // cluster-wide.
  StoredPtr Put(const std::string& resource, Json object);
  // Null if there is none. The result has the version of the deletion.
  StoredPtr Delete(const std::string& resource, const std::string& ns, const std::string& name);

  // All objects after `from` in order of namespace and name, at most `limit`, as of `at`, which
  // must be Remembers(). `ns`: "" for all.
  struct Page {
    std::vector<StoredPtr> objects;
    bool more = false;
    size_t left = 0;  // how many follow
  };
  using Key = std::pair<std::string, std::string>;  // namespace, name
  Page List(const std::string& resource, const std::string& ns, Version at,
            const std::optional<Key>& from, size_t limit) const;
  size_t Count(const std::string& resource) const;

  // Whether a list can be read at `at`, and a watch be continued from there.
  bool Remembers(const std::string& resource, Version at) const;
  Version oldest(const std::string& resource) const;
  // Changes after `after`, oldest first; the index of the first and their end.
  const std::deque<Change>& History(const std::string& resource) const;
  size_t FirstAfter(const std::string& resource, Version after) const;

  void SetHistoryLimit(size_t changes) { history_limit_ = changes; }
  // Forgets all changes so far.
  void Compact();

 private:
  struct Table {
    std::map<Key, StoredPtr> objects;
    std::deque<Change> history;
    Version compacted = 0;  // the last change that is forgotten
  };
  const Table& Of(const std::string& resource) const;
  void Remember(Table& table, Change change);

  Version version_ = 1;
  Version compacted_ = 0;
  size_t history_limit_ = kHistory;
  std::map<std::string, Table> tables_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_STORE_H_
