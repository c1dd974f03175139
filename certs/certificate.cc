#include "certs/certificate.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "certs/crypto_error.h"
#include "certs/pem.h"

namespace weft::certs {
namespace {

absl::string_view Bytes(const ASN1_STRING* s) {
  return absl::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
                           static_cast<size_t>(ASN1_STRING_length(s)));
}

absl::Status AppendText(const ASN1_STRING* s, std::vector<std::string>& to) {
  const absl::string_view text = Bytes(s);
  if (text.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("subject alternative name \"", absl::CHexEscape(text), "\" contains NUL"));
  }
  to.emplace_back(text);
  return absl::OkStatus();
}

absl::Status AppendIp(const ASN1_STRING* s, std::vector<std::string>& to) {
  const absl::string_view raw = Bytes(s);
  if (raw.size() != 4 && raw.size() != 16) {
    return absl::InvalidArgumentError("subject alternative name: IP address of wrong length");
  }
  char text[INET6_ADDRSTRLEN];
  inet_ntop(raw.size() == 4 ? AF_INET : AF_INET6, raw.data(), text, sizeof(text));
  to.emplace_back(text);
  return absl::OkStatus();
}

absl::Status AppendName(const GENERAL_NAME* name, SubjectAltNames& to) {
  switch (name->type) {
    case GEN_URI:
      return AppendText(name->d.uniformResourceIdentifier, to.uris);
    case GEN_DNS:
      return AppendText(name->d.dNSName, to.dns);
    case GEN_IPADD:
      return AppendIp(name->d.iPAddress, to.ips);
    default:  // e-mail and directory names identify nobody here
      return absl::OkStatus();
  }
}

absl::Time ToTime(const ASN1_TIME* t) {
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (!ASN1_TIME_diff(&days, &seconds, epoch.get(), t)) {
    ERR_clear_error();
    return absl::UnixEpoch();  // unreadable: as expired as can be
  }
  return absl::UnixEpoch() + absl::Hours(24) * days + absl::Seconds(seconds);
}

std::string SerialHex(const X509* x509) {
  bssl::UniquePtr<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  if (number == nullptr) return "";
  bssl::UniquePtr<char> hex(BN_bn2hex(number.get()));
  return hex == nullptr ? "" : std::string(hex.get());
}

std::string Print(const X509_NAME* name) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return TakeText(bio.get());
}

}  // namespace

absl::StatusOr<Certificate> Certificate::FromDer(absl::string_view der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  const uint8_t* const end = at + der.size();
  bssl::UniquePtr<X509> x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (x509 == nullptr) return CryptoError("certificate (DER)");
  if (at != end) return absl::InvalidArgumentError("certificate (DER): trailing bytes");
  return Certificate(std::move(x509));
}

Certificate::Certificate(const Certificate& other) : x509_(bssl::UpRef(other.x509_)) {}

Certificate& Certificate::operator=(Certificate other) {
  x509_ = std::move(other.x509_);
  return *this;
}

std::string Certificate::ToPem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), x509_.get());
  return TakeText(bio.get());
}

std::string Certificate::ToDer() const {
  uint8_t* raw = nullptr;
  const int size = i2d_X509(x509_.get(), &raw);
  bssl::UniquePtr<uint8_t> owned(raw);
  if (size <= 0) return "";
  return std::string(reinterpret_cast<const char*>(raw), static_cast<size_t>(size));
}

absl::StatusOr<std::vector<Certificate>> ParseCertificates(absl::string_view pem) {
  bssl::UniquePtr<BIO> bio = ReadBio(pem);
  std::vector<Certificate> certificates;
  while (true) {
    bssl::UniquePtr<X509> x509(PEM_read_bio_X509(bio.get(), nullptr, RefusePassword, nullptr));
    if (x509 == nullptr) break;
    certificates.emplace_back(std::move(x509));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) {
    return CryptoError(absl::StrCat("certificate ", certificates.size() + 1, " (PEM)"));
  }
  ERR_clear_error();
  if (certificates.empty()) return absl::InvalidArgumentError("no PEM certificate found");
  return certificates;
}

absl::StatusOr<SubjectAltNames> ReadSubjectAltNames(const X509* x509) {
  int critical = -1;
  bssl::UniquePtr<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    ERR_clear_error();
    if (critical == -1) return SubjectAltNames();  // -1: no such extension
    return absl::InvalidArgumentError("subject alternative names: malformed or repeated");
  }
  SubjectAltNames result;
  for (size_t i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    absl::Status status = AppendName(sk_GENERAL_NAME_value(names.get(), i), result);
    if (!status.ok()) return status;
  }
  return result;
}

absl::Time NotBefore(const X509* x509) { return ToTime(X509_get0_notBefore(x509)); }
absl::Time NotAfter(const X509* x509) { return ToTime(X509_get0_notAfter(x509)); }

std::string SubjectOf(const X509* x509) { return Print(X509_get_subject_name(x509)); }
std::string IssuerOf(const X509* x509) { return Print(X509_get_issuer_name(x509)); }

std::string AuthorityKeyId(const X509* x509) {
  const ASN1_OCTET_STRING* id = X509_get0_authority_key_id(const_cast<X509*>(x509));
  return id == nullptr ? "" : std::string(Bytes(id));
}

std::string SubjectKeyId(const X509* x509) {
  const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(const_cast<X509*>(x509));
  return id == nullptr ? "" : std::string(Bytes(id));
}

std::string Sha256Hex(const X509* x509) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!X509_digest(x509, EVP_sha256(), digest, &size)) return "";
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), size));
}

CertificateDescription DescribeCertificate(const Certificate& certificate) {
  const X509* x509 = certificate.x509();
  CertificateDescription description;
  if (absl::StatusOr<SubjectAltNames> names = ReadSubjectAltNames(x509); names.ok()) {
    description.subject_alt_names = *std::move(names);
  }
  description.subject = SubjectOf(x509);
  description.serial_number = SerialHex(x509);
  description.valid_from = NotBefore(x509);
  description.expiration = NotAfter(x509);
  return description;
}

}  // namespace weft::certs
