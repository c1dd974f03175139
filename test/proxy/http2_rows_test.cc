// What an HTTP/2 client must not be able to do to a running proxy: rows 28 to 44 of bad input, and
// what of row 26 is different over HTTP/2, by frames that no library would send. The endpoints
// speak HTTP/1.1.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"
#include "test/proxy/http2_peer.h"

namespace weft::test {
namespace {

constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kFlowControlError = 3;
constexpr uint32_t kCompressionError = 9;
constexpr uint32_t kEnhanceYourCalm = 11;

// Streams enough to set off any of the bounds.
constexpr uint32_t kMany = 3000;

// Takes requests and never answers; `ended` counts those that were given up.
Upstream::Script Silent(std::atomic<int>& ended) {
  return [&ended](Socket& socket, int) {
    socket.ReadToEnd(absl::Hours(1));
    ++ended;
  };
}

// Begins an answer to each request and goes on with none.
Upstream::Script Begun(std::atomic<int>& ended) {
  return [&ended](Socket& socket, int) {
    std::string head;
    while (!absl::StrContains(head, "\r\n\r\n")) {
      const std::string more = socket.ReadSome();
      if (more.empty()) break;
      head += more;
    }
    socket.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
    socket.ReadToEnd(absl::Hours(1));
    ++ended;
  };
}

struct Served {
  explicit Served(Upstream::Script script = Echo, const std::string& manager = "")
      : upstream(std::move(script)),
        proxy({HttpListener("in", port, RouteTo("up"), manager)},
              {Cluster("up", {upstream.port()})}) {}

  double Rejected(const std::string& reason) {
    return proxy.Stat(absl::StrCat(reason, ".rejected_requests"));
  }
  // Nothing is left of what bad clients wanted, and others are served.
  void ExpectCleanedUp() {
    EXPECT_TRUE(Eventually([&] { return proxy.Stat("downstream_rq_active") == 0; }));
    EXPECT_TRUE(Eventually([&] { return proxy.Stat("downstream_cx_active") == 0; }));
    EXPECT_TRUE(proxy.alive());
  }

  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

void ExpectServed(Http2Peer& client, uint32_t id) {
  client.Send(H2Headers(id, H2RequestFields("GET", "/good")));
  EXPECT_EQ(client.Await(id).status(), 200);
  EXPECT_TRUE(absl::StartsWith(client.stream(id).body, "GET /good ")) << client.stream(id).body;
}

// ---- Row 26: the slow.

TEST(Http2Rows, Row26_AHeadThatNeverEndsIsCut) {
  Served s(Echo, "request_headers_timeout: 0.3s,");
  Http2Peer client = Http2Peer::Client(s.port);
  client.acknowledges = false;  // nothing may come between a head's pieces
  client.Send(H2Headers(1, H2RequestFields(), kEndStream));
  EXPECT_TRUE(client.Ended());
  EXPECT_EQ(s.Rejected("h2_head_timeout"), 1);
  // Pieces of it that go on coming do not help.
  Http2Peer drips = Http2Peer::Client(s.port);
  drips.acknowledges = false;
  drips.Send(H2Headers(1, H2RequestFields(), kEndStream));
  for (int i = 0; i < 6; ++i) {
    drips.ReadUntil([] { return false; }, absl::Milliseconds(100));
    drips.Send(H2Frame(kContinuationFrame, 0, 1, H2Field("x", "y")));
  }
  EXPECT_TRUE(drips.Ended());
  EXPECT_EQ(s.Rejected("h2_head_timeout"), 2);
  s.ExpectCleanedUp();
}

TEST(Http2Rows, Row26_ABodyThatNeverEndsIsCut) {
  Served s(Echo, "stream_idle_timeout: 0.3s,");
  Http2Peer client = Http2Peer::Client(s.port);
  client.Send(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  client.Send(H2Frame(kDataFrame, 0, 1, "part"));
  EXPECT_EQ(client.Await(1).status(), 408);
  ExpectServed(client, 3);
}

// ---- Rows 28 to 34: floods.

TEST(Http2Rows, Row28_RapidResetEndsTheConnection) {
  std::atomic<int> ended{0};
  Served s(Silent(ended));
  Http2Peer client = Http2Peer::Client(s.port);
  for (uint32_t sent = 0; sent < kMany && !client.goaway().has_value();) {
    // Some reach the endpoint before they are reset, most do not.
    std::string burst;
    for (int i = 0; i < 20; ++i, ++sent) {
      absl::StrAppend(&burst, H2Headers(2 * sent + 1, H2RequestFields()));
      absl::StrAppend(&burst, H2Reset(2 * sent + 1));
    }
    if (!client.Send(burst)) break;
    client.Poll();
  }
  EXPECT_TRUE(client.Ended());
  EXPECT_EQ(client.goaway(), kEnhanceYourCalm);
  EXPECT_EQ(s.Rejected("h2_reset_flood"), 1);
  client.socket().Close();
  s.ExpectCleanedUp();
  EXPECT_TRUE(Eventually([&] { return ended == s.upstream.connections(); }));
}

struct Provocation {
  const char* name;
  bool answered;  // comes when the response has begun
  std::string fields;
  std::string (*frames)(uint32_t id);
};

class Provoked : public testing::TestWithParam<Provocation> {};

TEST_P(Provoked, Row29_ResetsTheServerIsMadeToSendAreCounted) {
  const Provocation& how = GetParam();
  std::atomic<int> ended{0};
  Served s(how.answered ? Begun(ended) : Silent(ended));
  Http2Peer client = Http2Peer::Client(s.port);
  for (uint32_t sent = 0; sent < kMany && !client.goaway() && !client.ended();) {
    std::vector<uint32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(2 * sent++ + 1);
    std::string heads;
    std::string provocations;
    for (const uint32_t id : ids) {
      heads += H2Headers(id, how.fields, kEndHeaders);
      provocations += how.frames(id);
    }
    client.Send(heads);
    if (how.answered) {
      client.ReadUntil([&] {
        return std::all_of(ids.begin(), ids.end(),
                           [&](uint32_t id) { return client.stream(id).status() == 200; });
      });
    }
    client.Send(provocations);
    client.Poll();
  }
  EXPECT_TRUE(client.Ended());
  EXPECT_TRUE(client.goaway().has_value());
  client.socket().Close();
  s.ExpectCleanedUp();
  // Work that was begun for them is given up.
  EXPECT_TRUE(Eventually([&] { return ended == s.upstream.connections(); }));
}

std::vector<Provocation> Provocations() {
  const std::string post = H2RequestFields("POST");
  const auto overflow = [](uint32_t id) { return H2WindowUpdate(id, 0x7fffffff); };
  const auto bad_trailers = [](uint32_t id) {
    return H2Headers(id, H2Field("connection", "close"));
  };
  const auto bad_characters = [](uint32_t id) { return H2Headers(id, H2Field("x", "a\nb")); };
  return {
      {"WindowOverflow", false, post, overflow},
      {"WindowOverflowOfAnAnswer", true, post, overflow},
      {"WindowUpdateOfNothing", false, post, [](uint32_t id) { return H2WindowUpdate(id, 0); }},
      {"DataBeyondLength", false, absl::StrCat(post, H2Field("content-length", "1")),
       [](uint32_t id) { return H2Frame(kDataFrame, 0, id, "22"); }},
      {"DataAfterTheEnd", false, post,
       [](uint32_t id) {
         return H2Frame(kDataFrame, kEndStream, id, "x") + H2Frame(kDataFrame, 0, id, "y");
       }},
      {"MalformedTrailers", false, post, bad_trailers},
      {"MalformedTrailersDuringAnAnswer", true, post, bad_trailers},
      {"BadCharactersDuringAnAnswer", true, post, bad_characters},
      {"PriorityOfWrongSize", false, post,
       [](uint32_t id) { return H2Frame(kPriorityFrame, 0, id, "1234"); }},
  };
}

INSTANTIATE_TEST_SUITE_P(All, Provoked, testing::ValuesIn(Provocations()),
                         [](const auto& info) { return std::string(info.param.name); });

struct Flood {
  const char* name;
  std::string head;   // sent once
  std::string frame;  // sent many times
  const char* reason;
};

class Flooded : public testing::TestWithParam<Flood> {};

TEST_P(Flooded, EndsTheConnection) {
  std::atomic<int> ended{0};
  Served s(Silent(ended));
  const size_t before = s.proxy.ResidentBytes();
  Http2Peer client = Http2Peer::Client(s.port);
  client.acknowledges = false;
  client.Send(GetParam().head);
  std::string burst;
  for (int i = 0; i < 1000; ++i) burst += GetParam().frame;
  // Nothing is read meanwhile, so that what the proxy would answer has nowhere to go.
  for (int bursts = 0; bursts < 1000 && client.Send(burst); ++bursts) {
  }
  EXPECT_TRUE(Eventually([&] { return s.Rejected(GetParam().reason) == 1; }))
      << s.proxy.Admin("/stats?filter=rejected").body;
  if (kMemoryMeans) EXPECT_LT(s.proxy.ResidentBytes(), before + (16 << 20));
  EXPECT_TRUE(client.Ended());
  client.socket().Close();
  s.ExpectCleanedUp();
}

std::vector<Flood> Floods() {
  const std::string post = H2Headers(1, H2RequestFields("POST"), kEndHeaders);
  return {
      {"Row30_Continuations", H2Headers(1, H2RequestFields(), kEndStream),
       H2Frame(kContinuationFrame, 0, 1, H2Field("x", "y")), "h2_continuation_flood"},
      {"Row30_EmptyContinuations", H2Headers(1, H2RequestFields(), kEndStream),
       H2Frame(kContinuationFrame, 0, 1), "h2_continuation_flood"},
      {"Row31_Pings", "", H2Frame(kPingFrame, 0, 0, "12345678"), "h2_control_flood"},
      {"Row31_Settings", "", H2Frame(kSettingsFrame, 0, 0), "h2_control_flood"},
      {"Row32_EmptyData", post, H2Frame(kDataFrame, 0, 1), "h2_empty_frames_flood"},
      {"Row32_DataOfPadding", post,
       H2Frame(kDataFrame, 8, 1, std::string(1, 3) + std::string(3, '\0')),
       "h2_empty_frames_flood"},
      {"Row33_Priorities", "", H2Frame(kPriorityFrame, 0, 1, Number(0, 5)), "h2_priority_flood"},
      {"Row34_WindowUpdatesOfTheConnection", "", H2WindowUpdate(0, 1), "h2_window_update_flood"},
      {"Row34_WindowUpdatesOfAStream", post, H2WindowUpdate(1, 1), "h2_window_update_flood"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, Flooded, testing::ValuesIn(Floods()),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- Rows 35 and 36: windows.

class Windows : public testing::Test {
 protected:
  static constexpr size_t kBig = 64 << 20;

  // Sends more than any buffer on the way takes.
  Upstream::Script Endless() {
    return [this](Socket& socket, int) {
      if (!socket.ReadRequest().complete) return;
      socket.Send(absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", kBig, "\r\n\r\n"));
      const std::string piece(1 << 16, 'y');
      while (sent_ < kBig && socket.Send(piece)) sent_ += piece.size();
      ended_ = true;
    };
  }

  std::atomic<size_t> sent_{0};
  std::atomic<bool> ended_{false};
};

TEST_F(Windows, Row35_AClosedWindowHoldsTheEndpointBackAndTimesOut) {
  Served s(Endless(), "stream_idle_timeout: 1s,");
  const size_t before = s.proxy.ResidentBytes();
  Http2Peer client = Http2Peer::Client(s.port, H2Setting(4, 0));  // INITIAL_WINDOW_SIZE
  client.Send(H2Headers(1, H2RequestFields()));
  EXPECT_TRUE(client.ReadUntil([&] { return client.stream(1).reset.has_value(); }));
  EXPECT_EQ(client.stream(1).body, "");
  EXPECT_TRUE(Eventually([&] { return ended_.load(); }));
  EXPECT_LT(sent_, kBig / 2);
  if (kMemoryMeans) EXPECT_LT(s.proxy.ResidentBytes(), before + (8 << 20));
}

TEST_F(Windows, Row35_AWindowOfOneByteAtATimeEndsWithTheRequestsTime) {
  Upstream upstream(Endless());
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up", "timeout: 1s"))},
                     {Cluster("up", {upstream.port()})});
  Http2Peer client = Http2Peer::Client(port, H2Setting(4, 0));
  client.opens_windows = false;
  client.Send(H2Headers(1, H2RequestFields()));
  const absl::Time start = absl::Now();
  while (!client.stream(1).over() && absl::Now() - start < kPatience) {
    client.Send(H2WindowUpdate(1, 1));
    const size_t held = client.stream(1).body.size();
    client.ReadUntil([&] { return client.stream(1).body.size() > held || client.stream(1).over(); },
                     absl::Milliseconds(100));
  }
  EXPECT_TRUE(client.stream(1).reset.has_value());
  EXPECT_GT(client.stream(1).body.size(), 0u);
  EXPECT_TRUE(Eventually([&] { return ended_.load(); }));
}

TEST_F(Windows, Row36_AWindowThatOverflowsEndsItsStream) {
  Served s;
  Http2Peer client = Http2Peer::Client(s.port);
  client.Send(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  client.Send(H2WindowUpdate(1, 0x7fffffff));
  EXPECT_EQ(client.Await(1).reset, kFlowControlError);
  ExpectServed(client, 3);
}

TEST_F(Windows, Row36_TheConnectionsWindowThatOverflowsEndsIt) {
  Served s;
  Http2Peer client = Http2Peer::Client(s.port);
  client.Send(H2WindowUpdate(0, 0x7fffffff));
  EXPECT_TRUE(client.Ended());
  EXPECT_EQ(client.goaway(), kFlowControlError);
  EXPECT_EQ(s.Rejected("FLOW_CONTROL_ERROR"), 1);
}

TEST_F(Windows, Row36_MoreThanWasGrantedIsRefused) {
  // An endpoint that does not read: the proxy opens no windows then.
  std::atomic<bool> release{false};
  Served s([&](Socket&, int) { Eventually([&] { return release.load(); }); });
  Http2Peer client = Http2Peer::Client(s.port);
  // From its acknowledgement on our windows hold.
  client.ReadUntil([] { return false; }, absl::Milliseconds(100));
  client.Send(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
  const std::string piece = H2Frame(kDataFrame, 0, 1, std::string(16 * 1024, 'x'));
  size_t sent = 0;
  while (sent < kBig && !client.stream(1).over() && !client.goaway() && client.Send(piece)) {
    sent += piece.size();
    client.Poll();
  }
  EXPECT_LT(sent, kBig);
  EXPECT_EQ(client.stream(1).over() ? client.stream(1).reset : client.goaway(), kFlowControlError);
  release = true;
}

// ---- Rows 37 and 38: HPACK.

TEST(Http2Rows, Row37_ABombIsAnswered431) {
  Served s;
  const size_t before = s.proxy.ResidentBytes();
  for (const char* name : {"x", "cookie"}) {
    SCOPED_TRACE(name);
    Http2Peer client = Http2Peer::Client(s.port);
    // 4 kB that enter the table, and then a byte for each time they come again: 40 MB.
    std::string bomb = absl::StrCat(H2RequestFields(), H2Field(name, std::string(3900, 'b'), 0x40),
                                    std::string(10000, '\xbe'));
    client.Send(H2Headers(1, bomb));
    EXPECT_EQ(client.Await(1).status(), 431);
    EXPECT_EQ(s.Rejected("head_too_large"), name[0] == 'x' ? 1 : 2);
    EXPECT_EQ(s.upstream.connections(), 0);
  }
  if (kMemoryMeans) EXPECT_LT(s.proxy.ResidentBytes(), before + (8 << 20));
  Http2Peer client = Http2Peer::Client(s.port);
  ExpectServed(client, 1);
}

TEST(Http2Rows, Row37_TooManyFieldsAreAnswered431) {
  Served s;
  Http2Peer client = Http2Peer::Client(s.port);
  std::string fields = H2RequestFields();
  for (int i = 0; i < 101; ++i) fields += H2Field("x", "y");
  client.Send(H2Headers(1, fields));
  EXPECT_EQ(client.Await(1).status(), 431);
  EXPECT_EQ(s.upstream.connections(), 0);
  ExpectServed(client, 3);
}

TEST(Http2Rows, Row37_CrumbsOfCookiesAreBounded) {
  Served s;
  Http2Peer client = Http2Peer::Client(s.port);
  client.Send(H2Headers(1, H2RequestFields(), kEndStream));
  std::string crumbs;
  for (int i = 0; i < 1000; ++i) crumbs += H2Field("cookie", "a");
  for (int i = 0; i < 5; ++i) {
    client.Send(H2Frame(kContinuationFrame, i == 4 ? kEndHeaders : 0, 1, crumbs));
  }
  EXPECT_EQ(client.Await(1).status(), 431);
  EXPECT_EQ(s.upstream.connections(), 0);
  ExpectServed(client, 3);
}

TEST(Http2Rows, Row38_BadHpackEndsTheConnection) {
  const std::string kBlocks[] = {
      std::string("\xff\x80\x01"),          // an index beyond the table
      std::string("\x80"),                  // index 0
      std::string("\x3f\xe1\xff\x03"),      // a table larger than was offered
      std::string("\x00\x81\xff\x01x", 5),  // a Huffman code of padding only: EOS
      std::string("\x00\x7f", 2),           // cut within a length
  };
  Served s;
  for (const std::string& block : kBlocks) {
    Http2Peer client = Http2Peer::Client(s.port);
    client.Send(H2Headers(1, block));
    EXPECT_TRUE(client.Ended());
    EXPECT_EQ(client.goaway(), kCompressionError);
  }
  EXPECT_EQ(s.Rejected("COMPRESSION_ERROR"), std::size(kBlocks));
  EXPECT_EQ(s.upstream.connections(), 0);
}

// ---- Row 40: what would be another message over HTTP/1.

struct Smuggling {
  const char* name;
  std::string fields;
  std::string body;  // "": the head ends it
};

class Smuggled : public testing::TestWithParam<Smuggling> {
 protected:
  static void SetUpTestSuite() { served_ = std::make_unique<Served>(); }
  static void TearDownTestSuite() { served_.reset(); }
  static std::unique_ptr<Served> served_;
};
std::unique_ptr<Served> Smuggled::served_;

TEST_P(Smuggled, Row40_EndsItsStreamAndReachesNobody) {
  const Smuggling& bad = GetParam();
  const double before = served_->proxy.Stat("upstream_rq_total");
  Http2Peer client = Http2Peer::Client(served_->port);
  const bool ends = bad.body.empty();
  client.Send(H2Headers(1, bad.fields, ends ? kEndHeaders | kEndStream : kEndHeaders));
  if (!ends) client.Send(H2Frame(kDataFrame, kEndStream, 1, bad.body));
  const Http2Stream& stream = client.Await(1);
  if (stream.reset.has_value() && stream.status() == 0) {
    EXPECT_EQ(stream.reset, kProtocolError);
  } else {
    EXPECT_EQ(stream.status(), 400);
  }
  if (ends) EXPECT_EQ(served_->proxy.Stat("upstream_rq_total"), before);
  ExpectServed(client, 3);
}

std::vector<Smuggling> Smugglings() {
  const auto with = [](absl::string_view name, absl::string_view value) {
    return absl::StrCat(H2RequestFields(), H2Field(name, value));
  };
  const auto length = [](absl::string_view value) {
    return absl::StrCat(H2RequestFields("POST"), H2Field("content-length", value));
  };
  return {
      {"CrLfInPath", H2RequestFields("GET", "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /evil"), ""},
      {"CrLfInMethod", H2RequestFields("GET / HTTP/1.1\r\nx", "/"), ""},
      {"SpaceInMethod", H2RequestFields("GET /evil", "/"), ""},
      {"SpaceInPath", H2RequestFields("GET", "/a b"), ""},
      {"FragmentInPath", H2RequestFields("GET", "/a#b"), ""},
      {"RelativePath", H2RequestFields("GET", "a"), ""},
      {"CrLfInAuthority", H2RequestFields("GET", "/", "a\r\nx: y"), ""},
      {"UserInAuthority", H2RequestFields("GET", "/", "u@a.test"), ""},
      {"HostDiffers", with("host", "b.test"), ""},
      {"OtherScheme",
       absl::StrCat(H2Field(":method", "GET"), H2Field(":scheme", "ftp"), H2Field(":path", "/"),
                    H2Field(":authority", "a")),
       ""},
      {"CrLfInScheme",
       absl::StrCat(H2Field(":method", "GET"), H2Field(":scheme", "http://x/ HTTP/1.1\r\n"),
                    H2Field(":path", "/"), H2Field(":authority", "a")),
       ""},
      {"CrLfInValue", with("x", "1\r\nevil: 2"), ""},
      {"LfInValue", with("x", "1\nevil: 2"), ""},
      {"NulInValue", with("x", absl::string_view("\0", 1)), ""},
      {"CrLfInName", with("x: 1\r\nevil", "2"), ""},
      {"ColonInName", with("x:y", "2"), ""},
      {"UpperCaseName", with("Transfer-Encoding", "chunked"), ""},
      {"TransferEncoding", with("transfer-encoding", "chunked"), ""},
      {"Connection", with("connection", "x"), ""},
      {"Upgrade", with("upgrade", "websocket"), ""},
      {"TeOfMore", with("te", "gzip"), ""},
      {"PseudoTwice", absl::StrCat(H2RequestFields(), H2Field(":path", "/b")), ""},
      {"PseudoAfterField", absl::StrCat(H2Field("x", "y"), H2RequestFields()), ""},
      {"LengthWithoutBody", with("content-length", "5"), ""},
      {"LengthOfNoNumber", length("+3"), "abc"},
      {"LengthTwice", absl::StrCat(length("3"), H2Field("content-length", "3")), "abc"},
      {"LengthBelowBody", length("2"), "abc"},
      {"LengthAboveBody", length("5"), "abc"},
  };
}

INSTANTIATE_TEST_SUITE_P(All, Smuggled, testing::ValuesIn(Smugglings()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Http2Rows, Row40_ABodyCutShortIsNotPassedForAWholeOne) {
  std::atomic<int> whole{0};
  std::atomic<int> ended{0};
  Served s([&](Socket& socket, int) {
    if (socket.ReadRequest().complete) ++whole;
    ++ended;
  });
  for (const bool length : {false, true}) {
    Http2Peer client = Http2Peer::Client(s.port);
    std::string fields = H2RequestFields("POST");
    if (length) fields += H2Field("content-length", "5");
    client.Send(H2Headers(1, fields, kEndHeaders) + H2Frame(kDataFrame, 0, 1, "abc"));
    EXPECT_TRUE(Eventually([&] { return s.upstream.connections() == (length ? 2 : 1); }));
    client.Send(length ? H2Frame(kDataFrame, kEndStream, 1) : H2Reset(1));
    EXPECT_TRUE(Eventually([&] { return ended == (length ? 2 : 1); }));
  }
  EXPECT_EQ(whole, 0);
}

// ---- Rows 43 and 44.

TEST(Http2Rows, Row43_ALowerStreamIdEndsTheConnection) {
  Served s;
  Http2Peer client = Http2Peer::Client(s.port);
  ExpectServed(client, 5);
  client.Send(H2Headers(3, H2RequestFields()));
  EXPECT_TRUE(client.Ended());
  EXPECT_EQ(client.goaway(), kProtocolError);
  Http2Peer even = Http2Peer::Client(s.port);
  even.Send(H2Headers(2, H2RequestFields()));
  EXPECT_TRUE(even.Ended());
  EXPECT_EQ(even.goaway(), kProtocolError);
}

// Who ends an exchange, and after how many of its steps.
class Cut : public testing::TestWithParam<int> {};

TEST_P(Cut, Row44_AtEveryStageNothingIsUsedAgain) {
  enum Who { kClientResets, kClientLeaves, kClientLeavesWithReset, kEndpointLeaves, kAll };
  const int stage = GetParam();
  std::atomic<int> turn_of{0};
  Served s([&](Socket& socket, int) {
    const bool leaves = turn_of == kEndpointLeaves;
    if (leaves && stage == 2) return socket.CloseWithReset();
    socket.Read(100, absl::Milliseconds(50));
    if (leaves && stage == 3) return socket.CloseWithReset();
    // It may answer before it has the whole request.
    socket.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    if (leaves && stage == 4) return socket.CloseWithReset();
    socket.Send("5\r\nhello\r\n");
    if (leaves && stage == 5) return socket.CloseWithReset();
    socket.Send("0\r\n\r\n");
    socket.Read(1 << 20, absl::Seconds(1));
  });
  for (int who = 0; who < kAll; ++who) {
    turn_of = who;
    Http2Peer client = Http2Peer::Client(s.port);
    const auto cut = [&](int at) {
      if (at != stage) return;
      if (who == kClientResets) client.Send(H2Reset(1));
      if (who == kClientLeaves) client.socket().Close();
      if (who == kClientLeavesWithReset) client.socket().CloseWithReset();
    };
    const auto send = [&](const std::string& frames) {
      if (client.socket().connected()) client.Send(frames);
    };
    const auto read = [&](const std::function<bool()>& done) {
      if (client.socket().connected()) client.ReadUntil(done, absl::Milliseconds(300));
    };
    const int connections = s.upstream.connections();
    send(H2Headers(1, H2RequestFields("POST"), kEndHeaders));
    cut(0);
    send(H2Frame(kDataFrame, 0, 1, std::string(10000, 'x')));
    cut(1);
    if (stage > 1) Eventually([&] { return s.upstream.connections() > connections; });
    cut(2);
    send(H2Frame(kDataFrame, kEndStream, 1, "end"));
    cut(3);
    read([&] { return client.stream(1).status() != 0 || client.stream(1).over(); });
    cut(4);
    read([&] { return !client.stream(1).body.empty() || client.stream(1).over(); });
    cut(5);
    read([&] { return client.stream(1).over(); });
    client.socket().Close();
    s.ExpectCleanedUp();
  }
  turn_of = kAll;
  Http2Peer client = Http2Peer::Client(s.port);
  client.Send(H2Headers(1, H2RequestFields()));
  EXPECT_EQ(client.Await(1).status(), 200);
  EXPECT_EQ(client.stream(1).body, "hello");
}

INSTANTIATE_TEST_SUITE_P(Stages, Cut, testing::Range(0, 6));

}  // namespace
}  // namespace weft::test
