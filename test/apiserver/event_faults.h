// EventFaults: what faults do to the events of one watch. Pure but for what it takes from Faults.
#ifndef WEFT_TEST_APISERVER_EVENT_FAULTS_H_
#define WEFT_TEST_APISERVER_EVENT_FAULTS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "test/apiserver/faults.h"

namespace weft::apiserver {

// `json` with the long or deep part that the request is to get, if any, behind its first '{' after
// `marker` ("" for the very first).
void Bloat(Faults& faults, absl::string_view verb, absl::string_view resource,
           absl::string_view marker, std::string& json);

class EventFaults {
 public:
  EventFaults(Faults& faults, std::string resource)
      : faults_(faults), resource_(std::move(resource)) {}

  // Duplicates, reorders, adds and bloats among the events that are to be sent now. What is held
  // back comes with the next ones.
  void Apply(std::vector<std::string>& events);

 private:
  bool Take(Fault::Kind kind) { return faults_.Take(kind, "watch", resource_).has_value(); }

  Faults& faults_;
  const std::string resource_;
  std::string held_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_EVENT_FAULTS_H_
