#include "certs/issuer.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "certs/crypto_error.h"
#include "certs/pem.h"
#include "certs/san.h"

namespace weft::certs {
namespace {

// What the calls below can fail of is memory, not input; one status serves them all.
absl::Status Failed(absl::string_view what) {
  return absl::InternalError(CryptoError(absl::StrCat("issuing: ", what)).message());
}

// 127 random bits: positive, and unique without a counter to keep.
bool SetRandomSerial(X509* x509) {
  uint8_t bytes[16];
  RAND_bytes(bytes, sizeof(bytes));
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes, sizeof(bytes), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr;
}

bool SetValidity(X509* x509, absl::Time from, absl::Time to) {
  return ASN1_TIME_set(X509_getm_notBefore(x509), absl::ToTimeT(from)) &&
         ASN1_TIME_set(X509_getm_notAfter(x509), absl::ToTimeT(to));
}

bool AddExtension(X509* x509, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(x509, extension.get(), -1);
}

bool AddUriSan(X509* x509, absl::string_view uri, bool critical) {
  bssl::UniquePtr<X509_EXTENSION> extension = MakeUriSan(uri, critical);
  return X509_add_ext(x509, extension.get(), -1);
}

bool AddNamePart(X509_NAME* name, const char* part, absl::string_view value) {
  return X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0);
}

// RFC 5280 limits a common name to 64 characters; the whole trust domain is in the URI SAN.
bool SetRootName(X509* x509, absl::string_view trust_domain) {
  bssl::UniquePtr<X509_NAME> name(X509_NAME_new());
  return name && AddNamePart(name.get(), "O", "weft") &&
         AddNamePart(name.get(), "CN", trust_domain.substr(0, 64)) &&
         X509_set_subject_name(x509, name.get()) && X509_set_issuer_name(x509, name.get());
}

bssl::UniquePtr<X509> BuildRoot(const PrivateKey& key, absl::string_view trust_domain,
                                absl::Time now) {
  bssl::UniquePtr<X509> root(X509_new());
  X509* x = root.get();
  const bool built = x != nullptr && X509_set_version(x, X509_VERSION_3) && SetRandomSerial(x) &&
                     SetRootName(x, trust_domain) &&
                     SetValidity(x, now - kBackdate, now + kRootValidity) &&
                     X509_set_pubkey(x, key.evp()) &&
                     AddExtension(x, x, NID_basic_constraints, "critical,CA:TRUE") &&
                     AddExtension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                     AddExtension(x, x, NID_subject_key_identifier, "hash") &&
                     AddUriSan(x, TrustDomainUri(trust_domain), /*critical=*/false) &&
                     X509_sign(x, key.evp(), EVP_sha256()) != 0;
  return built ? std::move(root) : nullptr;
}

// A name of its own, by its serial number: certificates that share a subject would be tried for
// each other.
bool SetIntermediateName(X509* x509, absl::string_view trust_domain) {
  bssl::UniquePtr<BIGNUM> serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  bssl::UniquePtr<char> hex(serial == nullptr ? nullptr : BN_bn2hex(serial.get()));
  bssl::UniquePtr<X509_NAME> name(X509_NAME_new());
  return hex != nullptr && name != nullptr && AddNamePart(name.get(), "O", "weft") &&
         AddNamePart(name.get(), "CN", trust_domain.substr(0, 64)) &&
         AddNamePart(name.get(), "serialNumber", hex.get()) &&
         X509_set_subject_name(x509, name.get());
}

bssl::UniquePtr<X509> BuildIntermediate(const PrivateKey& key, absl::string_view trust_domain,
                                        X509* issuer, const SigningKey& issuer_key,
                                        absl::Time now) {
  bssl::UniquePtr<X509> made(X509_new());
  X509* x = made.get();
  const absl::Time end = std::min(now + kIntermediateValidity, NotAfter(issuer));
  const bool built = x != nullptr && X509_set_version(x, X509_VERSION_3) && SetRandomSerial(x) &&
                     SetIntermediateName(x, trust_domain) &&
                     X509_set_issuer_name(x, X509_get_subject_name(issuer)) &&
                     SetValidity(x, now - kBackdate, end) && X509_set_pubkey(x, key.evp()) &&
                     AddExtension(x, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                     AddExtension(x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                     AddExtension(x, issuer, NID_subject_key_identifier, "hash") &&
                     AddExtension(x, issuer, NID_authority_key_identifier, "keyid") &&
                     X509_sign(x, issuer_key.evp(), EVP_sha256()) != 0;
  return built ? std::move(made) : nullptr;
}

bool AddRevoked(X509_CRL* list, const X509* revoked, const ASN1_TIME* when) {
  bssl::UniquePtr<X509_REVOKED> entry(X509_REVOKED_new());
  return entry != nullptr &&
         X509_REVOKED_set_serialNumber(entry.get(), X509_get0_serialNumber(revoked)) &&
         X509_REVOKED_set_revocationDate(entry.get(), when) &&
         X509_CRL_add0_revoked(list, entry.release());
}

bool AddLeafExtensions(X509* leaf, X509* issuer, const char* usage, X509_EXTENSION* names) {
  return AddExtension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         AddExtension(leaf, issuer, NID_key_usage, "critical,digitalSignature") &&
         AddExtension(leaf, issuer, NID_ext_key_usage, usage) &&
         AddExtension(leaf, issuer, NID_authority_key_identifier, "keyid") &&
         X509_add_ext(leaf, names, -1);
}

absl::StatusOr<std::string> TrustDomainOf(const Certificate& root) {
  absl::StatusOr<SubjectAltNames> names = ReadSubjectAltNames(root.x509());
  if (!names.ok()) return names.status();
  absl::string_view name = names->uris.size() == 1 ? absl::string_view(names->uris[0]) : "";
  if (!absl::ConsumePrefix(&name, "spiffe://") || !CheckTrustDomain(name).ok()) {
    return absl::InvalidArgumentError("root certificate: needs one URI SAN spiffe://TRUST-DOMAIN");
  }
  return std::string(name);
}

}  // namespace

Issuer::Issuer(std::string trust_domain, std::vector<Certificate> chain, SigningKey key)
    : trust_domain_(std::move(trust_domain)), chain_(std::move(chain)), key_(std::move(key)) {}

absl::StatusOr<Issuer> Issuer::CreateRoot(absl::string_view trust_domain, absl::Time now) {
  if (absl::Status status = CheckTrustDomain(trust_domain); !status.ok()) return status;
  PrivateKey key = PrivateKey::Generate();
  bssl::UniquePtr<X509> root = BuildRoot(key, trust_domain, now);
  if (root == nullptr) return Failed("root certificate");
  std::vector<Certificate> chain;
  chain.emplace_back(std::move(root));
  return Issuer(std::string(trust_domain), std::move(chain), SigningKey(std::move(key)));
}

absl::StatusOr<Issuer> Issuer::FromPem(absl::string_view chain_pem, absl::string_view key_pem) {
  absl::StatusOr<std::vector<Certificate>> chain = ParseCertificates(chain_pem);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<std::string> trust_domain = TrustDomainOf(chain->back());
  if (!trust_domain.ok()) return trust_domain.status();
  return FromPem(chain_pem, key_pem, *trust_domain);
}

absl::StatusOr<Issuer> Issuer::FromPem(absl::string_view chain_pem, absl::string_view key_pem,
                                       absl::string_view trust_domain) {
  absl::StatusOr<std::vector<Certificate>> chain = ParseCertificates(chain_pem);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<SigningKey> key = SigningKey::FromPem(key_pem);
  if (!key.ok()) return key.status();
  X509* signer = chain->front().x509();
  if (!X509_check_private_key(signer, key->evp())) {
    ERR_clear_error();
    return absl::InvalidArgumentError("CA certificate and private key do not belong together");
  }
  if (X509_check_ca(signer) != 1) return absl::InvalidArgumentError("CA certificate: not a CA");
  return Issuer(std::string(trust_domain), *std::move(chain), *std::move(key));
}

absl::Time Issuer::End() const {
  absl::Time end = absl::InfiniteFuture();
  for (const Certificate& one : chain_) end = std::min(end, NotAfter(one.x509()));
  return end;
}

absl::StatusOr<std::vector<std::string>> Issuer::Issue(const PublicKey& key, const SpiffeId& id,
                                                       absl::Duration validity,
                                                       absl::Time now) const {
  if (id.trust_domain != trust_domain_) {
    return absl::PermissionDeniedError(absl::StrCat("issuer of trust domain ", trust_domain_,
                                                    " does not sign for ", id.ToString()));
  }
  // The subject is empty, so the names are critical (RFC 5280 section 4.2.1.6).
  return Sign(key, "serverAuth,clientAuth", MakeUriSan(id.ToString(), /*critical=*/true), validity,
              now);
}

absl::StatusOr<std::vector<std::string>> Issuer::IssueForNames(
    const PublicKey& key, const std::vector<std::string>& dns_names, absl::Duration validity,
    absl::Time now) const {
  return Sign(key, "serverAuth", MakeDnsSan(dns_names, /*critical=*/true), validity, now);
}

absl::StatusOr<std::vector<std::string>> Issuer::Sign(const PublicKey& key, const char* usage,
                                                      bssl::UniquePtr<X509_EXTENSION> names,
                                                      absl::Duration validity,
                                                      absl::Time now) const {
  X509* issuer = chain_.front().x509();
  const absl::Time issuer_end = End();
  if (issuer_end <= now) {
    return absl::FailedPreconditionError(
        absl::StrCat("the CA certificate of ", trust_domain_, " expired at ",
                     absl::FormatTime(issuer_end, absl::UTCTimeZone())));
  }
  bssl::UniquePtr<X509> leaf(X509_new());
  X509* x = leaf.get();
  const bool built = x != nullptr && X509_set_version(x, X509_VERSION_3) && SetRandomSerial(x) &&
                     X509_set_issuer_name(x, X509_get_subject_name(issuer)) &&
                     SetValidity(x, now - kBackdate, std::min(now + validity, issuer_end)) &&
                     X509_set_pubkey(x, key.evp()) &&
                     AddLeafExtensions(x, issuer, usage, names.get()) &&
                     X509_sign(x, key_.evp(), EVP_sha256()) != 0;
  if (!built) return Failed("a leaf certificate");
  std::vector<std::string> pems;
  pems.push_back(Certificate(std::move(leaf)).ToPem());
  for (size_t i = 0; i + 1 < chain_.size(); ++i) pems.push_back(chain_[i].ToPem());
  return pems;
}

absl::StatusOr<Issuer> Issuer::CreateIntermediate(absl::Time now) const {
  X509* issuer = chain_.front().x509();
  if (NotAfter(issuer) <= now) {
    return absl::FailedPreconditionError(
        absl::StrCat("the CA certificate of ", trust_domain_, " has expired"));
  }
  if (X509_get_pathlen(issuer) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the CA certificate of ", trust_domain_,
                     " may not sign another one (pathlen 0); a new one has to come from where it "
                     "came from"));
  }
  PrivateKey key = PrivateKey::Generate();
  bssl::UniquePtr<X509> made = BuildIntermediate(key, trust_domain_, issuer, key_, now);
  if (made == nullptr) return Failed("an intermediate certificate");
  std::vector<Certificate> chain;
  chain.emplace_back(std::move(made));
  chain.insert(chain.end(), chain_.begin(), chain_.end());
  return Issuer(trust_domain_, std::move(chain), SigningKey(std::move(key)));
}

absl::StatusOr<std::string> Issuer::Revoke(const std::vector<Certificate>& revoked,
                                           absl::Time now) const {
  bssl::UniquePtr<ASN1_TIME> when(ASN1_TIME_set(nullptr, absl::ToTimeT(now)));
  bssl::UniquePtr<X509_CRL> list(X509_CRL_new());
  bool made = when != nullptr && list != nullptr &&
              X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) &&
              X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(chain_.front().x509())) &&
              X509_CRL_set1_lastUpdate(list.get(), when.get());
  for (const Certificate& one : revoked) {
    made = made && AddRevoked(list.get(), one.x509(), when.get());
  }
  made = made && X509_CRL_sort(list.get()) && X509_CRL_sign(list.get(), key_.evp(), EVP_sha256());
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  if (!made || bio == nullptr || !PEM_write_bio_X509_CRL(bio.get(), list.get())) {
    return Failed("a revocation list");
  }
  return TakeText(bio.get());
}

std::string Issuer::ChainPem() const {
  std::string pem;
  for (const Certificate& certificate : chain_) pem += certificate.ToPem();
  return pem;
}

}  // namespace weft::certs
