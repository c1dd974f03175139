// PickTable: the endpoints of a cluster, or of a subset of it, sorted into the lists that one pick
// chooses among, as things stand at one moment.
//
// A list is what a request may go to once its priority, the health of who serves it and, where
// localities have weights, its locality are chosen: all that is chosen by one draw, since the lists
// have the shares that follow from those rules (pick_endpoint.h). Making a table is linear in the
// endpoints; using it is not.
#ifndef WEFT_PROXY_DECIDE_PICK_TABLE_H_
#define WEFT_PROXY_DECIDE_PICK_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proxy/config/cluster_config.h"
#include "proxy/decide/priority_load.h"

namespace weft {

class ClusterLoad;

// What is known of an endpoint, one bit each. 0: not of this table.
enum Condition : uint8_t {
  kWell = 1,
  kWellDegraded = 2,
  kOut = 4,             // stated or checked unhealthy, or ejected
  kUnreachable = 8,     // not reached by this worker lately, else well
  kUnreachableOut = 16  // both
};

// Endpoints with their weights; never empty.
class PickList {
 public:
  // The endpoint in whose share of the total weight `random` falls.
  uint32_t Draw(uint64_t random) const { return members_[PlaceOf(random)]; }
  // The same, leaving out `other`, which must not be the only member.
  uint32_t DrawOther(uint64_t random, uint32_t other) const;
  // Equal weights: one after the other. Else the turns of each are spread evenly, and in a cycle of
  // the total weight each has exactly its share.
  uint32_t AtTurn(uint64_t turn) const;

  absl::Span<const uint32_t> members() const { return members_; }  // ascending
  uint64_t WeightOf(uint32_t endpoint) const;
  bool equal_weights() const { return upto_.empty(); }
  size_t priority() const { return priority_; }
  // Conditions that its members have; nobody else of its priority has them.
  uint8_t conditions() const { return conditions_; }

 private:
  friend class PickTable;

  size_t PlaceOf(uint64_t random) const;
  size_t PlaceOfWeight(uint64_t weight) const;

  std::vector<uint32_t> members_;
  std::vector<uint64_t> upto_;  // sums of weights; empty: all weights are equal
  uint64_t step_ = 0;           // of AtTurn
  size_t priority_ = 0;
  uint8_t conditions_ = 0;
};

class PickTable {
 public:
  // `load` has adopted the endpoints of `cluster`.
  PickTable(const ClusterConfig& cluster, const ClusterLoad& load, size_t view,
            const LocalZones* zones, absl::Duration now);

  // Null: nobody may be picked.
  const PickList* ChooseList(uint64_t random) const;
  // Every list, for who must look further than the one that was drawn: best first.
  absl::Span<const PickList> lists() const { return lists_; }
  uint8_t ConditionOf(uint32_t endpoint) const { return conditions_[endpoint]; }
  // Unhealthy endpoints are picked because too few are healthy.
  bool panic() const { return panic_; }
  // Whoever is usable at all, if the lists have nobody left: conditions that may be.
  bool may_use_unhealthy() const { return may_use_unhealthy_; }
  // Time alone changes it then.
  absl::Duration valid_until() const { return valid_until_; }

 private:
  struct Builder;

  std::vector<PickList> lists_;
  std::vector<uint32_t> shares_;      // sums, by list
  std::vector<uint8_t> conditions_;  // by endpoint
  bool panic_ = false;
  bool may_use_unhealthy_ = true;
  absl::Duration valid_until_ = absl::InfiniteDuration();
};

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_PICK_TABLE_H_
