#include "test/apiserver/store.h"

#include <limits>

#include "gtest/gtest.h"

namespace weft::apiserver {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();

Json Named(const std::string& ns, const std::string& name, const std::string& value = "") {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"namespace", ns}, {"name", name}, {"labels", {{"v", value}}}}}};
}

std::string NamesOf(const Store::Page& page) {
  std::string names;
  for (const StoredPtr& object : page.objects) {
    names += object->ns + "/" + object->name + "=" + object->labels.at("v") + " ";
  }
  return names;
}

TEST(Store, CountsEachChangeAndSaysItInTheObject) {
  Store store;
  const Version first = store.Put("configmaps", Named("a", "x"))->version;
  const StoredPtr second = store.Put("configmaps", Named("a", "x", "2"));
  EXPECT_EQ(second->version, first + 1);
  EXPECT_EQ(second->Parse("v1", "ConfigMap")["metadata"]["resourceVersion"],
            std::to_string(first + 1));
  EXPECT_EQ(store.Delete("configmaps", "a", "x")->version, first + 2);
  EXPECT_EQ(store.Get("configmaps", "a", "x"), nullptr);
  EXPECT_EQ(store.Delete("configmaps", "a", "x"), nullptr);
}

TEST(Store, ServesAnObjectInTheVersionThatWasAskedFor) {
  Store store;
  std::string text;
  store.Put("configmaps", Named("a", "x"))->AppendTo(text, "v2", "Map");
  const Json object = Json::parse(text);
  EXPECT_EQ(object["apiVersion"], "v2");
  EXPECT_EQ(object["kind"], "Map");
  EXPECT_EQ(object["metadata"]["name"], "x");
}

TEST(Store, ListsAsOfAnEarlierVersion) {
  Store store;
  store.Put("configmaps", Named("a", "kept", "1"));
  store.Put("configmaps", Named("a", "gone", "1"));
  const Version then = store.Put("configmaps", Named("b", "changed", "1"))->version;
  store.Delete("configmaps", "a", "gone");
  store.Put("configmaps", Named("b", "changed", "2"));
  store.Put("configmaps", Named("a", "new", "1"));
  EXPECT_EQ(NamesOf(store.List("configmaps", "", then, std::nullopt, kAll)),
            "a/gone=1 a/kept=1 b/changed=1 ");
  EXPECT_EQ(NamesOf(store.List("configmaps", "", store.version(), std::nullopt, kAll)),
            "a/kept=1 a/new=1 b/changed=2 ");
  EXPECT_EQ(NamesOf(store.List("configmaps", "b", then, std::nullopt, kAll)), "b/changed=1 ");
}

TEST(Store, PagesOfOneListAreOfOneVersion) {
  Store store;
  for (const char* name : {"a", "b", "c", "d", "e"}) store.Put("configmaps", Named("n", name, "1"));
  const Version at = store.version();
  const Store::Page first = store.List("configmaps", "", at, std::nullopt, 2);
  EXPECT_EQ(NamesOf(first), "n/a=1 n/b=1 ");
  EXPECT_TRUE(first.more);
  EXPECT_EQ(first.left, 3u);
  store.Delete("configmaps", "n", "c");
  store.Put("configmaps", Named("n", "bb", "1"));
  const Store::Page second = store.List("configmaps", "", at, Store::Key{"n", "b"}, 2);
  EXPECT_EQ(NamesOf(second), "n/c=1 n/d=1 ");
  const Store::Page last = store.List("configmaps", "", at, Store::Key{"n", "d"}, 2);
  EXPECT_EQ(NamesOf(last), "n/e=1 ");
  EXPECT_FALSE(last.more);
}

TEST(Store, ForgetsWhatIsBeyondItsHistory) {
  Store store;
  store.SetHistoryLimit(2);
  const Version first = store.Put("configmaps", Named("a", "x", "1"))->version;
  EXPECT_TRUE(store.Remembers("configmaps", first));
  for (const char* value : {"2", "3", "4"}) store.Put("configmaps", Named("a", "x", value));
  EXPECT_FALSE(store.Remembers("configmaps", first));
  EXPECT_TRUE(store.Remembers("configmaps", first + 1));
  EXPECT_EQ(store.History("configmaps").size(), 2u);
  EXPECT_TRUE(store.Remembers("secrets", first)) << "each resource has its own history";
  store.Compact();
  EXPECT_FALSE(store.Remembers("secrets", first));
  EXPECT_TRUE(store.Remembers("secrets", store.version()));
}

}  // namespace
}  // namespace weft::apiserver
