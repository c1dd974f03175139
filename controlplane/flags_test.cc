#include "controlplane/flags.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

Flags GoodFlags() {
  Flags flags;
  flags.cluster = "east";
  flags.registry = "dir:/nowhere";
  flags.data_dir = "/nowhere";
  flags.token_key = absl::StrCat(getenv("TEST_TMPDIR"), "/token-key");
  std::ofstream(flags.token_key) << std::string(64, 'a');
  return flags;
}

TEST(Flags, OfADefaultWeftdAreFine) {
  const auto options = ToOptions(GoodFlags());
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->debug.is_loopback());
  EXPECT_EQ(options->exports, ExportPolicy::kNone);
  EXPECT_TRUE(options->self.merges_local_names);
}

TEST(Flags, SayWhatIsSharedWhereNothingElseDoes) {
  Flags flags = GoodFlags();
  flags.exports = "all";
  flags.merge_local = false;
  const auto options = ToOptions(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->exports, ExportPolicy::kAll);
  EXPECT_FALSE(options->self.merges_local_names);
}

// So that links can be made whenever somebody wants to.
TEST(Flags, LinksAreInTheDataFolderWhereNoOtherIsGiven) {
  Flags flags = GoodFlags();
  EXPECT_EQ(ToOptions(flags)->peers_folder, "/nowhere/links");
  flags.peers = "/somewhere";
  EXPECT_EQ(ToOptions(flags)->peers_folder, "/somewhere");
}

TEST(Flags, LinksAreObjectsWhereThereIsAnApiServerUnlessAFolderIsGiven) {
  Flags flags = GoodFlags();
  const std::string file = absl::StrCat(getenv("TEST_TMPDIR"), "/kubeconfig");
  std::ofstream(file) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                      << "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
                      << "users: [{name: u, user: {}}]\n"
                      << "contexts: [{name: c, context: {cluster: c, user: u}}]\n";
  flags.registry = "kubernetes:" + file;
  const auto options = ToOptions(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->peers_folder, "");
  flags.peers = "/somewhere";
  EXPECT_EQ(ToOptions(flags)->peers_folder, "/somewhere");
}

// Nobody is asked who they are there, so nobody may come from elsewhere.
TEST(Flags, Row79DebugPagesAndPlainDiscoveryAreOnLoopbackOnly) {
  for (const char* address : {"0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"}) {
    Flags debug = GoodFlags();
    debug.debug_listen = address;
    Flags plain = GoodFlags();
    plain.xds_plain = address;
    for (const Flags& flags : {debug, plain}) {
      const auto options = ToOptions(flags);
      ASSERT_FALSE(options.ok()) << address;
      EXPECT_TRUE(absl::StrContains(options.status().message(), "has to be on loopback"))
          << options.status();
    }
  }
  Flags none = GoodFlags();
  none.debug_listen = "";
  EXPECT_EQ(ToOptions(none)->debug.family(), AF_UNSPEC);
}

TEST(Flags, AGatewayMayHaveAPortForTunnels) {
  Flags flags = GoodFlags();
  flags.gateway_addresses = {"192.0.2.1:15443", "192.0.2.1:15443/15008", "[fd00::1]:443/444"};
  const auto options = ToOptions(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->gateways,
            (std::vector<GatewayAddress>{
                {"192.0.2.1", 15443, 0}, {"192.0.2.1", 15443, 15008}, {"fd00::1", 443, 444}}));
  for (const char* wrong : {"192.0.2.1:15443/", "192.0.2.1:15443/0", "192.0.2.1:15443/65536",
                            "192.0.2.1:15443/1/2", "192.0.2.1/15008"}) {
    flags.gateway_addresses = {wrong};
    EXPECT_FALSE(ToOptions(flags).ok()) << wrong;
  }
}

TEST(Flags, WhatNobodyCanDialHasNoGatewayAddress) {
  Flags flags = GoodFlags();
  flags.outbound_only = true;
  ASSERT_TRUE(ToOptions(flags).ok());
  EXPECT_TRUE(ToOptions(flags)->self.outbound_only);
  flags.gateway_addresses = {"192.0.2.1:15443"};
  EXPECT_TRUE(absl::StrContains(ToOptions(flags).status().message(), "--outbound-only"));
}

}  // namespace
}  // namespace weft
