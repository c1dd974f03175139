#include "test/apiserver/event_faults.h"

#include "absl/strings/str_cat.h"

namespace weft::apiserver {

void Bloat(Faults& faults, absl::string_view verb, absl::string_view resource,
           absl::string_view marker, std::string& json) {
  const size_t from = json.find(marker.data(), 0, marker.size());
  const size_t brace = from == std::string::npos ? from : json.find('{', from);
  if (brace == std::string::npos) return;
  if (const auto fault = faults.Take(Fault::Kind::kLongLine, verb, resource)) {
    json.insert(brace + 1, fault->bytes, ' ');
  }
  if (const auto fault = faults.Take(Fault::Kind::kDeep, verb, resource)) {
    const size_t depth = static_cast<size_t>(fault->depth);
    json.insert(brace + 1,
                absl::StrCat("\"deep\":", std::string(depth, '['), std::string(depth, ']'), ","));
  }
}

void EventFaults::Apply(std::vector<std::string>& events) {
  if (events.empty()) return;
  if (!held_.empty()) {
    events.insert(events.begin() + 1, std::move(held_));
    held_.clear();
  } else if (Take(Fault::Kind::kReorder)) {
    if (events.size() > 1) {
      std::swap(events[0], events[1]);
    } else {
      held_ = std::move(events[0]);
      events.clear();
      return;
    }
  }
  if (Take(Fault::Kind::kDuplicate)) events.insert(events.begin(), events.front());
  Bloat(faults_, "watch", resource_, "\"object\":", events.front());
  if (Take(Fault::Kind::kUnknownEvent)) {
    events.insert(events.begin(),
                  "{\"type\":\"REMODELLED\",\"object\":{\"metadata\":{\"name\":\"nobody\"}}}\n");
  }
}

}  // namespace weft::apiserver
