// Objects that one cluster distributes to others: how they are marked, what of them travels, and
// what a receiver makes of that. Pure.
//
//   metadata:
//     annotations:
//       weft.io/distribute-to: west, north            # or "*": every linked cluster
//       weft.io/distribute-order: "west; north"       # who comes first; who is not named, last
//       weft.io/distribute-pause: 5m                  # how long a wave has to hold
#ifndef WEFT_CONTROLPLANE_FEDERATION_CONFIG_OBJECT_H_
#define WEFT_CONTROLPLANE_FEDERATION_CONFIG_OBJECT_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/model/decode.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/world.h"

namespace weft {

inline constexpr char kDistributeTo[] = "weft.io/distribute-to";
inline constexpr char kDistributeOrder[] = "weft.io/distribute-order";
inline constexpr char kDistributePause[] = "weft.io/distribute-pause";

inline constexpr absl::Duration kDefaultPause = absl::Minutes(5);
// Proxies have had the time to refuse, and weftd to ask them.
inline constexpr absl::Duration kLeastPause = absl::Seconds(2);
inline constexpr absl::Duration kLongestPause = absl::Hours(24);

// Of one peer: a hundred times what is usual, and what its message holds.
inline constexpr size_t kMaxConfigsOfPeer = 1000;
inline constexpr size_t kMaxConfigBytes = 256 << 10;
inline constexpr size_t kMaxConfigBytesOfPeer = 16 << 20;

// A VirtualService, DestinationRule or AuthorizationPolicy that is in no namespace of the system:
// what lies there is for a whole mesh, and for its own cluster to say.
bool MayBeDistributed(const ObjectKey& key);

// Where an object is to go.
struct DistributionMark {
  bool to_all = false;
  std::set<std::string> to;                  // unless to all
  std::vector<std::set<std::string>> order;  // the first waves
  absl::Duration pause = kDefaultPause;

  friend bool operator==(const DistributionMark&, const DistributionMark&) = default;
};
// Nothing if it is not marked. The error names the annotation.
absl::StatusOr<std::optional<DistributionMark>> MarkOf(const RawObject& object);

// An object in one of its forms, as it travels.
struct ConfigText {
  std::string json;
  std::string revision;  // a hash of that
};
// What one cluster is told, by object; null: to keep what it has of it, if anything.
using ConfigTexts = std::map<ObjectKey, std::shared_ptr<const ConfigText>>;

std::string ConfigRevision(const std::string& json);
// Its spec, and of its metadata what has a meaning elsewhere. An error if it is too large.
absl::StatusOr<std::shared_ptr<const ConfigText>> ConfigTextOf(const RawObject& object);

// A form that can be used here.
struct ReceivedConfig {
  std::string json;
  std::string revision;
  Object object;
  std::vector<std::string> names;  // by which proxies speak of it (NamesToProxies)
};
// Decodes and validates what `cluster` says that the object of this key is. The error names the
// field.
absl::StatusOr<ReceivedConfig> ReadConfig(const ObjectKey& key, std::string json,
                                          const std::string& cluster);

// What a receiver says of a form that it was told.
struct ConfigReport {
  enum class State { kApplied, kRejected, kConflict, kNotAccepted };
  State state = State::kApplied;
  std::string revision;
  std::string message;  // why, unless it is applied

  friend bool operator==(const ConfigReport&, const ConfigReport&) = default;
};
using ConfigReports = std::map<ObjectKey, ConfigReport>;
absl::string_view NameOf(ConfigReport::State state);

// What one peer distributes to this cluster.
struct PeerConfigs {
  std::map<ObjectKey, std::shared_ptr<const ReceivedConfig>> objects;  // the last that can be used
  ConfigReports refused;  // of the newest forms those that cannot
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CONFIG_OBJECT_H_
