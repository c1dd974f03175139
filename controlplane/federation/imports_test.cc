#include "controlplane/federation/imports.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/federation/merge.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using Ports = std::vector<ServicePort>;

const Ports kHttp = {{"http", 80, Protocol::kHttp}};

// "http 80, admin 81": names and numbers.
std::string PortsOf(const Agreement& agreement) {
  return absl::StrJoin(agreement.ports, ", ", [](std::string* out, const ServicePort& port) {
    absl::StrAppend(out, port.name, " ", port.port);
  });
}

TEST(Agree, PortsAreTheUnionAndTheOlderExportCountsWhereTheyDiffer) {
  struct Row {
    const char* name;
    Ports older, younger;
    const char* ports;
    const char* conflict;
  } rows[] = {
      {"the same", kHttp, kHttp, "http 80", ""},
      {"one more",
       kHttp,
       {{"http", 80, Protocol::kHttp}, {"db", 82, Protocol::kTcp}},
       "http 80, db 82",
       ""},
      {"none in common", kHttp, {{"db", 82, Protocol::kTcp}}, "http 80, db 82", ""},
      {"one without a name", kHttp, {{"", 80, Protocol::kHttp}}, "http 80", ""},
      {"TCP and UDP",
       {{"dns", 53, Protocol::kTcp}},
       {{"dns-udp", 53, Protocol::kUdp}},
       "dns 53, dns-udp 53",
       ""},
      {"another protocol",
       kHttp,
       {{"http", 80, Protocol::kGrpc}},
       "http 80",
       "cluster west has port http 80/gRPC, cluster east http 80/HTTP"},
      {"another name",
       kHttp,
       {{"web", 80, Protocol::kHttp}},
       "http 80",
       "cluster west has port web 80/HTTP, cluster east http 80/HTTP"},
      {"another number",
       kHttp,
       {{"http", 8080, Protocol::kHttp}, {"db", 82, Protocol::kTcp}},
       "http 80, db 82",
       "cluster west has port http 8080/HTTP, cluster east http 80/HTTP"},
  };
  for (const Row& row : rows) {
    const Agreement agreed =
        Agree({{"east", 1, false, false, &row.older}, {"west", 2, false, false, &row.younger}});
    EXPECT_EQ(PortsOf(agreed), row.ports) << row.name;
    EXPECT_EQ(agreed.conflict_message, row.conflict) << row.name;
    EXPECT_EQ(agreed.conflict, *row.conflict == '\0' ? "" : "PortConflict") << row.name;
  }
}

TEST(Agree, TypeAndSessionAffinityAreThoseOfTheOldest) {
  const Agreement agreed = Agree({{"east", 1, /*headless=*/true, false, &kHttp},
                                  {"north", 2, true, false, &kHttp},
                                  {"west", 3, false, /*session_affinity=*/true, &kHttp}});
  EXPECT_TRUE(agreed.headless);
  EXPECT_FALSE(agreed.session_affinity);
  EXPECT_EQ(agreed.conflict, "TypeConflict,SessionAffinityConflict");
  EXPECT_EQ(agreed.conflict_message,
            "cluster west has it with an address, cluster east headless; "
            "cluster west has sessionAffinity ClientIP, cluster east None");
}

TEST(Agree, ALongListOfConflictsIsCutShort) {
  std::vector<Offer> offers = {{"east", 1, false, false, &kHttp}};
  const Ports other = {{"web", 80, Protocol::kHttp}};
  for (int i = 0; i < 100; ++i) {
    offers.push_back({absl::StrCat("c", i), 2, false, false, &other});
  }
  const std::string message = Agree(offers).conflict_message;
  EXPECT_LT(message.size(), 1000u);
  EXPECT_EQ(message.substr(message.size() - 9), "; 90 more");
}

TEST(SortOldestFirst, OfEquallyOldOnesTheFirstByName) {
  std::vector<Offer> offers = {{"west", 5}, {"east", 5}, {"mars", 1}, {"north", 0}};
  SortOldestFirst(offers);
  EXPECT_EQ(absl::StrJoin(offers, " ",
                          [](std::string* out, const Offer& offer) { *out += offer.cluster; }),
            "north mars east west");
}

std::string ServiceCalled(const std::string& name, const std::string& spec,
                          const std::string& annotations = "") {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: ", name,
                      ", annotations: {", annotations, "}}\nspec: {", spec, "}\n");
}
std::string ExportOf(const std::string& name, const std::string& name_space = "default") {
  return absl::StrCat(
      "---\napiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceExport\nmetadata: {name: ",
      name, ", namespace: ", name_space, ", creationTimestamp: '2026-01-01T00:00:00Z'}\n");
}

// "Valid=True/Valid Ready=…" of each export, a line each.
std::string StatusesIn(const World& world) {
  std::string lines;
  for (const GatewayApiStatus& status : ServiceExportStatuses(world)) {
    absl::StrAppend(&lines, status.key.name, ":");
    for (const auto& condition : status.conditions) {
      absl::StrAppend(&lines, " ", condition.type, "=", condition.status ? "True" : "False", "/",
                      condition.reason);
    }
    lines += "\n";
  }
  return lines;
}

TEST(ServiceExportStatuses, SayWhatCameOfEach) {
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  Registry registry(self, ExportPolicy::kNone);
  registry.Apply(Deltas(absl::StrCat(
      ServiceCalled("web", "clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]"),
      ExportOf("web"), ServiceCalled("db", "type: ExternalName, externalName: db.example.com"),
      ExportOf("db"), ExportOf("missing"),
      ServiceCalled("own", "clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]",
                    "service.cilium.io/shared: 'false'"),
      ExportOf("own"), ExportOf("dns", "kube-system"))));
  const std::string refused = " Ready=False/Failed Conflict=False/NoConflicts\n";
  const std::string others =
      absl::StrCat("db: Valid=False/InvalidServiceType", refused, "missing: Valid=False/NoService",
                   refused, "own: Valid=False/NotShared", refused);
  const std::string system = absl::StrCat("dns: Valid=False/SystemNamespace", refused);
  const World alone = MergeWorld(registry.BuildLocal(), {}, nullptr).world;
  EXPECT_EQ(StatusesIn(alone), absl::StrCat(others, "web: Valid=True/Valid Ready=True/Exported ",
                                            "Conflict=False/NoConflicts\n", system));

  // Of ours and theirs the older one counts; both are told.
  auto peer = std::make_shared<Peer>();
  peer->cluster = "west";
  auto exports = std::make_shared<PeerExports>();
  (*exports)[{"default", "web"}] = {"default", "web", {{"http", 80, Protocol::kTcp}}, {}};
  const World merged = MergeWorld(registry.BuildLocal(), {{"west", {peer, exports}}}, &alone).world;
  EXPECT_EQ(StatusesIn(merged), absl::StrCat(others, "web: Valid=True/Valid Ready=True/Exported ",
                                             "Conflict=True/PortConflict\n", system));
  EXPECT_EQ(merged.imports.at("web.default.svc.clusterset.local")->ports[0].protocol,
            Protocol::kTcp);
  EXPECT_EQ(Lines(CheckServiceExports(ServiceExportStatuses(merged))),
            "warning: ServiceExport default/db: a Service of type ExternalName is not exported\n"
            "warning: ServiceExport default/missing: there is no Service of this namespace and "
            "name\n"
            "warning: ServiceExport default/own: the Service's annotation "
            "service.cilium.io/shared forbids it\n"
            "warning: ServiceExport default/web: cluster east has port http 80/HTTP, cluster west "
            "http 80/TCP\n"
            "warning: ServiceExport kube-system/dns: what is of the system is never exported");
}

}  // namespace
}  // namespace weft
