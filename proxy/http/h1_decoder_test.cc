#include "proxy/http/h1_decoder.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/http/h1_transcript.h"

namespace weft {
namespace {

using std::string_literals::operator""s;

struct Case {
  std::string name;  // BadInputN_… for row N of the catalogue of hostile input
  std::string bytes;
  std::string transcript;
  TranscriptInput input = {};
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

std::string Get(absl::string_view fields) {
  return absl::StrCat("GET / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n");
}
std::string Post(absl::string_view fields, absl::string_view rest = "") {
  return absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\n", fields, "\r\n", rest);
}
std::string Chunked(absl::string_view rest) { return Post("Transfer-Encoding: chunked\r\n", rest); }
std::string Line(absl::string_view line) { return absl::StrCat(line, "\r\nHost: h\r\n\r\n"); }

TranscriptInput Response(std::string to = "GET", bool upgrade = false) {
  TranscriptInput input;
  input.role = H1Decoder::Role::kResponses;
  input.response_to = std::move(to);
  input.upgrade_requested = upgrade;
  return input;
}

std::vector<Case> RequestCases() {
  const std::string long_value(61 * 1024, 'a');
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i <= 100; ++i) absl::StrAppend(&many, "a", i, ": b\r\n");
  std::string bloat;
  for (int i = 0; i < 20; ++i) absl::StrAppend(&bloat, "1;", std::string(1000, 'e'), "\r\nx\r\n");
  const std::string chunked_head = "[POST |h|/ Transfer-Encoding=chunked]";
  return {
      {"Plain", Get("A: b\r\nc:d\r\nE:\r\n"), "[GET |h|/ A=b c=d E=].closed"},
      {"TrimsBlanksAroundValues", Get("A: \t b c\t \r\n"), "[GET |h|/ A=b c].closed"},
      {"TabInValue", Get("A: b\tc\r\n"), "[GET |h|/ A=b\tc].closed"},
      {"Utf8InValue", Get("A: \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\r\n"),
       "[GET |h|/ A=\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9].closed"},
      {"Body", Post("Content-Length: 3\r\n", "abc"), "[POST |h|/ Content-Length=3](abc).closed"},
      {"EmptyBody", Post("Content-Length: 0\r\n"), "[POST |h|/ Content-Length=0].closed"},
      {"Pipelined", Get("") + Post("content-length: 1\r\n", "x") + Get(""),
       "[GET |h|/].[POST |h|/ content-length=1](x).[GET |h|/].closed"},
      {"EmptyLinesBefore", "\r\n\r\n" + Get(""), "[GET |h|/].closed"},
      {"TooManyEmptyLines", "\r\n\r\n\r\n\r\n\r\n" + Get(""), "!400 bad_request_line"},
      {"Http10WithoutHost", "GET / HTTP/1.0\r\n\r\n", "[GET ||/ 1.0].closed"},
      {"Chunks", Chunked("3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n"),
       chunked_head + "(abc0123456789).closed"},
      {"ChunkedInAnyCase", Post("transfer-encoding: CHUNKED\r\n", "0\r\n\r\n"),
       "[POST |h|/ transfer-encoding=CHUNKED].closed"},
      {"Trailers", Chunked("1\r\nx\r\n0\r\nA: b\r\n\r\n"), chunked_head + "(x) A=b.closed"},
      {"CutShortInHead", "GET / HTTP/1.1\r\nHost: h\r\n", "!400 cut_short"},
      {"CutShortInBody", Post("Content-Length: 3\r\n", "ab"),
       "[POST |h|/ Content-Length=3](ab)!400 cut_short"},
      {"CutShortInChunk", Chunked("3\r\nab"), chunked_head + "(ab)!400 cut_short"},
      {"AbsoluteForm", "GET HTTP://Other:81/x?y HTTP/1.1\r\nHost: Other:81\r\n\r\n",
       "[GET http|Other:81|/x?y].closed"},
      {"AbsoluteFormWithoutPath", Line("GET http://h?q HTTP/1.1"), "[GET http|h|/?q].closed"},
      {"AsteriskForm", Line("OPTIONS * HTTP/1.1"), "[OPTIONS |h|*].closed"},
      {"AsteriskFormOnlyForOptions", Line("GET * HTTP/1.1"), "!400 bad_target"},
      {"Connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "[CONNECT |a:443|].closed"},
      {"ConnectWithoutPort", Line("CONNECT a HTTP/1.1"), "!400 bad_target"},
      {"Ipv6Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[GET |[::1]:80|/].closed"},
      {"UnknownVersion", Line("GET / HTTP/2.0"), "!505 unsupported_version"},
      {"Http09", "GET /\r\n", "!400 bad_request_line"},
      {"NotHttp", "\x16\x03\x01\x02\n\r\n", "!400 bare_lf"},

      {"BadInput1_ContentLengthWithTransferEncoding",
       Post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
       "!400 content_length_and_transfer_encoding"},
      {"BadInput2_TeClWithPipelinedPrefix",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\nGET /x HTTP/1.1\r\n"),
       "!400 content_length_and_transfer_encoding"},
      {"BadInput3_DifferingContentLengths", Post("Content-Length: 3\r\nContent-Length: 4\r\n"),
       "!400 several_content_lengths"},
      {"BadInput3_EqualContentLengths", Post("Content-Length: 3\r\nContent-Length: 3\r\n"),
       "!400 several_content_lengths"},
      {"BadInput3_ContentLengthList", Post("Content-Length: 3, 3\r\n"), "!400 bad_content_length"},
      {"BadInput4_ContentLengthPlus", Post("Content-Length: +5\r\n"), "!400 bad_content_length"},
      {"BadInput4_ContentLengthHex", Post("Content-Length: 0x5\r\n"), "!400 bad_content_length"},
      {"BadInput4_ContentLengthMinus", Post("Content-Length: -0\r\n"), "!400 bad_content_length"},
      {"BadInput4_ContentLengthUnderscore", Post("Content-Length: 5_0\r\n"),
       "!400 bad_content_length"},
      {"BadInput4_ContentLengthEmpty", Post("Content-Length: \r\n"), "!400 bad_content_length"},
      {"BadInput5_ContentLengthOverflow", Post("Content-Length: 18446744073709551617\r\n"),
       "!400 bad_content_length"},
      {"BadInput5_ContentLengthNegativeAsSigned", Post("Content-Length: 9223372036854775808\r\n"),
       "!400 bad_content_length"},
      {"BadInput5_ChunkSizeOverflow", Chunked("10000000000000001\r\n"),
       chunked_head + "!400 bad_chunk_size"},
      {"BadInput5_ChunkSizeNegativeAsSigned", Chunked("ffffffffffffffff\r\n"),
       chunked_head + "!400 bad_chunk_size"},
      {"BadInput6_Xchunked", Post("Transfer-Encoding: xchunked\r\n"), "!400 bad_transfer_encoding"},
      {"BadInput6_VerticalTab",
       Post("Transfer-Encoding: \x0b"
            "chunked\r\n"),
       "!400 bad_header_value"},
      {"BadInput6_FormFeed", Post("Transfer-Encoding: chunked\x0c\r\n"), "!400 bad_header_value"},
      {"BadInput6_Nul", Post("Transfer-Encoding: chunked\0\r\n"s), "!400 bad_header_value"},
      {"BadInput6_TrailingComma", Post("Transfer-Encoding: chunked,\r\n"),
       "!400 bad_transfer_encoding"},
      {"BadInput6_Twice", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       "!400 bad_transfer_encoding"},
      {"BadInput6_Quoted", Post("Transfer-Encoding: \"chunked\"\r\n"),
       "!400 bad_transfer_encoding"},
      {"BadInput7_ChunkedNotLast", Post("Transfer-Encoding: chunked, gzip\r\n"),
       "!400 bad_transfer_encoding"},
      {"BadInput7_ChunkedNotLastOverLines",
       Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
       "!400 bad_transfer_encoding"},
      {"BadInput7_UnknownCodingBefore", Post("Transfer-Encoding: gzip, chunked\r\n"),
       "!501 unsupported_transfer_coding"},
      {"BadInput8_TransferEncodingInHttp10",
       "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
       "!400 transfer_encoding_in_http_1_0"},
      {"BadInput9_FoldedValue", Get("A: b\r\n c\r\n"), "!400 folded_header"},
      {"BadInput9_FoldedTransferEncoding", Post("Transfer-Encoding:\r\n chunked\r\n"),
       "!400 folded_header"},
      {"BadInput9_FoldedExpect", Post("Expect: 100-\r\n\tcontinue\r\n"), "!400 folded_header"},
      {"BadInput10_BareLfAfterRequestLine", "GET / HTTP/1.1\nHost: h\r\n\r\n", "!400 bare_lf"},
      {"BadInput10_BareLfAfterField", "GET / HTTP/1.1\r\nHost: h\n\r\n", "!400 bare_lf"},
      {"BadInput10_BareLfEndsHead", "GET / HTTP/1.1\r\nHost: h\r\n\n", "!400 bare_lf"},
      {"BadInput10_BareLfBeforeRequest", "\n" + Get(""), "!400 bare_lf"},
      {"BadInput11_BareCrInValue", Get("A: b\rc: d\r\n"), "!400 bad_header_value"},
      {"BadInput11_CrBeforeCrlf", Get("A: b\r\r\n"), "!400 bad_header_value"},
      {"BadInput11_NulInValue", Get("A: b\0c\r\n"s), "!400 bad_header_value"},
      {"BadInput11_DeleteInLongValue",
       Get("A: 0123456789\x7f"
           "0123456789\r\n"),
       "!400 bad_header_value"},
      {"BadInput12_SpaceBeforeColon", Get("Content-Length : 5\r\n"), "!400 space_before_colon"},
      {"BadInput12_TabBeforeColon", Get("A\t: 5\r\n"), "!400 space_before_colon"},
      {"BadInput13_SpaceBeforeFirstHeader", "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
       "!400 space_before_first_header"},
      {"BadInput14_EmptyHeaderName", Get(": b\r\n"), "!400 empty_header_name"},
      {"BadInput14_NoColon", Get("abc\r\n"), "!400 bad_header_name"},
      {"BadInput14_NulInName", Get("a\0b: c\r\n"s), "!400 bad_header_name"},
      {"BadInput15_ChunkSize0x", Chunked("0x3\r\nabc\r\n"), chunked_head + "!400 bad_chunk_size"},
      {"BadInput15_ChunkSizeUnderscore", Chunked("1_0\r\n"), chunked_head + "!400 bad_chunk_size"},
      {"BadInput15_ChunkSizeLeadingSpace", Chunked(" 3\r\nabc\r\n"),
       chunked_head + "!400 bad_chunk_size"},
      {"BadInput15_ChunkSizeTrailingSpace", Chunked("3 \r\nabc\r\n"),
       chunked_head + "!400 bad_chunk_size"},
      {"BadInput15_ChunkSizeSign", Chunked("+3\r\nabc\r\n"), chunked_head + "!400 bad_chunk_size"},
      {"BadInput15_ChunkSizeEmpty", Chunked("\r\nabc\r\n"), chunked_head + "!400 bad_chunk_size"},
      {"BadInput16_LfInChunkExtension", Chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"),
       chunked_head + "!400 bare_lf_in_chunk"},
      {"BadInput16_CrInChunkExtension", Chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"),
       chunked_head + "!400 bad_chunk_extension"},
      {"BadInput16_ControlInChunkExtension", Chunked("3;a\x01\r\nabc\r\n0\r\n\r\n"),
       chunked_head + "!400 bad_chunk_extension"},
      {"BadInput16_ChunkSpill", Chunked("3\r\nabcd\r\n0\r\n\r\n"),
       chunked_head + "(abc)!400 chunk_spill"},
      {"BadInput16_ChunkEndsInBareLf", Chunked("3\r\nabc\n0\r\n\r\n"),
       chunked_head + "(abc)!400 chunk_spill"},
      {"BadInput17_ChunkExtensionBloat", Chunked(bloat),
       chunked_head + "(" + std::string(16, 'x') + ")!400 chunk_extensions_too_large"},
      {"BadInput17_LongChunkLine", Chunked("3;" + std::string(5000, 'e')),
       chunked_head + "!400 chunk_line_too_long"},
      {"BadInput18_DangerousTrailersDropped",
       Chunked(
           "0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: evil\r\nAuthorization: a\r\n"
           "X-Forwarded-For: 1.2.3.4\r\nGrpc-Status: 0\r\n\r\n"),
       chunked_head + " Grpc-Status=0.closed"},
      {"BadInput18_BadTrailer", Chunked("0\r\nA : b\r\n\r\n"),
       chunked_head + "!400 space_before_colon"},
      {"BadInput20_GetWithBody", Get("Content-Length: 2\r\n") + "ab" + Get(""),
       "[GET |h|/ Content-Length=2](ab).[GET |h|/].closed"},
      {"BadInput21_ConnectWithBody",
       "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\n", "!400 body_in_connect"},
      {"BadInput22_NoHost", "GET / HTTP/1.1\r\n\r\n", "!400 no_host"},
      {"BadInput22_SeveralHosts", Get("Host: i\r\n"), "!400 several_hosts"},
      {"BadInput22_HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "!400 bad_host"},
      {"BadInput22_HostWithUser", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "!400 bad_host"},
      {"BadInput22_HostPortTooLarge", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "!400 bad_host"},
      {"BadInput22_AbsoluteUriOverridesHost", Line("GET http://other/x HTTP/1.1"),
       "[GET http|other|/x].closed"},
      {"BadInput22_AbsoluteUriWithUser", Line("GET http://u@h/ HTTP/1.1"), "!400 bad_target"},
      {"BadInput23_ControlInTarget", Line("GET /\x01 HTTP/1.1"), "!400 bad_target"},
      {"BadInput23_SpaceInTarget", Line("GET /a b HTTP/1.1"), "!400 bad_target"},
      {"BadInput23_DoubleSpace", Line("GET  / HTTP/1.1"), "!400 bad_target"},
      {"BadInput23_TabInRequestLine", Line("GET\t/ HTTP/1.1"), "!400 bad_request_line"},
      {"BadInput24_HeadTooLarge", Get("A: " + long_value + "\r\n"), "!431 head_too_large"},
      {"BadInput24_TargetTooLarge", Line("GET /" + long_value + " HTTP/1.1"),
       "!431 head_too_large"},
      {"BadInput24_TooManyHeaders", many + "\r\n", "!431 too_many_headers"},
      {"BadInput25_HeaderNameTooLong", Get(std::string(70000, 'n') + ": v\r\n"),
       "!431 head_too_large"},
      {"BadInput59_FragmentInTarget", Line("GET /a#b HTTP/1.1"), "!400 bad_target"},
      {"BadInput60_HostKeepsCaseAndPort", "GET / HTTP/1.1\r\nHost: ExAmple:80\r\n\r\n",
       "[GET |ExAmple:80|/].closed"},
  };
}

std::vector<Case> ResponseCases() {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  return {
      {"Length", ok + "Content-Length: 2\r\n\r\nab", "[200 OK Content-Length=2](ab).", Response()},
      {"UntilClose", ok + "\r\nabc", "[200 OK](abc).", Response()},
      {"NoReason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", "[404  Content-Length=0].",
       Response()},
      {"Head", ok + "Content-Length: 9\r\n\r\n", "[200 OK Content-Length=9].", Response("HEAD")},
      {"NotModified", "HTTP/1.1 304 NM\r\nContent-Length: 9\r\n\r\n", "[304 NM Content-Length=9].",
       Response()},
      {"NoContent", "HTTP/1.1 204 NC\r\n\r\n", "[204 NC].", Response()},
      {"Interim",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 EH\r\nLink: x\r\n\r\n" + ok +
           "Content-Length: 0\r\n\r\n",
       "[100 Continue][103 EH Link=x][200 OK Content-Length=0].", Response("POST")},
      {"SwitchingProtocols", "HTTP/1.1 101 SP\r\nUpgrade: x\r\n\r\nraw", "[101 SP Upgrade=x].+raw",
       Response("GET", true)},
      {"ConnectAccepted", ok + "Content-Length: 5\r\n\r\nraw", "[200 OK Content-Length=5].+raw",
       Response("CONNECT")},
      {"ConnectRefused", "HTTP/1.1 403 F\r\nContent-Length: 2\r\n\r\nno",
       "[403 F Content-Length=2](no).", Response("CONNECT")},
      {"Chunked", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
       "[200 OK Transfer-Encoding=chunked](x).", Response()},
      {"ClosedBeforeHead", "", "closed", Response()},
      {"ClosedAfterInterim", "HTTP/1.1 100 C\r\n\r\n", "[100 C]!400 cut_short", Response()},
      {"BadStatus", "HTTP/1.1 20 OK\r\n\r\n", "!400 bad_status_line", Response()},
      {"BadInput1_ResponseLengthWithTransferEncoding",
       ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       "!400 content_length_and_transfer_encoding", Response()},
      {"BadInput21_UnaskedUpgrade", "HTTP/1.1 101 SP\r\n\r\n", "!400 unexpected_101", Response()},
      {"BadInput27_CutShort", ok + "Content-Length: 3\r\n\r\nab",
       "[200 OK Content-Length=3](ab)!400 cut_short", Response()},
      {"BadInput27_CutShortInChunks", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
       "[200 OK Transfer-Encoding=chunked](x)!400 cut_short", Response()},
      {"BadInput27_ExtraBytesStay", ok + "Content-Length: 1\r\n\r\nabc",
       "[200 OK Content-Length=1](a).+bc", Response()},
      {"BadInput27_AnsweredTwice", ok + "Content-Length: 0\r\n\r\n" + ok,
       "[200 OK Content-Length=0].+" + ok, Response()},
  };
}

class H1DecoderTable : public testing::TestWithParam<Case> {};

TEST_P(H1DecoderTable, GivesTheseEvents) {
  EXPECT_EQ(Transcribe(GetParam().bytes, GetParam().input), GetParam().transcript);
}

TEST_P(H1DecoderTable, GivesTheSameEventsAtAnySplit) {
  const Case& c = GetParam();
  // One cut at each place (a sample of them for long input).
  const size_t step = std::max<size_t>(1, c.bytes.size() / 500);
  for (size_t cut = 1; cut < c.bytes.size(); cut += step) {
    TranscriptInput input = c.input;
    input.splits = {cut};
    ASSERT_EQ(Transcribe(c.bytes, input), c.transcript) << "cut at " << cut;
  }
  TranscriptInput bytewise = c.input;
  for (size_t cut = 1; cut < c.bytes.size(); ++cut) bytewise.splits.push_back(cut);
  EXPECT_EQ(Transcribe(c.bytes, bytewise), c.transcript) << "byte by byte";
}

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Request, H1DecoderTable, testing::ValuesIn(RequestCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Response, H1DecoderTable, testing::ValuesIn(ResponseCases()), CaseName);

TEST(H1Decoder, KeepsEarlyDataOfAnUpgradeInTheBuffer_BadInput21) {
  H1Decoder decoder(H1Decoder::Role::kRequests);
  Buffer in;
  in.Append(Get("Connection: Upgrade\r\nUpgrade: websocket\r\n") + "GET /early HTTP/1.1\r\n");
  ASSERT_EQ(decoder.Next(in), H1Decoder::Event::kHead);
  EXPECT_EQ(RequestedUpgrade(decoder.request().headers), "websocket");
  EXPECT_EQ(decoder.Next(in), H1Decoder::Event::kEnd);
  EXPECT_EQ(decoder.Next(in), H1Decoder::Event::kEnd);
  EXPECT_EQ(in.view(), "GET /early HTTP/1.1\r\n");
}

TEST(H1Decoder, LeavesTheBodyUntilItIsTaken) {
  H1Decoder decoder(H1Decoder::Role::kRequests);
  Buffer in, out;
  in.Append(Post("Content-Length: 5\r\n", "abc"));
  ASSERT_EQ(decoder.Next(in), H1Decoder::Event::kHead);
  EXPECT_EQ(decoder.body().framing, BodyFraming::kLength);
  EXPECT_EQ(decoder.body().length, 5u);
  ASSERT_EQ(decoder.Next(in), H1Decoder::Event::kBody);
  EXPECT_EQ(decoder.body_size(), 3u);
  out.MoveFrom(in, 2);
  decoder.BodyTaken(2);
  in.Append("de next");
  ASSERT_EQ(decoder.Next(in), H1Decoder::Event::kBody);
  EXPECT_EQ(decoder.body_size(), 3u);
  out.MoveFrom(in, 3);
  decoder.BodyTaken(3);
  EXPECT_EQ(decoder.Next(in), H1Decoder::Event::kEnd);
  EXPECT_EQ(out.view(), "abcde");
  EXPECT_EQ(in.view(), " next");
}

TEST(H1Decoder, SaysWhetherTheConnectionPersists) {
  const struct {
    std::string bytes;
    bool keep_alive;
  } cases[] = {
      {Get(""), true},
      {Get("Connection: close\r\n"), false},
      {Get("Connection: foo, CLOSE\r\n"), false},
      {Get("Connection: foo\r\nConnection: close\r\n"), false},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  for (const auto& c : cases) {
    H1Decoder decoder(H1Decoder::Role::kRequests);
    Buffer in;
    in.Append(c.bytes);
    ASSERT_EQ(decoder.Next(in), H1Decoder::Event::kHead);
    EXPECT_EQ(decoder.keep_alive(), c.keep_alive) << c.bytes;
  }
}

TEST(H1Decoder, SaysWhetherTheClientWaitsForContinue_BadInput19) {
  const struct {
    std::string bytes;
    bool expects;
  } cases[] = {
      {Post("Expect: 100-Continue\r\nContent-Length: 3\r\n"), true},
      {Post("Expect: 100-continue\r\nContent-Length: 0\r\n"), false},
      {Post("Content-Length: 3\r\n"), false},
      {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", false},
  };
  for (const auto& c : cases) {
    H1Decoder decoder(H1Decoder::Role::kRequests);
    Buffer in;
    in.Append(c.bytes);
    ASSERT_EQ(decoder.Next(in), H1Decoder::Event::kHead);
    EXPECT_EQ(decoder.expects_continue(), c.expects) << c.bytes;
  }
}

TEST(H1Decoder, AHeadKeepsToTheLimitsThatAreSet) {
  struct Limited {
    HeadLimits limits;
    H1Decoder::Event event;
  };
  const std::string head = Get("a: 1\r\nb: 2\r\n");
  const Limited kCases[] = {{{head.size(), 2}, H1Decoder::Event::kHead},
                            {{head.size() - 1, 2}, H1Decoder::Event::kError},
                            {{head.size(), 1}, H1Decoder::Event::kError},
                            {{10, 2}, H1Decoder::Event::kError}};
  for (const Limited& one : kCases) {
    H1Decoder decoder(H1Decoder::Role::kRequests, one.limits);
    Buffer in;
    in.Append(head);
    EXPECT_EQ(decoder.Next(in), one.event) << one.limits.bytes << " " << one.limits.fields;
  }
}

TEST(H1Decoder, EndlessInterimResponsesEnd) {
  std::string bytes;
  for (int i = 0; i <= H1Decoder::kMaxInterimResponses; ++i) bytes += "HTTP/1.1 102 P\r\n\r\n";
  const std::string transcript = Transcribe(bytes, Response());
  EXPECT_NE(transcript.find("!400 too_many_interim_responses"), std::string::npos) << transcript;
}

}  // namespace
}  // namespace weft
