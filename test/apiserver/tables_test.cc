#include "test/apiserver/tables.h"

#include "gtest/gtest.h"

namespace weft::apiserver {
namespace {

TEST(Tables, AgesAreAsKubectlShowsThem) {
  const std::pair<absl::Duration, const char*> cases[] = {
      {absl::Seconds(0), "0s"},      {absl::Seconds(119), "119s"}, {absl::Seconds(120), "2m"},
      {absl::Seconds(192), "3m12s"}, {absl::Minutes(10), "10m"},   {absl::Minutes(179), "179m"},
      {absl::Minutes(190), "3h10m"}, {absl::Hours(9), "9h"},       {absl::Hours(47), "47h"},
      {absl::Hours(49), "2d1h"},     {absl::Hours(24 * 9), "9d"},  {-absl::Seconds(5), "0s"},
  };
  for (const auto& [duration, text] : cases) EXPECT_EQ(HumanDuration(duration), text);
}

TEST(Tables, ColumnsOfCrdsFindTheirPaths) {
  const Json object = Json::parse(R"({"spec":{"hosts":["a","b"],"n":3},
      "status":{"conditions":[{"type":"A","status":"False"},{"type":"Ready","status":"True"}],
                "addresses":[{"value":"10.0.0.1"}]}})");
  EXPECT_EQ(FindPath(object, ".spec.n"), 3);
  EXPECT_EQ(FindPath(object, ".spec.hosts"), Json::parse(R"(["a","b"])"));
  EXPECT_EQ(FindPath(object, ".spec.hosts[1]"), "b");
  EXPECT_EQ(FindPath(object, R"(.status.conditions[?(@.type=="Ready")].status)"), "True");
  EXPECT_EQ(FindPath(object, ".status.addresses[*].value"), "10.0.0.1");
  EXPECT_TRUE(FindPath(object, ".spec.missing.more").is_null());
  EXPECT_TRUE(FindPath(object, ".spec.hosts[7]").is_null());
  EXPECT_TRUE(FindPath(object, ".spec.n[").is_null());
}

// A cell for each column, whatever an object lacks.
TEST(Tables, RowsOfEveryKindFitTheirColumns) {
  Catalog catalog;
  for (const Json& crd : MeshCrds()) {
    const auto resource = ResourceOfCrd(crd);
    ASSERT_TRUE(resource.ok());
    catalog.Set(*resource);
  }
  Stored bare;
  bare.name = "x";
  bare.text = R"({"metadata":{"name":"x"}})";
  for (const auto& resource : catalog.All()) {
    const TableWriter writer(*resource, resource->versions.front(), RowObject::kMetadata,
                             absl::UnixEpoch());
    const Json row = writer.Row(bare);
    EXPECT_EQ(row["cells"].size(), writer.Columns().size()) << resource->Id();
    EXPECT_EQ(row["object"]["kind"], "PartialObjectMetadata");
  }
}

}  // namespace
}  // namespace weft::apiserver
