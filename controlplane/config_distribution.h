// ConfigDistribution: the engine's part in configuration across clusters: at its pace, what the
// links are to say of ours, and what of theirs is in force here. On disk, how far ours are.
//
// All on the loop's thread. Blocking disk access, of one small file.
#ifndef WEFT_CONTROLPLANE_CONFIG_DISTRIBUTION_H_
#define WEFT_CONTROLPLANE_CONFIG_DISTRIBUTION_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/federation/config_reports.h"
#include "controlplane/federation/distribution.h"
#include "controlplane/federation/peer_link.h"

namespace weft {

// How often Look() is called. Both directions are damped by it: what changes faster is told as it
// is then.
inline constexpr absl::Duration kDistributionLook = absl::Milliseconds(250);

class ConfigDistribution {
 public:
  using Links = std::map<std::string, std::unique_ptr<PeerLink>>;
  using Refusals = std::function<std::vector<ProxyRefusal>()>;

  // What of a proxy's refusals is asked for while there is config of others.
  ConfigDistribution(std::string own_cluster, std::string data_folder, Refusals refusals);

  // Of this cluster: as Distribution::OnObjects().
  std::vector<Problem> OnObjects(const std::vector<ObjectDelta>& deltas,
                                 const std::vector<Problem>& problems) {
    return distribution_.OnObjects(deltas, problems);
  }
  void OnAllRead() { distribution_.OnAllRead(); }
  // What was found in the World that discovery serves.
  void OnWorld(std::vector<Problem> references, std::vector<Problem> hosts);

  // Tells each link what it is to say; `conflicts` are those of the newest World. Once all objects
  // have been read. Whether statuses() changed.
  bool Look(const Links& links, std::shared_ptr<const ConfigConflicts> conflicts,
            absl::Duration now);

  const std::map<ObjectKey, DistributionStatus>& statuses() const {
    return distribution_.statuses();
  }
  // By cluster: what it distributes here, and what became of that.
  const std::map<std::string, std::shared_ptr<const ConfigReports>>& received() const {
    return received_;
  }

 private:
  void AskProxies(absl::Duration now);
  void Report(const Links& links);
  void LogReports(const std::string& cluster, const ConfigReports& before,
                  const ConfigReports& now) const;
  void LogStatuses();
  void Save();

  const std::string file_;
  const Refusals refusals_;
  Distribution distribution_;
  ConfigFindings findings_;
  bool findings_changed_ = true;                                        // since Report()
  std::map<std::string, std::shared_ptr<const PeerConfigs>> reported_;  // of which that was, last
  std::map<std::string, std::shared_ptr<const ConfigReports>> received_;
  std::map<ObjectKey, std::string> told_;  // reasons, as last logged
  absl::Duration refusals_due_;
  uint64_t saved_ = 0;   // of the records
  uint64_t logged_ = 0;  // of the statuses
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CONFIG_DISTRIBUTION_H_
