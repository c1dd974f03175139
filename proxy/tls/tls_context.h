// What a listener or a cluster says about TLS, checked once and then shared: one context serves all
// connections of all workers. Immutable: new certificates or new trust are a new context behind the
// shared_ptr, new handshakes use it, live connections keep the one they began with.
//
// TLS 1.2 and 1.3 (mesh: 1.3 only). No renegotiation, no 0-RTT.
//
// Sessions resume by tickets only; no server keeps state. A ticket is good for the context that
// gave it, and no other: its keys are the context's own, so another listener, another certificate
// or another trust (each of which is another context) cannot read it (CVE-2025-23419). Keys from
// config (session_ticket_keys), which several proxies share, are bound by the session id context,
// a hash of certificate, trust, and whether clients must show one. A resumed client's certificate
// is verified again, as the policy and the time are then.
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

// What may be negotiated; empty: BoringSSL's defaults.
struct TlsParameters {
  bool tls12_only = false;
  std::string cipher_suites;  // of TLS 1.2, as BoringSSL reads them
  std::string curves;
  std::string signature_algorithms;
};

// A key for session tickets: 80 bytes: name, HMAC-SHA256 key, AES-256 key.
struct TicketKey {
  static constexpr size_t kSize = 16 + 32 + 32;
  std::string name;
  std::string hmac;
  std::string aes;
};

struct ServerTlsOptions {
  TlsCertificate certificate;
  // For other server names, or other algorithms: by the client's SNI, ECDSA before RSA; the first
  // where none is for it.
  std::vector<TlsCertificate> more_certificates;
  // Without it no certificate is asked of clients.
  std::optional<PeerTrust> client_trust;
  // Refuse clients that send none. Otherwise one that is sent is still verified.
  bool require_client_certificate = false;
  std::vector<std::string> alpn;  // in order of preference; no overlap: none is negotiated
  bool tls13_only = false;
  TlsParameters parameters;
  bool tickets = true;
  std::vector<TicketKey> ticket_keys;  // the first is given out, all are taken; none: our own
  absl::Duration session_timeout = absl::Hours(2);
  bool require_sni = false;
  absl::Time (*clock)() = &absl::Now;
};

struct ClientTlsOptions {
  std::optional<TlsCertificate> certificate;
  PeerTrust server_trust;
  std::string sni;  // empty, or an IP address: not sent
  std::vector<std::string> alpn;
  bool tls13_only = false;
  TlsParameters parameters;
  uint32_t max_sessions = 1;  // kept by each thread for a server to resume; 0: none
  bool host_as_sni = false;   // the endpoint's host name instead of `sni`
  bool verify_sni = false;    // the certificate must be for the name that was sent
  absl::Time (*clock)() = &absl::Now;
};

struct CertificateAndKey;

// What both directions share. Use ServerTlsContext and ClientTlsContext.
class TlsContext {
 public:
  SSL_CTX* ssl_ctx() const { return ssl_ctx_.get(); }
  const std::optional<PeerPolicy>& peer_policy() const { return peer_policy_; }
  absl::Time Now() const { return clock_(); }
  // No other context of this process has it, not even one at the same address.
  uint64_t id() const { return id_; }
  // Our own URI SAN: the By= of x-forwarded-client-cert. Empty if there is none.
  const std::string& local_uri() const { return local_uri_; }

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

 protected:
  TlsContext();
  ~TlsContext() = default;
  absl::Status SetCertificate(const TlsCertificate& certificate);
  absl::Status SetParameters(const TlsParameters& parameters);
  // The wire form of an ALPN list (RFC 7301 section 3.1); an error for empty or overlong names.
  static absl::StatusOr<std::string> AlpnWire(const std::vector<std::string>& names);

  const uint64_t id_;
  bssl::UniquePtr<SSL_CTX> ssl_ctx_;
  std::shared_ptr<const CertificateAndKey> certificate_;  // shared with other contexts
  std::optional<PeerPolicy> peer_policy_;
  absl::Time (*clock_)() = &absl::Now;
  std::string local_uri_;
  std::string alpn_;
};

class ServerTlsContext final : public TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const ServerTlsContext>> Create(ServerTlsOptions options);
  ~ServerTlsContext();
  bool requires_client_certificate() const { return requires_client_certificate_; }

 private:
  struct Choice;  // one of several certificates

  ServerTlsContext();
  absl::Status Set(ServerTlsOptions options);
  absl::Status SetCertificates(const ServerTlsOptions& options);
  absl::Status SetTickets(const ServerTlsOptions& options);
  const Choice& Choose(absl::string_view server_name, bool ecdsa) const;
  static int ChooseCertificate(SSL* ssl, void* self);
  static int UseTicketKey(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                          HMAC_CTX* hmac, int encrypt);
  static int SelectAlpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
                        unsigned in_size, void* self);

  bool requires_client_certificate_ = false;
  bool require_sni_ = false;
  std::vector<std::unique_ptr<Choice>> choices_;  // none, if there is one certificate
  std::vector<TicketKey> ticket_keys_;
};

class ClientTlsContext final : public TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const ClientTlsContext>> Create(ClientTlsOptions options);
  // The server name to send to the endpoint `host` ("" if it has no name); "" for none.
  const std::string& SniFor(const std::string& host) const;
  bool verify_sni() const { return verify_sni_; }
  uint32_t max_sessions() const { return max_sessions_; }
  // Whether the options had an ALPN list.
  bool states_alpn() const { return states_alpn_; }

 private:
  ClientTlsContext() = default;
  absl::Status Set(ClientTlsOptions options);
  static int KeepSession(SSL* ssl, SSL_SESSION* session);
  std::string sni_;
  bool states_alpn_ = false;
  bool host_as_sni_ = false;
  bool verify_sni_ = false;
  uint32_t max_sessions_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_TLS_CONTEXT_H_
