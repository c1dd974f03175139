// H2Session on bytes: what it makes of requests and responses, and of peers that mean harm. The
// numbers are those of the project's list of bad inputs.
#include "proxy/http/h2_session.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/http/h2_frames_for_test.h"

namespace weft {
namespace {

constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kFlowControlError = 3;
constexpr uint32_t kCompressionError = 9;
constexpr uint32_t kEnhanceYourCalm = 11;

// A session and the raw peer at its other end.
class Session {
 public:
  explicit Session(H2Session::Role role, const Http2Options& options = {},
                   absl::string_view settings = "")
      : session_(role, options, /*secure=*/false, &counters) {
    const bool server = role == H2Session::Role::kServer;
    Give(server ? H2Preface(settings) : H2Frame(kSettingsFrame, 0, 0, settings));
  }

  ~Session() {
    std::vector<H2StreamState*> held;
    session_.ForEachHeld([&](H2StreamState& stream) { held.push_back(&stream); });
    for (H2StreamState* stream : held) session_.Release(*stream);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool Give(absl::string_view bytes) { return session_.Receive(bytes, now); }

  // Everything there is to send, as frames.
  std::vector<H2FrameView> Sent() {
    for (;;) {
      Buffer out;
      session_.Fill(out, 64 * 1024);
      if (out.empty()) break;
      sent_.append(out.data(), out.size());
    }
    if (absl::StartsWith(sent_, "PRI *")) sent_.erase(0, 24);
    return TakeH2Frames(sent_);
  }

  std::optional<H2FrameView> SentOf(H2FrameType type) {
    std::optional<H2FrameView> found;
    for (H2FrameView& frame : Sent()) {
      if (frame.type == type && !found) found = std::move(frame);
    }
    return found;
  }

  H2Session* operator->() { return &session_; }

  H2Counters counters;
  absl::Duration now = absl::Seconds(1);

 private:
  H2Session session_;
  std::string sent_;
};

Session Server(const Http2Options& options = {}) {
  return Session(H2Session::Role::kServer, options);
}

ResponseHead Response(int status) {
  ResponseHead head;
  head.status = status;
  return head;
}

RequestHead Request(absl::string_view method, absl::string_view path = "/") {
  RequestHead head;
  head.method = std::string(method);
  head.authority = "a.test";
  head.path = std::string(path);
  return head;
}

// --- Requests

TEST(H2Server, ARequestComesWithItsHead) {
  Session server = Server();
  server.Give(H2Headers(1, absl::StrCat(H2RequestFields("GET", "/p?q"), H2Field("x-a", " 1 "))));
  H2StreamState* stream = server->TakeRequest();
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->request.method, "GET");
  EXPECT_EQ(stream->request.scheme, "http");
  EXPECT_EQ(stream->request.path, "/p?q");
  EXPECT_EQ(stream->request.authority, "a.test");
  EXPECT_EQ(stream->request.version, HttpVersion::kHttp2);
  EXPECT_EQ(stream->request.headers.Get("x-a"), "1");
  EXPECT_EQ(stream->incoming.framing, BodyFraming::kNone);
  EXPECT_TRUE(stream->in_ended);
  EXPECT_EQ(server->TakeRequest(), nullptr);
}

TEST(H2Server, AHeadInPiecesIsUnderWayUntilItsEnd) {
  Session server = Server();
  EXPECT_FALSE(server->amid_head());
  server.Give(H2Headers(1, H2RequestFields(), kEndStream));
  EXPECT_TRUE(server->amid_head());
  server.Give(H2Frame(kContinuationFrame, 0, 1, H2Field("x", "y")));
  EXPECT_TRUE(server->amid_head());
  server.Give(H2Frame(kContinuationFrame, kEndHeaders, 1));
  EXPECT_FALSE(server->amid_head());
  EXPECT_NE(server->TakeRequest(), nullptr);
  server.Give(H2Headers(3, H2Field("x: 1\r\ny", "2"), kEndStream));
  EXPECT_FALSE(server->amid_head()) << "its stream is reset already";
}

TEST(H2Server, ABodyIsFramedByItsLengthIfThatIsKnown) {
  Session server = Server();
  const std::string known = absl::StrCat(H2RequestFields("POST"), H2Field("content-length", "3"));
  server.Give(H2Headers(1, known, kEndHeaders));
  server.Give(H2Frame(kDataFrame, kEndStream, 1, "abc"));
  H2StreamState* stream = server->TakeRequest();
  EXPECT_EQ(stream->incoming.framing, BodyFraming::kLength);
  EXPECT_EQ(stream->incoming.length, 3u);
  EXPECT_EQ(stream->in.view(), "abc");
  EXPECT_TRUE(stream->in_ended);
  server.Give(H2Headers(3, H2RequestFields("POST"), kEndHeaders));
  EXPECT_EQ(server->TakeRequest()->incoming.framing, BodyFraming::kChunked);
}

TEST(H2Server, CrumbsOfCookiesAreJoined) {
  Session server = Server();
  server.Give(H2Headers(1, absl::StrCat(H2RequestFields(), H2Field("cookie", "a=1"),
                                        H2Field("cookie", "b=2"), H2Field("cookie", "c=3"))));
  H2StreamState* stream = server->TakeRequest();
  EXPECT_EQ(stream->request.headers.GetAll("cookie").size(), 1u);
  EXPECT_EQ(stream->request.headers.Get(KnownHeader::kCookie), "a=1; b=2; c=3");
}

TEST(H2Server, HostStandsInForAuthority) {
  Session server = Server();
  const std::string fields = absl::StrCat(H2Field(":method", "GET"), H2Field(":scheme", "http"),
                                          H2Field(":path", "/"), H2Field("host", "h.test:1"));
  server.Give(H2Headers(1, fields));
  H2StreamState* stream = server->TakeRequest();
  EXPECT_EQ(stream->request.authority, "h.test:1");
  EXPECT_FALSE(stream->request.headers.Has(KnownHeader::kHost));
}

TEST(H2Server, TrailersCome) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  server.Give(H2Frame(kDataFrame, 0, 1, "x"));
  server.Give(H2Headers(1, absl::StrCat(H2Field("x-sum", "9"), H2Field("content-type", "x"))));
  H2StreamState* stream = server->TakeRequest();
  EXPECT_TRUE(stream->in_ended);
  EXPECT_EQ(stream->trailers.Get("x-sum"), "9");
  EXPECT_EQ(stream->trailers.size(), 1u) << "what the head said stays";
}

TEST(H2Server, AnUpgradeIsShownAsHttp1HasIt) {
  Http2Options options;
  options.allow_connect = true;
  Session server = Server(options);
  server.Give(H2Headers(
      1, absl::StrCat(H2RequestFields("CONNECT", "/chat"), H2Field(":protocol", "websocket")),
      kEndHeaders));
  H2StreamState* stream = server->TakeRequest();
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->request.method, "GET");
  EXPECT_EQ(RequestedUpgrade(stream->request.headers), "websocket");
  EXPECT_TRUE(stream->request.headers.Has("sec-websocket-key"));
  EXPECT_EQ(stream->incoming.framing, BodyFraming::kTunnel);
  ResponseHead accepted = Response(101);
  accepted.headers.Add("connection", "upgrade");
  accepted.headers.Add("upgrade", "websocket");
  server->WriteResponse(*stream, accepted, {});
  const std::optional<H2FrameView> head = server.SentOf(kHeadersFrame);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->flags & kEndStream, 0) << "the tunnel stays open";
  EXPECT_EQ(head->payload, "\x88") << ":status 200, and no field of HTTP/1.1's";
  EXPECT_EQ(server->Write(*stream, "down"), 4u);
  EXPECT_EQ(server.SentOf(kDataFrame)->payload, "down");
}

TEST(H2Server, WithoutAllowConnectAnUpgradeIsMalformed) {
  Session server = Server();
  server.Give(
      H2Headers(1, absl::StrCat(H2RequestFields("CONNECT", "/"), H2Field(":protocol", "websocket")),
                kEndHeaders));
  EXPECT_EQ(server->TakeRequest(), nullptr);
  EXPECT_EQ(server.SentOf(kResetFrame)->code(), kProtocolError);
}

struct BadRequest {
  const char* name;
  std::string fields;
  const char* reason;  // "": reset at once, nobody sees it
};

class H2BadRequest : public testing::TestWithParam<BadRequest> {};

TEST_P(H2BadRequest, Row40EndsItsStreamOnly) {
  Session server = Server();
  EXPECT_TRUE(server.Give(H2Headers(1, GetParam().fields)));
  H2StreamState* stream = server->TakeRequest();
  if (*GetParam().reason == 0) {
    EXPECT_EQ(stream, nullptr);
    const std::optional<H2FrameView> reset = server.SentOf(kResetFrame);
    ASSERT_TRUE(reset.has_value());
    EXPECT_EQ(reset->code(), kProtocolError);
  } else {
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(stream->failure.kind, H2Failure::Kind::kProtocol);
    EXPECT_EQ(stream->failure.status, 400);
    EXPECT_STREQ(stream->failure.reason, GetParam().reason);
  }
  EXPECT_EQ(server.counters.rx_messaging_error, 1u);
  EXPECT_TRUE(server.Give(H2Headers(3, H2RequestFields())));
  EXPECT_NE(server->TakeRequest(), nullptr);
}

std::vector<BadRequest> BadRequests() {
  const auto with = [](absl::string_view name, absl::string_view value) {
    return absl::StrCat(H2RequestFields(), H2Field(name, value));
  };
  return {
      {"CrLfInPath", H2RequestFields("GET", "/ HTTP/1.1\r\nx: y"), ""},
      {"CrLfInMethod", H2RequestFields("GET / HTTP/1.1\r\nx", "/"), ""},
      {"SpaceInPath", H2RequestFields("GET", "/a b"), ""},
      {"CrLfInAuthority", H2RequestFields("GET", "/", "a\r\nx: y"), ""},
      {"CrLfInValue", with("x", "1\r\ny: 2"), ""},
      {"NulInValue", with("x", absl::string_view("\0", 1)), ""},
      {"CrLfInName", with("x: 1\r\ny", "2"), ""},
      {"ColonInName", with("x:y", "2"), ""},
      {"EmptyName", with("", "2"), ""},
      {"UpperCaseName", with("X-A", "2"), ""},
      {"TransferEncoding", with("transfer-encoding", "chunked"), ""},
      {"Connection", with("connection", "x"), ""},
      {"Upgrade", with("upgrade", "websocket"), ""},
      {"KeepAlive", with("keep-alive", "1"), ""},
      {"ProxyConnection", with("proxy-connection", "x"), ""},
      {"TeOfMore", with("te", "gzip"), ""},
      {"LengthWithoutBody", with("content-length", "5"), ""},
      {"LengthOfNoNumber", with("content-length", "+0"), ""},
      {"LengthTwice", absl::StrCat(with("content-length", "0"), H2Field("content-length", "0")),
       ""},
      {"PseudoAfterField", absl::StrCat(H2Field("x", "y"), H2RequestFields()), ""},
      {"PseudoTwice", absl::StrCat(H2RequestFields(), H2Field(":path", "/b")), ""},
      {"UnknownPseudo", with(":x", "y"), ""},
      {"NoPath",
       absl::StrCat(H2Field(":method", "GET"), H2Field(":scheme", "http"),
                    H2Field(":authority", "a")),
       ""},
      {"RelativePath", H2RequestFields("GET", "a"), ""},
      {"Fragment", H2RequestFields("GET", "/a#b"), "bad_target"},
      {"PathOfHighBytes", H2RequestFields("GET", "/\xc3\xa9"), "bad_target"},
      {"UserInformation", H2RequestFields("GET", "/", "u@a.test"), "bad_authority"},
      {"PortOfNoNumber", H2RequestFields("GET", "/", "a.test:x"), "bad_authority"},
      {"HostDiffers", with("host", "b.test"), "host_differs_from_authority"},
      {"SchemeOfOthers",
       absl::StrCat(H2Field(":method", "GET"), H2Field(":scheme", "ftp"), H2Field(":path", "/"),
                    H2Field(":authority", "a")),
       "bad_scheme"},
      {"ConnectWithoutPort",
       absl::StrCat(H2Field(":method", "CONNECT"), H2Field(":authority", "a")), "bad_authority"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, H2BadRequest, testing::ValuesIn(BadRequests()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(H2Server, Row40DataBeyondContentLengthEndsTheStream) {
  Session server = Server();
  const std::string fields = absl::StrCat(H2RequestFields("POST"), H2Field("content-length", "2"));
  server.Give(H2Headers(1, fields, kEndHeaders));
  H2StreamState* stream = server->TakeRequest();
  server.Give(H2Frame(kDataFrame, 0, 1, "abc"));
  EXPECT_EQ(server.SentOf(kResetFrame)->code(), kProtocolError);
  EXPECT_EQ(stream->failure.kind, H2Failure::Kind::kProtocol);
  EXPECT_TRUE(stream->closed);
}

TEST(H2Server, Row40DataShortOfContentLengthEndsTheStream) {
  Session server = Server();
  const std::string fields = absl::StrCat(H2RequestFields("POST"), H2Field("content-length", "5"));
  server.Give(H2Headers(1, fields, kEndHeaders));
  H2StreamState* stream = server->TakeRequest();
  server.Give(H2Frame(kDataFrame, kEndStream, 1, "abc"));
  EXPECT_EQ(server.SentOf(kResetFrame)->code(), kProtocolError);
  EXPECT_FALSE(stream->in_ended) << "a part must not pass for the whole";
  EXPECT_EQ(stream->failure.kind, H2Failure::Kind::kProtocol);
}

// --- Responses that go out

TEST(H2Server, AResponseIsHeadBodyAndTrailers) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields()));
  H2StreamState* stream = server->TakeRequest();
  ResponseHead head = Response(200);
  head.headers.Add("X-Upper", "1");
  head.headers.Add("Connection", "close");
  head.headers.Add("Transfer-Encoding", "chunked");
  server->WriteResponse(*stream, head, {BodyFraming::kChunked, 0});
  EXPECT_EQ(server->Write(*stream, "body"), 4u);
  Headers trailers;
  trailers.Add("X-Sum", "1");
  server->WriteEnd(*stream, trailers);
  EXPECT_TRUE(server->Flush(*stream));
  server->Release(*stream);
  std::vector<std::string> seen;
  for (const H2FrameView& frame : server.Sent()) {
    if (frame.stream == 1) seen.push_back(absl::StrCat(int{frame.type}, "/", frame.flags & 1));
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"1/0", "0/0", "1/1"}));
  EXPECT_EQ(server->open_streams(), 0u);
}

TEST(H2Server, WithoutABodyTheHeadEndsTheResponse) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields()));
  H2StreamState* stream = server->TakeRequest();
  server->WriteResponse(*stream, Response(200), {BodyFraming::kLength, 0});
  const std::vector<H2FrameView> frames = server.Sent();
  EXPECT_EQ(frames.back().type, kHeadersFrame);
  EXPECT_NE(frames.back().flags & kEndStream, 0) << "gRPC's trailers-only responses need it";
}

TEST(H2Server, AResponseBeforeTheRequestsEndStopsTheRest) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  H2StreamState* stream = server->TakeRequest();
  server->WriteResponse(*stream, Response(413), {});
  server->Release(*stream);
  const std::vector<H2FrameView> frames = server.Sent();
  EXPECT_EQ(frames.back().type, kResetFrame);
  EXPECT_EQ(frames.back().code(), 0u);
  EXPECT_EQ(server->open_streams(), 0u);
}

TEST(H2Server, WhatIsGivenUpIsReset) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields()));
  H2StreamState* stream = server->TakeRequest();
  server->WriteResponse(*stream, Response(200), {BodyFraming::kLength, 10});
  server->Write(*stream, "half");
  server->Release(*stream);
  EXPECT_EQ(server.SentOf(kResetFrame)->code(), 2u);
}

TEST(H2Server, DrainTakesWhatIsOnItsWayThenEnds) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields()));
  H2StreamState* first = server->TakeRequest();
  server->Drain();
  std::optional<H2FrameView> ping;
  for (const H2FrameView& frame : server.Sent()) {
    if (frame.type == kGoawayFrame) EXPECT_EQ(frame.payload.substr(0, 4), Number(0x7fffffff, 4));
    if (frame.type == kPingFrame) ping = frame;
  }
  ASSERT_TRUE(ping.has_value());
  EXPECT_TRUE(server.Give(H2Headers(3, H2RequestFields())));
  H2StreamState* second = server->TakeRequest();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(server.Give(H2Frame(kPingFrame, kAck, 0, ping->payload)));
  EXPECT_EQ(server.SentOf(kGoawayFrame)->payload.substr(0, 4), Number(3, 4));
  server.Give(H2Headers(5, H2RequestFields()));
  EXPECT_EQ(server->TakeRequest(), nullptr);
  for (H2StreamState* stream : {first, second}) {
    server->WriteResponse(*stream, Response(204), {});
    server->Release(*stream);
  }
  server.Sent();
  EXPECT_TRUE(server->over());
  EXPECT_STREQ(server->reason(), "");
}

TEST(H2Server, DrainDoesNotDependOnThePeersPing) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields()));
  server->Drain();
  std::optional<H2FrameView> ping;
  for (const H2FrameView& frame : server.Sent()) {
    if (frame.type == kPingFrame) ping = frame;
  }
  ASSERT_TRUE(ping.has_value());
  server->FinishDrain();
  EXPECT_EQ(server.SentOf(kGoawayFrame)->payload.substr(0, 4), Number(1, 4));
  server.Give(H2Frame(kPingFrame, kAck, 0, ping->payload));
  EXPECT_FALSE(server.SentOf(kGoawayFrame).has_value()) << "said once";
}

TEST(H2Server, AHeadIsUnderWayUntilItEnds) {
  Session server = Server();
  EXPECT_EQ(server->head_under_way(), 0u);
  server.Give(H2Headers(1, H2RequestFields(), 0));
  EXPECT_EQ(server->head_under_way(), 1u);
  EXPECT_EQ(server->TakeRequest(), nullptr);
  server.Give(H2Frame(kContinuationFrame, kEndHeaders, 1, ""));
  EXPECT_EQ(server->head_under_way(), 0u);
  EXPECT_NE(server->TakeRequest(), nullptr);
}

// --- Windows

TEST(H2Server, WhatNobodyTakesHoldsThePeerBack) {
  Session server = Server();
  server.Give(H2Frame(kSettingsFrame, kAck, 0));  // from now on our windows hold
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  H2StreamState* stream = server->TakeRequest();
  server.Sent();
  const std::string piece(16 * 1024, 'x');
  for (int i = 0; i < 16; ++i) server.Give(H2Frame(kDataFrame, 0, 1, piece));
  EXPECT_EQ(server.SentOf(kWindowUpdateFrame), std::nullopt);
  EXPECT_EQ(stream->in.size(), 256u * 1024);
  server->Take(*stream, stream->in.size());
  EXPECT_NE(server.SentOf(kWindowUpdateFrame), std::nullopt);
}

TEST(H2Server, WhatWasNotTakenIsGivenBackToTheConnection) {
  Session server = Server();
  server.Give(H2Frame(kSettingsFrame, kAck, 0));  // from now on our windows hold
  server.Sent();
  // Eight times what the connection's window holds.
  for (uint32_t id = 1; id < 80; id += 2) {
    server.Give(H2Headers(id, H2RequestFields("POST"), kEndHeaders));
    H2StreamState* stream = server->TakeRequest();
    for (int i = 0; i < 12; ++i) {
      ASSERT_TRUE(server.Give(H2Frame(kDataFrame, 0, id, std::string(16 * 1024, 'x'))));
    }
    server->Release(*stream);
    server.Sent();
  }
  EXPECT_EQ(server->open_streams(), 0u);
}

TEST(H2Server, Row35AWindowOfOneByteHoldsABoundedAmount) {
  Session server = Server();
  server.Give(H2Frame(kSettingsFrame, 0, 0, H2Setting(4, 0)));  // INITIAL_WINDOW_SIZE
  server.Give(H2Headers(1, H2RequestFields()));
  H2StreamState* stream = server->TakeRequest();
  server->WriteResponse(*stream, Response(200), {BodyFraming::kChunked, 0});
  EXPECT_EQ(server->Write(*stream, std::string(1 << 20, 'x')), H2Session::kHighWater);
  EXPECT_EQ(server->Write(*stream, "more"), 0u);
  EXPECT_FALSE(server->Flush(*stream)) << "so that a timeout can end it";
  EXPECT_EQ(server.SentOf(kDataFrame), std::nullopt);
  server.Give(H2WindowUpdate(1, 1));
  EXPECT_EQ(server.SentOf(kDataFrame)->payload, "x");
  while (server->TakeChanged() != nullptr) {
  }
  server.Give(H2WindowUpdate(1, 40 * 1024));
  server.Sent();
  EXPECT_EQ(server->TakeChanged(), stream) << "below the low water";
  EXPECT_GT(server->Write(*stream, "more"), 0u);
}

TEST(H2Server, Row36AWindowThatOverflows) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields()));
  H2StreamState* stream = server->TakeRequest();
  EXPECT_TRUE(server.Give(H2WindowUpdate(1, 0x7fffffff)));
  EXPECT_EQ(server.SentOf(kResetFrame)->code(), kFlowControlError);
  EXPECT_FALSE(stream->failure.ok());
  server.Give(H2WindowUpdate(0, 0x7fffffff));
  EXPECT_EQ(server.SentOf(kGoawayFrame)->code(), kFlowControlError);
  EXPECT_TRUE(server->over());
  EXPECT_STREQ(server->reason(), "FLOW_CONTROL_ERROR");
}

TEST(H2Server, Row36MoreThanOurWindow) {
  Session server = Server();
  server.Give(H2Frame(kSettingsFrame, kAck, 0));  // from now on our windows hold
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  server->TakeRequest();
  const std::string piece(16 * 1024, 'x');
  for (int i = 0; i < 17; ++i) server.Give(H2Frame(kDataFrame, 0, 1, piece));
  bool refused = false;
  for (const H2FrameView& frame : server.Sent()) {
    refused |= (frame.type == kResetFrame || frame.type == kGoawayFrame) &&
               frame.code() == kFlowControlError;
  }
  EXPECT_TRUE(refused);
}

// --- Floods

// The peer is told to calm down, and the connection is over.
void ExpectCalmed(Session& server, const char* reason, uint64_t counter) {
  EXPECT_STREQ(server->reason(), reason);
  EXPECT_EQ(counter, 1u);
  const std::optional<H2FrameView> goaway = server.SentOf(kGoawayFrame);
  ASSERT_TRUE(goaway.has_value());
  EXPECT_EQ(goaway->code(), kEnhanceYourCalm);
  EXPECT_TRUE(server->over());
}

TEST(H2Flood, Row28RapidReset) {
  Session server = Server();
  int streams = 0;
  while (streams < 5000 && *server->reason() == 0) {
    const uint32_t id = 2 * streams++ + 1;
    server.Give(H2Headers(id, H2RequestFields()) + H2Reset(id));
    EXPECT_EQ(server->TakeRequest(), nullptr) << "no work for what is reset already";
  }
  EXPECT_LT(streams, 1100);
  ExpectCalmed(server, "h2_reset_flood", server.counters.reset_flood);
}

TEST(H2Flood, Row28ResetsAreEarnedByStreamsThatEnd) {
  Session server = Server();
  for (uint32_t id = 1; id < 8000; id += 4) {
    ASSERT_TRUE(server.Give(H2Headers(id, H2RequestFields()) + H2Reset(id)));
    server.Give(H2Headers(id + 2, H2RequestFields()));
    H2StreamState* stream = server->TakeRequest();
    ASSERT_NE(stream, nullptr);
    server->WriteResponse(*stream, Response(204), {});
    server->Release(*stream);
    server.Sent();
  }
}

TEST(H2Flood, Row29ResetsThatAPeerProvokesCountAsItsOwn) {
  Session server = Server();
  int streams = 0;
  std::optional<H2FrameView> goaway;
  while (streams < 5000 && *server->reason() == 0) {
    const uint32_t id = 2 * streams++ + 1;
    server.Give(H2Headers(id, absl::StrCat(H2RequestFields("POST"), H2Field("content-length", "1")),
                          kEndHeaders));
    H2StreamState* stream = server->TakeRequest();
    if (stream == nullptr) break;
    server.Give(H2Frame(kDataFrame, 0, id, "22"));
    goaway = server.SentOf(kGoawayFrame);
    EXPECT_FALSE(stream->failure.ok()) << "its work must be given up";
    server->Release(*stream);
  }
  EXPECT_LT(streams, 1100);
  EXPECT_EQ(server.counters.reset_flood, 1u);
  ASSERT_TRUE(goaway.has_value());
  EXPECT_EQ(goaway->code(), kEnhanceYourCalm);
  EXPECT_TRUE(server->over());
}

TEST(H2Flood, Row30Continuations) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields(), kEndStream));
  bool alive = true;
  for (int i = 0; i < 100 && alive; ++i) {
    alive = server.Give(H2Frame(kContinuationFrame, 0, 1, H2Field("x", "y")));
  }
  EXPECT_FALSE(alive);
  EXPECT_STREQ(server->reason(), "h2_continuation_flood");
  EXPECT_EQ(server.counters.continuation_flood, 1u);
}

TEST(H2Flood, Row31Pings) {
  Session server = Server();
  bool alive = true;
  for (int i = 0; i < 5000 && alive; ++i) {
    alive = server.Give(H2Frame(kPingFrame, 0, 0, "12345678"));
  }
  EXPECT_FALSE(alive);
  EXPECT_STREQ(server->reason(), "h2_control_flood");
  EXPECT_EQ(server.counters.outbound_control_flood, 1u);
}

TEST(H2Flood, Row31Settings) {
  Session server = Server();
  bool alive = true;
  for (int i = 0; i < 5000 && alive; ++i) alive = server.Give(H2Frame(kSettingsFrame, 0, 0));
  EXPECT_FALSE(alive);
  EXPECT_STREQ(server->reason(), "h2_control_flood");
}

TEST(H2Flood, Row32EmptyFrames) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  server.Give(H2Frame(kDataFrame, 0, 1));
  EXPECT_STREQ(server->reason(), "") << "one may be an accident";
  server.Give(H2Frame(kDataFrame, 0, 1));
  ExpectCalmed(server, "h2_empty_frames_flood", server.counters.inbound_empty_frames_flood);
}

TEST(H2Flood, WhatFollowsAFloodIsNotLookedAt) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  // The PING on a stream would end the connection by itself.
  EXPECT_FALSE(server.Give(H2Frame(kDataFrame, 0, 1) + H2Frame(kDataFrame, 0, 1) +
                           H2Frame(kPingFrame, 0, 1)));
  ExpectCalmed(server, "h2_empty_frames_flood", server.counters.inbound_empty_frames_flood);
}

TEST(H2Flood, Row32FramesOfPaddingAreEmpty) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  const std::string padding = std::string(1, 3) + std::string(3, '\0');
  for (int i = 0; i < 2; ++i) server.Give(H2Frame(kDataFrame, 8, 1, padding));
  ExpectCalmed(server, "h2_empty_frames_flood", server.counters.inbound_empty_frames_flood);
}

TEST(H2Flood, Row33Priorities) {
  Session server = Server();
  for (int i = 0; i < 101; ++i) server.Give(H2Frame(kPriorityFrame, 0, 1, Number(0, 5)));
  ExpectCalmed(server, "h2_priority_flood", server.counters.inbound_priority_frames_flood);
}

TEST(H2Flood, Row34WindowUpdates) {
  Session server = Server();
  for (int i = 0; i < 6; ++i) server.Give(H2WindowUpdate(0, 1));
  ExpectCalmed(server, "h2_window_update_flood",
               server.counters.inbound_window_update_frames_flood);
}

TEST(H2Flood, FramesThatNobodyReads) {
  Http2Options options;
  options.max_outbound_frames = 50;
  Session server = Server(options);
  server.Sent();
  for (uint32_t id = 1; id < 121; id += 2) {
    server.Give(H2Headers(id, H2RequestFields()));
    H2StreamState* stream = server->TakeRequest();
    if (stream != nullptr) server->WriteResponse(*stream, Response(204), {});
  }
  EXPECT_STREQ(server->reason(), "h2_outbound_flood");
  EXPECT_EQ(server.counters.outbound_flood, 1u);
}

// --- HPACK

// One field of 4 kB that enters the table, then a byte for each time it comes again.
std::string Bomb(absl::string_view name, int times) {
  return absl::StrCat(H2RequestFields(), H2Field(name, std::string(3900, 'b'), 0x40),
                      std::string(times, '\xbe'));
}

TEST(H2Hpack, Row37ABombIsAnswered431) {
  for (const char* name : {"x", "cookie"}) {
    Session server = Server();
    EXPECT_TRUE(server.Give(H2Headers(1, Bomb(name, 10000))));
    H2StreamState* stream = server->TakeRequest();
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(stream->failure.status, 431);
    EXPECT_STREQ(stream->failure.reason, "head_too_large");
    EXPECT_LE(stream->request.headers.byte_size(), 60u * 1024);
    EXPECT_EQ(server.counters.header_overflow, 1u);
    server->WriteResponse(*stream, Response(431), {});
    EXPECT_NE(server.SentOf(kHeadersFrame), std::nullopt);
  }
}

TEST(H2Hpack, Row37TooManyFieldsAreAnswered431) {
  for (const int fields : {100, 101}) {
    Session server = Server();
    std::string block = H2RequestFields();
    for (int i = 0; i < fields; ++i) block += H2Field("x", "y");
    server.Give(H2Headers(1, block));
    EXPECT_EQ(server->TakeRequest()->failure.status, fields > 100 ? 431 : 0);
  }
}

TEST(H2Hpack, Row38ErrorsEndTheConnection) {
  const std::string blocks[] = {
      std::string("\xff\x80\x01"),          // an index beyond the table
      std::string("\x80"),                  // index 0
      std::string("\x3f\xe1\xff\x03"),      // a table larger than was offered
      std::string("\x00\x81\xff\x01x", 5),  // a Huffman code of padding only
      std::string("\x00\x7f", 2),           // cut within a length
  };
  for (const std::string& block : blocks) {
    Session server = Server();
    server.Give(H2Headers(1, block));
    const std::optional<H2FrameView> goaway = server.SentOf(kGoawayFrame);
    ASSERT_TRUE(goaway.has_value());
    EXPECT_EQ(goaway->code(), kCompressionError);
    EXPECT_STREQ(server->reason(), "COMPRESSION_ERROR");
    EXPECT_TRUE(server->over());
  }
}

TEST(H2Server, Row43ALowerStreamIdEndsTheConnection) {
  Session server = Server();
  server.Give(H2Headers(5, H2RequestFields()));
  server.Give(H2Headers(3, H2RequestFields()));
  EXPECT_STREQ(server->reason(), "h2_lower_stream_id");
  EXPECT_EQ(server.SentOf(kGoawayFrame)->code(), kProtocolError);
}

TEST(H2Server, Row43TrailersOfAStreamWeResetAreNoError) {
  Session server = Server();
  server.Give(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  server->Release(*server->TakeRequest());
  server.Sent();
  EXPECT_TRUE(server.Give(H2Headers(1, H2Field("x", "y"))));
  EXPECT_STREQ(server->reason(), "");
}

TEST(H2Server, MoreStreamsThanAllowedAreRefused) {
  Http2Options options;
  options.max_concurrent_streams = 1;
  Session server = Server(options);
  server.Give(H2Headers(1, H2RequestFields()));
  server.Give(H2Headers(3, H2RequestFields()));
  EXPECT_NE(server->TakeRequest(), nullptr);
  EXPECT_EQ(server->TakeRequest(), nullptr);
  EXPECT_EQ(server.SentOf(kResetFrame)->code(), 7u);
}

TEST(H2Server, OtherProtocolsAreRefused) {
  H2Counters counters;
  H2Session session(H2Session::Role::kServer, {}, /*secure=*/false, &counters);
  EXPECT_FALSE(session.Receive("GET / HTTP/1.1\r\nhost: a\r\n\r\n", absl::ZeroDuration()));
  EXPECT_STREQ(session.reason(), "h2_bad_preface");
}

// --- The client's role

Session Client(absl::string_view settings = "") {
  return Session(H2Session::Role::kClient, {}, settings);
}

std::string Status(absl::string_view status) { return H2Field(":status", status); }

TEST(H2Client, AResponseComesAfterInterimOnes) {
  Session client = Client();
  H2StreamState* stream = client->Open();
  client->WriteRequest(*stream, Request("GET"), {});
  EXPECT_NE(client.SentOf(kHeadersFrame)->flags & kEndStream, 0);
  client.Give(H2Headers(1, Status("103") + H2Field("link", "x"), kEndHeaders) +
              H2Headers(1, Status("200") + H2Field("content-length", "2"), kEndHeaders) +
              H2Frame(kDataFrame, 0, 1, "ok") + H2Headers(1, H2Field("grpc-status", "0")));
  ASSERT_EQ(stream->interim.size(), 1u);
  EXPECT_EQ(stream->interim[0].status, 103);
  EXPECT_EQ(stream->interim[0].headers.Get("link"), "x");
  EXPECT_EQ(stream->response.status, 200);
  EXPECT_FALSE(stream->response.headers.Has("link"));
  EXPECT_EQ(stream->incoming.length, 2u);
  EXPECT_EQ(stream->in.view(), "ok");
  EXPECT_TRUE(stream->in_ended);
  EXPECT_EQ(stream->trailers.Get("grpc-status"), "0");
  EXPECT_EQ(client->open_streams(), 0u);
}

TEST(H2Client, AResponseThatEndsWithItsHeadHasALengthOfZero) {
  Session client = Client();
  H2StreamState* get = client->Open();
  client->WriteRequest(*get, Request("GET"), {});
  H2StreamState* head = client->Open();
  client->WriteRequest(*head, Request("HEAD"), {});
  client.Sent();
  client.Give(H2Headers(1, Status("200")));
  client.Give(H2Headers(3, Status("200") + H2Field("content-length", "7")));
  EXPECT_EQ(get->incoming.framing, BodyFraming::kLength);
  EXPECT_EQ(head->incoming.framing, BodyFraming::kNone);
  EXPECT_EQ(head->response.headers.Get(KnownHeader::kContentLength), "7");
}

TEST(H2Client, AnUpgradeGoesOutAsExtendedConnect) {
  Session client = Client(H2Setting(8, 1));
  H2StreamState* stream = client->Open();
  RequestHead head = Request("GET", "/chat");
  head.headers.Add("Connection", "Upgrade");
  head.headers.Add("Upgrade", "websocket");
  client->WriteRequest(*stream, head, {});
  const std::optional<H2FrameView> sent = client.SentOf(kHeadersFrame);
  ASSERT_TRUE(sent.has_value());
  EXPECT_EQ(sent->flags & kEndStream, 0);
  client.Give(H2Headers(1, Status("200"), kEndHeaders));
  EXPECT_EQ(stream->response.status, 101);
  EXPECT_EQ(RequestedUpgrade(stream->response.headers), "websocket");
  EXPECT_EQ(stream->incoming.framing, BodyFraming::kTunnel);
}

TEST(H2Client, AnUpgradeThatTheServerDoesNotOfferFails) {
  Session client = Client();
  H2StreamState* stream = client->Open();
  RequestHead head = Request("GET");
  head.headers.Add("Connection", "Upgrade");
  head.headers.Add("Upgrade", "websocket");
  client->WriteRequest(*stream, head, {});
  EXPECT_STREQ(stream->failure.reason, "h2_no_extended_connect");
  EXPECT_EQ(client->open_streams(), 0u);
}

TEST(H2Client, Row41NoStreamsAllowedAndGoaway) {
  Session client = Client(H2Setting(3, 0));
  EXPECT_FALSE(client->CanOpen());
  client.Give(H2Frame(kSettingsFrame, 0, 0, H2Setting(3, 1)));
  EXPECT_TRUE(client->CanOpen());
  H2StreamState* stream = client->Open();
  EXPECT_FALSE(client->CanOpen());
  client.Give(H2Frame(kSettingsFrame, 0, 0, H2Setting(3, 0)));
  client.Give(H2Frame(kGoawayFrame, 0, 0, Number(0, 8)));
  client->WriteRequest(*stream, Request("GET"), {});
  client.Sent();
  EXPECT_EQ(stream->failure.kind, H2Failure::Kind::kRefused) << "another connection may take it";
  EXPECT_FALSE(client->CanOpen());
  EXPECT_TRUE(client->going_away());
  EXPECT_EQ(client->open_streams(), 0u);
}

TEST(H2Client, Row42ResetAndGoaway) {
  Session client = Client();
  H2StreamState* reset = client->Open();
  H2StreamState* beyond = client->Open();
  client->WriteRequest(*reset, Request("GET"), {});
  client->WriteRequest(*beyond, Request("GET"), {});
  client.Sent();
  client.Give(H2Reset(1, 2) + H2Frame(kGoawayFrame, 0, 0, Number(1, 4) + Number(0, 4)));
  EXPECT_EQ(reset->failure.kind, H2Failure::Kind::kReset);
  EXPECT_EQ(beyond->failure.kind, H2Failure::Kind::kRefused);
  EXPECT_EQ(client->open_streams(), 0u);
  client->Release(*reset);
  client->Release(*beyond);
  while (client->TakeChanged() != nullptr) {
  }
  client.Sent();
  EXPECT_TRUE(client->over());
}

TEST(H2Client, WhatIsGivenUpBeforeItWasSentIsNotSent) {
  Session client = Client();
  H2StreamState* stream = client->Open();
  client->WriteRequest(*stream, Request("GET"), {});
  client->Release(*stream);
  EXPECT_EQ(client.SentOf(kHeadersFrame), std::nullopt);
  EXPECT_EQ(client->open_streams(), 0u);
  EXPECT_TRUE(client->CanOpen());
}

TEST(H2Client, WhatIsGivenUpWhileItWaitsForASlotIsForgotten) {
  Session client = Client(H2Setting(3, 2));
  H2StreamState* first = client->Open();
  client->WriteRequest(*first, Request("GET"), {});
  client.Sent();
  H2StreamState* waiting = client->Open();
  client.Give(H2Frame(kSettingsFrame, 0, 0, H2Setting(3, 1)));
  client->WriteRequest(*waiting, Request("GET"), {});
  EXPECT_EQ(client.SentOf(kHeadersFrame), std::nullopt);
  client->Release(*waiting);
  EXPECT_EQ(client->open_streams(), 1u);
  while (client->TakeChanged() != nullptr) {
  }
  client.Give(H2Headers(1, Status("204")));
  EXPECT_EQ(client.SentOf(kHeadersFrame), std::nullopt);
  EXPECT_EQ(client->open_streams(), 0u);
}

TEST(H2Client, AResponseThatIsGivenUpIsCancelled) {
  Session client = Client();
  H2StreamState* stream = client->Open();
  client->WriteRequest(*stream, Request("GET"), {});
  client.Sent();
  client.Give(H2Headers(1, Status("200"), kEndHeaders));
  client->Release(*stream);
  EXPECT_EQ(client.SentOf(kResetFrame)->code(), 8u);
  EXPECT_EQ(client->open_streams(), 0u);
}

TEST(H2Client, GrpcSaysThatTrailersAreWelcome) {
  Session client = Client();
  H2StreamState* stream = client->Open();
  RequestHead head = Request("POST");
  head.headers.Add("content-type", "application/grpc+proto");
  client->WriteRequest(*stream, head, {BodyFraming::kChunked, 0});
  const std::string block = client.SentOf(kHeadersFrame)->payload;
  // As the other side reads it.
  Session server = Server();
  server.Give(H2Headers(1, block, kEndHeaders));
  EXPECT_EQ(server->TakeRequest()->request.headers.Get(KnownHeader::kTe), "trailers");
}

TEST(H2Client, AnInterimResponseWithoutEnd) {
  Session client = Client();
  H2StreamState* stream = client->Open();
  client->WriteRequest(*stream, Request("GET"), {});
  client.Sent();
  for (size_t i = 0; i <= H2Session::kMaxInterimResponses; ++i) {
    client.Give(H2Headers(1, Status("103"), kEndHeaders));
  }
  EXPECT_STREQ(stream->failure.reason, "too_many_interim_responses");
}

}  // namespace
}  // namespace weft
