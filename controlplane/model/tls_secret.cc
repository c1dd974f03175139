#include "controlplane/model/tls_secret.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "api/kubernetes/core.pb.h"
#include "certs/certificate.h"
#include "certs/key_pair.h"

namespace weft {
namespace {

constexpr char kTlsType[] = "kubernetes.io/tls";

struct Names {
  const char* certificate;
  const char* key;
  const char* ca;
  const char* crl;
};
constexpr Names kGeneric = {"cert", "key", "cacert", "crl"};
constexpr Names kTls = {"tls.crt", "tls.key", "ca.crt", "ca.crl"};

std::string ValueOf(const kubernetes::Secret& object, const char* name) {
  const auto text = object.string_data().find(name);
  if (text != object.string_data().end()) return text->second;
  const auto bytes = object.data().find(name);
  return bytes == object.data().end() ? "" : bytes->second;
}

TlsSecret Read(const kubernetes::Secret& object, const Names& names) {
  return {ValueOf(object, names.certificate), ValueOf(object, names.key), ValueOf(object, names.ca),
          ValueOf(object, names.crl)};
}

bool HasPair(const TlsSecret& secret) { return !secret.certificate.empty() && !secret.key.empty(); }

absl::Status Broken(absl::string_view field, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("data[", field, "]: ", why));
}

absl::Status Check(const TlsSecret& secret, const Names& names) {
  if (!secret.certificate.empty() && secret.key.empty()) return Broken(names.key, "is missing");
  if (secret.certificate.empty() && !secret.key.empty()) {
    return Broken(names.certificate, "is missing");
  }
  if (!secret.certificate.empty()) {
    absl::Status pair = certs::CheckKeyPair(secret.certificate, secret.key);
    if (!pair.ok()) return Broken(names.certificate, pair.message());
  }
  if (!secret.ca.empty()) {
    const auto roots = certs::ParseCertificates(secret.ca);
    if (!roots.ok()) return Broken(names.ca, roots.status().message());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsSecret> TlsSecretFrom(const kubernetes::Secret& object) {
  const bool is_tls = object.type() == kTlsType;
  if (!is_tls && !object.type().empty() && object.type() != "Opaque") {
    return absl::NotFoundError("a Secret of another type");
  }
  // Others' Opaque Secrets have a "key", too: only both together mean TLS.
  TlsSecret secret = Read(object, kGeneric);
  const Names* names = &kGeneric;
  if (is_tls || !(HasPair(secret) || !secret.ca.empty())) {
    secret = Read(object, kTls);
    names = &kTls;
    if (!is_tls && !HasPair(secret) && secret.ca.empty()) {
      return absl::NotFoundError("has neither a certificate nor roots");
    }
  }
  // Roots beside something that is named "key" and no certificate are roots.
  if (!is_tls && !HasPair(secret)) secret.certificate = secret.key = "";
  if (is_tls && secret.certificate.empty() && secret.key.empty()) {
    return Broken(kTls.certificate, "is missing");
  }
  absl::Status status = Check(secret, *names);
  if (!status.ok()) return status;
  return secret;
}

std::string SecretKey(absl::string_view namespace_, absl::string_view name) {
  return absl::StrCat(namespace_, "/", name);
}

}  // namespace weft
