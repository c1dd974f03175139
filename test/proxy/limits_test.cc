// How long connections and requests may take at the running proxy, and how much they may be: each
// limit over HTTP/1 and HTTP/2, by what the client sees and what is counted.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/h2_client.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

// Takes a request and says nothing.
void Hang(Socket& socket, int) {
  socket.ReadRequest();
  socket.ReadToEnd();
}

// Begins an answer and does not end it.
void Stall(Socket& socket, int) {
  socket.ReadRequest();
  socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegin");
  socket.ReadToEnd();
}

// A proxy with one listener, whose manager has `limits`, before `script`.
struct Limited {
  explicit Limited(const std::string& limits, Upstream::Script script = Echo)
      : upstream(std::move(script)),
        proxy({HttpListener("in", port, RouteTo("up"), limits)},
              {Cluster("up", {upstream.port()})}) {}

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

// The proxy says that it takes no more, in the two steps of RFC 9113, section 6.8, and ends.
void ExpectOrderlyEnd(H2Client& client, uint32_t last_stream) {
  EXPECT_EQ(client.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  EXPECT_EQ(client.Await(H2Frame::kGoaway).number(), last_stream);
  EXPECT_TRUE(client.socket().Ended());
}

TEST(IdleTimeout, EndsAConnectionWithoutRequests) {
  Limited t("common_http_protocol_options: {idle_timeout: 0.3s},");
  Socket one = Socket::Connect(t.port);
  H2Client two(t.port);
  one.Send(Get("/"));
  EXPECT_EQ(one.ReadResponse().status(), 200);
  two.Ask(1, "/");
  EXPECT_EQ(two.Await(1).status, 200);
  EXPECT_TRUE(one.Ended());
  EXPECT_FALSE(one.was_reset());
  ExpectOrderlyEnd(two, 1);
  EXPECT_EQ(t.proxy.Stat("downstream_cx_idle_timeout"), 2);
}

TEST(MaxConnectionDuration, EndsAnIdleConnection) {
  Limited t("common_http_protocol_options: {max_connection_duration: 0.4s},");
  Socket one = Socket::Connect(t.port);
  H2Client two(t.port);
  one.Send(Get("/"));
  EXPECT_EQ(one.ReadResponse().Field("connection"), "");
  two.Ask(1, "/");
  EXPECT_EQ(two.Await(1).status, 200);
  EXPECT_TRUE(one.Ended());
  ExpectOrderlyEnd(two, 1);
  EXPECT_EQ(t.proxy.Stat("downstream_cx_max_duration_reached"), 2);
}

TEST(MaxConnectionDuration, LetsTheRequestUnderWayFinish) {
  Limited t("common_http_protocol_options: {max_connection_duration: 0.2s},",
            [](Socket& socket, int) {
              socket.ReadRequest();
              absl::SleepFor(absl::Milliseconds(600));  // longer than the connection may last
              socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            });
  Socket one = Socket::Connect(t.port);
  H2Client two(t.port);
  one.Send(Get("/"));
  two.Ask(1, "/");
  const Message answer = one.ReadResponse();
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.Field("connection"), "close");
  EXPECT_TRUE(one.Ended());
  EXPECT_EQ(two.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  const H2Response response = two.Await(1);
  EXPECT_EQ(response.body, "ok");
  EXPECT_TRUE(response.complete);
  two.Await(H2Frame::kNone);  // the second GOAWAY may come before the end
  EXPECT_TRUE(two.socket().Ended());
}

TEST(MaxRequestsPerConnection, TheLastOneSaysSo) {
  Limited t("common_http_protocol_options: {max_requests_per_connection: 2},");
  Socket one = Socket::Connect(t.port);
  one.Send(Get("/"));
  EXPECT_EQ(one.ReadResponse().Field("connection"), "");
  one.Send(Get("/"));
  EXPECT_EQ(one.ReadResponse().Field("connection"), "close");
  EXPECT_TRUE(one.Ended());
  H2Client two(t.port);
  for (const uint32_t stream : {1u, 3u}) two.Ask(stream, "/");
  EXPECT_EQ(two.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  EXPECT_TRUE(two.Await(3).complete);
  EXPECT_EQ(t.proxy.Stat("downstream_cx_max_requests_reached"), 2);
}

TEST(RequestHeadersTimeout, CutsAHeadThatDoesNotEnd) {
  Limited t("request_headers_timeout: 0.2s,");
  Socket one = Socket::Connect(t.port);
  one.Send("GET / HTTP/1.1\r\nHost: ");
  const Message answer = one.ReadResponse();
  EXPECT_EQ(answer.status(), 408);
  EXPECT_EQ(answer.body, "request header timeout");
  EXPECT_TRUE(one.Ended());
  H2Client two(t.port);
  // The settings are through then: nothing may be sent amid the head.
  two.Send(H2Frame::kPing, 0, 0, "12345678");
  two.Await(H2Frame::kPing);
  two.Send(H2Frame::kHeaders, H2Frame::kEndStream, 1, H2Client::Head("GET", "/"));
  two.Await(H2Frame::kNone);
  EXPECT_TRUE(two.socket().Ended());
  EXPECT_EQ(t.upstream.connections(), 0);
  EXPECT_EQ(t.proxy.Stat("downstream_rq_header_timeout"), 2);
}

TEST(RequestTimeout, IsForARequestThatDoesNotComeWhole) {
  Limited t("request_timeout: 0.3s,", Hang);
  Socket one = Socket::Connect(t.port);
  one.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(one.ReadResponse().body, "request timeout");
  EXPECT_TRUE(one.Ended());
  H2Client two(t.port);
  two.Ask(1, "/", /*body_follows=*/true);
  EXPECT_EQ(two.Await(1).status, 408);
  EXPECT_EQ(t.proxy.Stat("downstream_rq_timeout"), 2);
}

TEST(StreamIdleTimeout, AnswersWhenNothingMoves) {
  Limited t("stream_idle_timeout: 0.3s,", Hang);
  EXPECT_EQ(Ask(t.port, Get("/")).status(), 408);
  H2Client two(t.port);
  two.Ask(1, "/");
  const H2Response response = two.Await(1);
  EXPECT_EQ(response.status, 408);
  EXPECT_EQ(response.body, "stream timeout");
  // The connection carries on.
  two.Ask(3, "/");
  EXPECT_EQ(two.Await(3).body, "stream timeout");
  EXPECT_EQ(t.proxy.Stat("downstream_rq_idle_timeout"), 3);
}

TEST(StreamIdleTimeout, CutsAResponseThatStalls) {
  Limited t("stream_idle_timeout: 0.3s,", Stall);
  EXPECT_FALSE(Ask(t.port, Get("/")).complete);
  H2Client two(t.port);
  two.Ask(1, "/");
  const H2Response response = two.Await(1);
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.reset);
}

TEST(MaxStreamDuration, EndsWhatTakesTooLong) {
  const std::string limit = "common_http_protocol_options: {max_stream_duration: 0.3s},";
  Limited silent(limit, Hang);
  EXPECT_EQ(Ask(silent.port, Get("/")).body, "downstream duration timeout");
  H2Client client(silent.port);
  client.Ask(1, "/");
  EXPECT_EQ(client.Await(1).status, 408);
  EXPECT_EQ(silent.proxy.Stat("downstream_rq_max_duration_reached"), 2);

  // A trickle holds off the idle timeout, but not this.
  Limited trickling(limit, [](Socket& socket, int) {
    socket.ReadRequest();
    socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
    while (socket.Send("x")) absl::SleepFor(absl::Milliseconds(20));
  });
  EXPECT_FALSE(Ask(trickling.port, Get("/")).complete);
  H2Client other(trickling.port);
  other.Ask(1, "/");
  EXPECT_TRUE(other.Await(1).reset);
  EXPECT_EQ(trickling.proxy.Stat("downstream_rq_max_duration_reached"), 2);
}

TEST(Headers, OverTheListenersLimitsAreRefused) {
  Limited t("max_request_headers_kb: 1, common_http_protocol_options: {max_headers_count: 20},");
  std::string large = "a: " + std::string(2000, 'x') + "\r\n";
  std::string many;
  for (int i = 0; i < 25; ++i) absl::StrAppend(&many, "a: b\r\n");
  for (const std::string& fields : {large, many}) {
    EXPECT_EQ(Ask(t.port, Get("/", fields)).status(), 431);
  }
  const std::string answer = RunTool(
      absl::StrCat("curl --silent --http2-prior-knowledge -o /dev/null -w '%{http_code}' -H 'a: ",
                   std::string(2000, 'x'), "' http://127.0.0.1:", t.port, "/"));
  EXPECT_EQ(answer, "431");
  EXPECT_EQ(Ask(t.port, Get("/")).status(), 200);
}

TEST(Streams, BeyondTheLimitEndTheConnection) {
  Limited t("http2_protocol_options: {max_concurrent_streams: 2},", Hang);
  H2Client client(t.port);
  client.Ask(1, "/");
  client.Ask(3, "/");
  // The limit is in force once it was acknowledged, which Next() does.
  EXPECT_TRUE(Eventually([&] { return t.upstream.connections() == 2; }));
  client.Send(H2Frame::kPing, 0, 0, "12345678");
  EXPECT_EQ(client.Await(H2Frame::kPing).payload, "12345678");
  client.Ask(5, "/");
  const H2Frame end = client.Await(H2Frame::kGoaway);
  ASSERT_GE(end.payload.size(), 8u);
  EXPECT_EQ(end.payload.substr(4, 4), std::string("\0\0\0\1", 4));  // PROTOCOL_ERROR
  EXPECT_EQ(t.upstream.connections(), 2);
}

}  // namespace
}  // namespace weft::test
