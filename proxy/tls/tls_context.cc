#include "proxy/tls/tls_context.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "certs/certificate.h"
#include "certs/crypto_error.h"
#include "certs/digest.h"
#include "proxy/tls/client_sessions.h"
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

// Made on the main thread alone, but a test may have several.
uint64_t NextContextId() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

// A certificate with its key as connections use it, and what it says of its names.
struct CertificateAndKey {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> buffers;
  bssl::UniquePtr<EVP_PKEY> key;
  absl::StatusOr<certs::SubjectAltNames> names;

  std::vector<CRYPTO_BUFFER*> borrowed() const {
    std::vector<CRYPTO_BUFFER*> all;
    for (const auto& buffer : buffers) all.push_back(buffer.get());
    return all;
  }
};

namespace {

absl::StatusOr<std::shared_ptr<const CertificateAndKey>> Parse(const TlsCertificate& certificate) {
  const absl::StatusOr<std::vector<certs::Certificate>> chain =
      certs::ParseCertificates(certificate.chain_pem);
  if (!chain.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS certificate chain: ", chain.status().message()));
  }
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key = ReadKey(certificate.key_pem);
  if (!key.ok()) return key.status();
  auto parsed = std::make_shared<CertificateAndKey>();
  for (const certs::Certificate& one : *chain) {
    const std::string der = one.ToDer();
    parsed->buffers.emplace_back(
        CRYPTO_BUFFER_new(reinterpret_cast<const uint8_t*>(der.data()), der.size(), nullptr));
  }
  parsed->key = *std::move(key);
  parsed->names = certs::ReadSubjectAltNames(chain->front().x509());
  return parsed;
}

// A proxy shows the same certificate to thousands of clusters: it is parsed once for all contexts
// that are there at a time.
absl::StatusOr<std::shared_ptr<const CertificateAndKey>> ParseOnce(
    const TlsCertificate& certificate) {
  using Known = std::map<std::string, std::weak_ptr<const CertificateAndKey>>;
  static absl::Mutex mutex;
  static Known& known = *new Known();
  const std::string digest =
      certs::Sha256Hex(absl::StrCat(certificate.chain_pem, "|", certificate.key_pem));
  const absl::MutexLock lock(&mutex);
  if (const auto found = known.find(digest); found != known.end()) {
    if (auto shared = found->second.lock()) return shared;
  }
  auto parsed = Parse(certificate);
  if (!parsed.ok()) return parsed;
  std::erase_if(known, [](const auto& one) { return one.second.expired(); });
  known[digest] = *parsed;
  return parsed;
}

// The method without X509: peers' certificates stay bytes, and an idle connection keeps no parsed
// chain (about 10 KiB).
bssl::UniquePtr<SSL_CTX> NewSslContext() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_with_buffers_method()));
  if (context == nullptr) std::abort();  // out of memory
  return context;
}

}  // namespace

TlsContext::TlsContext() : id_(NextContextId()), ssl_ctx_(NewSslContext()) {
  SSL_CTX_set_min_proto_version(ssl_ctx_.get(), TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(ssl_ctx_.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(ssl_ctx_.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_early_data_enabled(ssl_ctx_.get(), 0);
}

absl::Status TlsContext::SetParameters(const TlsParameters& parameters) {
  if (parameters.tls12_only) SSL_CTX_set_max_proto_version(ssl_ctx(), TLS1_2_VERSION);
  if (!parameters.cipher_suites.empty() &&
      !SSL_CTX_set_strict_cipher_list(ssl_ctx(), parameters.cipher_suites.c_str())) {
    return certs::CryptoError("TLS cipher suites");
  }
  if (!parameters.curves.empty() &&
      !SSL_CTX_set1_curves_list(ssl_ctx(), parameters.curves.c_str())) {
    return certs::CryptoError("TLS curves");
  }
  if (!parameters.signature_algorithms.empty() &&
      !SSL_CTX_set1_sigalgs_list(ssl_ctx(), parameters.signature_algorithms.c_str())) {
    return certs::CryptoError("TLS signature algorithms");
  }
  return absl::OkStatus();
}

absl::Status TlsContext::SetCertificate(const TlsCertificate& certificate) {
  auto parsed = ParseOnce(certificate);
  if (!parsed.ok()) return parsed.status();
  certificate_ = *std::move(parsed);
  const std::vector<CRYPTO_BUFFER*> buffers = certificate_->borrowed();
  if (!SSL_CTX_set_chain_and_key(ssl_ctx_.get(), buffers.data(), buffers.size(),
                                 certificate_->key.get(), nullptr)) {
    return certs::CryptoError("TLS certificate and private key");
  }
  const auto& names = certificate_->names;
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

// One of several certificates of a context.
struct ServerTlsContext::Choice {
  std::shared_ptr<const CertificateAndKey> certificate;
  std::vector<std::string> names;  // DNS, lower case; "*.example.org" as it is
  bool ecdsa = false;

  // 2 for the very name, 1 by a wildcard, 0 not at all.
  int Fit(absl::string_view server_name) const {
    int fit = 0;
    for (const std::string& name : names) {
      if (name == server_name) return 2;
      const size_t dot = server_name.find('.');
      const bool by_wildcard = absl::StartsWith(name, "*.") && dot != absl::string_view::npos &&
                               server_name.substr(dot) == absl::string_view(name).substr(1);
      if (by_wildcard) fit = 1;
    }
    return fit;
  }
};

ServerTlsContext::ServerTlsContext() = default;
ServerTlsContext::~ServerTlsContext() = default;

absl::Status ServerTlsContext::SetCertificates(const ServerTlsOptions& options) {
  absl::Status status = SetCertificate(options.certificate);
  if (!status.ok() || (options.more_certificates.empty() && !options.require_sni)) return status;
  std::vector<const TlsCertificate*> all = {&options.certificate};
  for (const TlsCertificate& more : options.more_certificates) all.push_back(&more);
  for (const TlsCertificate* one : all) {
    auto parsed = ParseOnce(*one);
    if (!parsed.ok()) return parsed.status();
    auto choice = std::make_unique<Choice>();
    choice->certificate = *std::move(parsed);
    choice->ecdsa = EVP_PKEY_id(choice->certificate->key.get()) == EVP_PKEY_EC;
    const auto& names = choice->certificate->names;
    if (!names.ok()) return names.status();
    for (const std::string& name : names->dns) choice->names.push_back(absl::AsciiStrToLower(name));
    choices_.push_back(std::move(choice));
  }
  require_sni_ = options.require_sni;
  SSL_CTX_set_cert_cb(ssl_ctx(), ChooseCertificate, this);
  return absl::OkStatus();
}

const ServerTlsContext::Choice& ServerTlsContext::Choose(absl::string_view server_name,
                                                         bool ecdsa) const {
  const Choice* best = choices_.front().get();
  int best_rank = -1;
  for (const auto& choice : choices_) {
    if (choice->ecdsa && !ecdsa) continue;
    const int rank = 2 * choice->Fit(server_name) + (choice->ecdsa ? 1 : 0);
    const bool first = choice == choices_.front();
    // Where nothing is for this name, the first one that the client can verify.
    if (rank < 2 && !(best_rank < 0 || first)) continue;
    if (rank <= best_rank) continue;
    best = choice.get();
    best_rank = rank;
  }
  return *best;
}

int ServerTlsContext::ChooseCertificate(SSL* ssl, void* self) {
  const auto* context = static_cast<const ServerTlsContext*>(self);
  const char* sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (sent == nullptr && context->require_sni_) return 0;
  const std::string server_name = absl::AsciiStrToLower(sent == nullptr ? "" : sent);
  const uint16_t* algorithms = nullptr;
  const size_t count = SSL_get0_peer_verify_algorithms(ssl, &algorithms);
  bool ecdsa = false;
  for (size_t i = 0; i < count; ++i) {
    ecdsa = ecdsa || algorithms[i] == SSL_SIGN_ECDSA_SECP256R1_SHA256 ||
            algorithms[i] == SSL_SIGN_ECDSA_SECP384R1_SHA384;
  }
  const Choice& choice = context->Choose(server_name, ecdsa);
  const std::vector<CRYPTO_BUFFER*> buffers = choice.certificate->borrowed();
  return SSL_set_chain_and_key(ssl, buffers.data(), buffers.size(), choice.certificate->key.get(),
                               nullptr);
}

absl::Status ServerTlsContext::SetTickets(const ServerTlsOptions& options) {
  std::string bound = absl::StrCat(options.certificate.chain_pem, "|");
  for (const TlsCertificate& more : options.more_certificates) {
    absl::StrAppend(&bound, more.chain_pem, "|");
  }
  absl::StrAppend(&bound, requires_client_certificate_, "|",
                  peer_policy_.has_value() ? peer_policy_->digest() : "");
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(bound.data()), bound.size(), digest);
  SSL_CTX_set_session_id_context(ssl_ctx(), digest, sizeof(digest));
  if (!options.tickets) return absl::OkStatus();
  SSL_CTX_clear_options(ssl_ctx(), SSL_OP_NO_TICKET);
  // Each resumption brings the next; more would be bytes and sealing that few clients use.
  SSL_CTX_set_num_tickets(ssl_ctx(), 1);
  const auto timeout = static_cast<uint32_t>(absl::ToInt64Seconds(options.session_timeout));
  SSL_CTX_set_timeout(ssl_ctx(), timeout);
  SSL_CTX_set_session_psk_dhe_timeout(ssl_ctx(), timeout);
  ticket_keys_ = options.ticket_keys;
  if (!ticket_keys_.empty()) SSL_CTX_set_tlsext_ticket_key_cb(ssl_ctx(), UseTicketKey);
  return absl::OkStatus();
}

// The first key seals; any of them opens, and what another one sealed is sealed anew.
int ServerTlsContext::UseTicketKey(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                                   HMAC_CTX* hmac, int encrypt) {
  const auto* state = static_cast<const TlsPeerState*>(SSL_get_app_data(ssl));
  const auto* context = static_cast<const ServerTlsContext*>(state->context.get());
  const auto bytes = [](const std::string& text) {
    return reinterpret_cast<const uint8_t*>(text.data());
  };
  if (encrypt == 1) {
    const TicketKey& key = context->ticket_keys_.front();
    std::memcpy(name, key.name.data(), key.name.size());
    RAND_bytes(iv, EVP_MAX_IV_LENGTH);
    const bool set = EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, bytes(key.aes), iv) &&
                     HMAC_Init_ex(hmac, key.hmac.data(), key.hmac.size(), EVP_sha256(), nullptr);
    return set ? 1 : -1;
  }
  for (const TicketKey& key : context->ticket_keys_) {
    if (std::memcmp(name, key.name.data(), key.name.size()) != 0) continue;
    const bool set = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, bytes(key.aes), iv) &&
                     HMAC_Init_ex(hmac, key.hmac.data(), key.hmac.size(), EVP_sha256(), nullptr);
    if (!set) return -1;
    return &key == &context->ticket_keys_.front() ? 1 : 2;
  }
  return 0;
}

absl::Status ServerTlsContext::Set(ServerTlsOptions options) {
  clock_ = options.clock;
  if (options.tls13_only) SSL_CTX_set_min_proto_version(ssl_ctx(), TLS1_3_VERSION);
  if (absl::Status status = SetParameters(options.parameters); !status.ok()) return status;
  if (absl::Status status = SetCertificates(options); !status.ok()) return status;
  requires_client_certificate_ = options.require_client_certificate;
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
  if (absl::Status status = SetTickets(options); !status.ok()) return status;
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
  if (absl::Status status = SetParameters(options.parameters); !status.ok()) return status;
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
  host_as_sni_ = options.host_as_sni;
  verify_sni_ = options.verify_sni;
  max_sessions_ = options.max_sessions;
  if (max_sessions_ == 0) return absl::OkStatus();
  SSL_CTX_clear_options(ssl_ctx(), SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(ssl_ctx(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ssl_ctx(), KeepSession);
  // Whom the server was then is asked again by the policy and the time of now.
  SSL_CTX_set_reverify_on_resume(ssl_ctx(), 1);
  return absl::OkStatus();
}

const std::string& ClientTlsContext::SniFor(const std::string& host) const {
  return host_as_sni_ && !host.empty() && host.size() <= 255 && !IsAddress(host) ? host : sni_;
}

int ClientTlsContext::KeepSession(SSL* ssl, SSL_SESSION* session) {
  const auto* state = static_cast<const TlsPeerState*>(SSL_get_app_data(ssl));
  const auto* context = static_cast<const ClientTlsContext*>(state->context.get());
  if (state->session_key.empty()) return 0;
  ClientSessions::Mine().Put(state->session_key, bssl::UniquePtr<SSL_SESSION>(session),
                             context->max_sessions_);
  return 1;  // the reference is ours
}

}  // namespace weft
