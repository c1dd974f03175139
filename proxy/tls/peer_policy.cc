#include "proxy/tls/peer_policy.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

bool Matches(const SanMatch& match, const std::string& name) {
  switch (match.kind) {
    case SanMatch::Kind::kExact:
      return name == match.value;
    case SanMatch::Kind::kPrefix:
      return absl::StartsWith(name, match.value);
    case SanMatch::Kind::kSuffix:
      return absl::EndsWith(name, match.value);
  }
  return false;
}

bool MatchesAny(const SanMatch& match, SanMatch::Type type, const std::vector<std::string>& names) {
  if (match.type != SanMatch::Type::kAny && match.type != type) return false;
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return Matches(match, name); });
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

}  // namespace

absl::StatusOr<PeerPolicy> PeerPolicy::Create(PeerTrust trust, certs::PeerRole peer_role) {
  const int set = (trust.bundles != nullptr) + !trust.ca_pem.empty() + trust.accept_anyone;
  if (set != 1) {
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
  policy.trust_ = std::move(trust);
  return policy;
}

absl::StatusOr<std::optional<certs::SpiffeId>> PeerPolicy::VerifyTrust(
    absl::Span<const certs::Certificate> chain, absl::Time now) const {
  if (trust_.accept_anyone) return std::nullopt;
  if (trust_.bundles == nullptr) {
    absl::Status status = certs::VerifyChain(chain, roots_.get(), now, peer_role_);
    if (!status.ok()) return status;
    return std::nullopt;
  }
  absl::StatusOr<certs::SpiffeId> id = certs::VerifyPeer(chain, *trust_.bundles, now, peer_role_);
  if (!id.ok()) return id.status();
  return std::optional<certs::SpiffeId>(*std::move(id));
}

absl::Status PeerPolicy::VerifyNames(const certs::Certificate& leaf,
                                     const certs::SubjectAltNames& names) const {
  if (trust_.accept_anyone) return absl::OkStatus();
  if (!trust_.verify_host.empty() && !IsFor(leaf.x509(), trust_.verify_host)) {
    return absl::UnauthenticatedError(
        absl::StrCat("peer certificate: not for ", trust_.verify_host, " (", Shown(names), ")"));
  }
  if (trust_.sans.empty()) return absl::OkStatus();
  for (const SanMatch& match : trust_.sans) {
    if (MatchesNames(match, names)) return absl::OkStatus();
  }
  return absl::UnauthenticatedError(
      absl::StrCat("peer certificate: no required name among ", Shown(names)));
}

absl::StatusOr<PeerCertificate> PeerPolicy::Verify(absl::Span<const certs::Certificate> chain,
                                                   absl::Time now) const {
  if (chain.empty()) return absl::UnauthenticatedError("peer certificate: none was sent");
  absl::StatusOr<std::optional<certs::SpiffeId>> id = VerifyTrust(chain, now);
  if (!id.ok()) return id.status();
  const X509* leaf = chain[0].x509();
  absl::StatusOr<certs::SubjectAltNames> names = certs::ReadSubjectAltNames(leaf);
  if (!names.ok()) return absl::UnauthenticatedError(names.status().message());
  if (absl::Status status = VerifyNames(chain[0], *names); !status.ok()) return status;
  PeerCertificate peer;
  peer.id = *std::move(id);
  peer.names = *std::move(names);
  peer.subject = certs::SubjectOf(leaf);
  peer.sha256 = certs::Sha256Hex(leaf);
  return peer;
}

}  // namespace weft
