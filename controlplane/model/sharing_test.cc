#include "controlplane/model/sharing.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kHost[] = "web.shop.svc.cluster.local";

std::shared_ptr<const ClusterIdentity> Self(bool merges = true) {
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  self->merges_local_names = merges;
  return self;
}

std::string NamespaceWith(const std::string& labels) {
  return absl::StrCat("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {",
                      labels, "}}\n");
}
std::string ServiceWith(const std::string& annotations, const std::string& name_space = "shop") {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: ",
                      name_space, ", annotations: {", annotations,
                      "}}\nspec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n");
}
std::string ExportWith(const std::string& metadata = "", const std::string& version = "v1beta1") {
  return absl::StrCat("---\napiVersion: multicluster.x-k8s.io/", version,
                      "\nkind: ServiceExport\nmetadata: {name: web, namespace: shop", metadata,
                      "}\n");
}

struct Row {
  std::string name;
  std::string objects;
  bool exported;
  bool merges;
  bool merges_if_policy_does_not = false;
};

void Check(const Row& row, ExportPolicy policy) {
  for (const bool policy_merges : {true, false}) {
    Registry registry(Self(policy_merges), policy);
    EXPECT_EQ(Lines(registry.Apply(Deltas(row.objects))), "") << row.name;
    const Service& service = *registry.BuildLocal().services.at(kHost);
    EXPECT_EQ(service.exported, row.exported) << row.name;
    EXPECT_EQ(service.merges, policy_merges ? row.merges : row.merges_if_policy_does_not)
        << row.name << ", --merge-local " << policy_merges;
  }
}

TEST(Sharing, WhereTheClusterExportsNothingItIsAskedForByName) {
  const std::string global = "service.cilium.io/global: 'true'";
  const std::string not_shared = "service.cilium.io/shared: 'false'";
  const Row rows[] = {
      {"nobody says anything", ServiceWith(""), false, false},
      {"a ServiceExport", ServiceWith("") + ExportWith(), true, true},
      {"of the older version", ServiceWith("") + ExportWith("", "v1alpha1"), true, true},
      {"an export before its service", ExportWith() + ServiceWith(""), true, true},
      {"global", ServiceWith(global), true, true, true},
      {"global, but not shared", ServiceWith(global + ", " + not_shared), false, true, true},
      {"exported, but not shared", ServiceWith(not_shared) + ExportWith(), false, false},
      {"its namespace", NamespaceWith("weft.io/export: all") + ServiceWith(""), true, true},
      {"a namespace of later", ServiceWith("") + NamespaceWith("weft.io/export: all"), true, true},
      {"an export of another name",
       ServiceWith("") + NamespaceWith("weft.io/export: none") + ExportWith(), true, true},
  };
  for (const Row& row : rows) Check(row, ExportPolicy::kNone);
}

TEST(Sharing, WhereTheClusterExportsAllItIsLeftOutByName) {
  const Row rows[] = {
      {"nobody says anything", ServiceWith(""), true, true},
      {"its namespace", NamespaceWith("weft.io/export: none") + ServiceWith(""), false, false},
      {"not shared", ServiceWith("service.cilium.io/shared: 'false'"), false, false},
  };
  for (const Row& row : rows) Check(row, ExportPolicy::kAll);
}

TEST(Sharing, WhoJoinsTheLocalNameIsSaidByServiceThenNamespaceThenCluster) {
  const Row rows[] = {
      {"the namespace does", NamespaceWith("weft.io/merge-local: 'true'") + ServiceWith(""), true,
       true, true},
      {"the namespace does not", NamespaceWith("weft.io/merge-local: 'false'") + ServiceWith(""),
       true, false},
      {"the service does",
       NamespaceWith("weft.io/merge-local: 'false'") + ServiceWith("weft.io/merge-local: 'true'"),
       true, true, true},
      {"the service does not",
       ServiceWith("service.cilium.io/global: 'true', weft.io/merge-local: 'false'"), true, false},
  };
  for (const Row& row : rows) Check(row, ExportPolicy::kAll);
}

TEST(Sharing, WhatIsOfTheSystemIsNeverExported) {
  for (const char* name_space : {"weft-system", "kube-system"}) {
    Registry registry(Self(), ExportPolicy::kAll);
    registry.Apply(Deltas(ServiceWith("service.cilium.io/global: 'true'", name_space)));
    EXPECT_FALSE(registry.BuildLocal().services.begin()->second->exported) << name_space;
  }
}

TEST(Sharing, AnExportSaysSinceWhenAndUnderWhichNames) {
  Registry registry(Self(), ExportPolicy::kNone);
  registry.Apply(Deltas(ServiceWith("") +
                        ExportWith(", creationTimestamp: '2026-01-01T00:00:00Z', annotations: "
                                   "{weft.io/cluster-set-only: 'true'}")));
  const Service first = *registry.BuildLocal().services.at(kHost);
  EXPECT_EQ(first.exported_at, 1767225600);
  EXPECT_TRUE(first.cluster_set_only);
  registry.Apply(Deltas(ExportWith()));  // of a file
  const Service second = *registry.BuildLocal().services.at(kHost);
  EXPECT_EQ(second.exported_at, 0);
  EXPECT_FALSE(second.cluster_set_only);
}

TEST(Sharing, EndsWithWhatSaidIt) {
  Registry registry(Self(), ExportPolicy::kNone);
  const std::string name_space = NamespaceWith("weft.io/export: all");
  registry.Apply(Deltas(name_space + ServiceWith("") + ExportWith()));
  registry.Apply({{{"ServiceExport", "shop", "web"}, nullptr}});
  EXPECT_TRUE(registry.BuildLocal().services.at(kHost)->exported);
  registry.Apply({{{"Namespace", "", "shop"}, nullptr}});
  EXPECT_FALSE(registry.BuildLocal().services.at(kHost)->exported);
}

TEST(Sharing, AWordThatIsNoneHasNoEffectAndIsTold) {
  Registry registry(Self(), ExportPolicy::kNone);
  EXPECT_EQ(Lines(registry.Apply(Deltas(NamespaceWith("weft.io/export: some") +
                                        ServiceWith("service.cilium.io/global: enabled")))),
            "test.yaml:2: warning: Namespace shop: metadata.labels[weft.io/export]: 'some' is "
            "neither all nor "
            "none, and has no effect\n"
            "test.yaml:6: warning: Service shop/web: "
            "metadata.annotations[service.cilium.io/global]: 'enabled' "
            "is neither true nor false, and has no effect");
  EXPECT_FALSE(registry.BuildLocal().services.at(kHost)->exported);
}

TEST(Sharing, ANameThatIsNoServicesIsDecidedOnByNamespaceAndCluster) {
  for (const bool policy_merges : {true, false}) {
    Registry registry(Self(policy_merges), ExportPolicy::kNone);
    registry.Apply(Deltas(NamespaceWith("weft.io/merge-local: 'false'")));
    const World& world = registry.BuildLocal();
    EXPECT_EQ(MergesUnknownName(world, "elsewhere"), policy_merges);
    EXPECT_FALSE(MergesUnknownName(world, "shop"));
  }
}

}  // namespace
}  // namespace weft
