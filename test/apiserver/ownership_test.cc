#include "test/apiserver/ownership.h"

#include "gtest/gtest.h"

namespace weft::apiserver {
namespace {

Apply By(const std::string& manager, bool force = false) {
  return {{"", "services", "Service", "web"}, manager, "v1", "2026-01-01T00:00:00Z", force};
}

Json Service(const std::string& rest) {
  return Json::parse(R"({"metadata":{"name":"web"},)" + rest + "}");
}

TEST(Ownership, WhatIsNoLongerAppliedGoes) {
  auto first =
      ApplyTo(nullptr, Service(R"("spec":{"type":"ClusterIP","selector":{"a":"1"}})"), By("one"));
  ASSERT_TRUE(first.ok());
  auto second = ApplyTo(*first, Service(R"("spec":{"selector":{"a":"2"}})"), By("one"));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)["spec"], Json::parse(R"({"selector":{"a":"2"}})"));
}

TEST(Ownership, WhatAnotherManagerAppliedStays) {
  auto first = ApplyTo(nullptr, Service(R"("spec":{"selector":{"a":"1"}})"), By("one"));
  auto second = ApplyTo(*first, Service(R"("spec":{"selector":{"a":"1","b":"2"}})"), By("two"));
  ASSERT_TRUE(second.ok()) << second.failure().message;
  auto third = ApplyTo(*second, Service(R"("metadata":{"name":"web"})"), By("one"));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ((*third)["spec"]["selector"], Json::parse(R"({"a":"1","b":"2"})"));
}

TEST(Ownership, AnotherValueOfAnothersFieldIsAConflictUnlessForced) {
  auto first = ApplyTo(nullptr, Service(R"("spec":{"selector":{"a":"1"}})"), By("one"));
  const Json wanted = Service(R"("spec":{"selector":{"a":"2"}})");
  const auto refused = ApplyTo(*first, wanted, By("two"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, 409);
  EXPECT_EQ(refused.failure().message,
            "Apply failed with 1 conflict: conflict with \"one\": .spec.selector.a");
  auto forced = ApplyTo(*first, wanted, By("two", true));
  ASSERT_TRUE(forced.ok());
  EXPECT_EQ((*forced)["spec"]["selector"]["a"], "2");
  EXPECT_FALSE(ApplyTo(*forced, Service(R"("spec":{"selector":{"a":"1"}})"), By("one")).ok())
      << "the first has lost the field";
}

TEST(Ownership, ElementsOfKeyedListsAreOwnedOneByOne) {
  auto first = ApplyTo(nullptr, Service(R"("spec":{"ports":[{"port":80,"name":"a"}]})"), By("one"));
  auto second = ApplyTo(*first, Service(R"("spec":{"ports":[{"port":90}]})"), By("two"));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)["spec"]["ports"].size(), 2u);
  auto third = ApplyTo(*second, Service(R"("spec":{"type":"ClusterIP"})"), By("one"));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ((*third)["spec"]["ports"], Json::parse(R"([{"port":90}])"));
}

TEST(Ownership, MetadataIsNotOwnedWhole) {
  auto first = ApplyTo(nullptr, Service(R"("spec":{"selector":{"a":"1"}})"), By("one"));
  const Json labelled = Json::parse(R"({"metadata":{"name":"web","labels":{"x":"1"}}})");
  auto second = ApplyTo(*first, labelled, By("two"));
  ASSERT_TRUE(second.ok()) << second.failure().message;
  auto third = ApplyTo(*second, Service(R"("spec":{})"), By("two"));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ((*third)["metadata"]["name"], "web");
  EXPECT_FALSE((*third)["metadata"].contains("labels"));
}

TEST(Ownership, AWriteTakesWhatItChanges) {
  auto applied = ApplyTo(nullptr, Service(R"("spec":{"selector":{"a":"1","b":"1"}})"), By("one"));
  Json after = *applied;
  after["spec"]["selector"]["a"] = "9";
  NoteWrite(*applied, after, By("editor"));
  EXPECT_TRUE(ApplyTo(after, Service(R"("spec":{"selector":{"b":"2"}})"), By("one")).ok());
  const auto refused = ApplyTo(after, Service(R"("spec":{"selector":{"a":"2"}})"), By("one"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().message,
            "Apply failed with 1 conflict: conflict with \"editor\": .spec.selector.a");
}

}  // namespace
}  // namespace weft::apiserver
