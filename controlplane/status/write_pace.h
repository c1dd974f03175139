// WritePace: how fast a leader writes objects to the API server, one after the other, and what it
// tells of those that could not be written. Pure.
#ifndef WEFT_CONTROLPLANE_STATUS_WRITE_PACE_H_
#define WEFT_CONTROLPLANE_STATUS_WRITE_PACE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/sources/kubernetes/client.h"

namespace weft {

class WritePace {
 public:
  // At most 20 a second: a small part of what one client may ask of an API server.
  static constexpr absl::Duration kBetweenWrites = absl::Milliseconds(50);
  // Between looks at what there is to do.
  static constexpr absl::Duration kLook = absl::Milliseconds(250);
  // Ends before another weftd may lead.
  static constexpr absl::Duration kCallTimeout = absl::Seconds(4);
  static constexpr absl::Duration kBackoffFirst = absl::Seconds(1);
  static constexpr absl::Duration kBackoffMost = absl::Seconds(30);

  // A write succeeded, or failed for a reason that is not its object's own. Either says how long to
  // wait before the next one.
  absl::Duration OnWritten();
  absl::Duration OnTrouble();

  // Whether it is other trouble than the last since a write succeeded, and so is to be logged.
  bool IsNews(const std::string& trouble);

 private:
  absl::Duration backoff_ = kBackoffFirst;
  std::string told_;
};

// Why a call did not do what it was for, for logs.
std::string TroubleOf(const absl::StatusOr<KubernetesClient::Answer>& answer);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_WRITE_PACE_H_
