#include "controlplane/status/import_book.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr MonotonicTime kStart{};
const MonotonicTime kLater = kStart + absl::Seconds(5);

// "web" in namespace "shop", exported by two clusters.
ServiceImport Web() {
  ServiceImport import;
  import.namespace_ = "shop";
  import.name = "web";
  import.ports = {{"http", 80, Protocol::kHttp}, {"", 53, Protocol::kUdp}};
  import.ips = {"240.240.0.1", "2001:2::f0f0:1"};
  import.clusters = {"east", "west"};
  return import;
}

class ImportBookTest : public testing::Test {
 protected:
  // The World's imports are from now on these.
  void World(const std::vector<ServiceImport>& imports) {
    ImportBook::Imports map;
    for (const ServiceImport& import : imports) {
      map[absl::StrCat(import.name, ".", import.namespace_)] =
          std::make_shared<const ServiceImport>(import);
    }
    book_.OnWorld(map);
  }
  void Put(const Json& object) {
    const auto document = YamlDocument::ParseJson(object.dump()).value();
    const ParsedObject parsed = ReadJsonObject({document, document->root()}, "", "", "server");
    ASSERT_NE(parsed.object, nullptr) << parsed.problem.message;
    book_.OnObjects({{parsed.object->key, parsed.object}});
  }
  void PutNamespace(const std::string& name) {
    Put({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}});
  }
  void PutImport(const Json& labels, const Json& spec, const Json& status = Json::object()) {
    Put({{"apiVersion", "multicluster.x-k8s.io/v1alpha1"},
         {"kind", "ServiceImport"},
         {"metadata", {{"name", "web"}, {"namespace", "shop"}, {"labels", labels}}},
         {"spec", spec},
         {"status", status}});
  }
  // What is due: "apply shop/web"; "" if nothing is.
  std::string Next(MonotonicTime now = kStart, bool may_delete = true) const {
    const auto next = book_.Next(now, may_delete);
    if (!next.has_value()) return "";
    const char* kNames[] = {"apply ", "status ", "delete "};
    return absl::StrCat(kNames[static_cast<int>(next->action)], next->name.first, "/",
                        next->name.second);
  }
  Json Body() const { return Json::parse(book_.Next(kLater, true)->body); }
  // Does what is due, as if the server had taken it.
  void Write(MonotonicTime again = kLater) {
    const auto next = book_.Next(kStart, true);
    ASSERT_TRUE(next.has_value());
    book_.OnWritten(*next, again);
  }

  const Json ours_ = {{ImportBook::kLabel, ImportBook::kManager}};
  ImportBook book_;
};

TEST_F(ImportBookTest, WhatIsExportedAnywhereHasAnObjectWhereItsNamespaceIs) {
  PutNamespace("shop");
  EXPECT_EQ(Next(), "") << "nothing is known yet";
  ServiceImport elsewhere = Web();
  elsewhere.namespace_ = "nowhere";
  World({elsewhere, Web()});
  EXPECT_EQ(Next(), "apply shop/web");
  EXPECT_EQ(
      Body(),
      (Json{{"kind", "ServiceImport"},
            {"metadata",
             {{"name", "web"},
              {"namespace", "shop"},
              {"labels", {{"app.kubernetes.io/managed-by", "weftd"}}}}},
            {"spec",
             {{"type", "ClusterSetIP"},
              {"ips", {"240.240.0.1"}},
              {"ports",
               {{{"name", "http"}, {"port", 80}, {"protocol", "TCP"}, {"appProtocol", "http"}},
                {{"port", 53}, {"protocol", "UDP"}}}},
              {"sessionAffinity", "None"}}}}));
  Write();
  EXPECT_EQ(Next(), "status shop/web");
  EXPECT_EQ(Body()["status"], (Json{{"clusters", {{{"cluster", "east"}}, {{"cluster", "west"}}}}}));
  Write();
  EXPECT_EQ(Next(kLater), "");
  PutNamespace("nowhere");
  EXPECT_EQ(Next(), "apply nowhere/web");
}

TEST_F(ImportBookTest, AHeadlessOneHasNoAddress) {
  PutNamespace("shop");
  ServiceImport import = Web();
  import.headless = true;
  import.ips.clear();
  import.session_affinity = true;
  World({import});
  EXPECT_EQ(Body()["spec"]["type"], "Headless");
  EXPECT_EQ(Body()["spec"]["ips"], Json::array());
  EXPECT_EQ(Body()["spec"]["sessionAffinity"], "ClientIP");
}

TEST_F(ImportBookTest, WhatAnotherRunWroteIsKnownByItsLabel) {
  PutNamespace("shop");
  World({Web()});
  const Json spec = Body()["spec"];
  const Json status = {{"clusters", {{{"cluster", "east"}}, {{"cluster", "west"}}}}};
  PutImport(ours_, spec, status);
  EXPECT_EQ(Next(), "");
  PutImport(ours_, spec, {{"clusters", {{{"cluster", "east"}}}}});
  EXPECT_EQ(Next(), "status shop/web");
  PutImport(ours_, {{"type", "Headless"}, {"ports", Json::array()}}, status);
  EXPECT_EQ(Next(), "apply shop/web");
}

TEST_F(ImportBookTest, SomebodyElsesStaysAsItIs) {
  PutNamespace("shop");
  PutImport(Json::object(), {{"type", "Headless"}});
  World({Web()});
  EXPECT_EQ(Next(), "");
  World({});
  EXPECT_EQ(Next(), "");
}

TEST_F(ImportBookTest, WhatNobodyExportsAnyMoreGoesOnceAllWereHeard) {
  PutNamespace("shop");
  PutImport(ours_, {});
  EXPECT_EQ(Next(), "") << "no World yet";
  World({});
  EXPECT_EQ(Next(kStart, /*may_delete=*/false), "");
  EXPECT_EQ(Next(), "delete shop/web");
  Write();
  EXPECT_EQ(Next(kLater), "");
}

TEST_F(ImportBookTest, NamespacesThatGoTakeTheirsWithThem) {
  PutNamespace("shop");
  World({Web()});
  Put({{"apiVersion", "v1"},
       {"kind", "Namespace"},
       {"metadata", {{"name", "shop"}, {"deletionTimestamp", "2026-01-01T00:00:00Z"}}}});
  EXPECT_EQ(Next(), "");
}

TEST_F(ImportBookTest, WhatIsEditedOrRefusedIsNotWrittenFasterThanSo) {
  PutNamespace("shop");
  World({Web()});
  Write();
  PutImport(ours_, {{"type", "Headless"}});
  EXPECT_EQ(Next(), "");
  EXPECT_EQ(Next(kLater), "apply shop/web");
  book_.OnNotWritten(*book_.Next(kLater, true), kLater + absl::Seconds(30));
  EXPECT_EQ(Next(kLater), "");
  EXPECT_EQ(Next(kLater + absl::Seconds(30)), "apply shop/web");
}

TEST_F(ImportBookTest, TheVersionIsThatOfTheServer) {
  const Json object = Json::parse(
      ImportBook::WithApiVersion("{\"kind\":\"ServiceImport\"}", "multicluster.x-k8s.io/v1beta1"));
  EXPECT_EQ(object,
            (Json{{"kind", "ServiceImport"}, {"apiVersion", "multicluster.x-k8s.io/v1beta1"}}));
}

}  // namespace
}  // namespace weft
