// WatchCursor: what one watch is told, in order: the present state if it asked for that, then each
// change after its position, as events of its selection. Makes text, sends nothing.
//
// An object that comes into the selection is ADDED, one that leaves it is DELETED, though neither
// happened to the object itself.
#ifndef WEFT_TEST_APISERVER_WATCH_H_
#define WEFT_TEST_APISERVER_WATCH_H_

#include <optional>
#include <string>
#include <vector>

#include "test/apiserver/reads.h"

namespace weft::apiserver {

class WatchCursor {
 public:
  // Errors: a selector or a version that cannot be read; one from the future.
  static Result<WatchCursor> Open(Cluster& cluster, const Target& target, const Request& request);

  // Appends events, each a line; at most about `most` of them. The failure, once: the position is
  // forgotten. To be sent as ErrorEvent(), and the watch ends.
  std::optional<Failure> Next(std::vector<std::string>& events, size_t most);

  // Says how far the watch has come. Only for who asked for bookmarks.
  std::string Bookmark();
  bool wants_bookmarks() const { return wants_bookmarks_; }

  static std::string ErrorEvent(const Failure& failure);

 private:
  WatchCursor(Cluster& cluster, const Target& target, const Request& request, Selection selection);
  void AppendPresent(std::vector<std::string>& events);
  void AppendChange(const Change& change, std::vector<std::string>& events);
  std::string Event(const char* type, const Stored& object);
  bool Selects(const StoredPtr& object) const;

  Cluster* cluster_;
  Target target_;
  Selection selection_;
  std::optional<RowObject> rows_;
  bool wants_bookmarks_ = false;
  bool present_first_ = false;
  Version after_ = 0;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_WATCH_H_
