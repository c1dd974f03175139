// X.509 certificates as values: reading, printing, and what an operator wants to know of one.
// Says nothing about trust; that is trust_bundle.h. Cheap to copy, immutable, any thread.
#ifndef WEFT_CERTS_CERTIFICATE_H_
#define WEFT_CERTS_CERTIFICATE_H_

#include <openssl/x509.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft::certs {

class Certificate {
 public:
  explicit Certificate(bssl::UniquePtr<X509> x509) : x509_(std::move(x509)) {}
  // Exactly one DER certificate; trailing bytes are refused.
  static absl::StatusOr<Certificate> FromDer(absl::string_view der);

  Certificate(const Certificate& other);
  Certificate(Certificate&&) = default;
  Certificate& operator=(Certificate other);

  std::string ToPem() const;
  std::string ToDer() const;
  X509* x509() const { return x509_.get(); }

 private:
  bssl::UniquePtr<X509> x509_;
};

// One or more PEM certificates in their order. Text between blocks is skipped, as is usual in CA
// files; a block that does not parse, or no block at all, is an error.
absl::StatusOr<std::vector<Certificate>> ParseCertificates(absl::string_view pem);

struct SubjectAltNames {
  std::vector<std::string> uris;
  std::vector<std::string> dns;
  std::vector<std::string> ips;  // printed form
};

// Empty if there is no such extension; an error if it is malformed, repeated, or if a name has a
// NUL in it (which C readers would cut short, and so see another name).
absl::StatusOr<SubjectAltNames> ReadSubjectAltNames(const X509* x509);

absl::Time NotBefore(const X509* x509);
absl::Time NotAfter(const X509* x509);

// RFC 2253 form ("CN=root,O=weft"), empty for an empty name.
std::string SubjectOf(const X509* x509);
std::string IssuerOf(const X509* x509);

// Who signed it and who it is among signers: the authority and subject key identifiers (RFC 5280,
// sections 4.2.1.1 and 4.2.1.2) as they are; empty if it states none.
std::string AuthorityKeyId(const X509* x509);
std::string SubjectKeyId(const X509* x509);

// Lower-case hex of the SHA-256 of the DER form: the Hash= of x-forwarded-client-cert.
std::string Sha256Hex(const X509* x509);

// What the admin endpoint /certs shows.
struct CertificateDescription {
  SubjectAltNames subject_alt_names;  // empty also if malformed
  std::string subject;
  std::string serial_number;  // lower-case hex
  absl::Time valid_from;
  absl::Time expiration;
};
CertificateDescription DescribeCertificate(const Certificate& certificate);

}  // namespace weft::certs

#endif  // WEFT_CERTS_CERTIFICATE_H_
