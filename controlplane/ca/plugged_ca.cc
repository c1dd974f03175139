#include "controlplane/ca/plugged_ca.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "certs/certificate_chain.h"
#include "certs/key.h"
#include "certs/key_pair.h"
#include "certs/trust_bundle.h"

namespace weft {
namespace {

using certs::Certificate;
using Certificates = std::vector<Certificate>;

struct Names {
  const char* certificate;
  const char* key;
  const char* root;
  const char* chain;
};
constexpr Names kIstio = {"ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"};
constexpr Names kTls = {"tls.crt", "tls.key", "ca.crt", "tls.crt"};

absl::Status Refused(absl::string_view name, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", why));
}

std::string Quoted(const Certificate& certificate) {
  return absl::StrCat("\"", certs::SubjectOf(certificate.x509()), "\"");
}

std::string When(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::Status CheckPresent(const CaFiles& files, const Names& names) {
  for (const char* name : {names.certificate, names.key, names.root}) {
    if (files.contains(name)) continue;
    return Refused(name,
                   "is missing; a CA has ca-cert.pem, ca-key.pem, root-cert.pem and "
                   "cert-chain.pem, or tls.crt, tls.key and ca.crt");
  }
  return absl::OkStatus();
}

absl::StatusOr<Certificates> Read(const CaFiles& files, const char* name) {
  auto read = certs::ParseCertificates(files.at(name));
  if (!read.ok()) return Refused(name, read.status().message());
  return read;
}

absl::StatusOr<Certificate> ReadRoot(const CaFiles& files, const Names& names) {
  absl::StatusOr<Certificates> roots = Read(files, names.root);
  if (!roots.ok()) return roots.status();
  if (roots->size() != 1) {
    return Refused(names.root,
                   absl::StrCat("holds ", roots->size(), " certificates; leave the one root of ",
                                names.certificate,
                                ": when it changes, both are trusted until all have followed"));
  }
  const Certificate& root = roots->front();
  if (certs::IsCa(root) && certs::IsSignedBy(root, root)) return root;
  return Refused(names.root, absl::StrCat(Quoted(root),
                                          " is no root: not a CA that signed itself; "
                                          "put the root of the chain there"));
}

absl::Status CheckSigner(const Certificate& signer, const CaFiles& files, const Names& names) {
  if (!certs::IsCa(signer)) {
    return Refused(names.certificate,
                   absl::StrCat(Quoted(signer),
                                " is not a CA; issue it with basic constraints CA:TRUE and, if it "
                                "has a key usage, keyCertSign"));
  }
  if (certs::SubjectKeyId(signer.x509()).empty()) {
    return Refused(names.certificate,
                   absl::StrCat(Quoted(signer),
                                " has no subject key identifier, by which certificates tell who "
                                "signed them; issue it with one"));
  }
  const std::string& key = files.at(names.key);
  const auto read = certs::SigningKey::FromPem(key);
  if (!read.ok()) return Refused(names.key, read.status().message());
  if (certs::CheckKeyPair(signer.ToPem(), key).ok()) return absl::OkStatus();
  return Refused(names.key, absl::StrCat("is not the key of ", names.certificate, ", ",
                                         Quoted(signer), "; put both of one CA there"));
}

absl::StatusOr<Certificates> ReadChain(const CaFiles& files, const Names& names) {
  absl::StatusOr<Certificate> root = ReadRoot(files, names);
  if (!root.ok()) return root.status();
  absl::StatusOr<Certificates> others = Read(files, names.certificate);
  if (!others.ok()) return others;
  const Certificate signer = others->front();
  absl::Status usable = CheckSigner(signer, files, names);
  if (!usable.ok()) return usable;
  if (files.contains(names.chain)) {
    absl::StatusOr<Certificates> chain = Read(files, names.chain);
    if (!chain.ok()) return chain;
    others->insert(others->end(), chain->begin(), chain->end());
  }
  auto whole = certs::ChainTo(*root, signer, *std::move(others));
  if (whole.ok()) return whole;
  return Refused(names.chain, absl::StrCat(whole.status().message(), "; it has to lead from ",
                                           names.certificate, " to ", names.root));
}

absl::Status CheckDates(const Certificates& chain, const Names& names, absl::Time now) {
  for (size_t i = 0; i < chain.size(); ++i) {
    const char* name = i == 0                  ? names.certificate
                       : i == chain.size() - 1 ? names.root
                                               : names.chain;
    const absl::Time from = certs::NotBefore(chain[i].x509());
    const absl::Time to = certs::NotAfter(chain[i].x509());
    if (to <= now) {
      return Refused(name, absl::StrCat(Quoted(chain[i]), " expired at ", When(to),
                                        "; put one there that is still good"));
    }
    if (from > now) {
      return Refused(
          name, absl::StrCat(Quoted(chain[i]), " is good only from ", When(from), " on, and it is ",
                             When(now), "; check the clocks, or wait"));
    }
  }
  return absl::OkStatus();
}

// All else that would make its certificates worthless, such as path lengths, name constraints and
// extended key usages on the way: asked of one.
absl::Status CheckByTrial(const certs::Issuer& issuer, absl::Time now) {
  certs::SpiffeId id;
  id.trust_domain = issuer.trust_domain();
  id.namespace_ = "default";
  id.service_account = "trial";
  const auto signed_ =
      issuer.Issue(certs::PrivateKey::Generate().public_key(), id, certs::kLeafValidity, now);
  if (!signed_.ok()) return signed_.status();
  const auto chain = certs::ParseCertificates(absl::StrJoin(*signed_, ""));
  if (!chain.ok()) return chain.status();
  certs::TrustBundles bundles;
  absl::Status set = bundles.Set(issuer.trust_domain(), issuer.root().ToPem());
  if (!set.ok()) return set;
  for (const certs::PeerRole role : {certs::PeerRole::kClient, certs::PeerRole::kServer}) {
    const auto verified = certs::VerifyPeer(*chain, bundles, now, role);
    if (!verified.ok()) return verified.status();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CaFiles> CaFilesOf(const YamlNode& secret) {
  CaFiles files;
  for (const char* name : kCaFileNames) {
    const YamlNode value = secret["data"][name];
    if (!value.IsDefined()) continue;
    if (!absl::Base64Unescape(value.Scalar(), &files[name])) return Refused(name, "is not base64");
  }
  return files;
}

absl::StatusOr<certs::Issuer> ReadPluggedCa(const CaFiles& files, absl::string_view trust_domain,
                                            absl::Time now) {
  const Names& names = files.contains(kTls.certificate) ? kTls : kIstio;
  absl::Status present = CheckPresent(files, names);
  if (!present.ok()) return present;
  const absl::StatusOr<Certificates> chain = ReadChain(files, names);
  if (!chain.ok()) return chain.status();
  absl::Status dates = CheckDates(*chain, names, now);
  if (!dates.ok()) return dates;
  std::string pem;
  for (const Certificate& one : *chain) pem += one.ToPem();
  auto issuer = certs::Issuer::FromPem(pem, files.at(names.key), trust_domain);
  if (!issuer.ok()) return Refused(names.certificate, issuer.status().message());
  absl::Status trial = CheckByTrial(*issuer, now);
  if (trial.ok()) return issuer;
  return Refused(names.certificate,
                 absl::StrCat("nobody would believe what it signs (", trial.message(),
                              "); issue it for workloads of ", trust_domain));
}

}  // namespace weft
