// Between BoringSSL's callbacks and a connection: what a handshake learns of its peer.
#ifndef WEFT_PROXY_TLS_VERIFY_CALLBACK_H_
#define WEFT_PROXY_TLS_VERIFY_CALLBACK_H_

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>

#include "proxy/tls/peer_policy.h"

namespace weft {

class TlsContext;

// Hangs on the SSL as its app data, which must outlive it.
struct TlsPeerState {
  std::shared_ptr<const TlsContext> context;
  std::string host;         // what the peer's certificate must be for beside the policy, or ""
  std::string session_key;  // what new sessions are kept by for later connections, or ""
  std::optional<PeerCertificate> certificate;  // once verified
  std::string refusal;                         // why it was not
};

// What `ssl`'s peer sent (or had sent when the session it resumed began), by the policy of
// `context`.
absl::StatusOr<PeerCertificate> VerifyPeerOf(const SSL* ssl, const TlsContext& context,
                                             absl::string_view host);

// For SSL_CTX_set_custom_verify.
ssl_verify_result_t VerifyPeerCallback(SSL* ssl, uint8_t* alert);

}  // namespace weft

#endif  // WEFT_PROXY_TLS_VERIFY_CALLBACK_H_
