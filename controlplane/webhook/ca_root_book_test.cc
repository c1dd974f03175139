#include "controlplane/webhook/ca_root_book.h"

#include <nlohmann/json.hpp>

#include "controlplane/webhook/inject.h"
#include "gtest/gtest.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;

constexpr char kRoots[] = "PEM\n";
constexpr MonotonicTime kStart{};
const MonotonicTime kLater = kStart + absl::Seconds(5);

class CaRootBookTest : public testing::Test {
 protected:
  void Put(const Json& object) {
    const auto document = YamlDocument::ParseJson(object.dump()).value();
    const ParsedObject parsed = ReadJsonObject({document, document->root()}, "", "", "server");
    ASSERT_NE(parsed.object, nullptr) << parsed.problem.message;
    book_.OnObjects({{parsed.object->key, parsed.object}});
  }
  void PutNamespace(const std::string& name, const Json& metadata = Json::object()) {
    Json object = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
    object["metadata"].update(metadata);
    Put(object);
  }
  void PutMap(const std::string& name_space, const Json& data) {
    Put({{"apiVersion", "v1"},
         {"kind", "ConfigMap"},
         {"metadata", {{"name", kRootVolume}, {"namespace", name_space}}},
         {"data", data}});
  }
  std::string Next(MonotonicTime now = kStart) { return book_.Next(now).value_or(""); }

  CaRootBook book_{kRoots};
};

TEST_F(CaRootBookTest, EachNamespaceIsToHaveIt) {
  PutNamespace("a");
  PutNamespace("b");
  PutMap("a", {{"root-cert.pem", kRoots}, {"more", "of somebody else"}});
  EXPECT_EQ(Next(), "b");
  const Json body = Json::parse(book_.BodyFor("b"));
  EXPECT_EQ(body["metadata"]["name"], "weft-ca-root");
  EXPECT_EQ(body["metadata"]["namespace"], "b");
  EXPECT_EQ(body["data"]["root-cert.pem"], kRoots);
  book_.OnWritten("b", kLater);
  EXPECT_EQ(Next(kLater), "");
}

TEST_F(CaRootBookTest, WhatIsDeletedOrEditedIsPutRightButNotFasterThanSo) {
  PutNamespace("a");
  book_.OnWritten("a", kLater);
  for (const Json& data : {Json{{"root-cert.pem", "other"}}, Json::object(), Json()}) {
    PutMap("a", data);
    EXPECT_EQ(Next(), "");
    EXPECT_EQ(Next(kLater), "a") << data;
    PutMap("a", {{"root-cert.pem", kRoots}});
    EXPECT_EQ(Next(kLater), "");
  }
  book_.OnObjects({{{"ConfigMap", "a", kRootVolume}, nullptr}});
  EXPECT_EQ(Next(kLater), "a");
  book_.OnNotWritten("a", kLater + absl::Seconds(30));
  EXPECT_EQ(Next(kLater), "");
  EXPECT_EQ(Next(kLater + absl::Seconds(30)), "a");
}

TEST_F(CaRootBookTest, NamespacesWithoutInjectionAndThoseThatGoDoNot) {
  PutNamespace("kube-system");
  PutNamespace("a", {{"labels", {{"istio-injection", "disabled"}}}});
  PutNamespace("b", {{"deletionTimestamp", "2026-01-01T00:00:00Z"}});
  EXPECT_EQ(Next(), "");
  PutNamespace("a");
  EXPECT_EQ(Next(), "a");
  book_.OnObjects({{{"Namespace", "", "a"}, nullptr}});
  EXPECT_EQ(Next(), "");
  // As its end is told: the ConfigMap goes with it.
  book_.OnObjects({{{"ConfigMap", "a", kRootVolume}, nullptr}});
  EXPECT_EQ(Next(), "");
}

TEST_F(CaRootBookTest, OtherConfigMapsSayNothing) {
  PutNamespace("a");
  Put({{"apiVersion", "v1"},
       {"kind", "ConfigMap"},
       {"metadata", {{"name", "other"}, {"namespace", "a"}}},
       {"data", {{"root-cert.pem", kRoots}}}});
  EXPECT_EQ(Next(), "a");
}

}  // namespace
}  // namespace weft::webhook
