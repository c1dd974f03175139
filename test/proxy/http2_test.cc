// HTTP/2 through the running proxy, with the clients people use: curl over plaintext (prior
// knowledge) and TLS (ALPN), and h2load for many streams at once. The upstreams speak HTTP/1.1.
#include <csignal>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

class Http2 : public testing::Test {
 protected:
  std::string Curl(const std::string& arguments, const std::string& path = "/") const {
    return RunTool(absl::StrCat("curl --silent --show-error --http2-prior-knowledge ", arguments,
                                " http://127.0.0.1:", port_, path));
  }

  Upstream upstream_{Echo};
  const int port_ = FreePort();
  ProxyProcess proxy_{{HttpListener("in", port_, RouteTo("up"))},
                      {Cluster("up", {upstream_.port()})}};
};

TEST_F(Http2, BecomesHttp1TowardsTheEndpoint) {
  const std::string answer = Curl("-w 'version=%{http_version} code=%{http_code}'", "/a?b=c");
  EXPECT_TRUE(absl::StartsWith(answer, "GET /a?b=c HTTP/1.1\r\n")) << answer;
  EXPECT_TRUE(absl::StrContains(answer, "version=2 code=200")) << answer;
}

TEST_F(Http2, CarriesABodyOfUnknownAndOfKnownLength) {
  const std::string body(200 * 1024, 'b');
  const std::string file = WriteTestFile("body", body);
  for (const char* more : {"", "-H 'content-length:' "}) {
    const std::string answer = Curl(absl::StrCat(more, "--data-binary @", file));
    EXPECT_TRUE(absl::EndsWith(answer, body)) << answer.size();
  }
}

TEST_F(Http2, AnswersByItselfWhereNoEndpointDoes) {
  const std::string answer =
      RunTool(absl::StrCat("curl --silent --http2-prior-knowledge -o /dev/null -w '%{http_version} "
                           "%{http_code}' --request-target '*' -X OPTIONS http://127.0.0.1:",
                           port_, "/"));
  EXPECT_TRUE(absl::StartsWith(answer, "2 ")) << answer;
}

TEST_F(Http2, KeepsManyStreamsApart) {
  const std::string summary =
      RunTool(absl::StrCat("h2load -n 4000 -c 8 -m 8 http://127.0.0.1:", port_, "/x"));
  EXPECT_TRUE(absl::StrContains(summary, "4000 succeeded, 0 failed, 0 errored")) << summary;
  EXPECT_TRUE(absl::StrContains(summary, "4000 2xx")) << summary;
}

TEST_F(Http2, StillServesHttp1OnTheSamePort) { EXPECT_EQ(Ask(port_, Get("/")).status(), 200); }

TEST_F(Http2, EndsItsConnectionsWhenTheProxyDrains) {
  Socket client = Socket::Connect(port_);
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  client.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings);
  EXPECT_FALSE(client.Read(9).empty());
  proxy_.Signal(SIGTERM);
  EXPECT_EQ(proxy_.AwaitExit(), 0) << proxy_.Output();
}

TEST(Http2OverTls, IsChosenByAlpn) {
  Upstream upstream(Echo);
  const int port = FreePort();
  const auto issuer = certs::Issuer::CreateRoot("east", absl::Now());
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain =
      issuer->Issue(key.public_key(), *certs::SpiffeId::Parse("spiffe://east/ns/a/sa/server"),
                    certs::kLeafValidity, absl::Now());
  const std::string tls = absl::StrCat(
      "transport_socket: {name: tls, typed_config: {\"@type\": "
      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, "
      "common_tls_context: {alpn_protocols: [h2, http/1.1], tls_certificates: "
      "[{certificate_chain: {filename: ",
      WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
      "}, private_key: {filename: ", WriteTestFile("key.pem", key.ToPem()), "}}]}}}, ");
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"), "", tls)},
                     {Cluster("up", {upstream.port()})});
  for (const auto& [option, version] : {std::pair("--http2", "2"), std::pair("--http1.1", "1.1")}) {
    const std::string answer = RunTool(absl::StrCat(
        "curl --silent --show-error --insecure ", option,
        " -o /dev/null -w '%{http_version} %{http_code}' https://127.0.0.1:", port, "/"));
    EXPECT_EQ(answer, absl::StrCat(version, " 200"));
  }
}

}  // namespace
}  // namespace weft::test
