// HTTP/1 through the running proxy: framing both ways, connections kept and ended, slow readers.
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr size_t kBig = 16 << 20;

// An upstream behind a listener that sends everything to it.
struct OneUpstream {
  explicit OneUpstream(Upstream::Script script, const std::string& route = "",
                       const std::string& manager = "")
      : upstream(std::move(script)),
        proxy({HttpListener("in", port, RouteTo("up", route), manager)},
              {Cluster("up", {upstream.port()})}) {}

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

TEST(Http, KeepsBothConnections) {
  OneUpstream s(Echo);
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 5; ++i) {
    client.Send(Get(absl::StrCat("/", i)));
    const Message answer = client.ReadResponse();
    ASSERT_EQ(answer.status(), 200);
    EXPECT_TRUE(absl::StartsWith(answer.body, absl::StrCat("GET /", i, " HTTP/1.1\r\n")));
  }
  EXPECT_EQ(s.upstream.connections(), 1);
}

TEST(Http, AnswersPipelinedRequestsInOrder) {
  OneUpstream s(Echo);
  Socket client = Socket::Connect(s.port);
  std::string requests;
  for (int i = 0; i < 200; ++i) absl::StrAppend(&requests, Get(absl::StrCat("/", i)));
  client.Send(requests);
  for (int i = 0; i < 200; ++i) {
    const Message answer = client.ReadResponse();
    ASSERT_TRUE(absl::StartsWith(answer.body, absl::StrCat("GET /", i, " "))) << answer.body;
  }
}

TEST(Http, PassesChunksAndTrailersBothWays) {
  OneUpstream s([](Socket& socket, int) {
    const Message request = socket.ReadRequest();
    EXPECT_EQ(request.body, "hello world");
    EXPECT_EQ(request.trailers, "sum: 1\r\n");
    socket.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    socket.Send("4\r\ndefg\r\n0\r\ngrpc-status: 0\r\n\r\n");
    socket.Read(1);
  });
  const Message answer = Ask(s.port,
                             "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n"
                             "6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\nsum: 1\r\n\r\n");
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.body, "abcdefg");
  EXPECT_EQ(answer.trailers, "grpc-status: 0\r\n");
}

TEST(Http, BodilessResponsesLeaveTheConnectionInStep) {
  const char* kResponses[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                              "HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n"};
  for (const char* response : kResponses) {
    OneUpstream s(Always(response));
    Socket client = Socket::Connect(s.port);
    for (int i = 0; i < 3; ++i) {
      client.Send(Get("/"));
      const Message answer = client.ReadResponse();
      EXPECT_EQ(answer.head.substr(0, 12), std::string(response).substr(0, 12));
    }
    EXPECT_EQ(s.upstream.connections(), 1);
  }
}

TEST(Http, HeadKeepsItsContentLengthAndHasNoBody) {
  OneUpstream s(Echo);
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 2; ++i) {
    client.Send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    const Message answer = client.ReadResponse(/*to_head=*/true);
    EXPECT_EQ(answer.status(), 200);
    EXPECT_NE(answer.Field("content-length"), "");
  }
  client.Send(Get("/next"));
  EXPECT_TRUE(absl::StartsWith(client.ReadResponse().body, "GET /next "));
}

TEST(Http, InterimResponsesPass) {
  OneUpstream s(
      Always("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
             "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
  Socket client = Socket::Connect(s.port);
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadResponse().status(), 103);
  EXPECT_EQ(client.ReadResponse().body, "ok");
}

TEST(Http, TellsAWaitingClientToContinue) {
  OneUpstream s(Echo);
  Socket client = Socket::Connect(s.port);
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadResponse().status(), 100);
  client.Send("body");
  const Message answer = client.ReadResponse();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_TRUE(absl::EndsWith(answer.body, "body"));
  EXPECT_FALSE(absl::StrContains(answer.body, "100-continue"));
}

TEST(Http, Http10GetsABodyThatTheEndEnds) {
  OneUpstream s(
      Always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"));
  Socket client = Socket::Connect(s.port);
  client.Send("GET / HTTP/1.0\r\nHost: h\r\n\r\n");
  const Message answer = client.ReadResponse();
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.Field("transfer-encoding"), "");
  EXPECT_EQ(answer.Field("connection"), "close");
}

TEST(Http, Http10KeepAliveWhenAsked) {
  OneUpstream s(Echo);
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 2; ++i) {
    client.Send("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    const Message answer = client.ReadResponse();
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.Field("connection"), "keep-alive");
  }
}

TEST(Http, UpgradePassesBytesBothWays) {
  OneUpstream s(
      [](Socket& socket, int) {
        const Message request = socket.ReadRequest();
        EXPECT_EQ(request.Field("upgrade"), "websocket");
        socket.Send(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
            "upgrade: websocket\r\n\r\nfrom server");
        EXPECT_EQ(socket.Read(11), "from client");
        EXPECT_EQ(socket.Read(3), std::string("\x81\x00z", 3));
        socket.Send("bye");
      },
      "", "upgrade_configs: [{upgrade_type: websocket}],");
  Socket client = Socket::Connect(s.port);
  // The first bytes of the protocol come before the answer (row 21): they wait for it.
  client.Send(Get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + "from client");
  const Message answer = client.ReadResponse();
  EXPECT_EQ(answer.status(), 101);
  EXPECT_EQ(answer.Field("upgrade"), "websocket");
  EXPECT_EQ(client.Read(11), "from server");
  client.Send(std::string("\x81\x00z", 3));
  EXPECT_EQ(client.Read(3), "bye");
  client.ShutdownWrite();
  EXPECT_TRUE(client.Ended());
}

TEST(Http, UpgradeThatTheConfigDoesNotAllowIsAnOrdinaryRequest) {
  OneUpstream s(Echo);
  const Message answer = Ask(s.port, Get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_FALSE(absl::StrContains(answer.body, "websocket")) << answer.body;
}

TEST(Http, BigUploadArrivesWholeAndMemoryStaysSmall) {
  OneUpstream s([](Socket& socket, int) {
    absl::SleepFor(absl::Milliseconds(300));  // the proxy must not take it all meanwhile
    while (true) {
      const Message request = socket.ReadRequest();
      if (request.head.empty()) return;
      EXPECT_EQ(request.body.size(), kBig);
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
  });
  for (const bool chunked : {false, true}) {
    const size_t before = s.proxy.ResidentBytes();
    Socket client = Socket::Connect(s.port);
    client.Send(absl::StrCat(
        "POST / HTTP/1.1\r\nHost: h\r\n",
        chunked ? "Transfer-Encoding: chunked" : absl::StrCat("Content-Length: ", kBig),
        "\r\n\r\n"));
    const std::string piece(1 << 20, 'x');
    for (size_t sent = 0; sent < kBig; sent += piece.size()) {
      if (chunked) client.Send("100000\r\n");
      ASSERT_TRUE(client.Send(piece));
      if (chunked) client.Send("\r\n");
    }
    if (chunked) client.Send("0\r\n\r\n");
    EXPECT_EQ(client.ReadResponse().status(), 200);
    if (kMemoryMeans) EXPECT_LT(s.proxy.ResidentBytes(), before + (4 << 20));
  }
}

TEST(Http, SlowReaderHoldsTheUpstreamBack) {
  for (const bool chunked : {false, true}) {
    std::atomic<size_t> sent{0};
    OneUpstream s([&](Socket& socket, int) {
      socket.ReadRequest();
      socket.Send(absl::StrCat(
          "HTTP/1.1 200 OK\r\n",
          chunked ? "transfer-encoding: chunked" : absl::StrCat("content-length: ", 2 * kBig),
          "\r\n\r\n"));
      const std::string piece(1 << 16, 'y');
      for (size_t i = 0; i < 2 * kBig / piece.size(); ++i) {
        if (chunked) socket.Send("10000\r\n");
        if (!socket.Send(piece)) return;
        if (chunked) socket.Send("\r\n");
        sent += piece.size();
      }
      if (chunked) socket.Send("0\r\n\r\n");
      socket.Read(1);
    });
    const size_t before = s.proxy.ResidentBytes();
    Socket client = Socket::Connect(s.port);
    client.Send(Get("/"));
    // It stops by itself once the kernel's buffers on the way are full.
    size_t seen = 1;
    EXPECT_TRUE(Eventually([&] {
      const size_t last = std::exchange(seen, sent.load());
      absl::SleepFor(absl::Milliseconds(100));
      return seen > 0 && seen == last;
    }));
    EXPECT_LT(sent.load(), 2 * kBig);
    if (kMemoryMeans) EXPECT_LT(s.proxy.ResidentBytes(), before + (4 << 20));
    const Message answer = client.ReadResponse();
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.body.size(), 2 * kBig);
  }
}

TEST(Http, CutResponseIsNotMistakenForAWholeOne) {
  struct Case {
    const char* name;
    const char* response;
    bool reset;
  };
  const Case kCases[] = {
      {"Length", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", false},
      {"Chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n", false},
      {"LengthReset", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", true},
  };
  for (const Case& one : kCases) {
    for (const char* version : {"HTTP/1.1", "HTTP/1.0"}) {
      SCOPED_TRACE(absl::StrCat(one.name, " ", version));
      OneUpstream s([&one](Socket& socket, int) {
        socket.ReadRequest();
        socket.Send(one.response);
        if (one.reset) socket.CloseWithReset();
      });
      Socket client = Socket::Connect(s.port);
      client.Send(absl::StrCat("GET / ", version, "\r\nHost: h\r\n\r\n"));
      EXPECT_FALSE(client.ReadResponse().complete);
      EXPECT_TRUE(s.proxy.alive());
    }
  }
}

TEST(Http, EarlyAnswerReachesAClientThatStillSends) {
  OneUpstream s([](Socket& socket, int) {
    socket.Read(100);
    socket.Send(
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!");
    socket.ShutdownWrite();
    absl::SleepFor(absl::Milliseconds(50));
  });
  for (int i = 0; i < 5; ++i) {
    Socket client = Socket::Connect(s.port);
    client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n");
    const std::string piece(100000, 'x');
    for (int sent = 0; sent < 40; ++sent) {
      if (!client.Send(piece)) break;
    }
    const Message answer = client.ReadResponse();
    EXPECT_EQ(answer.status(), 413);
    EXPECT_EQ(answer.body, "no!");
  }
}

TEST(Http, ClientThatGoesAwayFreesTheUpstream) {
  std::atomic<int> ended{0};
  OneUpstream s([&](Socket& socket, int) {
    socket.ReadRequest();
    if (socket.Ended()) ++ended;
  });
  for (int i = 0; i < 3; ++i) {
    Socket client = Socket::Connect(s.port);
    client.Send(Get("/"));
    EXPECT_TRUE(Eventually([&] { return s.upstream.connections() == i + 1; }));
    if (i % 2 == 0) client.CloseWithReset();
  }
  EXPECT_TRUE(Eventually([&] { return ended == 3; }));
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("downstream_rq_active") == 0; }));
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("downstream_cx_active") == 0; }));
}

TEST(Http, RedirectDirectResponseAndRewrite) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener(
          "in", port,
          "{match: {path: /old}, redirect: {path_redirect: /new, response_code: FOUND}}, "
          "{match: {path: /health}, direct_response: {status: 200, body: {inline_string: fine}}}, "
          "{match: {prefix: /api/}, route: {cluster: up, prefix_rewrite: /v1/, "
          "host_rewrite_literal: inner}, request_headers_to_add: [{header: {key: x-a, value: "
          "b}}]}")},
      {Cluster("up", {upstream.port()})});
  const Message redirect = Ask(port, Get("/old"));
  EXPECT_EQ(redirect.status(), 302);
  EXPECT_EQ(redirect.Field("location"), "http://test/new");
  EXPECT_EQ(Ask(port, Get("/health")).body, "fine");
  EXPECT_EQ(Ask(port, Get("/none")).status(), 404);
  const Message rewritten = Ask(port, Get("/api/x?y=1"));
  EXPECT_TRUE(absl::StartsWith(rewritten.body, "GET /v1/x?y=1 HTTP/1.1\r\nHost: inner\r\n"))
      << rewritten.body;
  EXPECT_TRUE(absl::StrContains(rewritten.body, "x-a: b\r\n"));
  // Answers of the proxy's own keep the connection, and the body behind them is not a request.
  Socket client = Socket::Connect(port);
  client.Send(
      "POST /health HTTP/1.1\r\nHost: h\r\nContent-Length: 24\r\n\r\n"
      "GET /evil HTTP/1.1\r\n\r\nxx" +
      Get("/health"));
  EXPECT_EQ(client.ReadResponse().body, "fine");
  EXPECT_EQ(client.ReadResponse().body, "fine");
}

TEST(Http, WeightsShareRequests) {
  Upstream a(Always("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"));
  Upstream b(Always("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb"));
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port,
                                   "{match: {prefix: /}, route: {weighted_clusters: {clusters: "
                                   "[{name: a, weight: 80}, {name: b, weight: 20}]}}}")},
                     {Cluster("a", {a.port()}), Cluster("b", {b.port()})});
  Socket client = Socket::Connect(port);
  int to_b = 0;
  for (int i = 0; i < 1000; ++i) {
    client.Send(Get("/"));
    if (client.ReadResponse().body == "b") ++to_b;
  }
  EXPECT_GT(to_b, 130);  // five standard deviations
  EXPECT_LT(to_b, 270);
}

TEST(Http, LeastRequestAvoidsTheBusyEndpoint) {
  std::atomic<bool> release{false};
  Upstream slow([&](Socket& socket, int) {
    while (socket.ReadRequest().complete) {
      Eventually([&] { return release.load(); });
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow");
    }
  });
  Upstream quick(Always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nquick"));
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {slow.port(), quick.port()}, "lb_policy: LEAST_REQUEST,")});
  std::vector<Socket> stuck;
  while (slow.connections() < 3 && stuck.size() < 200) {
    stuck.push_back(Socket::Connect(port));
    stuck.back().Send(Get("/"));
    Eventually([&] { return proxy.Stat("upstream_rq_total") >= stuck.size(); });
  }
  // Two distinct choices out of two: with three under way there, the other is always the lesser.
  int to_slow = slow.connections();
  Socket client = Socket::Connect(port);
  for (int i = 0; i < 50; ++i) {
    client.Send(Get("/"));
    EXPECT_EQ(client.ReadResponse().body, "quick");
  }
  EXPECT_EQ(slow.connections(), to_slow);
  release = true;
}

}  // namespace
}  // namespace weft::test
