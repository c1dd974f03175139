#include "test/apiserver/patch.h"

#include "gtest/gtest.h"

namespace weft::apiserver {
namespace {

struct PatchCase {
  const char* what;
  const char* kind;
  const char* before;
  const char* patch;
  const char* after;
};

TEST(StrategicPatch, MergesListsByTheirKeys) {
  const PatchCase cases[] = {
      {"an element of that key is changed", "Service",
       R"({"spec":{"ports":[{"port":80,"name":"a"},{"port":90}]}})",
       R"({"spec":{"ports":[{"port":80,"name":"b"}]}})",
       R"({"spec":{"ports":[{"port":80,"name":"b"},{"port":90}]}})"},
      {"a new element comes last", "Pod", R"({"spec":{"containers":[{"name":"a"}]}})",
       R"({"spec":{"containers":[{"name":"b","image":"i"}]}})",
       R"({"spec":{"containers":[{"name":"a"},{"name":"b","image":"i"}]}})"},
      {"an element is deleted by its key", "Pod",
       R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
       R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})",
       R"({"spec":{"containers":[{"name":"b"}]}})"},
      {"lists within lists", "Deployment",
       R"({"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"X","value":"1"}],
           "ports":[{"containerPort":1}]}]}}}})",
       R"({"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"Y","value":"2"}],
           "ports":[{"containerPort":2}]}]}}}})",
       R"({"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"X","value":"1"},
           {"name":"Y","value":"2"}],"ports":[{"containerPort":1},{"containerPort":2}]}]}}}})"},
      {"the order that is asked for", "Pod",
       R"({"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]}})",
       R"({"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],
           "containers":[{"name":"a","image":"i"}]}})",
       R"({"spec":{"containers":[{"name":"c"},{"name":"a","image":"i"},{"name":"b"}]}})"},
      {"values of a list of plain ones", "ConfigMap", R"({"metadata":{"finalizers":["a","b"]}})",
       R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c"]}})",
       R"({"metadata":{"finalizers":["b","c"]}})"},
      {"a list without a key is replaced", "EndpointSlice", R"({"endpoints":[{"x":1},{"x":2}]})",
       R"({"endpoints":[{"x":3}]})", R"({"endpoints":[{"x":3}]})"},
      {"null takes a field away", "ConfigMap", R"({"data":{"a":"1","b":"2"}})",
       R"({"data":{"a":null}})", R"({"data":{"b":"2"}})"},
      {"an object is replaced", "ConfigMap", R"({"data":{"a":"1"}})",
       R"({"data":{"$patch":"replace","b":"2"}})", R"({"data":{"b":"2"}})"},
      {"only these fields are kept", "Deployment",
       R"({"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}})",
       R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})",
       R"({"spec":{"strategy":{"type":"Recreate"}}})"},
  };
  for (const PatchCase& c : cases) {
    const auto patched = StrategicPatch(Json::parse(c.before), Json::parse(c.patch), c.kind);
    ASSERT_TRUE(patched.ok()) << c.what;
    EXPECT_EQ(*patched, Json::parse(c.after)) << c.what;
  }
}

TEST(JsonPatch, RefusesWhatDoesNotApply) {
  const Json object = {{"a", 1}};
  const auto tested = JsonPatch(object, Json::parse(R"([{"op":"test","path":"/a","value":2}])"));
  ASSERT_FALSE(tested.ok());
  EXPECT_EQ(tested.failure().code, 422);
  EXPECT_FALSE(JsonPatch(object, Json::object()).ok());
  const auto added = JsonPatch(object, Json::parse(R"([{"op":"add","path":"/b","value":2}])"));
  ASSERT_TRUE(added.ok());
  EXPECT_EQ((*added)["b"], 2);
}

TEST(MergePatch, ReplacesListsWhole) {
  const auto merged = MergePatch(Json::parse(R"({"spec":{"hosts":["a","b"],"x":1}})"),
                                 Json::parse(R"({"spec":{"hosts":["c"],"x":null}})"));
  ASSERT_TRUE(merged.ok());
  EXPECT_EQ(*merged, Json::parse(R"({"spec":{"hosts":["c"]}})"));
}

}  // namespace
}  // namespace weft::apiserver
