#include "proxy/net/proxy_protocol.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string Hex(absl::string_view hex) { return absl::HexStringToBytes(hex); }

struct Good {
  std::string bytes;
  int version;
  std::string source;
  std::string destination;
};

std::vector<Good> GoodHeaders() {
  return {
      {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", 1, "192.0.2.1:56324", "198.51.100.7:443"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", 1, "[2001:db8::1]:1",
       "[2001:db8::2]:65535"},
      {"PROXY UNKNOWN\r\n", 1, "unspecified", "unspecified"},
      {"PROXY UNKNOWN ffff:f whatever 1 2\r\n", 1, "unspecified", "unspecified"},
      {kSignature + Hex("2111000cc0000201c6336407dc0401bb"), 2, "192.0.2.1:56324",
       "198.51.100.7:443"},
      // With a TLV of type 0x04 behind the addresses.
      {kSignature + Hex("21110010c0000201c6336407dc0401bb04000100"), 2, "192.0.2.1:56324",
       "198.51.100.7:443"},
      {kSignature + Hex("21210024") + Hex("20010db8000000000000000000000001") +
           Hex("20010db8000000000000000000000002") + Hex("000101bb"),
       2, "[2001:db8::1]:1", "[2001:db8::2]:443"},
      {kSignature + Hex("20000000"), 2, "unspecified", "unspecified"},        // LOCAL
      {kSignature + Hex("20310003aabbcc"), 2, "unspecified", "unspecified"},  // LOCAL, skipped
      {kSignature + Hex("21000000"), 2, "unspecified", "unspecified"},        // UNSPEC
  };
}

TEST(ProxyProtocol, IsTheSameAtEverySplit) {
  for (const Good& good : GoodHeaders()) {
    SCOPED_TRACE(absl::CEscape(good.bytes));
    const std::string stream = good.bytes + "GET / HTTP/1.1\r\n";
    for (size_t size = 0; size < good.bytes.size(); ++size) {
      EXPECT_EQ(ParseProxyHeader(stream.substr(0, size)).state, ProxyHeaderState::kNeedMore)
          << size;
    }
    for (size_t size = good.bytes.size(); size <= stream.size(); ++size) {
      const ProxyHeader header = ParseProxyHeader(stream.substr(0, size));
      ASSERT_EQ(header.state, ProxyHeaderState::kComplete) << size << header.error;
      EXPECT_EQ(header.size, good.bytes.size());
      EXPECT_EQ(header.version, good.version);
      EXPECT_EQ(header.source.ToString(), good.source);
      EXPECT_EQ(header.destination.ToString(), good.destination);
    }
  }
}

TEST(ProxyProtocol, Row68MalformedIsInvalid) {
  const std::string kBad[] = {
      "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 5\r\n",
      "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
      "PROXY TCP4 192.0.2.256 198.51.100.7 1 443\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
      "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
      "PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
      "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
      "PROXY \r\n",
      "PROXY " + std::string(200, 'x'),
      kSignature + Hex("1111000cc0000201c6336407dc0401bb"),  // version 1
      kSignature + Hex("2211000cc0000201c6336407dc0401bb"),  // command 2
      kSignature + Hex("2112000cc0000201c6336407dc0401bb"),  // UDP
      kSignature + Hex("213100d8"),                          // Unix
      kSignature + Hex("2111000bc0000201c6336407dc0401"),    // a byte short
      kSignature + Hex("2121000cc0000201c6336407dc0401bb"),  // IPv6 of IPv4's length
      kSignature + Hex("2111ffff"),                          // 64 KiB
  };
  for (const std::string& bad : kBad) {
    EXPECT_EQ(ParseProxyHeader(bad).state, ProxyHeaderState::kInvalid) << absl::CEscape(bad);
  }
}

TEST(ProxyProtocol, OtherProtocolsHaveNone) {
  const std::string kNone[] = {"GET / HTTP/1.1\r\n", "P U",     "PROXYTCP4",
                               "\x16\x03\x01",       "\r\nGET", "PRI * HTTP/2.0"};
  for (const std::string& other : kNone) {
    EXPECT_EQ(ParseProxyHeader(other).state, ProxyHeaderState::kNone) << absl::CEscape(other);
  }
}

TEST(ProxyProtocol, ReadsWhatItWrites) {
  const char* kPairs[][2] = {{"10.0.0.1:80", "10.0.0.2:81"}, {"[::1]:80", "[::2]:81"}};
  for (const auto& pair : kPairs) {
    for (const int version : {1, 2}) {
      const std::string bytes =
          MakeProxyHeader(version, *Address::Parse(pair[0]), *Address::Parse(pair[1]));
      const ProxyHeader header = ParseProxyHeader(bytes);
      ASSERT_EQ(header.state, ProxyHeaderState::kComplete);
      EXPECT_EQ(header.size, bytes.size());
      EXPECT_EQ(header.source.ToString(), pair[0]);
      EXPECT_EQ(header.destination.ToString(), pair[1]);
    }
  }
  // Addresses of two families, or of none, say nothing.
  const Address v4 = *Address::Parse("10.0.0.1:80");
  EXPECT_EQ(MakeProxyHeader(1, v4, *Address::Parse("[::1]:80")), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(MakeProxyHeader(2, Address(), v4), kSignature + Hex("20000000"));
}

}  // namespace
}  // namespace weft
