#include "controlplane/model/ip_families.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr IpFamilies kV4 = {true, false};
constexpr IpFamilies kV6 = {false, true};
constexpr IpFamilies kBoth = {true, true};

TEST(IpFamilies, AreThoseOfThePodsAddresses) {
  EXPECT_EQ(FamiliesOf("10.0.0.1", ""), kV4);
  EXPECT_EQ(FamiliesOf("fd00::1", ""), kV6);
  EXPECT_EQ(FamiliesOf("10.0.0.1", "fd00::1"), kBoth);
  EXPECT_EQ(FamiliesOf("fd00::1", "10.0.0.1"), kBoth);
  EXPECT_EQ(FamiliesOf("", ""), kBoth) << "nothing is known";
}

TEST(IpFamilies, AnAddressOrABlockIsOfOneOfThem) {
  EXPECT_TRUE(IsIpv6("fd00::1"));
  EXPECT_TRUE(IsIpv6("fd00::/8"));
  EXPECT_FALSE(IsIpv6("10.0.0.0/8"));
  EXPECT_FALSE(IsIpv6("unix:///run/app.sock"));
  EXPECT_FALSE(IsIpv6("api.example.com"));
}

struct Row {
  IpFamilies client;
  const char* address;
  const char* other;
  const char* dialed;
};

TEST(AddressFor, IsOneThatTheClientReachesAndIpv4IfItMayChoose) {
  const Row rows[] = {
      {kV4, "10.0.0.1", "", "10.0.0.1"},
      {kV4, "10.0.0.1", "fd00::1", "10.0.0.1"},
      {kV4, "fd00::1", "10.0.0.1", "10.0.0.1"},
      {kV4, "fd00::1", "", ""},
      {kV6, "10.0.0.1", "", ""},
      {kV6, "10.0.0.1", "fd00::1", "fd00::1"},
      {kBoth, "10.0.0.1", "fd00::1", "10.0.0.1"},
      {kBoth, "fd00::1", "10.0.0.1", "10.0.0.1"},
      {kBoth, "fd00::1", "", "fd00::1"},
      {kV6, "api.example.com", "", "api.example.com"},
      {kV6, "unix:///run/app.sock", "", "unix:///run/app.sock"},
      {kBoth, "", "", ""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(AddressFor(row.client, row.address, row.other), row.dialed)
        << row.address << " " << row.other << " v4=" << row.client.v4 << " v6=" << row.client.v6;
  }
}

TEST(AddressesFor, KeepsTheOrder) {
  EXPECT_THAT(AddressesFor(kBoth, "fd00::1", "10.0.0.1"), ElementsAre("fd00::1", "10.0.0.1"));
  EXPECT_THAT(AddressesFor(kV4, "fd00::1", "10.0.0.1"), ElementsAre("10.0.0.1"));
  EXPECT_THAT(AddressesFor(kV4, "fd00::1", ""), IsEmpty());
}

TEST(WildcardsOf, IsASocketForEachFamily) {
  EXPECT_THAT(WildcardsOf(kV4), ElementsAre("0.0.0.0"));
  EXPECT_THAT(WildcardsOf(kV6), ElementsAre("::"));
  EXPECT_THAT(WildcardsOf(kBoth), ElementsAre("0.0.0.0", "::"));
}

}  // namespace
}  // namespace weft
