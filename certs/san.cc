#include "certs/san.h"

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <utility>

namespace weft::certs {

bssl::UniquePtr<X509_EXTENSION> MakeUriSan(absl::string_view uri, bool critical) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_IA5STRING> text(ASN1_IA5STRING_new());
  if (!names || !name || !text ||
      !ASN1_STRING_set(text.get(), uri.data(), static_cast<int>(uri.size()))) {
    std::abort();  // out of memory
  }
  GENERAL_NAME_set0_value(name.get(), GEN_URI, text.release());
  if (!bssl::PushToStack(names.get(), std::move(name))) std::abort();
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_i2d(NID_subject_alt_name, critical ? 1 : 0, names.get()));
  if (!extension) std::abort();
  return extension;
}

}  // namespace weft::certs
