#include "certs/csr.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "certs/crypto_error.h"
#include "certs/pem.h"
#include "certs/san.h"

namespace weft::certs {
namespace {

constexpr size_t kMaxCsr = 16 << 10;  // ours are 500 bytes; the rest is room for odd extensions

using Extensions = bssl::UniquePtr<STACK_OF(X509_EXTENSION)>;

// The one name a request asks for.
absl::StatusOr<std::string> RequestedUri(X509_REQ* request) {
  Extensions extensions(X509_REQ_get_extensions(request));
  if (extensions == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("CSR: no subject alternative name");
  }
  int critical = -1;
  bssl::UniquePtr<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions.get(), NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("CSR: subject alternative names missing or malformed");
  }
  if (sk_GENERAL_NAME_num(names.get()) != 1) {
    return absl::InvalidArgumentError("CSR: must ask for exactly one subject alternative name");
  }
  const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), 0);
  if (name->type != GEN_URI) {
    return absl::InvalidArgumentError("CSR: the subject alternative name must be a URI");
  }
  const ASN1_STRING* uri = name->d.uniformResourceIdentifier;
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                     static_cast<size_t>(ASN1_STRING_length(uri)));
}

}  // namespace

std::string MakeCsr(const PrivateKey& key, const SpiffeId& id) {
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  Extensions extensions(sk_X509_EXTENSION_new_null());
  bssl::UniquePtr<X509_EXTENSION> san = MakeUriSan(id.ToString(), /*critical=*/true);
  // Nothing here depends on foreign bytes: only lack of memory can fail it.
  if (!request || !extensions || !X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) ||
      !X509_REQ_set_pubkey(request.get(), key.evp()) ||
      !bssl::PushToStack(extensions.get(), std::move(san)) ||
      !X509_REQ_add_extensions(request.get(), extensions.get()) ||
      X509_REQ_sign(request.get(), key.evp(), EVP_sha256()) == 0) {
    std::abort();
  }
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  return TakeText(bio.get());
}

absl::StatusOr<SigningRequest> ParseCsr(absl::string_view pem) {
  if (pem.size() > kMaxCsr) return absl::InvalidArgumentError("CSR: larger than 16 KiB");
  bssl::UniquePtr<BIO> bio = ReadBio(pem);
  bssl::UniquePtr<X509_REQ> request(
      PEM_read_bio_X509_REQ(bio.get(), nullptr, RefusePassword, nullptr));
  if (request == nullptr) return CryptoError("CSR (PEM)");
  // The kind of key is checked before its signature is: verifying must be cheap.
  absl::StatusOr<PublicKey> key =
      PublicKey::FromEvp(bssl::UniquePtr<EVP_PKEY>(X509_REQ_get_pubkey(request.get())));
  if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat("CSR: ", key.status().message()));
  if (X509_REQ_verify(request.get(), key->evp()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("CSR: signature does not match its key");
  }
  absl::StatusOr<std::string> uri = RequestedUri(request.get());
  if (!uri.ok()) return uri.status();
  absl::StatusOr<SpiffeId> id = SpiffeId::Parse(*uri);
  if (!id.ok()) return absl::InvalidArgumentError(absl::StrCat("CSR: ", id.status().message()));
  return SigningRequest{*std::move(key), *std::move(id)};
}

}  // namespace weft::certs
