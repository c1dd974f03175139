#include "tools/weftctl/link_command.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "api/weft/admin.pb.h"
#include "tools/weftctl/link_tables.h"

namespace weft {
namespace {

TEST(LinkCommand, ValidityIsAWholeNumberOfSeconds) {
  EXPECT_EQ(*ParseValidity("90s"), absl::Seconds(90));
  EXPECT_EQ(*ParseValidity("15m"), absl::Minutes(15));
  EXPECT_EQ(*ParseValidity("1h30m"), absl::Minutes(90));
  for (const char* text : {"", "15", "-1m", "0s", "100ms", "1500ms", "inf", "soon"}) {
    EXPECT_FALSE(ParseValidity(text).ok()) << text;
  }
}

TEST(LinkCommand, AWeftdThatIsNotThereIsSaidOnStandardError) {
  LinkOptions options;
  options.of.weftd = "/no/such/folder/admin.sock";
  testing::internal::CaptureStderr();
  EXPECT_EQ(ListLinks(options), 1);
  EXPECT_TRUE(absl::StrContains(testing::internal::GetCapturedStderr(),
                                "no weftd answers at /no/such/folder/admin.sock"));
}

admin::v1::Link West() {
  admin::v1::Link link;
  link.set_cluster("west");
  link.set_trust_domain("west.weft");
  link.set_state("fresh");
  link.set_heard_seconds_ago(0.42);
  link.set_dialed_by_us(true);
  link.set_services(12);
  link.set_cost(3);
  for (const bool answers : {true, false}) {
    admin::v1::GatewayStatus& gateway = *link.add_gateways();
    gateway.set_address(answers ? "192.0.2.1:15443" : "192.0.2.2:15443");
    gateway.set_answers(answers);
    gateway.set_latency_ms(answers ? 1.25 : 0);
  }
  return link;
}

TEST(LinkTables, SayALineForEachLink) {
  admin::v1::ListResponse links;
  *links.add_links() = West();
  admin::v1::Link& north = *links.add_links();
  north.set_cluster("north");
  north.set_state("never");
  north.set_heard_seconds_ago(-1);
  north.set_outbound_only(true);
  north.set_last_error("no gateways");
  EXPECT_EQ(LinkTable(links),
            "CLUSTER  STATE  HEARD     SERVICES  GATEWAYS  COST  REMARKS\n"
            "west     fresh  0.4s ago  12        1/2       3     -\n"
            "north    never  never     0         -         0     outbound-only, no gateways\n");
}

TEST(LinkTables, SayAllOfOne) {
  const std::string details = LinkDetails(West());
  for (const char* line :
       {"Cluster:        west\n", "Dialed by:      us\n", "State:          fresh, heard 0.4s ago\n",
        "Gateway:        192.0.2.1:15443, answers in 1.2 ms\n",
        "Gateway:        192.0.2.2:15443, does not answer\n"}) {
    EXPECT_TRUE(absl::StrContains(details, line)) << line << details;
  }
}

TEST(LinkTables, SayTimeAndSpeedOfEachHop) {
  admin::v1::TestResponse test;
  admin::v1::Hop& moved = *test.add_hops();
  moved.set_name("gateway 192.0.2.1:15443: 1 MiB there and back");
  moved.set_ok(true);
  moved.set_milliseconds(12.345);
  moved.set_bytes_per_second(169.9e6);
  admin::v1::Hop& failed = *test.add_hops();
  failed.set_name("gateway 192.0.2.2:15443: TCP");
  failed.set_milliseconds(5000);
  failed.set_error("timeout");
  EXPECT_EQ(HopTable(test),
            "HOP                                            TIME        SPEED     RESULT\n"
            "gateway 192.0.2.1:15443: 1 MiB there and back  12.35 ms    170 MB/s  ok\n"
            "gateway 192.0.2.2:15443: TCP                   5000.00 ms  -         timeout\n");
}

}  // namespace
}  // namespace weft
