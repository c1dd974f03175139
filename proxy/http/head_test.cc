#include "proxy/http/head.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

std::string Text(const Headers& headers) {
  std::string text;
  for (const HeaderView header : headers) {
    absl::StrAppend(&text, header.name, "=", header.value, ";");
  }
  return text;
}

TEST(Headers, FindsEveryKnownNameInAnyCase) {
  for (size_t i = 0; i < kKnownHeaders; ++i) {
    const KnownHeader known = static_cast<KnownHeader>(i);
    std::string name(KnownHeaderName(known));
    EXPECT_EQ(IdentifyHeader(name), known) << name;
    name[0] -= 0x20;
    EXPECT_EQ(IdentifyHeader(name), known) << name;
    EXPECT_EQ(IdentifyHeader(name + "x"), KnownHeader::kOther);
  }
  EXPECT_EQ(IdentifyHeader(""), KnownHeader::kOther);
}

TEST(Headers, KeepsOrderSpellingAndRepeats) {
  Headers headers;
  headers.Add("X-B", "1");
  headers.Add("connection", "close");
  headers.Add("x-b", "2");
  EXPECT_EQ(Text(headers), "X-B=1;connection=close;x-b=2;");
  EXPECT_EQ(headers.Get("x-B"), "1");
  EXPECT_EQ(headers.GetAll("X-b").size(), 2u);
  EXPECT_EQ(headers.Get(KnownHeader::kConnection), "close");
  EXPECT_FALSE(headers.Has("y"));
}

TEST(Headers, SetReplacesAllAndKeepsThePlaceOfTheFirst) {
  Headers headers;
  headers.Add("A", "1");
  headers.Add("B", "2");
  headers.Add("a", "3");
  headers.Set("a", "a value that is longer");
  EXPECT_EQ(Text(headers), "A=a value that is longer;B=2;");
  headers.Set(KnownHeader::kXRequestId, "id");
  EXPECT_EQ(headers.Get("X-Request-Id"), "id");
}

TEST(Headers, FindsKnownOnesAfterRemoval) {
  Headers headers;
  headers.Add("a", "1");
  headers.Add("Upgrade", "x");
  headers.Add("x-envoy-foo", "1");
  headers.Add("X-Envoy-Attempt-Count", "1");
  headers.Add("Te", "trailers");
  EXPECT_TRUE(headers.Remove("A"));
  EXPECT_FALSE(headers.Remove("A"));
  EXPECT_TRUE(headers.RemovePrefix("x-envoy-"));
  EXPECT_FALSE(headers.Has(KnownHeader::kXEnvoyAttemptCount));
  EXPECT_EQ(headers.Get(KnownHeader::kTe), "trailers");
  EXPECT_TRUE(headers.Remove(KnownHeader::kUpgrade));
  EXPECT_EQ(Text(headers), "Te=trailers;");
  headers.Clear();
  EXPECT_FALSE(headers.Has(KnownHeader::kTe));
}

TEST(Headers, TakesViewsIntoItself) {
  Headers headers;
  headers.Add("name", std::string(100, 'v'));
  for (int i = 0; i < 10; ++i) headers.Add(headers.at(i).name, headers.at(i).value);
  for (int i = 0; i < 10; ++i) headers.Set("name", *headers.Get("name"));
  EXPECT_EQ(Text(headers), "name=" + std::string(100, 'v') + ";");
}

TEST(RemoveHopByHop, HonoursConnectionButNotForFraming) {
  Headers headers;
  headers.Add("Connection", "keep-alive, X-Private , content-length");
  headers.Add("Keep-Alive", "timeout=5");
  headers.Add("x-private", "1");
  headers.Add("Content-Length", "5");
  headers.Add("TE", "trailers");
  headers.Add("Upgrade", "h2c");
  headers.Add("Proxy-Connection", "keep-alive");
  headers.Add("Transfer-Encoding", "chunked");
  headers.Add("Accept", "*/*");
  RemoveHopByHop(headers);
  EXPECT_EQ(Text(headers), "Content-Length=5;Accept=*/*;");
}

TEST(RequestedUpgrade, NeedsConnectionToSaySo) {
  Headers headers;
  headers.Add("Upgrade", "websocket");
  EXPECT_EQ(RequestedUpgrade(headers), "");
  headers.Add("Connection", "keep-alive, Upgrade");
  EXPECT_EQ(RequestedUpgrade(headers), "websocket");
}

}  // namespace
}  // namespace weft
