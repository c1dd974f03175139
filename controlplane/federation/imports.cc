#include "controlplane/federation/imports.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/model/sharing.h"

namespace weft {
namespace {

// What one condition tells of: beyond it there is nothing new to learn.
constexpr size_t kMostConflicts = 10;

constexpr char kPortConflict[] = "PortConflict";
constexpr char kTypeConflict[] = "TypeConflict";
constexpr char kSessionAffinityConflict[] = "SessionAffinityConflict";

bool IsUdp(const ServicePort& port) { return port.protocol == Protocol::kUdp; }

bool SameNumber(const ServicePort& a, const ServicePort& b) {
  return a.port == b.port && IsUdp(a) == IsUdp(b);
}

bool SameName(const ServicePort& a, const ServicePort& b) {
  return !a.name.empty() && a.name == b.name;
}

absl::string_view NameOf(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTls:
      return "TLS";
    case Protocol::kHttp:
      return "HTTP";
    case Protocol::kHttp2:
      return "HTTP/2";
    case Protocol::kGrpc:
      return "gRPC";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kTcp:
      break;
  }
  return "TCP";
}

std::string Shown(const ServicePort& port) {
  return absl::StrCat(port.name.empty() ? "" : absl::StrCat(port.name, " "), port.port, "/",
                      NameOf(port.protocol));
}

class Agreeing {
 public:
  explicit Agreeing(const std::vector<Offer>& offers) {
    agreement_.headless = offers.front().headless;
    agreement_.session_affinity = offers.front().session_affinity;
    first_ = offers.front().cluster;
    for (const Offer& offer : offers) Add(offer);
  }

  Agreement Take() && {
    agreement_.conflict = absl::StrJoin(reasons_, ",");
    if (messages_.size() > kMostConflicts) {
      const size_t more = messages_.size() - kMostConflicts;
      messages_.resize(kMostConflicts);
      messages_.push_back(absl::StrCat(more, " more"));
    }
    agreement_.conflict_message = absl::StrJoin(messages_, "; ");
    return std::move(agreement_);
  }

 private:
  void Add(const Offer& offer) {
    for (const ServicePort& port : *offer.ports) AddPort(offer.cluster, port);
    if (offer.headless != agreement_.headless) {
      Conflict(kTypeConflict,
               absl::StrCat("cluster ", offer.cluster, " has it ",
                            offer.headless ? "headless" : "with an address", ", cluster ", first_,
                            " ", agreement_.headless ? "headless" : "with an address"));
    }
    if (offer.session_affinity != agreement_.session_affinity) {
      Conflict(kSessionAffinityConflict,
               absl::StrCat("cluster ", offer.cluster, " has sessionAffinity ",
                            offer.session_affinity ? "ClientIP" : "None", ", cluster ", first_, " ",
                            agreement_.session_affinity ? "ClientIP" : "None"));
    }
  }

  void AddPort(const std::string& cluster, const ServicePort& port) {
    for (size_t i = 0; i < agreement_.ports.size(); ++i) {
      const ServicePort& known = agreement_.ports[i];
      const bool number = SameNumber(known, port);
      if (!number && !SameName(known, port)) continue;
      const bool same_name = known.name.empty() || port.name.empty() || known.name == port.name;
      if (number && same_name && known.protocol == port.protocol) return;
      return Conflict(kPortConflict, absl::StrCat("cluster ", cluster, " has port ", Shown(port),
                                                  ", cluster ", owners_[i], " ", Shown(known)));
    }
    agreement_.ports.push_back(port);
    owners_.push_back(cluster);
  }

  void Conflict(const char* reason, std::string message) {
    if (std::find(reasons_.begin(), reasons_.end(), reason) == reasons_.end()) {
      reasons_.push_back(reason);
    }
    messages_.push_back(std::move(message));
  }

  Agreement agreement_;
  std::string first_;
  std::vector<std::string> owners_;  // of the ports: the first cluster that has it
  std::vector<std::string> reasons_;
  std::vector<std::string> messages_;
};

// Why the service is not exported although that was asked for: the reason of the condition Valid
// and its message. An empty reason: it is.
std::pair<std::string, std::string> WhyInvalid(const World& world, const ObjectKey& key) {
  if (IsSystemNamespace(key.namespace_)) {
    return {"SystemNamespace", "what is of the system is never exported"};
  }
  const std::string host = HostOf(key.name, key.namespace_);
  if (world.aliases.contains(host)) {
    return {"InvalidServiceType", "a Service of type ExternalName is not exported"};
  }
  const auto service = world.services.find(host);
  if (service == world.services.end() || !service->second->local) {
    return {"NoService", "there is no Service of this namespace and name"};
  }
  if (service->second->exported) return {};
  return {"NotShared", absl::StrCat("the Service's annotation ", kSharedAnnotation, " forbids it")};
}

GatewayApiConditions ConditionsOf(const World& world, const ObjectKey& key) {
  const auto [reason, message] = WhyInvalid(world, key);
  if (!reason.empty()) {
    return {{"Valid", false, reason, message},
            {"Ready", false, "Failed", message},
            {"Conflict", false, "NoConflicts"}};
  }
  GatewayApiConditions conditions = {{"Valid", true, "Valid"}, {"Ready", true, "Exported"}};
  const auto import = world.imports.find(ClusterSetHostOf(key.name, key.namespace_));
  if (import != world.imports.end() && !import->second->conflict.empty()) {
    conditions.push_back(
        {"Conflict", true, import->second->conflict, import->second->conflict_message});
  } else {
    conditions.push_back({"Conflict", false, "NoConflicts"});
  }
  return conditions;
}

}  // namespace

void SortOldestFirst(std::vector<Offer>& offers) {
  std::sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) {
    return std::tie(a.exported_at, a.cluster) < std::tie(b.exported_at, b.cluster);
  });
}

Agreement Agree(const std::vector<Offer>& offers) { return Agreeing(offers).Take(); }

bool SamePorts(const std::vector<ServicePort>& a, const std::vector<ServicePort>& b) {
  const auto set_of = [](const std::vector<ServicePort>& ports) {
    std::set<std::pair<uint16_t, Protocol>> set;
    for (const ServicePort& port : ports) set.emplace(port.port, port.protocol);
    return set;
  };
  return set_of(a) == set_of(b);
}

std::vector<GatewayApiStatus> ServiceExportStatuses(const World& world) {
  std::vector<GatewayApiStatus> statuses;
  for (const auto& [name, config] : world.service_exports) {
    GatewayApiStatus status;
    status.key = config.key;
    status.generation = config.generation;
    status.conditions = ConditionsOf(world, config.key);
    statuses.push_back(std::move(status));
  }
  return statuses;
}

std::vector<Problem> CheckServiceExports(const std::vector<GatewayApiStatus>& statuses) {
  std::vector<Problem> problems;
  for (const GatewayApiStatus& status : statuses) {
    for (const GatewayApiCondition& condition : status.conditions) {
      const bool refused = condition.type == "Valid" && !condition.status;
      const bool conflict = condition.type == "Conflict" && condition.status;
      if (!refused && !conflict) continue;
      problems.push_back({Severity::kWarning, "", status.key, "", "", condition.message});
    }
  }
  return problems;
}

}  // namespace weft
