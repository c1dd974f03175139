// What is to be said of a link in the status of its object. A value.
#ifndef WEFT_CONTROLPLANE_STATUS_LINK_REPORT_H_
#define WEFT_CONTROLPLANE_STATUS_LINK_REPORT_H_

#include <cstddef>
#include <string>

namespace weft {

struct LinkReport {
  std::string cluster;
  bool joined = false;  // it is known who the other cluster is
  std::string trouble;  // why not, after an attempt
  bool connected = false;
  size_t services = 0;     // that it exports to us
  std::string last_error;  // why it is not connected
  std::string told;        // what it has said of itself since it was linked, JSON; or ""

  friend bool operator==(const LinkReport&, const LinkReport&) = default;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_LINK_REPORT_H_
