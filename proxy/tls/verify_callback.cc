#include "proxy/tls/verify_callback.h"

#include <openssl/pool.h>

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

absl::StatusOr<PeerCertificate> VerifyPeerOf(const SSL* ssl, const TlsContext& context) {
  absl::StatusOr<std::vector<certs::Certificate>> chain = PeerChain(ssl);
  if (!chain.ok()) return chain.status();
  return context.peer_policy()->Verify(*chain, context.Now());
}

}  // namespace

ssl_verify_result_t VerifyPeerCallback(SSL* ssl, uint8_t* alert) {
  auto* state = static_cast<TlsPeerState*>(SSL_get_app_data(ssl));
  absl::StatusOr<PeerCertificate> peer = VerifyPeerOf(ssl, *state->context);
  if (!peer.ok()) {
    state->refusal = std::string(peer.status().message());
    *alert = SSL_AD_BAD_CERTIFICATE;
    return ssl_verify_invalid;
  }
  state->certificate = *std::move(peer);
  return ssl_verify_ok;
}

}  // namespace weft
