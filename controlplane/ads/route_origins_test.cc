#include "controlplane/ads/route_origins.h"

#include <google/protobuf/any.pb.h>

#include "absl/strings/str_cat.h"
#include "api/envoy/route.pb.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;

constexpr char kNack[] = "route configuration '80': ";

void AddRoute(const std::string& origin, VirtualHost& host) {
  Route& route = *host.add_routes();
  if (origin.empty()) return;
  (*(*route.mutable_metadata()->mutable_filter_metadata())["istio"].mutable_fields())["config"]
      .set_string_value(origin);
}

// Table "80" of two hosts: one has routes of /a and /b, the other one of /c and one of nothing.
EncodedResources Routes() {
  RouteConfiguration table;
  table.set_name("80");
  VirtualHost& first = *table.add_virtual_hosts();
  AddRoute("/a", first);
  AddRoute("/b", first);
  VirtualHost& second = *table.add_virtual_hosts();
  AddRoute("/c", second);
  AddRoute("", second);
  google::protobuf::Any any;
  any.PackFrom(table);
  EncodedResources routes;
  routes.emplace("80", std::make_shared<const std::string>(any.SerializeAsString()));
  routes.emplace("81", std::make_shared<const std::string>("\xff\xff"));
  return routes;
}

TEST(RouteOrigins, AreThoseOfThePlacesThatAreNamed) {
  const struct {
    const char* error;
    const char* origins;
  } rows[] = {
      {"virtual_hosts[0].routes[1].match.safe_regex: no", " (/b)"},
      {"virtual_hosts[0].domains[0]: taken", " (/a, /b)"},
      {"virtual_hosts[1].routes[0].match: no; route configuration '80': virtual_hosts[0].routes[0]",
       " (/a, /c)"},
      {"virtual_hosts[1].routes[1].match: no", ""},
      {"no", ""},
  };
  for (const auto& row : rows) {
    const std::string error = absl::StrCat(kNack, row.error);
    EXPECT_EQ(WithRouteOrigins(error, Routes()), absl::StrCat(error, row.origins));
  }
}

TEST(RouteOrigins, PlacesThatAreNotThereHaveNone) {
  for (const char* place :
       {"'80': virtual_hosts[2].routes[0]", "'80': virtual_hosts[1].routes[2]",
        "'80': virtual_hosts[999999999].routes[999999999]", "'80': virtual_hosts[12345678901]",
        "'81': virtual_hosts[0]", "'': virtual_hosts[0]", "'82': virtual_hosts[0]",
        "'80': virtual_hosts[", "'"}) {
    EXPECT_EQ(WithRouteOrigins(place, Routes()), place);
  }
}

}  // namespace
}  // namespace weft
