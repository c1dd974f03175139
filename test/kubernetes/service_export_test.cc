// ServiceExports and ServiceImports: what weftd writes of them into its cluster's API server, alone
// and together with a second cluster.
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/two_clusters.h"

namespace weft::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

constexpr char kExports[] = "serviceexports.multicluster.x-k8s.io";
constexpr char kImports[] = "serviceimports.multicluster.x-k8s.io";

std::string Export(const std::string& name) {
  return absl::StrCat(
      "---\napiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceExport\nmetadata: {name: ",
      name, ", namespace: default}\n");
}
std::string Service(const std::string& name, const std::string& spec) {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: ", name,
                      ", namespace: default}\nspec: {", spec, "}\n");
}

class ServiceExportTest : public TwoClusters {
 protected:
  ServiceExportTest() {
    east_.Out({"apply", "-f", "-"},
              absl::StrCat(Service("web", "clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]"),
                           Service("out", "type: ExternalName, externalName: example.com")));
  }

  // "True PortConflict"; "" where there is no such condition.
  std::string ConditionOf(const std::string& name, const std::string& type) {
    const auto object = east_.server().Get(kExports, "default", name);
    if (!object.ok() || !object->contains("status")) return "";
    for (const Json& condition : (*object)["status"].value("conditions", Json::array())) {
      if (condition["type"] != type) continue;
      return absl::StrCat(condition["status"].get<std::string>(), " ",
                          condition["reason"].get<std::string>());
    }
    return "";
  }
  bool Comes(const std::string& name, const std::string& type, const std::string& text) {
    const bool came = Eventually([&] { return ConditionOf(name, type) == text; });
    EXPECT_TRUE(came) << type << " of " << name << ": " << ConditionOf(name, type);
    return came;
  }
  Json Import() {
    const auto object = east_.server().Get(kImports, "default", "web");
    return object.ok() ? *object : Json();
  }
  // The clusters of which the import is, with commas; "none" where there is none.
  std::string Importing() {
    const Json import = Import();
    if (import.is_null()) return "none";
    std::string clusters;
    for (const Json& one :
         import.value("status", Json::object()).value("clusters", Json::array())) {
      absl::StrAppend(&clusters, clusters.empty() ? "" : ",", one["cluster"].get<std::string>());
    }
    return clusters;
  }
};

TEST_F(ServiceExportTest, SaysWhatCameOfIt) {
  Start();
  east_.Out({"apply", "-f", "-"}, absl::StrCat(Export("web"), Export("out"), Export("late")));
  ASSERT_TRUE(Comes("web", "Valid", "True Valid"));
  EXPECT_TRUE(Comes("web", "Ready", "True Exported"));
  EXPECT_TRUE(Comes("web", "Conflict", "False NoConflicts"));
  EXPECT_TRUE(Comes("out", "Valid", "False InvalidServiceType"));
  EXPECT_TRUE(Comes("late", "Valid", "False NoService"));
  east_.Out({"apply", "-f", "-"}, Service("late", "ports: [{name: http, port: 80}]"));
  EXPECT_TRUE(Comes("late", "Valid", "True Valid"));
}

TEST_F(ServiceExportTest, WhatIsExportedIsImportedAndEndsWithTheExport) {
  Start();
  EXPECT_EQ(Importing(), "none");
  east_.Out({"apply", "-f", "-"}, Export("web"));
  ASSERT_TRUE(Eventually([&] { return Importing() == "east"; })) << Import();
  const Json import = Import();
  EXPECT_EQ(import["spec"]["type"], "ClusterSetIP");
  EXPECT_EQ(import["spec"]["ips"], Json({"10.96.0.1"}));
  EXPECT_EQ(import["spec"]["ports"][0]["port"], 80);
  EXPECT_EQ(import["metadata"]["labels"]["app.kubernetes.io/managed-by"], "weftd");
  EXPECT_THAT(weftd_->Debug("importz"), HasSubstr("web.default.svc.clusterset.local"));

  // Who edits it finds it mended.
  east_.Out(
      {"patch", "serviceimport", "web", "--type=merge", "-p", R"({"spec": {"type": "Headless"}})"});
  EXPECT_TRUE(Eventually([&] { return Import()["spec"]["type"] == "ClusterSetIP"; }));

  east_.Out({"delete", "serviceexport", "web"});
  // Nothing is deleted in the first 30 s of a weftd.
  EXPECT_TRUE(integration::Eventually([&] { return Importing() == "none"; }, absl::Seconds(60)));
}

TEST_F(ServiceExportTest, ClustersThatDifferAreTold) {
  Start();
  east_.Out({"apply", "-f", "-"}, Export("web"));
  west_.Out(
      {"patch", "service", "web", "--type=merge", "-p", R"({"spec": {"clusterIP": "10.96.0.7"}})"});
  west_.Out({"apply", "-f", "-"}, Export("web"));
  PutSecret(west_.Kubeconfig());
  ASSERT_TRUE(Eventually([&] { return Importing() == "east,west"; })) << Import();
  west_.Out({"patch", "service", "web", "--type=merge", "-p",
             R"({"spec": {"ports": [{"name": "http", "port": 81}]}})"});
  EXPECT_TRUE(Comes("web", "Conflict", "True PortConflict"));
  west_.Out({"delete", "serviceexport", "web"});
  EXPECT_TRUE(Comes("web", "Conflict", "False NoConflicts"));
  EXPECT_TRUE(Eventually([&] { return Importing() == "east"; })) << Import();
}

}  // namespace
}  // namespace weft::test
