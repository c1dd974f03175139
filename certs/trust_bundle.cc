#include "certs/trust_bundle.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/crypto_error.h"
#include "certs/pem.h"

namespace weft::certs {
namespace {

// A leaf, some intermediates; longer chains only cost the verifier.
constexpr size_t kMaxChain = 8;

absl::Status Refused(absl::string_view why) {
  return absl::UnauthenticatedError(absl::StrCat("peer certificate: ", why));
}

std::string When(absl::Time t) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", t, absl::UTCTimeZone());
}

absl::Status CheckDates(const X509* leaf, absl::Time now) {
  if (now < NotBefore(leaf)) {
    return Refused(absl::StrCat("not yet valid (from ", When(NotBefore(leaf)), ", now ", When(now),
                                "); check the clocks"));
  }
  if (now > NotAfter(leaf)) {
    return Refused(absl::StrCat("expired at ", When(NotAfter(leaf)), " (now ", When(now), ")"));
  }
  return absl::OkStatus();
}

// The one SPIFFE ID of an X.509-SVID leaf (X509-SVID sections 2 and 4).
absl::StatusOr<SpiffeId> IdentityOf(X509* leaf) {
  absl::StatusOr<SubjectAltNames> names = ReadSubjectAltNames(leaf);
  if (!names.ok()) return Refused(names.status().message());
  if (names->uris.empty()) return Refused("no URI subject alternative name");
  if (names->uris.size() > 1) return Refused("several URI subject alternative names");
  absl::StatusOr<SpiffeId> id = SpiffeId::Parse(names->uris[0]);
  if (!id.ok()) return Refused(id.status().message());
  // Some value of X509_check_ca is "maybe"; a leaf has to be a plain no.
  if (X509_check_ca(leaf) != 0) return Refused("a CA certificate used as a leaf");
  return id;
}

bssl::UniquePtr<STACK_OF(X509)> Intermediates(absl::Span<const Certificate> chain) {
  bssl::UniquePtr<STACK_OF(X509)> stack(sk_X509_new_null());
  for (size_t i = 1; stack != nullptr && i < chain.size(); ++i) {
    bssl::UniquePtr<X509> copy = bssl::UpRef(chain[i].x509());
    if (!bssl::PushToStack(stack.get(), std::move(copy))) return nullptr;
  }
  return stack;
}

using Revocations = std::vector<bssl::UniquePtr<X509_CRL>>;

bool SignedBy(X509_CRL* list, X509* root) {
  if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(root)) != 0) return false;
  bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(root));
  const bool verified = key != nullptr && X509_CRL_verify(list, key.get()) == 1;
  ERR_clear_error();
  return verified;
}

bool SignedByAny(X509_CRL* list, absl::Span<const Certificate> roots) {
  for (const Certificate& root : roots) {
    if (SignedBy(list, root.x509())) return true;
  }
  return false;
}

absl::StatusOr<Revocations> ParseRevocations(absl::string_view pem,
                                             absl::Span<const Certificate> roots) {
  bssl::UniquePtr<BIO> bio = ReadBio(pem);
  Revocations lists;
  while (true) {
    bssl::UniquePtr<X509_CRL> list(
        PEM_read_bio_X509_CRL(bio.get(), nullptr, RefusePassword, nullptr));
    if (list == nullptr) break;
    if (!SignedByAny(list.get(), roots)) {
      return absl::InvalidArgumentError("a revocation list is not signed by any of its roots");
    }
    lists.push_back(std::move(list));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) return CryptoError("revocation list (PEM)");
  ERR_clear_error();
  return lists;
}

}  // namespace

absl::StatusOr<bssl::UniquePtr<X509_STORE>> MakeStore(absl::Span<const Certificate> roots) {
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  if (store == nullptr) return absl::ResourceExhaustedError("trust store: out of memory");
  for (const Certificate& root : roots) {
    if (X509_check_ca(root.x509()) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("trusted certificate \"", SubjectOf(root.x509()), "\" is not a CA"));
    }
    if (!X509_STORE_add_cert(store.get(), root.x509())) return CryptoError("trust store");
  }
  return store;
}

absl::Status TrustBundles::Set(absl::string_view trust_domain, absl::string_view roots_pem) {
  if (absl::Status status = CheckTrustDomain(trust_domain); !status.ok()) return status;
  absl::StatusOr<std::vector<Certificate>> roots = ParseCertificates(roots_pem);
  const auto with_context = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat("trust bundle of ", trust_domain, ": ", status.message()));
  };
  if (!roots.ok()) return with_context(roots.status());
  absl::StatusOr<bssl::UniquePtr<X509_STORE>> store = MakeStore(*roots);
  if (!store.ok()) return with_context(store.status());
  absl::StatusOr<Revocations> revocations = ParseRevocations(roots_pem, *roots);
  if (!revocations.ok()) return with_context(revocations.status());
  Bundle& bundle = bundles_[std::string(trust_domain)];
  bundle.pem = std::string(roots_pem);
  bundle.roots = *std::move(roots);
  bundle.revocations = *std::move(revocations);
  bundle.store = *std::move(store);
  return absl::OkStatus();
}

std::vector<std::string> TrustBundles::TrustDomains() const {
  std::vector<std::string> names;
  for (const auto& [name, bundle] : bundles_) names.push_back(name);
  return names;
}

absl::Span<const Certificate> TrustBundles::RootsOf(absl::string_view trust_domain) const {
  auto it = bundles_.find(std::string(trust_domain));
  return it == bundles_.end() ? absl::Span<const Certificate>() : it->second.roots;
}

std::string TrustBundles::PemOf(absl::string_view trust_domain) const {
  auto it = bundles_.find(trust_domain);
  return it == bundles_.end() ? "" : it->second.pem;
}

X509_STORE* TrustBundles::StoreOf(absl::string_view trust_domain) const {
  auto it = bundles_.find(std::string(trust_domain));
  return it == bundles_.end() ? nullptr : it->second.store.get();
}

bool TrustBundles::Revoked(absl::string_view trust_domain, X509* certificate) const {
  auto it = bundles_.find(trust_domain);
  if (it == bundles_.end()) return false;
  for (const bssl::UniquePtr<X509_CRL>& list : it->second.revocations) {
    X509_REVOKED* entry = nullptr;
    const bool same_issuer =
        X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(certificate)) == 0;
    if (same_issuer && X509_CRL_get0_by_cert(list.get(), &entry, certificate) != 0) return true;
  }
  return false;
}

absl::Status VerifyChain(absl::Span<const Certificate> chain, X509_STORE* roots, absl::Time now,
                         PeerRole role) {
  if (chain.empty()) return Refused("none was sent");
  if (chain.size() > kMaxChain) return Refused("chain longer than 8");
  // Checked here and not only below, to tell these two apart from all else that fails a path.
  if (absl::Status dates = CheckDates(chain[0].x509(), now); !dates.ok()) return dates;
  bssl::UniquePtr<STACK_OF(X509)> intermediates = Intermediates(chain);
  bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  if (!intermediates || !context ||
      !X509_STORE_CTX_init(context.get(), roots, chain[0].x509(), intermediates.get())) {
    return Refused(TakeCryptoReason());
  }
  X509_STORE_CTX_set_purpose(
      context.get(), role == PeerRole::kServer ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  X509_STORE_CTX_set_depth(context.get(), kMaxChain);
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(now));
  const bool verified = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (verified) return absl::OkStatus();
  return Refused(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

absl::StatusOr<SpiffeId> VerifyPeer(absl::Span<const Certificate> chain,
                                    const TrustBundles& bundles, absl::Time now, PeerRole role) {
  if (chain.empty()) return Refused("none was sent");
  absl::StatusOr<SpiffeId> id = IdentityOf(chain[0].x509());
  if (!id.ok()) return id;
  X509_STORE* roots = bundles.StoreOf(id->trust_domain);
  if (roots == nullptr) return Refused(absl::StrCat("unknown trust domain ", id->trust_domain));
  absl::Status status = VerifyChain(chain, roots, now, role);
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(status.message(), " (", id->ToString(), ")"));
  }
  // All that came, whether the path that was found uses it or not: who shows a revoked certificate
  // has the key to one.
  for (const Certificate& shown : chain) {
    if (bundles.Revoked(id->trust_domain, shown.x509())) {
      return Refused(absl::StrCat("revoked (", id->ToString(), ")"));
    }
  }
  return id;
}

}  // namespace weft::certs
