#include "proxy/tls/client_hello.h"

#include <openssl/ssl.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string Number(size_t value, size_t bytes) {
  std::string out;
  for (size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::string Vector(size_t length_bytes, absl::string_view body) {
  return absl::StrCat(Number(body.size(), length_bytes), body);
}

std::string Extension(size_t type, absl::string_view body) {
  return absl::StrCat(Number(type, 2), Vector(2, body));
}

std::string ServerName(absl::string_view name) {
  return Extension(0, Vector(2, absl::StrCat(Number(0, 1), Vector(2, name))));
}

std::string Message(absl::string_view extensions) {
  const std::string body =
      absl::StrCat(Number(0x0303, 2), std::string(32, 'r'), Vector(1, ""),
                   Vector(2, Number(0x1301, 2)), Vector(1, Number(0, 1)), Vector(2, extensions));
  return absl::StrCat(Number(1, 1), Vector(3, body));
}

std::string Records(absl::string_view message, size_t record_size) {
  std::string bytes;
  for (; !message.empty(); message.remove_prefix(std::min(record_size, message.size()))) {
    absl::StrAppend(&bytes, Number(22, 1), Number(0x0301, 2),
                    Vector(2, message.substr(0, record_size)));
  }
  return bytes;
}

std::string Hello(absl::string_view extensions) { return Records(Message(extensions), 16 << 10); }

// What BoringSSL's own client sends.
std::string RealHello(const char* name, absl::string_view alpn_wire) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  bssl::UniquePtr<SSL> ssl(SSL_new(context.get()));
  SSL_set_connect_state(ssl.get());
  SSL_set_tlsext_host_name(ssl.get(), name);
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const uint8_t*>(alpn_wire.data()),
                      static_cast<unsigned>(alpn_wire.size()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_do_handshake(ssl.get());
  const uint8_t* data = nullptr;
  size_t size = 0;
  BIO_mem_contents(out, &data, &size);
  return std::string(reinterpret_cast<const char*>(data), size);
}

TEST(ClientHello, ShowsNameAndProtocolsOfARealClient) {
  const ClientHello hello =
      ParseClientHello(RealHello("Outbound_.80_._.Web.Default.svc.cluster.local",
                                 absl::string_view("\x02h2\x08http/1.1", 12)));
  ASSERT_EQ(hello.state, ClientHelloState::kClientHello) << hello.error;
  EXPECT_EQ(hello.server_name, "outbound_.80_._.web.default.svc.cluster.local");
  EXPECT_EQ(hello.alpn, (std::vector<std::string>{"h2", "http/1.1"}));
}

TEST(ClientHello, Row45ArrivesOneByteAtATime) {
  const std::string bytes = RealHello("web", absl::string_view("\x02h2", 3));
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(ParseClientHello(bytes.substr(0, n)).state, ClientHelloState::kNeedMore) << n;
  }
  EXPECT_EQ(ParseClientHello(bytes).server_name, "web");
  EXPECT_EQ(ParseClientHello(bytes + "more").server_name, "web");
}

TEST(ClientHello, Row45IsJoinedAcrossRecords) {
  const std::string message = Message(ServerName("web"));
  for (size_t record : {1, 2, 3, 7, 50}) {
    const ClientHello hello = ParseClientHello(Records(message, record));
    ASSERT_EQ(hello.state, ClientHelloState::kClientHello) << record << hello.error;
    EXPECT_EQ(hello.server_name, "web");
  }
}

TEST(ClientHello, Row45IsBoundedAt16KiB) {
  const std::string padding = Extension(21, std::string(15 << 10, '\0'));
  EXPECT_EQ(ParseClientHello(Hello(padding + ServerName("web"))).server_name, "web");
  const std::string huge = Extension(21, std::string(20 << 10, '\0'));
  EXPECT_EQ(ParseClientHello(Hello(huge).substr(0, 9)).state, ClientHelloState::kInvalid);
  const std::string dribble = Records(Message(padding), 1);
  EXPECT_EQ(ParseClientHello(dribble.substr(0, kMaxSniffedBytes)).state,
            ClientHelloState::kInvalid);
}

TEST(ClientHello, Row46RefusesNamesThatAreNone) {
  const std::string refused[] = {
      ServerName(""),
      ServerName(std::string(256, 'a')),
      ServerName(std::string("a\0b", 3)),
      ServerName("a\nb"),
      ServerName("a b"),
      ServerName("a\xc3\xa9"),
      ServerName("a") + ServerName("b"),
      Extension(
          0, Vector(2, absl::StrCat(Number(0, 1), Vector(2, "a"), Number(0, 1), Vector(2, "b")))),
      Extension(0, ""),
      Extension(0, Vector(2, "")),
  };
  for (const std::string& extensions : refused) {
    const ClientHello hello = ParseClientHello(Hello(extensions));
    EXPECT_EQ(hello.state, ClientHelloState::kInvalid);
    EXPECT_EQ(hello.server_name, "");
  }
}

TEST(ClientHello, Row46AnAddressIsNoName) {
  for (const char* address : {"10.0.0.1", "::1", "fe80::1"}) {
    const ClientHello hello = ParseClientHello(Hello(ServerName(address)));
    EXPECT_EQ(hello.state, ClientHelloState::kClientHello);
    EXPECT_EQ(hello.server_name, "");
  }
}

TEST(ClientHello, OtherProtocolsAreNotTls) {
  for (absl::string_view bytes :
       {"GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", "S", "\x16\x02", "\x80\x2e\x01"}) {
    EXPECT_EQ(ParseClientHello(bytes).state, ClientHelloState::kNotTls) << bytes;
  }
  EXPECT_EQ(ParseClientHello("").state, ClientHelloState::kNeedMore);
  EXPECT_EQ(ParseClientHello("\x16").state, ClientHelloState::kNeedMore);
}

TEST(ClientHello, BrokenTlsIsNeverTakenForPlaintext) {
  const std::string good = Hello(ServerName("web"));
  std::string empty_record = good;
  empty_record[3] = empty_record[4] = 0;
  std::string server_hello = good;
  server_hello[5] = 2;
  std::string bad_length = good;
  bad_length[5 + 4 + 2 + 32] = '\x7f';  // session id longer than the message
  const std::string alert_inside =
      Records(Message(ServerName("web")).substr(0, 10), 10) + std::string("\x15\x03\x01\0\2ab", 7);
  for (const std::string& bytes : {empty_record, server_hello, bad_length, alert_inside,
                                   Hello(Extension(16, "")), Hello("x")}) {
    EXPECT_EQ(ParseClientHello(bytes).state, ClientHelloState::kInvalid);
  }
}

}  // namespace
}  // namespace weft
