// Retries, timeouts and endpoints that are gone, through the running proxy.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kMeshRetry[] =
    "retry_policy: {num_retries: 2, retry_on: \"connect-failure,reset-before-request,"
    "retriable-status-codes\", retriable_status_codes: [503]}";

std::string Post(const std::string& body, const std::string& fields = "") {
  return absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\n", fields, "Content-Length: ", body.size(),
                      "\r\n\r\n", body);
}

struct OneUpstream {
  OneUpstream(Upstream::Script script, const std::string& route, const std::string& cluster = "")
      : upstream(std::move(script)),
        proxy({HttpListener("in", port, RouteTo("up", route))},
              {Cluster("up", {upstream.port()}, cluster)}) {}

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

// Answers with 503 on the first `failures` connections, then echoes.
Upstream::Script FailsFirst(int failures) {
  return [failures](Socket& socket, int turn) {
    if (turn > failures) return Echo(socket, turn);
    if (!socket.ReadRequest().complete) return;
    socket.Send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nx-a: b\r\n\r\nbusy");
    socket.Read(1);
  };
}

TEST(Retry, OfAStatusReplaysTheBody) {
  for (const bool chunked : {false, true}) {
    OneUpstream s(FailsFirst(2), kMeshRetry);
    const std::string body(20000, 'r');
    const Message answer =
        chunked ? Ask(s.port, absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\n"
                                           "Transfer-Encoding: chunked\r\n\r\n4e20\r\n",
                                           body, "\r\n0\r\n\r\n"))
                : Ask(s.port, Post(body));
    EXPECT_EQ(answer.status(), 200);
    EXPECT_TRUE(absl::EndsWith(answer.body, body));
    EXPECT_EQ(s.proxy.Stat("upstream_rq_retry"), 2);
  }
}

TEST(Retry, GivesTheLastAnswerWhenAllFail) {
  OneUpstream s(FailsFirst(100), kMeshRetry);
  const Message answer = Ask(s.port, Get("/"));
  EXPECT_EQ(answer.status(), 503);
  EXPECT_EQ(answer.body, "busy");
  EXPECT_EQ(answer.Field("x-a"), "b");
}

TEST(Retry, HappensAfter100ContinueToo) {
  OneUpstream s(FailsFirst(1), kMeshRetry);
  Socket client = Socket::Connect(s.port);
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().status(), 100);
  client.Send("body");
  EXPECT_EQ(client.ReadResponse().status(), 200);
}

TEST(Retry, NotOfABodyTooLargeToKeep) {
  OneUpstream s(FailsFirst(1), kMeshRetry);
  EXPECT_EQ(Ask(s.port, Post(std::string(200000, 'r'))).status(), 503);
}

TEST(Retry, NotOnceTheResponseBegan) {
  std::atomic<int> requests{0};
  OneUpstream s(
      [&](Socket& socket, int) {
        if (!socket.ReadRequest().complete) return;
        ++requests;
        socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
      },
      "retry_policy: {num_retries: 3, retry_on: \"5xx,reset\"}");
  const Message answer = Ask(s.port, Get("/"));
  EXPECT_FALSE(answer.complete);
  EXPECT_EQ(requests, 1);
}

TEST(Retry, NotOfAPostThatMayHaveBeenDone) {
  std::atomic<int> requests{0};
  OneUpstream s(
      [&](Socket& socket, int turn) {
        // The first request makes the connection a reused one for the second.
        if (turn == 1) {
          socket.ReadRequest();
          socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        if (socket.ReadRequest().complete) ++requests;
      },
      kMeshRetry);
  Socket client = Socket::Connect(s.port);
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadResponse().status(), 200);
  client.Send(Post("pay"));
  EXPECT_EQ(client.ReadResponse().status(), 503);
  EXPECT_EQ(requests, 1);
}

TEST(Retry, UnreachableEndpointIsSkippedAndThenAvoided) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up", kMeshRetry))},
                     {Cluster("up", {FreePort(), upstream.port()})});
  Socket client = Socket::Connect(port);
  for (int i = 0; i < 50; ++i) {
    client.Send(Post("x"));
    ASSERT_EQ(client.ReadResponse().status(), 200);
  }
  EXPECT_LE(proxy.Stat("upstream_cx_connect_fail"), 5);
}

TEST(Retry, AllEndpointsUnreachableIsA503) {
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up", kMeshRetry))},
                     {Cluster("up", {FreePort()})});
  Socket client = Socket::Connect(port);
  for (int i = 0; i < 3; ++i) {
    client.Send(Post("x"));
    const Message answer = client.ReadResponse();
    EXPECT_EQ(answer.status(), 503);
    EXPECT_TRUE(absl::StrContains(answer.body, "onnection refused")) << answer.body;
  }
}

TEST(Reuse, EndpointThatClosesIdleConnectionsCausesNoErrors) {
  OneUpstream s(
      [](Socket& socket, int) {
        socket.ReadRequest();
        socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        // Closes at once, without having said so.
      },
      "");
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 300; ++i) {
    client.Send(Get("/"));
    ASSERT_EQ(client.ReadResponse().status(), 200) << "request " << i;
  }
}

TEST(Reuse, NotAfterConnectionClose) {
  OneUpstream s(Always("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"), "");
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/"));
    const Message answer = client.ReadResponse();
    EXPECT_EQ(answer.status(), 200);
    EXPECT_EQ(answer.Field("connection"), "");  // hop by hop
  }
  EXPECT_EQ(s.upstream.connections(), 3);
}

void Silent(Socket& socket, int) {
  socket.ReadRequest();
  socket.Read(1);
}

TEST(Timeout, OfTheRouteIsA504) {
  OneUpstream s(Silent, "timeout: 0.2s");
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 5; ++i) {
    client.Send(Get("/"));
    EXPECT_EQ(client.ReadResponse().status(), 504);
  }
  EXPECT_EQ(s.proxy.Stat("upstream_rq_timeout"), 5);
}

TEST(Timeout, OfATryGoesToAnother) {
  OneUpstream s(
      [](Socket& socket, int turn) { turn == 1 ? Silent(socket, turn) : Echo(socket, turn); },
      "timeout: 10s, retry_policy: {num_retries: 1, retry_on: 5xx, per_try_timeout: 0.2s}");
  EXPECT_EQ(Ask(s.port, Get("/")).status(), 200);
  EXPECT_EQ(s.upstream.connections(), 2);
}

TEST(Timeout, OfTheRouteCoversConnecting) {
  // A listener whose queue is full drops connection requests, as a dead address does.
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(fd, 0), 0);
  socklen_t length = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  const Socket filler = Socket::Connect(ntohs(address.sin_port));
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port, RouteTo("up", "timeout: 0.3s"))},
      {absl::StrCat("{name: up, type: STATIC, connect_timeout: 60s, load_assignment: "
                    "{cluster_name: up, endpoints: [{lb_endpoints: [{endpoint: "
                    "{address: {socket_address: {address: 127.0.0.1, port_value: ",
                    ntohs(address.sin_port), "}}}}]}]}}")});
  EXPECT_EQ(Ask(port, Get("/")).status(), 504);
  close(fd);
}

}  // namespace
}  // namespace weft::test
