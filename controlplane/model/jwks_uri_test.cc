#include "controlplane/model/jwks_uri.h"

#include <arpa/inet.h>

#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(JwksUri, IsTakenApart) {
  struct {
    const char* uri;
    bool tls;
    const char* host;
    uint16_t port;
    const char* path;
    const char* authority;
  } rows[] = {
      {"https://a.example/keys", true, "a.example", 443, "/keys", "a.example"},
      {"HTTP://a.example", false, "a.example", 80, "/", "a.example"},
      {"https://a.example:8443/k?x=y#z", true, "a.example", 8443, "/k?x=y", "a.example:8443"},
      {"http://idp.auth.svc.cluster.local:80?x", false, "idp.auth.svc.cluster.local", 80, "/?x",
       "idp.auth.svc.cluster.local"},
      {"https://10.0.0.7/keys", true, "10.0.0.7", 443, "/keys", "10.0.0.7"},
      {"https://[2001:db8::7]:444/keys", true, "2001:db8::7", 444, "/keys", "[2001:db8::7]:444"},
  };
  for (const auto& row : rows) {
    const auto uri = ParseJwksUri(row.uri);
    ASSERT_TRUE(uri.ok()) << uri.status();
    EXPECT_EQ(uri->tls, row.tls) << row.uri;
    EXPECT_EQ(uri->host, row.host) << row.uri;
    EXPECT_EQ(uri->port, row.port) << row.uri;
    EXPECT_EQ(uri->path, row.path) << row.uri;
    EXPECT_EQ(uri->authority(), row.authority) << row.uri;
  }
}

TEST(JwksUri, Row65LeadsNeitherHereNorToTheLink) {
  for (const char* uri : {
           "http://localhost/k",
           "http://LOCALHOST./k",
           "http://a.localhost/k",
           "http://ip6-localhost/k",
           "http://localhost.localdomain/k",
           "http://127.0.0.1/k",
           "http://127.9.9.9:8080/k",
           "http://127.1/k",
           "http://2130706433/k",
           "http://0x7f000001/k",
           "http://0x7f.0.0.1/k",
           "http://017700000001/k",
           "http://0.0.0.0/k",
           "http://169.254.169.254/k",
           "http://224.0.0.1/k",
           "http://255.255.255.255/k",
           "http://[::1]/k",
           "http://[::]/k",
           "http://[fe80::1]/k",
           "http://[ff02::1]/k",
           "http://[::ffff:127.0.0.1]/k",
           "http://[::127.0.0.1]/k",
           "http://[64:ff9b::7f00:1]/k",
       }) {
    EXPECT_FALSE(ParseJwksUri(uri).ok()) << uri;
  }
}

TEST(JwksUri, RefusesWhatIsNoSuchUrl) {
  for (const char* uri : {
           "",
           "a.example/keys",
           "ftp://a.example/k",
           "file:///etc/passwd",
           "https://",
           "https:///k",
           "https://a b/k",
           "https://a\\b/k",
           "https://u@a/k",
           "https://u:p@a/k",
           "https://a:0/k",
           "https://a:70000/k",
           "https://a:/k",
           "https://a:b/k",
           "https://[::7/k",
           "https://[a]/k",
           "https://::7/k",
           "https://a..b/k",
           "https://a%2f/k",
           "https://[fe80::1%25eth0]/k",
       }) {
    EXPECT_FALSE(ParseJwksUri(uri).ok()) << uri;
  }
  EXPECT_FALSE(ParseJwksUri("https://a/" + std::string(3000, 'x')).ok());
}

TEST(JwksUri, Row65AddressesAreJudgedAfterResolution) {
  const auto forbidden = [](int family, const char* ip) {
    char bytes[16];
    EXPECT_EQ(::inet_pton(family, ip, bytes), 1) << ip;
    return IsForbiddenJwksAddress({bytes, family == AF_INET ? 4u : 16u});
  };
  for (const char* ip : {"127.0.0.1", "0.0.0.0", "169.254.0.1", "239.1.1.1"}) {
    EXPECT_TRUE(forbidden(AF_INET, ip)) << ip;
  }
  for (const char* ip : {"10.0.0.1", "192.168.1.1", "172.16.0.1", "8.8.8.8", "169.253.0.1"}) {
    EXPECT_FALSE(forbidden(AF_INET, ip)) << ip;
  }
  for (const char* ip : {"::1", "::", "fe80::1", "febf::1", "ff0e::1", "::ffff:169.254.1.1"}) {
    EXPECT_TRUE(forbidden(AF_INET6, ip)) << ip;
  }
  for (const char* ip : {"2001:db8::1", "fd00::1", "::ffff:10.0.0.1", "fec0::1"}) {
    EXPECT_FALSE(forbidden(AF_INET6, ip)) << ip;
  }
  EXPECT_TRUE(IsForbiddenJwksAddress(""));
}

}  // namespace
}  // namespace weft
