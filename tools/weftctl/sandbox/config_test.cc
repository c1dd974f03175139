#include "tools/weftctl/sandbox/config.h"

#include <gtest/gtest.h>

namespace weft::sandbox {
namespace {

TEST(Config, SurvivesItsFile) {
  SandboxConfig config;
  config.name = "n";
  config.clusters = {{"east", {"/a", "/b"}, "r1", "z1"}, {"west", {"/c"}, "", "", true, "/ca"}};
  config.images = {{"web", "echo \"hi\""}};
  config.weftctl = "/bin/weftctl";
  config.exports = "none";
  config.link = "none";
  config.dual_stack = true;
  absl::StatusOr<SandboxConfig> read = ConfigFromJson(ConfigToJson(config));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, config);
}

TEST(Config, RefusesFlagsOfTheWrongShape) {
  for (const char* flag : {"", "east", "=dir", "east=", "EAST=/tmp", "east/x=/tmp",
                           "east=/no/such/folder", "east=/etc/passwd"}) {
    EXPECT_FALSE(ParseCluster(flag).ok()) << flag;
  }
  std::vector<ClusterConfig> clusters = {{"east", {}, "", ""}};
  EXPECT_FALSE(ParseLocality("west=r1/z1", &clusters).ok());
  ASSERT_TRUE(ParseLocality("east=r1/z1", &clusters).ok());
  EXPECT_EQ(clusters[0].region, "r1");
  EXPECT_EQ(clusters[0].zone, "z1");
  EXPECT_FALSE(ParseBlocked("west", &clusters).ok());
  ASSERT_TRUE(ParseBlocked("east", &clusters).ok());
  EXPECT_TRUE(clusters[0].block_inbound);
  for (const char* flag : {"/tmp", "west=/tmp", "east=/no/such/folder"}) {
    EXPECT_FALSE(ParseCaCerts(flag, &clusters).ok()) << flag;
  }
  ASSERT_TRUE(ParseCaCerts("east=/tmp/.", &clusters).ok());
  EXPECT_EQ(clusters[0].ca_certs, "/tmp");
}

TEST(Config, ClustersAreLinkedUnlessNeitherCanBeDialed) {
  SandboxConfig config;
  config.clusters = {
      {"a", {"/a"}, "", ""}, {"b", {"/b"}, "", "", true}, {"c", {"/c"}, "", "", true}};
  EXPECT_EQ(LinkedFolders(config, "a"), (std::vector<std::string>{"/b", "/c"}));
  EXPECT_EQ(LinkedFolders(config, "b"), (std::vector<std::string>{"/a"}));
  EXPECT_EQ(LinkedFolders(config, "nobody"), std::vector<std::string>());
}

}  // namespace
}  // namespace weft::sandbox
