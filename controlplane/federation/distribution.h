// Distribution: the objects of this cluster that are distributed to others: how far each one is,
// and what each linked cluster is to be told. Pure; belongs to one thread.
//
// Objects come as sources find them; one that is not valid, or is marked in a way that cannot be
// read, goes on as it was. What is known over a restart are Records; of an object without one it is
// not known what other clusters have, so those whose turn has not come keep it.
#ifndef WEFT_CONTROLPLANE_FEDERATION_DISTRIBUTION_H_
#define WEFT_CONTROLPLANE_FEDERATION_DISTRIBUTION_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/config_object.h"
#include "controlplane/federation/rollout.h"
#include "controlplane/model/gateway_api_status.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"

namespace weft {

struct DistributionStatus {
  std::string revision;                         // the newest
  GatewayApiCondition condition;                // of the type Distributed
  std::map<std::string, std::string> clusters;  // what became of it in each
};

class Distribution {
 public:
  // What of an object has to outlive a restart.
  struct Record {
    DistributionMark mark;
    Rollout::State state;
  };
  using Records = std::map<ObjectKey, Record>;
  // What linked clusters report, by cluster; null: it is not there at present. A new pointer where
  // it changed.
  using Heard = std::map<std::string, std::shared_ptr<const ConfigReports>>;

  Distribution(std::string own_cluster, Records known);

  // Objects as they are now, and what was found in them. Warnings about marks.
  std::vector<Problem> OnObjects(const std::vector<ObjectDelta>& deltas,
                                 const std::vector<Problem>& problems);
  // All objects that there are have been told once: others that are remembered are gone.
  void OnAllRead();

  // Moves on as far as clusters allow. `heard` has each linked cluster; `now` never goes back.
  void Advance(const Heard& heard, absl::Duration now);

  // As of the last Advance(): what a linked cluster is to be told, the same pointer while that is
  // the same; null for others.
  std::shared_ptr<const ConfigTexts> TextsFor(const std::string& cluster) const;
  const std::map<ObjectKey, DistributionStatus>& statuses() const { return statuses_; }
  Records records() const;
  // Rises with each change of the records, and with each of the statuses.
  uint64_t records_version() const { return records_version_; }
  uint64_t statuses_version() const { return statuses_version_; }

 private:
  struct Item {
    DistributionMark mark;
    Rollout rollout;
  };

  void GoOn(const ObjectKey& key);
  absl::Status Put(const RawObject& object);
  Waves WavesOf(const DistributionMark& mark) const;
  void MakeTexts();
  DistributionStatus StatusOf(const ObjectKey& key, const Item& item) const;
  std::string FateIn(const std::string& cluster, size_t wave, const ObjectKey& key,
                     const Item& item) const;

  const std::string own_cluster_;
  Records known_;  // of objects that were not told yet
  std::map<ObjectKey, Item> items_;
  Heard heard_;
  bool changed_ = true;  // something of the above, since the last Advance()
  std::map<std::string, std::shared_ptr<const ConfigTexts>> texts_;
  std::map<ObjectKey, DistributionStatus> statuses_;
  uint64_t records_version_ = 0;
  uint64_t statuses_version_ = 0;
};

// Records as bytes, for the disk. DataLoss if they are not whole.
std::string EncodeRecords(const Distribution::Records& records);
absl::StatusOr<Distribution::Records> DecodeRecords(absl::string_view bytes);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_DISTRIBUTION_H_
