#include "test/apiserver/watch.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace weft::apiserver {

WatchCursor::WatchCursor(Cluster& cluster, const Target& target, const Request& request,
                         Selection selection)
    : cluster_(&cluster),
      target_(target),
      selection_(std::move(selection)),
      rows_(WantsTable(request)),
      wants_bookmarks_(request.IsTrue("allowWatchBookmarks")) {}

Result<WatchCursor> WatchCursor::Open(Cluster& cluster, const Target& target,
                                      const Request& request) {
  auto selection = ReadSelection(target, request);
  if (!selection.ok()) return selection.failure();
  if (request.IsTrue("sendInitialEvents")) {
    Failure failure = BadRequest(
        "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the "
        "WatchList feature gate is enabled");
    failure.code = 422;
    failure.reason = "Invalid";
    return failure;
  }
  auto version = ReadVersion(request.Query("resourceVersion"));
  if (!version.ok()) return version.failure();
  WatchCursor cursor(cluster, target, request, *std::move(selection));
  const Version now = cluster.store().version();
  cursor.present_first_ = !version->has_value() || **version == 0;
  cursor.after_ = cursor.present_first_ ? now : **version;
  if (cursor.after_ > now) return TooLargeVersion(cursor.after_, now);
  return cursor;
}

bool WatchCursor::Selects(const StoredPtr& object) const {
  if (object == nullptr) return false;
  if (!target_.ns.empty() && object->ns != target_.ns) return false;
  if (!target_.name.empty() && object->name != target_.name) return false;
  return selection_.Matches(*object);
}

std::string WatchCursor::Event(const char* type, const Stored& object) {
  std::string line = absl::StrCat("{\"type\":\"", type, "\",\"object\":");
  if (rows_.has_value()) {
    const TableWriter table(*target_.resource, target_.version, *rows_, absl::Now());
    const auto shared = std::make_shared<const Stored>(object);
    line += table.Table({shared}, {{"resourceVersion", absl::StrCat(object.version)}}).dump();
  } else {
    object.AppendTo(line, target_.api_version(), target_.resource->kind);
  }
  return line += "}\n";
}

void WatchCursor::AppendPresent(std::vector<std::string>& events) {
  const Store::Page page = cluster_->store().List(target_.resource->Id(), target_.ns, after_,
                                                  std::nullopt, std::numeric_limits<size_t>::max());
  for (const StoredPtr& object : page.objects) {
    if (Selects(object)) events.push_back(Event("ADDED", *object));
  }
}

void WatchCursor::AppendChange(const Change& change, std::vector<std::string>& events) {
  const bool was = Selects(change.before);
  const bool is = Selects(change.now);
  if (is) {
    events.push_back(Event(was ? "MODIFIED" : "ADDED", *change.now));
  } else if (was) {
    events.push_back(Event("DELETED", change.now != nullptr ? *change.now : *change.last));
  }
}

std::optional<Failure> WatchCursor::Next(std::vector<std::string>& events, size_t most) {
  const std::string id = target_.resource->Id();
  const Store& store = cluster_->store();
  if (!store.Remembers(id, after_)) return ExpiredVersion(after_, store.oldest(id));
  if (present_first_) AppendPresent(events);
  present_first_ = false;
  const std::deque<Change>& history = store.History(id);
  for (size_t i = store.FirstAfter(id, after_); i < history.size() && events.size() < most; ++i) {
    AppendChange(history[i], events);
    after_ = history[i].version;
  }
  // Other resources' changes are passed too, so that a quiet one is not forgotten.
  if (store.FirstAfter(id, after_) == history.size()) after_ = store.version();
  return std::nullopt;
}

std::string WatchCursor::Bookmark() {
  Json object = {{"kind", target_.resource->kind}, {"apiVersion", target_.api_version()}};
  object["metadata"] = {{"resourceVersion", absl::StrCat(after_)}, {"creationTimestamp", nullptr}};
  if (rows_.has_value()) {
    const TableWriter table(*target_.resource, target_.version, *rows_, absl::Now());
    Json row = {{"cells", Json::array()}, {"object", object}};
    object = table.Table({}, {{"resourceVersion", absl::StrCat(after_)}});
    object["rows"] = Json::array({row});
  }
  return absl::StrCat("{\"type\":\"BOOKMARK\",\"object\":", object.dump(), "}\n");
}

std::string WatchCursor::ErrorEvent(const Failure& failure) {
  return absl::StrCat("{\"type\":\"ERROR\",\"object\":", failure.ToStatus().dump(), "}\n");
}

}  // namespace weft::apiserver
