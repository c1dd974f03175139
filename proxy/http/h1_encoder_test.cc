#include "proxy/http/h1_encoder.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/http/h1_decoder.h"

namespace weft {
namespace {

RequestHead SomeRequest() {
  RequestHead head;
  head.method = "POST";
  head.authority = "a:80";
  head.path = "/x?y";
  head.headers.Add("X-Mixed", "1");
  head.headers.Add("Content-Length", "99");
  head.headers.Add("Transfer-Encoding", "gzip");
  return head;
}

TEST(AppendRequestHead, FramesByTheBodyNotByTheHeaders) {
  const struct {
    BodyLength body;
    std::string framing;
  } cases[] = {
      {{BodyFraming::kNone, 0}, ""},
      {{BodyFraming::kLength, 0}, "content-length: 0\r\n"},
      {{BodyFraming::kLength, 12345678901}, "content-length: 12345678901\r\n"},
      {{BodyFraming::kChunked, 0}, "transfer-encoding: chunked\r\n"},
  };
  for (const auto& c : cases) {
    Buffer out;
    AppendRequestHead(SomeRequest(), c.body, out);
    EXPECT_EQ(out.view(),
              "POST /x?y HTTP/1.1\r\nHost: a:80\r\nX-Mixed: 1\r\n" + c.framing + "\r\n");
  }
}

TEST(AppendRequestHead, WritesConnectInAuthorityForm) {
  RequestHead head;
  head.method = "CONNECT";
  head.authority = "a:443";
  Buffer out;
  AppendRequestHead(head, {}, out);
  EXPECT_EQ(out.view(), "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
}

TEST(AppendResponseHead, KeepsTheLengthThatAnswersHead) {
  ResponseHead head;
  head.status = 200;
  head.headers.Add("Content-Length", "7");
  Buffer out;
  AppendResponseHead(head, {}, out);
  EXPECT_EQ(out.view(), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
}

TEST(AppendChunk, IsReadBackByTheDecoder) {
  Buffer wire;
  wire.Append("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
  const std::string big(70000, 'b');
  AppendChunk("a", wire);
  AppendChunk("", wire);
  AppendChunk(big, wire);
  Headers trailers;
  trailers.Add("grpc-status", "0");
  AppendLastChunk(trailers, wire);
  H1Decoder decoder(H1Decoder::Role::kResponses);
  std::string body;
  ASSERT_EQ(decoder.Next(wire), H1Decoder::Event::kHead);
  while (decoder.Next(wire) == H1Decoder::Event::kBody) {
    body.append(wire.data(), decoder.body_size());
    const size_t taken = decoder.body_size();
    wire.Consume(taken);
    decoder.BodyTaken(taken);
  }
  ASSERT_EQ(decoder.Next(wire), H1Decoder::Event::kEnd);
  EXPECT_EQ(body, "a" + big);
  EXPECT_EQ(decoder.trailers().Get("grpc-status"), "0");
  EXPECT_TRUE(wire.empty());
}

TEST(ChunkPrefix, IsHexadecimal) {
  EXPECT_EQ(ChunkPrefix(1).view(), "1\r\n");
  EXPECT_EQ(ChunkPrefix(0xabc0).view(), "abc0\r\n");
  EXPECT_EQ(ChunkPrefix(~size_t{0}).view(), "ffffffffffffffff\r\n");
}

TEST(AppendLocalReply, LeavesTheBodyOutForHead) {
  LocalReply reply;
  reply.status = 404;
  reply.body = "no route\n";
  reply.close = true;
  Buffer get, head;
  AppendLocalReply(reply, get);
  reply.to_head = true;
  AppendLocalReply(reply, head);
  const std::string expected =
      "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\nconnection: close\r\n"
      "content-length: 9\r\n\r\n";
  EXPECT_EQ(get.view(), expected + "no route\n");
  EXPECT_EQ(head.view(), expected);
}

}  // namespace
}  // namespace weft
