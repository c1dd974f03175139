#include "proxy/tls/tls_context.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pool.h>

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "certs/certificate.h"
#include "certs/crypto_error.h"
#include "proxy/tls/verify_callback.h"

namespace weft {
namespace {

int RefusePassword(char*, int, int, void*) { return -1; }

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> ReadKey(const std::string& pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, nullptr));
  if (key == nullptr) return certs::CryptoError("TLS private key (PEM)");
  return key;
}

bool IsAddress(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace

// The method without X509: peers' certificates stay bytes, and an idle connection keeps no parsed
// chain (about 10 KiB).
TlsContext::TlsContext() : ssl_ctx_(SSL_CTX_new(TLS_with_buffers_method())) {
  if (ssl_ctx_ == nullptr) std::abort();  // out of memory
  SSL_CTX_set_min_proto_version(ssl_ctx_.get(), TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(ssl_ctx_.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(ssl_ctx_.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_early_data_enabled(ssl_ctx_.get(), 0);
}

absl::Status TlsContext::SetCertificate(const TlsCertificate& certificate) {
  absl::StatusOr<std::vector<certs::Certificate>> chain =
      certs::ParseCertificates(certificate.chain_pem);
  if (!chain.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS certificate chain: ", chain.status().message()));
  }
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key = ReadKey(certificate.key_pem);
  if (!key.ok()) return key.status();
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> owned;
  std::vector<CRYPTO_BUFFER*> buffers;
  for (const certs::Certificate& one : *chain) {
    const std::string der = one.ToDer();
    owned.emplace_back(
        CRYPTO_BUFFER_new(reinterpret_cast<const uint8_t*>(der.data()), der.size(), nullptr));
    buffers.push_back(owned.back().get());
  }
  if (!SSL_CTX_set_chain_and_key(ssl_ctx_.get(), buffers.data(), buffers.size(), key->get(),
                                 nullptr)) {
    return certs::CryptoError("TLS certificate and private key");
  }
  absl::StatusOr<certs::SubjectAltNames> names = certs::ReadSubjectAltNames(chain->front().x509());
  if (names.ok() && !names->uris.empty()) local_uri_ = names->uris[0];
  return absl::OkStatus();
}

absl::StatusOr<std::string> TlsContext::AlpnWire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > 255) {
      return absl::InvalidArgumentError("TLS ALPN: a name must have 1 to 255 bytes");
    }
    wire.push_back(static_cast<char>(name.size()));
    wire += name;
  }
  return wire;
}

absl::StatusOr<std::shared_ptr<const ServerTlsContext>> ServerTlsContext::Create(
    ServerTlsOptions options) {
  std::shared_ptr<ServerTlsContext> context(new ServerTlsContext());
  if (absl::Status status = context->Set(std::move(options)); !status.ok()) return status;
  return context;
}

absl::Status ServerTlsContext::Set(ServerTlsOptions options) {
  clock_ = options.clock;
  if (options.tls13_only) SSL_CTX_set_min_proto_version(ssl_ctx(), TLS1_3_VERSION);
  if (absl::Status status = SetCertificate(options.certificate); !status.ok()) return status;
  if (options.require_client_certificate && !options.client_trust.has_value()) {
    return absl::InvalidArgumentError(
        "TLS: client certificates are required, but nothing says whom to trust");
  }
  if (options.client_trust.has_value()) {
    absl::StatusOr<PeerPolicy> policy =
        PeerPolicy::Create(*std::move(options.client_trust), certs::PeerRole::kClient);
    if (!policy.ok()) return policy.status();
    peer_policy_ = *std::move(policy);
    const int required = options.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_custom_verify(ssl_ctx(), SSL_VERIFY_PEER | required, VerifyPeerCallback);
  }
  absl::StatusOr<std::string> alpn = AlpnWire(options.alpn);
  if (!alpn.ok()) return alpn.status();
  alpn_ = *std::move(alpn);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(ssl_ctx(), SelectAlpn, this);
  return absl::OkStatus();
}

int ServerTlsContext::SelectAlpn(SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
                                 unsigned in_size, void* self) {
  const std::string& ours = static_cast<const ServerTlsContext*>(self)->alpn_;
  uint8_t* selected = nullptr;
  const int found =
      SSL_select_next_proto(&selected, out_size, reinterpret_cast<const uint8_t*>(ours.data()),
                            static_cast<unsigned>(ours.size()), in, in_size);
  *out = selected;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> ClientTlsContext::Create(
    ClientTlsOptions options) {
  std::shared_ptr<ClientTlsContext> context(new ClientTlsContext());
  if (absl::Status status = context->Set(std::move(options)); !status.ok()) return status;
  return context;
}

absl::Status ClientTlsContext::Set(ClientTlsOptions options) {
  clock_ = options.clock;
  if (options.tls13_only) SSL_CTX_set_min_proto_version(ssl_ctx(), TLS1_3_VERSION);
  if (options.certificate.has_value()) {
    if (absl::Status status = SetCertificate(*options.certificate); !status.ok()) return status;
  }
  absl::StatusOr<PeerPolicy> policy =
      PeerPolicy::Create(std::move(options.server_trust), certs::PeerRole::kServer);
  if (!policy.ok()) return policy.status();
  peer_policy_ = *std::move(policy);
  SSL_CTX_set_custom_verify(ssl_ctx(), SSL_VERIFY_PEER, VerifyPeerCallback);
  absl::StatusOr<std::string> alpn = AlpnWire(options.alpn);
  if (!alpn.ok()) return alpn.status();
  states_alpn_ = !alpn->empty();
  // Zero is success here, alone in this library.
  if (!alpn->empty() &&
      SSL_CTX_set_alpn_protos(ssl_ctx(), reinterpret_cast<const uint8_t*>(alpn->data()),
                              static_cast<unsigned>(alpn->size())) != 0) {
    return certs::CryptoError("TLS ALPN");
  }
  if (options.sni.size() > 255) return absl::InvalidArgumentError("TLS SNI: over 255 bytes");
  if (!IsAddress(options.sni)) sni_ = std::move(options.sni);
  return absl::OkStatus();
}

}  // namespace weft
