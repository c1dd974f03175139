#include "proxy/http/sniff.h"

#include <string>

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(SniffHttp, TellsVersionsApartAtEverySplit) {
  struct Case {
    std::string bytes;
    SniffedHttp is;
  };
  const Case kCases[] = {
      {"GET / HTTP/1.1\r\n", SniffedHttp::kHttp11},
      {"M-SEARCH * HTTP/1.0\r\n", SniffedHttp::kHttp10},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SniffedHttp::kHttp2},
      {"PRINT / HTTP/1.1\r\n", SniffedHttp::kHttp11},
  };
  for (const Case& one : kCases) {
    for (size_t size = 0; size < one.bytes.size(); ++size) {
      EXPECT_EQ(SniffHttp(absl::string_view(one.bytes).substr(0, size)), SniffedHttp::kNeedMore)
          << one.bytes << size;
    }
    EXPECT_EQ(SniffHttp(one.bytes), one.is);
    EXPECT_EQ(SniffHttp(one.bytes + "more\n"), one.is);
  }
}

TEST(SniffHttp, OtherProtocolsAreNot) {
  const std::string kOthers[] = {
      "\x16\x03\x01",  "GET /\n",    "GET / HTTP/2.0\r\n",  "GET / HTTP/1.1\n",
      "SSH-2.0-x\r\n", "EHLO x\r\n", std::string(100, 'A'), "GET " + std::string(17000, 'a')};
  for (const std::string& other : kOthers) {
    EXPECT_EQ(SniffHttp(other), SniffedHttp::kNotHttp) << other.substr(0, 20);
  }
}

}  // namespace
}  // namespace weft
