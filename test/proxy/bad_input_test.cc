// What a client or an endpoint must not be able to do to a running proxy: rows 1 to 27 of malformed
// HTTP/1, seen from both sides. The decoder's own tests look at every split; here it counts that
// the answer is an error, that the connection ends, that the upstream saw nothing of it, and that
// it was counted by its reason.
#include <poll.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

using std::string_literals::operator""s;

std::string Post(const std::string& fields, const std::string& body = "hello") {
  return absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n", body);
}

std::string Chunked(const std::string& body) {
  return Post("Transfer-Encoding: chunked\r\n", body);
}

// An upstream that remembers the requests that reached it whole, by their first lines and bodies.
class Recorder {
 public:
  Upstream::Script script() {
    return [this](Socket& socket, int) {
      while (true) {
        const Message request = socket.ReadRequest();
        if (!request.complete) return;
        {
          std::lock_guard<std::mutex> lock(mutex_);
          seen_.push_back(
              absl::StrCat(request.head.substr(0, request.head.find('\r')), "|", request.body));
        }
        const bool to_head = absl::StartsWith(request.head, "HEAD ");
        socket.Send(
            absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", to_head ? "" : "ok"));
      }
    };
  }

  std::vector<std::string> seen() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
};

// A listener in front of one upstream.
struct Served {
  explicit Served(Upstream::Script script, const std::string& manager = "",
                  const std::string& routes = RouteTo("up"))
      : upstream(std::move(script)),
        proxy({HttpListener("in", port, routes, manager)}, {Cluster("up", {upstream.port()})}) {}

  double Rejected(const std::string& reason) {
    return proxy.Stat(absl::StrCat(reason, ".rejected_requests"));
  }

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

// ---- Rows 1 to 18 and 22 to 25: malformed requests.

struct BadInput {
  const char* name;
  std::string bytes;
  int status;
  const char* reason;
};

std::string NameOf(const testing::TestParamInfo<BadInput>& info) { return info.param.name; }

// One proxy for all of a suite; each of its tests finds nothing of the others'.
class BadInputTest : public testing::TestWithParam<BadInput> {
 protected:
  static void SetUpTestSuite() {
    recorder_ = std::make_unique<Recorder>();
    served_ = std::make_unique<Served>(recorder_->script());
  }
  static void TearDownTestSuite() {
    served_.reset();
    recorder_.reset();
  }

  // Sends it, with a request pipelined behind it that must not be served either.
  void ExpectRejected() {
    const BadInput& bad = GetParam();
    const double counted = served_->Rejected(bad.reason);
    Socket client = Socket::Connect(served_->port);
    client.Send(bad.bytes + Get("/behind"));
    const Message answer = client.ReadResponse();
    EXPECT_EQ(answer.status(), bad.status) << answer.head;
    EXPECT_EQ(answer.Field("connection"), "close");
    EXPECT_TRUE(client.Ended());
    EXPECT_FALSE(client.was_reset());
    EXPECT_EQ(served_->Rejected(bad.reason), counted + 1) << served_->proxy.Admin("/stats").body;
    EXPECT_TRUE(recorder_->seen().empty()) << recorder_->seen()[0];
  }

  static std::unique_ptr<Recorder> recorder_;
  static std::unique_ptr<Served> served_;
};
std::unique_ptr<Recorder> BadInputTest::recorder_;
std::unique_ptr<Served> BadInputTest::served_;

using BadHead = BadInputTest;

TEST_P(BadHead, IsAnsweredAndNothingOfItGoesUpstream) {
  ExpectRejected();
  EXPECT_EQ(served_->upstream.connections(), 0);
}

std::vector<BadInput> Heads() {
  std::string many;
  for (int i = 0; i < 101; ++i) absl::StrAppend(&many, "h", i, ": v\r\n");
  const char* kBoth = "content_length_and_transfer_encoding";
  return {
      {"Row1_LengthAndChunked", Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400,
       kBoth},
      {"Row2_PrefixBehindChunkedAndLength",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
       400, kBoth},
      {"Row3_DifferingLengths", Post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400,
       "several_content_lengths"},
      {"Row3_EqualLengths", Post("Content-Length: 5\r\ncontent-length: 5\r\n"), 400,
       "several_content_lengths"},
      {"Row3_ListOfLengths", Post("Content-Length: 5, 5\r\n"), 400, "bad_content_length"},
      {"Row4_PlusLength", Post("Content-Length: +5\r\n"), 400, "bad_content_length"},
      {"Row4_HexLength", Post("Content-Length: 0x5\r\n"), 400, "bad_content_length"},
      {"Row4_NegativeLength", Post("Content-Length: -0\r\n"), 400, "bad_content_length"},
      {"Row4_UnderscoreInLength", Post("Content-Length: 5_0\r\n"), 400, "bad_content_length"},
      {"Row4_EmptyLength", Post("Content-Length:\r\n"), 400, "bad_content_length"},
      {"Row5_LengthOverflow", Post("Content-Length: 18446744073709551621\r\n"), 400,
       "bad_content_length"},
      {"Row6_Xchunked", Post("Transfer-Encoding: xchunked\r\n"), 400, "bad_transfer_encoding"},
      {"Row6_VerticalTab", Post("Transfer-Encoding: \vchunked\r\n"), 400, "bad_header_value"},
      {"Row6_FormFeed", Post("Transfer-Encoding: chunked\f\r\n"), 400, "bad_header_value"},
      {"Row6_Nul", Post("Transfer-Encoding: chunked\0\r\n"s), 400, "bad_header_value"},
      {"Row6_TrailingComma", Post("Transfer-Encoding: chunked,\r\n"), 400, "bad_transfer_encoding"},
      {"Row7_ChunkedNotLast", Post("Transfer-Encoding: chunked, gzip\r\n"), 400,
       "bad_transfer_encoding"},
      {"Row7_CodingBeforeChunked", Post("Transfer-Encoding: gzip, chunked\r\n"), 501,
       "unsupported_transfer_coding"},
      {"Row8_ChunkedInHttp10",
       "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       "transfer_encoding_in_http_1_0"},
      {"Row9_Folded", Get("/", "A: b\r\n c\r\n"), 400, "folded_header"},
      {"Row9_FoldedTransferEncoding", Post("Transfer-Encoding:\r\n chunked\r\n"), 400,
       "folded_header"},
      {"Row9_FoldedExpect", Post("Expect: 100-\r\n\tcontinue\r\nContent-Length: 5\r\n"), 400,
       "folded_header"},
      {"Row10_BareLfOfStartLine", "GET / HTTP/1.1\nHost: h\n\n", 400, "bare_lf"},
      {"Row10_BareLfOfField", Get("/", "A: b\nC: d\r\n"), 400, "bare_lf"},
      {"Row10_BareLfBeforeTheEnd", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400, "bare_lf"},
      {"Row11_BareCr", Get("/", "A: b\rc: d\r\n"), 400, "bad_header_value"},
      {"Row11_NulInValue", Get("/", "A: b\0c\r\n"s), 400, "bad_header_value"},
      {"Row12_SpaceBeforeColon", Post("Content-Length : 5\r\n"), 400, "space_before_colon"},
      {"Row13_SpaceBeforeFirstField", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400,
       "space_before_first_header"},
      {"Row14_EmptyName", Get("/", ": b\r\n"), 400, "empty_header_name"},
      {"Row21_ConnectWithBody", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabc",
       400, "body_in_connect"},
      {"Row22_NoHost", "GET / HTTP/1.1\r\n\r\n", 400, "no_host"},
      {"Row22_NoHostOverHttp10", "GET / HTTP/1.0\r\n\r\n", 400, "no_host"},
      {"Row22_TwoHosts", Get("/", "Host: other\r\n"), 400, "several_hosts"},
      {"Row22_ListOfHosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "bad_host"},
      {"Row22_HostWithUser", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "bad_host"},
      {"Row23_SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad_target"},
      {"Row23_ControlInTarget", "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad_target"},
      {"Row23_FragmentInTarget", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad_target"},
      {"Row24_HeadTooLarge", Get("/", "a: " + std::string(61 * 1024, 'x') + "\r\n"), 431,
       "head_too_large"},
      {"Row24_TargetTooLarge", Get("/" + std::string(61 * 1024, 'x')), 431, "head_too_large"},
      {"Row24_TooManyFields", Get("/", many), 431, "too_many_headers"},
      {"Row25_NameTooLong", Get("/", std::string(70 * 1024, 'n') + ": v\r\n"), 431,
       "head_too_large"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, BadHead, testing::ValuesIn(Heads()), NameOf);

// The head of such a request is on its way already: it must not be taken for a whole one.
class BadBody : public BadInputTest {};

TEST_P(BadBody, CutsTheRequest) { ExpectRejected(); }

std::vector<BadInput> Bodies() {
  std::string extensions;
  for (int i = 0; i < 20; ++i)
    absl::StrAppend(&extensions, "1;", std::string(1000, 'e'), "\r\nx\r\n");
  return {
      {"Row5_ChunkSizeOverflow", Chunked("10000000000000001\r\n"), 400, "bad_chunk_size"},
      {"Row5_ChunkSizeOfMoreThanALength", Chunked("8000000000000000\r\n"), 400, "bad_chunk_size"},
      {"Row15_ChunkSize0x", Chunked("0x3\r\nabc\r\n"), 400, "bad_chunk_size"},
      {"Row15_ChunkSizeUnderscore", Chunked("1_0\r\n"), 400, "bad_chunk_size"},
      {"Row15_ChunkSizeLeadingSpace", Chunked(" 3\r\nabc\r\n"), 400, "bad_chunk_size"},
      {"Row15_ChunkSizeOfNothing", Chunked("\r\n0\r\n\r\n"), 400, "bad_chunk_size"},
      {"Row16_LfInExtension", Chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), 400, "bare_lf_in_chunk"},
      {"Row16_ControlInExtension", Chunked("3;a\x01\r\nabc\r\n0\r\n\r\n"), 400,
       "bad_chunk_extension"},
      {"Row16_BareCrInExtension", Chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), 400,
       "bad_chunk_extension"},
      {"Row16_Spill", Chunked("3\r\nabcd\r\n0\r\n\r\n"), 400, "chunk_spill"},
      {"Row17_LongExtension", Chunked("3;" + std::string(5000, 'e') + "\r\nabc\r\n0\r\n\r\n"), 400,
       "chunk_line_too_long"},
      {"Row17_ManyExtensions", Chunked(extensions + "0\r\n\r\n"), 400,
       "chunk_extensions_too_large"},
      {"Row18_MalformedTrailer", Chunked("0\r\nA : b\r\n\r\n"), 400, "space_before_colon"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, BadBody, testing::ValuesIn(Bodies()), NameOf);

// ---- Rows of requests that are served, but not as they would have it.

TEST(Http1Rows, Row18_DangerousTrailersAreDropped) {
  Served s(Echo);
  const Message answer =
      Ask(s.port, Chunked("0\r\nHost: evil\r\nAuthorization: evil\r\nContent-Length: 9\r\n"
                          "Transfer-Encoding: evil\r\nfine: 1\r\n\r\n"));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_TRUE(absl::StrContains(answer.body, "fine: 1")) << answer.body;
  EXPECT_FALSE(absl::StrContains(answer.body, "evil")) << answer.body;
  EXPECT_FALSE(absl::StrContains(answer.body, "Content-Length")) << answer.body;
}

// An endpoint that answers before it has the body, as one does that refuses an expectation: what
// the client sends then is still the body, for whoever asks next on either connection.
TEST(Http1Rows, Row19_NoReuseBeforeTheBodyIsConsumed) {
  for (const char* manager : {"", "proxy_100_continue: true,"}) {
    for (const char* expect : {"100-continue", "y 100-continue", "100-continue, y"}) {
      SCOPED_TRACE(absl::StrCat(manager, expect));
      std::atomic<int> smuggled{0};
      Served s(
          [&](Socket& socket, int turn) {
            std::string got;
            while (!absl::StrContains(got, "\r\n\r\n")) {
              const std::string more = socket.ReadSome();
              if (more.empty()) return;
              got += more;
            }
            if (absl::StartsWith(got, "GET /smuggled")) ++smuggled;
            socket.Send(turn == 1 ? "HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno"
                                  : "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            // It keeps the connection, and would take what comes next for a request.
            got = socket.ReadToEnd();
            if (absl::StrContains(got, "GET /")) ++smuggled;
          },
          manager);
      const std::string body = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
      Socket client = Socket::Connect(s.port);
      client.Send(
          Post(absl::StrCat("Expect: ", expect, "\r\nContent-Length: ", body.size(), "\r\n"), ""));
      Message answer = client.ReadResponse();
      if (answer.status() == 100) answer = client.ReadResponse();
      EXPECT_EQ(answer.status(), 417);
      client.Send(body + Get("/behind"));
      EXPECT_TRUE(client.Ended());
      EXPECT_EQ(Ask(s.port, Get("/next")).status(), 200);
      EXPECT_EQ(s.upstream.connections(), 2);
      EXPECT_EQ(smuggled, 0);
    }
  }
}

TEST(Http1Rows, Row20_BodiesOfEveryMethodAreFramedExactly) {
  Recorder recorder;
  Served s(recorder.script());
  Socket client = Socket::Connect(s.port);
  std::vector<std::string> expected;
  for (const char* method : {"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"}) {
    const std::string body = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    client.Send(absl::StrCat(
        method, " /length HTTP/1.1\r\nHost: h\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
    client.Send(absl::StrCat(method,
                             " /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
                             absl::Hex(body.size()), "\r\n", body, "\r\n0\r\n\r\n"));
    for (const char* path : {"/length", "/chunks"}) {
      EXPECT_EQ(client.ReadResponse(method == "HEAD"s).status(), 200);
      expected.push_back(absl::StrCat(method, " ", path, " HTTP/1.1|", body));
    }
  }
  EXPECT_EQ(recorder.seen(), expected);
}

TEST(Http1Rows, Row21_EarlyDataWaitsForTheTunnel) {
  struct Case {
    std::string request;
    std::string answer;
    bool tunnel;
  };
  const std::string upgrade = Get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
  const std::string connect = "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n";
  const Case kCases[] = {
      {upgrade,
       "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
       true},
      {connect, "HTTP/1.1 200 OK\r\n\r\n", true},
      {connect, "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", false},
      {upgrade, "HTTP/1.1 403 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", false},
  };
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.request + one.answer);
    const std::string early =
        "\x81\x04"
        "data";
    Served s(
        [&](Socket& socket, int turn) {
          if (turn > 1) ADD_FAILURE() << "a second request: " << socket.ReadSome();
          EXPECT_TRUE(socket.ReadRequest().complete);
          EXPECT_EQ(socket.Read(1, absl::Milliseconds(200)), "") << "before the answer";
          socket.Send(one.answer);
          EXPECT_EQ(socket.Read(early.size(), absl::Seconds(one.tunnel ? 20 : 1)),
                    one.tunnel ? early : "");
          socket.Send(one.tunnel ? "late" : "");
        },
        "upgrade_configs: [{upgrade_type: websocket}],",
        "{match: {connect_matcher: {}}, route: {cluster: up}}, " + RouteTo("up"));
    Socket client = Socket::Connect(s.port);
    client.Send(one.request + early);
    const Message answer = client.ReadResponse(/*to_head=*/true);
    EXPECT_EQ(answer.head.substr(0, 12), one.answer.substr(0, 12));
    if (one.tunnel) EXPECT_EQ(client.Read(4), "late");
  }
}

TEST(Http1Rows, Row22_AbsoluteFormOverridesHost) {
  Served s(Echo);
  const Message answer = Ask(s.port, "GET http://a.test/x?y HTTP/1.1\r\nHost: b.test\r\n\r\n");
  EXPECT_TRUE(absl::StartsWith(answer.body, "GET /x?y HTTP/1.1\r\nHost: a.test\r\n"))
      << answer.body;
  EXPECT_FALSE(absl::StrContains(answer.body, "b.test")) << answer.body;
}

TEST(Http1Rows, Row22_Http10MayHaveADefaultHost) {
  Served s(Echo, "http_protocol_options: {accept_http_10: true, default_host_for_http_10: old},");
  const Message answer = Ask(s.port, "GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(absl::StartsWith(answer.body, "GET / HTTP/1.1\r\nHost: old\r\n")) << answer.body;
}

TEST(Http1Rows, Row24_LimitsAreTheListenersOwn) {
  Served s(Echo,
           "max_request_headers_kb: 4, common_http_protocol_options: {max_headers_count: 5},");
  EXPECT_EQ(Ask(s.port, Get("/", "a: " + std::string(3000, 'x') + "\r\n")).status(), 200);
  EXPECT_EQ(Ask(s.port, Get("/", "a: " + std::string(5000, 'x') + "\r\n")).status(), 431);
  EXPECT_EQ(Ask(s.port, Get("/", "a: 1\r\nb: 1\r\nc: 1\r\n")).status(), 200);
  EXPECT_EQ(Ask(s.port, Get("/", "a: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\n")).status(),
            431);
}

// ---- Row 26: who is slow.

// Sends a byte again and again until the proxy ends the connection; whether it does in time.
bool DripsInVain(Socket& client) {
  for (int i = 0; i < 200; ++i) {
    if (!client.Send("x")) return true;
    pollfd wait = {client.fd(), POLLIN, 0};
    if (poll(&wait, 1, 50) > 0) return true;
  }
  return false;
}

constexpr char kImpatient[] =
    "request_headers_timeout: 0.3s, stream_idle_timeout: 0.5s, request_timeout: 1.5s,";

TEST(Http1Rows, Row26_SlowHeadIsCut) {
  Served s(Echo, kImpatient);
  Socket silent = Socket::Connect(s.port);
  silent.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(silent.ReadResponse().status(), 408);
  EXPECT_TRUE(silent.Ended());
  Socket drips = Socket::Connect(s.port);
  drips.Send("GET / HTTP/1.1\r\nHost: ");
  EXPECT_TRUE(DripsInVain(drips));
}

TEST(Http1Rows, Row26_SlowBodyIsCut) {
  Served s(Echo, kImpatient, RouteTo("up", "timeout: 0s"));
  Socket silent = Socket::Connect(s.port);
  silent.Send(Post("Content-Length: 10\r\n", "abc"));
  EXPECT_EQ(silent.ReadResponse().status(), 408);
  EXPECT_TRUE(silent.Ended());
  Socket drips = Socket::Connect(s.port);
  drips.Send(Post("Content-Length: 1000\r\n", "abc"));
  EXPECT_TRUE(DripsInVain(drips));
  EXPECT_EQ(drips.ReadResponse().status(), 408);
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("downstream_rq_active") == 0; }));
}

TEST(Http1Rows, Row26_SlowReaderIsCut) {
  std::atomic<bool> cut{false};
  Served s(
      [&](Socket& socket, int) {
        socket.ReadRequest();
        const std::string piece(1 << 20, 'y');
        socket.Send(
            absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", 64 * piece.size(), "\r\n\r\n"));
        for (int i = 0; i < 64; ++i) {
          if (!socket.Send(piece)) break;
        }
        cut = true;
      },
      kImpatient);
  Socket client = Socket::Connect(s.port);
  client.Send(Get("/"));
  EXPECT_TRUE(Eventually([&] { return s.proxy.Stat("downstream_rq_active") == 0 && cut; }));
  EXPECT_FALSE(client.ReadResponse().complete);
}

// ---- Row 27: endpoints.

TEST(BadUpstream, Row27_FailsThatRequestOnly) {
  struct Case {
    const char* name;
    std::string response;
    int status;
    bool complete = true;
  };
  const Case kCases[] = {
      {"ExtraBytes",
       "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
       "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
       200},
      {"Twice", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204},
      {"CutShort", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", 200, false},
      {"ChunksCutShort", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nok", 200,
       false},
      {"NotHttp", "SSH-2.0-OpenSSH\r\n\r\n", 503},
      {"BareLf", "HTTP/1.1 200 OK\nevil: 1\n\n", 503},
      {"LengthAndChunked",
       "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok", 503},
      {"TwoLengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", 503},
      {"Unasked101", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", 503},
      {"CrInValue", "HTTP/1.1 200 OK\r\na: b\rset-cookie: c\r\ncontent-length: 0\r\n\r\n", 503},
  };
  std::string response;
  std::mutex mutex;
  Upstream bad([&](Socket& socket, int) {
    if (!socket.ReadRequest().complete) return;
    {
      std::lock_guard<std::mutex> lock(mutex);
      socket.Send(response);
    }
    socket.ShutdownWrite();
    socket.Read(1);
  });
  Upstream good(Echo);
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port,
                    "{match: {prefix: /bad}, route: {cluster: bad}}, " + RouteTo("good"))},
      {Cluster("bad", {bad.port()}), Cluster("good", {good.port()})});
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    {
      std::lock_guard<std::mutex> lock(mutex);
      response = one.response;
    }
    const int before = bad.connections();
    for (int i = 0; i < 2; ++i) {
      // What was left over is not the next request's answer.
      Socket client = Socket::Connect(port);
      client.Send(Get("/bad"));
      const Message answer = client.ReadResponse();
      EXPECT_EQ(answer.complete, one.complete);
      if (one.complete) {
        EXPECT_EQ(answer.status(), one.status);
        client.Send(Get("/good"));
        const Message next = client.ReadResponse();
        EXPECT_EQ(next.status(), 200);
        EXPECT_TRUE(absl::StartsWith(next.body, "GET /good "));
      }
    }
    EXPECT_EQ(bad.connections(), before + 2);
  }
}

TEST(BadUpstream, Row27_AnAnswerNobodyAskedForIsNobodys) {
  std::atomic<bool> sent{false};
  Served s([&](Socket& socket, int) {
    while (socket.ReadRequest().complete) {
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      absl::SleepFor(absl::Milliseconds(50));
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
      sent = true;
    }
  });
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 3; ++i) {
    client.Send(Get("/"));
    EXPECT_EQ(client.ReadResponse().body, "ok");
    EXPECT_TRUE(Eventually([&] { return sent.exchange(false); }));
  }
}

TEST(BadUpstream, Row27_AnEarlyAnswerEndsTheConnection) {
  Served s([](Socket& socket, int turn) {
    std::string head;
    while (!absl::StrContains(head, "\r\n\r\n")) head += socket.ReadSome();
    socket.Send(absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", turn));
    socket.ReadToEnd();
  });
  for (const char* turn : {"1", "2", "3"}) {
    Socket client = Socket::Connect(s.port);
    client.Send(Post("Content-Length: 100000\r\n", "part"));
    EXPECT_EQ(client.ReadResponse().body, turn);
    EXPECT_TRUE(client.Ended());
  }
}

}  // namespace
}  // namespace weft::test
