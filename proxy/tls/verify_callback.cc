#include "proxy/tls/verify_callback.h"

#include <openssl/pool.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "proxy/tls/tls_context.h"

namespace weft {
namespace {

absl::StatusOr<std::vector<certs::Certificate>> PeerChain(const SSL* ssl) {
  std::vector<certs::Certificate> chain;
  const STACK_OF(CRYPTO_BUFFER)* sent = SSL_get0_peer_certificates(ssl);
  for (size_t i = 0; sent != nullptr && i < sk_CRYPTO_BUFFER_num(sent); ++i) {
    const CRYPTO_BUFFER* one = sk_CRYPTO_BUFFER_value(sent, i);
    absl::StatusOr<certs::Certificate> certificate = certs::Certificate::FromDer(absl::string_view(
        reinterpret_cast<const char*>(CRYPTO_BUFFER_data(one)), CRYPTO_BUFFER_len(one)));
    if (!certificate.ok()) return certificate.status();
    chain.push_back(*std::move(certificate));
  }
  return chain;
}

// A session must not outlive the certificate that it stands for: once that has expired, a full
// handshake is what tells whether there is a new one.
void BoundSession(SSL* ssl, const std::vector<certs::Certificate>& chain, absl::Time now) {
  SSL_SESSION* session = SSL_get_session(ssl);
  if (session == nullptr || chain.empty()) return;
  const int64_t left = absl::ToInt64Seconds(certs::NotAfter(chain[0].x509()) - now);
  const int64_t most = SSL_SESSION_get_timeout(session);
  SSL_SESSION_set_timeout(session, static_cast<uint32_t>(std::clamp<int64_t>(left, 0, most)));
}

}  // namespace

absl::StatusOr<PeerCertificate> VerifyPeerOf(const SSL* ssl, const TlsContext& context,
                                             absl::string_view host) {
  absl::StatusOr<std::vector<certs::Certificate>> chain = PeerChain(ssl);
  if (!chain.ok()) return chain.status();
  return context.peer_policy()->Verify(*chain, context.Now(), host);
}

ssl_verify_result_t VerifyPeerCallback(SSL* ssl, uint8_t* alert) {
  auto* state = static_cast<TlsPeerState*>(SSL_get_app_data(ssl));
  absl::StatusOr<PeerCertificate> peer = VerifyPeerOf(ssl, *state->context, state->host);
  if (!peer.ok()) {
    state->refusal = std::string(peer.status().message());
    *alert = SSL_AD_BAD_CERTIFICATE;
    return ssl_verify_invalid;
  }
  if (SSL_is_server(ssl)) BoundSession(ssl, *PeerChain(ssl), state->context->Now());
  state->certificate = *std::move(peer);
  return ssl_verify_ok;
}

}  // namespace weft
