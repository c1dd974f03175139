// StatusBook: what weftd has to say of each config object, and what its status says already: so,
// what is to be written.
//
// Conditions of Istio's kinds, beside those that others wrote:
//   Accepted      False: it cannot be used; its last good form, if there was one, stays in force
//   ResolvedRefs  False: it names what is not there (of VirtualServices and DestinationRules)
//   Conflicted    True: another object has what it claims; absent otherwise
//   Programmed    False: proxies refuse what was made of it; absent otherwise
//   Distributed   whether the clusters that it is distributed to have it; absent if there are none
// Those of ServiceExports are Valid, Ready and Conflict, as the MCS API has them.
// Those of the Gateway API are its own (model/gateway_api_status.h), and Programmed for the parents
// of a route that proxies refuse. A Link is Accepted when it is known who the other cluster is, and
// Connected while its weftd and ours hear each other; beside that its status has `services`, how
// many the other one exports, and `lastError`.
//
// Each says of which generation it is. An object is only written if something of it differs.
//
// Pure; belongs to one thread (the engine's).
#ifndef WEFT_CONTROLPLANE_STATUS_STATUS_BOOK_H_
#define WEFT_CONTROLPLANE_STATUS_STATUS_BOOK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/federation/distribution.h"
#include "controlplane/model/gateway_api_status.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/proxy_refusal.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/status/gateway_api_claim.h"
#include "controlplane/status/link_report.h"

namespace weft {

class StatusBook {
 public:
  // Objects as they are now, and what was found in them.
  void OnObjects(const std::vector<ObjectDelta>& deltas, const std::vector<Problem>& problems);
  // What was found in all objects together, in place of what was found before.
  struct Findings {
    std::vector<Problem> references;
    std::vector<Problem> conflicts;
    std::vector<Problem> others;
    std::vector<GatewayApiStatus> gateway_api;   // of every object that is ours
    std::vector<GatewayApiStatus> exports = {};  // of every ServiceExport: its conditions
  };
  // Before it was called once there is nothing to write.
  void OnWorld(const Findings& findings);
  void OnProxies(const std::vector<ProxyRefusal>& refusals);
  // Of every object of kind Link; before that nothing is said of one but that it is refused.
  void OnLinks(const std::vector<LinkReport>& reports);
  // Of every object that is distributed to other clusters.
  void OnDistribution(const std::map<ObjectKey, DistributionStatus>& statuses);
  // Whoever wrote until now may have left anything.
  void LookAtAll();

  // One object whose status is not what it should be, once for each time that something changed.
  struct Write {
    ObjectKey key;
    std::string path;  // of its status
    std::string body;  // a JSON merge patch, for the object as it is known
  };
  std::optional<Write> Next(absl::Time now);
  // The object as it was stored.
  void OnWritten(const ObjectKey& key, std::string object);
  // It is to be looked at again.
  void OnNotWritten(const ObjectKey& key) { dirty_.insert(key); }

 private:
  struct Object {
    std::string path;
    std::string resource_version;
    int64_t generation = 0;
    std::string status;              // JSON, as it is there
    bool refers = false;             // objects of its kind name others
    std::vector<std::string> names;  // by which proxies speak of what was made of it
    GatewayApiClaim claim;           // of the Gateway API's kinds
    std::vector<Problem> problems;
    std::vector<Problem> references;
    std::vector<Problem> conflicts;
    std::vector<Problem> findings;
    std::vector<ProxyRefusal> refusals;
    GatewayApiConditions exported;  // of a ServiceExport
    std::optional<GatewayApiCondition> distributed;
  };

  static bool ReadInto(const YamlNode& body, Object& object);
  static GatewayApiConditions WantedOf(const ObjectKey& key, const Object& object);
  void Put(const ObjectDelta& delta);
  void Replace(const std::vector<Problem>& problems, std::vector<Problem> Object::* list);
  void ReplaceExports(const std::vector<GatewayApiStatus>& statuses);
  void ReplaceGatewayApi(const std::vector<GatewayApiStatus>& statuses);
  std::optional<GatewayApiConditions> LinkConditions(const ObjectKey& key,
                                                     const Object& object) const;
  GatewayApiStatus GatewayApiStatusOf(const ObjectKey& key, const Object& object) const;
  std::optional<std::string> PatchOf(const ObjectKey& key, const Object& object,
                                     absl::Time now) const;

  bool world_known_ = false;
  std::map<ObjectKey, Object> objects_;
  std::map<ObjectKey, GatewayApiStatus> gateway_api_;
  std::map<std::string, LinkReport> links_;  // by cluster
  std::set<ObjectKey> dirty_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_STATUS_BOOK_H_
