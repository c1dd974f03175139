// Begins a TLS handshake as a stranger would, with BoringSSL, and says on standard output how far
// it came: "closed" (no answer), "refused" (something spoke, but did not take the client) or
// "open". Arguments: IPv4 address, port, server name, ALPN protocol or "", "certificate" to present
// one that names a mesh identity but is signed by nobody, or "".
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <string>

namespace {

void PresentForgedCertificate(SSL_CTX* context) {
  EC_KEY* ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
  EC_KEY_generate_key(ec);
  const bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  EVP_PKEY_assign_EC_KEY(key.get(), ec);
  const bssl::UniquePtr<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  const bssl::UniquePtr<X509_EXTENSION> name(
      X509V3_EXT_nconf_nid(nullptr, nullptr, NID_subject_alt_name,
                           "critical,URI:spiffe://east.weft/ns/default/sa/curl"));
  X509_add_ext(certificate.get(), name.get(), -1);
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    fprintf(stderr, "knock: the forged certificate is not usable\n");
    exit(1);
  }
}

int Connect(const char* address, int port) {
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address, &to.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  timeval patience = {5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) return fd;
  perror("knock: connect");
  exit(1);
}

std::string WireAlpn(const std::string& protocol) {
  return protocol.empty() ? "" : static_cast<char>(protocol.size()) + protocol;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  signal(SIGPIPE, SIG_IGN);
  const bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_PEER,
                            [](SSL*, uint8_t*) { return ssl_verify_ok; });
  if (strcmp(argv[5], "certificate") == 0) PresentForgedCertificate(context.get());
  const bssl::UniquePtr<SSL> owned(SSL_new(context.get()));
  SSL* ssl = owned.get();
  const std::string alpn = WireAlpn(argv[4]);
  SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t*>(alpn.data()), alpn.size());
  SSL_set_tlsext_host_name(ssl, argv[3]);
  SSL_set_fd(ssl, Connect(argv[1], atoi(argv[2])));
  bool shaken = SSL_connect(ssl) == 1;
  // Any byte counts, TLS or not.
  bool answered = BIO_number_read(SSL_get_rbio(ssl)) > 0;
  bool open = false;
  if (shaken) {
    // In TLS 1.3 the server judges the client's certificate after the client's part is done: only
    // its first byte shows what it found (RFC 8446 section 4.4.2.4).
    const char request[] = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    SSL_write(ssl, request, sizeof(request) - 1);
    char byte;
    open = SSL_read(ssl, &byte, 1) == 1;
  }
  puts(open ? "open" : answered ? "refused" : "closed");
  return 0;
}
