#include "proxy/tls/peer_policy.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

bool Matches(const SanMatch& match, absl::string_view name) {
  if (match.kind == SanMatch::Kind::kRegex)
    return RE2::FullMatch({name.data(), name.size()}, *match.regex);
  const std::string lower = match.ignore_case ? absl::AsciiStrToLower(name) : "";
  if (match.ignore_case) name = lower;
  const std::string value = match.ignore_case ? absl::AsciiStrToLower(match.value) : match.value;
  switch (match.kind) {
    case SanMatch::Kind::kExact:
      return name == value;
    case SanMatch::Kind::kPrefix:
      return absl::StartsWith(name, value);
    case SanMatch::Kind::kSuffix:
      return absl::EndsWith(name, value);
    case SanMatch::Kind::kContains:
      return absl::StrContains(name, value);
    case SanMatch::Kind::kRegex:
      break;
  }
  return false;
}

// "*.example.org" in a certificate stands for one more label (RFC 6125 section 6.4.3).
bool MatchesWildcard(const SanMatch& match, absl::string_view name) {
  if (match.type != SanMatch::Type::kDns || match.kind != SanMatch::Kind::kExact) return false;
  if (!absl::StartsWith(name, "*.")) return false;
  const size_t dot = match.value.find('.');
  return dot != std::string::npos && dot > 0 &&
         absl::EqualsIgnoreCase(absl::string_view(match.value).substr(dot), name.substr(1));
}

bool MatchesAny(const SanMatch& match, SanMatch::Type type, const std::vector<std::string>& names) {
  if (match.type != SanMatch::Type::kAny && match.type != type) return false;
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return Matches(match, name) || MatchesWildcard(match, name);
  });
}

bool MatchesNames(const SanMatch& match, const certs::SubjectAltNames& names) {
  return MatchesAny(match, SanMatch::Type::kUri, names.uris) ||
         MatchesAny(match, SanMatch::Type::kDns, names.dns) ||
         MatchesAny(match, SanMatch::Type::kIp, names.ips);
}

bool IsFor(X509* leaf, const std::string& host) {
  if (X509_check_ip_asc(leaf, host.c_str(), 0) == 1) return true;
  constexpr unsigned kFlags =
      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
  return X509_check_host(leaf, host.data(), host.size(), kFlags, nullptr) == 1;
}

std::string Shown(const certs::SubjectAltNames& names) {
  return absl::StrJoin({absl::StrJoin(names.uris, " "), absl::StrJoin(names.dns, " "),
                        absl::StrJoin(names.ips, " ")},
                       " ");
}

// Base64 of the SHA-256 of the public key with its algorithm (SubjectPublicKeyInfo).
std::string KeyHash(const X509* leaf) {
  uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
  if (size <= 0) return "";
  const bssl::UniquePtr<uint8_t> owned(der);
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(der, static_cast<size_t>(size), reinterpret_cast<uint8_t*>(digest.data()));
  return absl::Base64Escape(digest);
}

absl::Status AddRevocations(const PeerTrust& trust, X509_STORE* store) {
  const bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(trust.crl_pem.data(), static_cast<int>(trust.crl_pem.size())));
  int lists = 0;
  while (true) {
    const bssl::UniquePtr<X509_CRL> list(
        PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (list == nullptr) break;
    if (!X509_STORE_add_crl(store, list.get())) break;
    ++lists;
  }
  ERR_clear_error();
  if (lists == 0) return absl::InvalidArgumentError("TLS revocation list: none in the PEM text");
  const unsigned long leaf_only = X509_V_FLAG_CRL_CHECK;
  X509_STORE_set_flags(store,
                       trust.crl_of_leaf_only ? leaf_only : leaf_only | X509_V_FLAG_CRL_CHECK_ALL);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PeerPolicy> PeerPolicy::Create(PeerTrust trust, certs::PeerRole peer_role) {
  const int set = (trust.bundles != nullptr) + !trust.ca_pem.empty() + trust.accept_anyone;
  const bool pinned = !trust.certificate_hashes.empty() || !trust.key_hashes.empty();
  if (set != 1 && !(set == 0 && pinned)) {
    return absl::InvalidArgumentError(
        "TLS peer trust: give exactly one of trust bundles, CA certificates, accept_anyone");
  }
  PeerPolicy policy;
  policy.peer_role_ = peer_role;
  if (!trust.ca_pem.empty()) {
    absl::StatusOr<std::vector<certs::Certificate>> roots = certs::ParseCertificates(trust.ca_pem);
    if (!roots.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("TLS trusted CA: ", roots.status().message()));
    }
    absl::StatusOr<bssl::UniquePtr<X509_STORE>> store = certs::MakeStore(*roots);
    if (!store.ok()) return store.status();
    policy.roots_ = *std::move(store);
  }
  if (!trust.crl_pem.empty()) {
    if (policy.roots_ == nullptr) {
      return absl::InvalidArgumentError("TLS revocation lists need CA certificates beside them");
    }
    absl::Status status = AddRevocations(trust, policy.roots_.get());
    if (!status.ok()) return status;
  }
  policy.trust_ = std::move(trust);
  policy.digest_ = policy.MakeDigest();
  return policy;
}

absl::StatusOr<std::optional<certs::SpiffeId>> PeerPolicy::VerifyTrust(
    absl::Span<const certs::Certificate> chain, absl::Time now) const {
  if (trust_.accept_anyone) return std::nullopt;
  if (trust_.bundles == nullptr && roots_ == nullptr) return std::nullopt;  // pins alone
  if (trust_.bundles == nullptr) {
    absl::Status status = certs::VerifyChain(chain, roots_.get(), now, peer_role_);
    if (!status.ok()) return status;
    return std::nullopt;
  }
  absl::StatusOr<certs::SpiffeId> id = certs::VerifyPeer(chain, *trust_.bundles, now, peer_role_);
  if (!id.ok()) return id.status();
  return std::optional<certs::SpiffeId>(*std::move(id));
}

absl::Status PeerPolicy::VerifyPins(const certs::Certificate& leaf) const {
  if (trust_.certificate_hashes.empty() && trust_.key_hashes.empty()) return absl::OkStatus();
  if (absl::c_linear_search(trust_.certificate_hashes, certs::Sha256Hex(leaf.x509()))) {
    return absl::OkStatus();
  }
  if (absl::c_linear_search(trust_.key_hashes, KeyHash(leaf.x509()))) return absl::OkStatus();
  return absl::UnauthenticatedError("peer certificate: is none of those that are pinned");
}

absl::Status PeerPolicy::VerifyNames(const certs::Certificate& leaf,
                                     const certs::SubjectAltNames& names,
                                     absl::string_view host) const {
  for (const absl::string_view wanted : {absl::string_view(trust_.verify_host), host}) {
    if (wanted.empty() || IsFor(leaf.x509(), std::string(wanted))) continue;
    return absl::UnauthenticatedError(
        absl::StrCat("peer certificate: not for ", wanted, " (", Shown(names), ")"));
  }
  if (trust_.accept_anyone) return absl::OkStatus();
  if (trust_.sans.empty()) return absl::OkStatus();
  for (const SanMatch& match : trust_.sans) {
    if (MatchesNames(match, names)) return absl::OkStatus();
  }
  return absl::UnauthenticatedError(
      absl::StrCat("peer certificate: no required name among ", Shown(names)));
}

absl::StatusOr<PeerCertificate> PeerPolicy::Verify(absl::Span<const certs::Certificate> chain,
                                                   absl::Time now, absl::string_view host) const {
  if (chain.empty()) return absl::UnauthenticatedError("peer certificate: none was sent");
  absl::StatusOr<std::optional<certs::SpiffeId>> id = VerifyTrust(chain, now);
  if (!id.ok()) return id.status();
  const X509* leaf = chain[0].x509();
  absl::StatusOr<certs::SubjectAltNames> names = certs::ReadSubjectAltNames(leaf);
  if (!names.ok()) return absl::UnauthenticatedError(names.status().message());
  if (absl::Status status = VerifyNames(chain[0], *names, host); !status.ok()) return status;
  if (absl::Status status = VerifyPins(chain[0]); !status.ok()) return status;
  PeerCertificate peer;
  peer.id = *std::move(id);
  peer.names = *std::move(names);
  peer.subject = certs::SubjectOf(leaf);
  peer.sha256 = certs::Sha256Hex(leaf);
  peer.issuer_key_id = certs::AuthorityKeyId(leaf);
  return peer;
}

std::string PeerPolicy::MakeDigest() const {
  std::string all = absl::StrCat(
      trust_.ca_pem, "|", trust_.verify_host, "|", trust_.crl_pem, "|", trust_.crl_of_leaf_only,
      trust_.accept_anyone, peer_role_ == certs::PeerRole::kServer, "|",
      absl::StrJoin(trust_.certificate_hashes, ","), "|", absl::StrJoin(trust_.key_hashes, ","));
  for (const SanMatch& match : trust_.sans) {
    absl::StrAppend(&all, "|", static_cast<int>(match.type), static_cast<int>(match.kind),
                    match.ignore_case, match.value);
  }
  if (trust_.bundles != nullptr) {
    for (const std::string& domain : trust_.bundles->TrustDomains()) {
      absl::StrAppend(&all, "|", domain);
      for (const certs::Certificate& root : trust_.bundles->RootsOf(domain)) {
        absl::StrAppend(&all, ",", certs::Sha256Hex(root.x509()));
      }
    }
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(all.data()), all.size(),
         reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

}  // namespace weft
