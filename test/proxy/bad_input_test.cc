// What a client must not be able to do to a running proxy: rows 1 to 27 of malformed HTTP/1, seen
// from both sides. The decoder's own tests look at the reasons; here it counts that the answer is
// an error, that the connection ends, and that the upstream saw nothing of it.
#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

using std::string_literals::operator""s;

struct BadInput {
  const char* name;
  std::string bytes;
  int status;
};

std::string Post(const std::string& fields, const std::string& body = "hello") {
  return absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n", body);
}

std::vector<BadInput> Heads() {
  std::string many;
  for (int i = 0; i < 101; ++i) absl::StrAppend(&many, "h", i, ": v\r\n");
  return {
      {"1_LengthAndChunked", Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"2_PrefixBehindChunkedAndLength",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
       400},
      {"3_TwoLengths", Post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
      {"4_PlusLength", Post("Content-Length: +5\r\n"), 400},
      {"4_HexLength", Post("Content-Length: 0x5\r\n"), 400},
      {"4_NegativeLength", Post("Content-Length: -0\r\n"), 400},
      {"4_EmptyLength", Post("Content-Length:\r\n"), 400},
      {"5_LengthOverflow", Post("Content-Length: 18446744073709551621\r\n"), 400},
      {"6_Xchunked", Post("Transfer-Encoding: xchunked\r\n"), 400},
      {"6_VerticalTab",
       Post("Transfer-Encoding: \x0b"
            "chunked\r\n"),
       400},
      {"6_Nul", Post("Transfer-Encoding: chunked\0\r\n"s), 400},
      {"6_TrailingComma", Post("Transfer-Encoding: chunked,\r\n"), 400},
      {"7_ChunkedNotLast", Post("Transfer-Encoding: chunked, gzip\r\n"), 400},
      {"7_CodingBeforeChunked", Post("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"8_ChunkedInHttp10",
       "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"9_Folded", Get("/", "A: b\r\n c\r\n"), 400},
      {"9_FoldedExpect", Post("Expect: 100-\r\n\tcontinue\r\nContent-Length: 5\r\n"), 400},
      {"10_BareLf", "GET / HTTP/1.1\nHost: h\n\n", 400},
      {"11_BareCr", Get("/", "A: b\rc: d\r\n"), 400},
      {"11_NulInValue", Get("/", "A: b\0c\r\n"s), 400},
      {"12_SpaceBeforeColon", Post("Content-Length : 5\r\n"), 400},
      {"13_SpaceBeforeFirstField", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
      {"14_EmptyName", Get("/", ": b\r\n"), 400},
      {"21_ConnectWithBody", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabc",
       400},
      {"22_NoHost", "GET / HTTP/1.1\r\n\r\n", 400},
      {"22_TwoHosts", Get("/", "Host: other\r\n"), 400},
      {"23_SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"23_ControlInTarget", "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"23_FragmentInTarget", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"24_HeadTooLarge", Get("/", "a: " + std::string(61 * 1024, 'x') + "\r\n"), 431},
      {"24_TooManyFields", Get("/", many), 431},
      {"25_NameTooLong", Get("/", std::string(70 * 1024, 'n') + ": v\r\n"), 431},
  };
}

class BadInputTest : public testing::Test {
 protected:
  BadInputTest()
      : upstream_(Echo),
        proxy_({HttpListener("in", port_, RouteTo("up"),
                             "request_headers_timeout: 0.3s, "
                             "stream_idle_timeout: 0.5s,")},
               {Cluster("up", {upstream_.port()})}) {}

  Upstream upstream_;
  const int port_ = FreePort();
  ProxyProcess proxy_;
};

TEST_F(BadInputTest, IsAnsweredAndNothingOfItGoesUpstream) {
  for (const BadInput& bad : Heads()) {
    SCOPED_TRACE(bad.name);
    Socket client = Socket::Connect(port_);
    // A request pipelined behind it must not be served either.
    client.Send(bad.bytes + Get("/behind"));
    const Message answer = client.ReadResponse();
    EXPECT_EQ(answer.status(), bad.status) << answer.head;
    EXPECT_EQ(answer.Field("connection"), "close");
    EXPECT_TRUE(client.Ended());
    EXPECT_FALSE(client.was_reset());
  }
  EXPECT_EQ(upstream_.connections(), 0);
  EXPECT_EQ(proxy_.Stat("downstream_rq_rejected"), static_cast<double>(Heads().size()));
}

TEST_F(BadInputTest, InTheBodyCutsTheRequest) {
  const BadInput kBodies[] = {
      {"5_ChunkSizeOverflow", "10000000000000001\r\n", 400},
      {"15_ChunkSize0x", "0x3\r\nabc\r\n", 400},
      {"15_ChunkSizeUnderscore", "1_0\r\n", 400},
      {"15_ChunkSizeLeadingSpace", " 3\r\nabc\r\n", 400},
      {"16_LfInExtension", "3;a\nb\r\nabc\r\n0\r\n\r\n", 400},
      {"16_Spill", "3\r\nabcd\r\n0\r\n\r\n", 400},
      {"17_ExtensionBloat", "3;" + std::string(5000, 'e') + "\r\nabc\r\n0\r\n\r\n", 400},
      {"18_BadTrailer", "0\r\nA : b\r\n\r\n", 400},
  };
  for (const BadInput& bad : kBodies) {
    SCOPED_TRACE(bad.name);
    Socket client = Socket::Connect(port_);
    client.Send(Post("Transfer-Encoding: chunked\r\n", bad.bytes) + Get("/behind"));
    EXPECT_EQ(client.ReadResponse().status(), bad.status);
    EXPECT_TRUE(client.Ended());
  }
}

TEST_F(BadInputTest, Row18_DangerousTrailersAreDropped) {
  const Message answer = Ask(port_, Post("Transfer-Encoding: chunked\r\n",
                                         "0\r\nHost: evil\r\nAuthorization: a\r\nfine: 1\r\n\r\n"));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_TRUE(absl::StrContains(answer.body, "fine: 1")) << answer.body;
  EXPECT_FALSE(absl::StrContains(answer.body, "evil")) << answer.body;
}

TEST_F(BadInputTest, Row20_BodyOfGetIsFramedExactly) {
  Socket client = Socket::Connect(port_);
  client.Send(Get("/one", "Content-Length: 2\r\n") + "ab" + Get("/two"));
  EXPECT_TRUE(absl::EndsWith(client.ReadResponse().body, "\r\n\r\nab"));
  EXPECT_TRUE(absl::StartsWith(client.ReadResponse().body, "GET /two "));
}

TEST_F(BadInputTest, Row26_SlowHeadIsCut) {
  Socket client = Socket::Connect(port_);
  client.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_TRUE(client.Ended());
}

TEST_F(BadInputTest, Row26_SlowBodyIsCut) {
  Socket client = Socket::Connect(port_);
  client.Send(Post("Content-Length: 10\r\n", "abc"));
  EXPECT_EQ(client.ReadResponse().status(), 408);
  EXPECT_TRUE(client.Ended());
}

TEST(BadUpstream, Row27_FailsThatRequestOnly) {
  struct Case {
    const char* name;
    std::string response;
    int status;
  };
  const Case kCases[] = {
      {"ExtraBytes",
       "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
       "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
       200},
      {"Twice", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204},
      {"NotHttp", "SSH-2.0-OpenSSH\r\n\r\n", 503},
      {"BareLf", "HTTP/1.1 200 OK\nevil: 1\n\n", 503},
      {"LengthAndChunked",
       "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok", 503},
      {"Unasked101", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", 503},
      {"CrInValue", "HTTP/1.1 200 OK\r\na: b\rset-cookie: c\r\ncontent-length: 0\r\n\r\n", 503},
  };
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    Upstream bad([&one](Socket& socket, int) {
      if (socket.ReadRequest().complete) socket.Send(one.response);
      socket.Read(1);
    });
    Upstream good(Echo);
    const int port = FreePort();
    ProxyProcess proxy(
        {HttpListener("in", port,
                      "{match: {prefix: /bad}, route: {cluster: bad}}, " + RouteTo("good"))},
        {Cluster("bad", {bad.port()}), Cluster("good", {good.port()})});
    Socket client = Socket::Connect(port);
    client.Send(Get("/bad"));
    EXPECT_EQ(client.ReadResponse().status(), one.status);
    client.Send(Get("/good"));
    const Message next = client.ReadResponse();
    EXPECT_EQ(next.status(), 200);
    EXPECT_TRUE(absl::StartsWith(next.body, "GET /good "));
    // What was left over is not the next request's answer.
    client.Send(Get("/bad"));
    EXPECT_EQ(client.ReadResponse().status(), one.status);
    EXPECT_EQ(bad.connections(), 2);
  }
}

}  // namespace
}  // namespace weft::test
