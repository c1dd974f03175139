// What a listener or a cluster says about TLS, checked once and then shared: one context serves all
// connections of all workers. Immutable: new certificates or new trust are a new context behind the
// shared_ptr, new handshakes use it, live connections keep the one they began with.
//
// TLS 1.2 and 1.3 (mesh: 1.3 only). No renegotiation, no 0-RTT, and no session tickets: a ticket
// would let a client resume past the trust and listener it was verified under (CVE-2025-23419).
#ifndef WEFT_PROXY_TLS_TLS_CONTEXT_H_
#define WEFT_PROXY_TLS_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proxy/tls/peer_policy.h"

namespace weft {

struct TlsCertificate {
  std::string chain_pem;  // leaf first
  std::string key_pem;    // ECDSA or RSA
};

struct ServerTlsOptions {
  TlsCertificate certificate;
  // Without it no certificate is asked of clients.
  std::optional<PeerTrust> client_trust;
  // Refuse clients that send none. Otherwise one that is sent is still verified.
  bool require_client_certificate = false;
  std::vector<std::string> alpn;  // in order of preference; no overlap: none is negotiated
  bool tls13_only = false;
  absl::Time (*clock)() = &absl::Now;
};

struct ClientTlsOptions {
  std::optional<TlsCertificate> certificate;
  PeerTrust server_trust;
  std::string sni;  // empty, or an IP address: not sent
  std::vector<std::string> alpn;
  bool tls13_only = false;
  absl::Time (*clock)() = &absl::Now;
};

// What both directions share. Use ServerTlsContext and ClientTlsContext.
class TlsContext {
 public:
  SSL_CTX* ssl_ctx() const { return ssl_ctx_.get(); }
  const std::optional<PeerPolicy>& peer_policy() const { return peer_policy_; }
  absl::Time Now() const { return clock_(); }
  // Our own URI SAN: the By= of x-forwarded-client-cert. Empty if there is none.
  const std::string& local_uri() const { return local_uri_; }

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 protected:
  TlsContext();
  ~TlsContext() = default;
  absl::Status SetCertificate(const TlsCertificate& certificate);
  // The wire form of an ALPN list (RFC 7301 section 3.1); an error for empty or overlong names.
  static absl::StatusOr<std::string> AlpnWire(const std::vector<std::string>& names);

  bssl::UniquePtr<SSL_CTX> ssl_ctx_;
  std::optional<PeerPolicy> peer_policy_;
  absl::Time (*clock_)() = &absl::Now;
  std::string local_uri_;
  std::string alpn_;
};

class ServerTlsContext final : public TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const ServerTlsContext>> Create(ServerTlsOptions options);

 private:
  ServerTlsContext() = default;
  absl::Status Set(ServerTlsOptions options);
  static int SelectAlpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
                        unsigned in_size, void* self);
};

class ClientTlsContext final : public TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const ClientTlsContext>> Create(ClientTlsOptions options);
  const std::string& sni() const { return sni_; }
  // Whether the options had an ALPN list.
  bool states_alpn() const { return states_alpn_; }

 private:
  ClientTlsContext() = default;
  absl::Status Set(ClientTlsOptions options);
  std::string sni_;
  bool states_alpn_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_TLS_CONTEXT_H_
