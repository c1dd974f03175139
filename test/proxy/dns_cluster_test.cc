// Clusters whose endpoints are host names.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

std::string NamedCluster(const std::string& name, const std::string& type, const std::string& host,
                         int port) {
  return absl::StrCat("{name: ", name, ", type: ", type,
                      ", connect_timeout: 2s, load_assignment: {cluster_name: ", name,
                      ", endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: "
                      "{address: ",
                      host, ", port_value: ", port, "}}}}]}]}}");
}

TEST(DnsCluster, ServesByNameOfTheHostsFileAndByAddress) {
  Upstream upstream(Echo);
  const struct {
    const char* type;
    const char* host;
  } cases[] = {{"STRICT_DNS", "localhost"},
               {"LOGICAL_DNS", "localhost"},
               {"STRICT_DNS", "127.0.0.1"},
               {"LOGICAL_DNS", "127.0.0.1"}};
  for (const auto& c : cases) {
    const int port = FreePort();
    ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                       {NamedCluster("up", c.type, c.host, upstream.port())});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(port, Get("/")).status(), 200) << c.type << c.host;
    EXPECT_TRUE(absl::StrContains(proxy.Admin("/clusters").body, absl::StrCat(upstream.port())));
  }
}

// However slow or silent the machine's name servers are, the listener comes up.
TEST(DnsCluster, ANameThatCannotBeResolvedIsA503AndSaidInTheLog) {
  Upstream upstream(Echo);
  const int port = FreePort();
  const int other = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port, RouteTo("up")), HttpListener("other", other, RouteTo("works"))},
      {NamedCluster("up", "STRICT_DNS", "nowhere.invalid", 80),
       Cluster("works", {upstream.port()})});
  EXPECT_EQ(Ask(port, Get("/")).status(), 503);
  EXPECT_EQ(Ask(other, Get("/")).status(), 200);
  EXPECT_TRUE(absl::StrContains(proxy.Output(), "dns_failed")) << proxy.Output();
  EXPECT_TRUE(absl::StrContains(proxy.Output(), "nowhere.invalid")) << proxy.Output();
}

TEST(DnsCluster, TcpProxyGoesThereToo) {
  Upstream upstream([](Socket& socket, int) { socket.Send("hello"); });
  const int port = FreePort();
  ProxyProcess proxy({TcpListener("in", port, "up")},
                     {NamedCluster("up", "STRICT_DNS", "localhost", upstream.port())});
  EXPECT_EQ(Socket::Connect(port).ReadToEnd(), "hello");
}

TEST(DnsCluster, AdsMayComeFromOne) {
  Upstream upstream(Echo);
  Upstream xds([](Socket& socket, int) { socket.Read(24); });  // HTTP/2's preface, then the end
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}),
                      NamedCluster("xds", "STRICT_DNS", "localhost", xds.port()) +
                          "\nnode: {id: a, cluster: b}\ndynamic_resources: {ads_config: "
                          "{api_type: GRPC, transport_api_version: V3, grpc_services: "
                          "[{envoy_grpc: {cluster_name: xds}}]}, cds_config: {ads: {}}, "
                          "lds_config: {ads: {}}}"});
  EXPECT_TRUE(Eventually([&] { return xds.connections() > 0; })) << proxy.Output();
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

}  // namespace
}  // namespace weft::test
