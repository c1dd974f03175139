#include "certs/san.h"

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <utility>

namespace weft::certs {
namespace {

void Add(GENERAL_NAMES* names, int type, absl::string_view value) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_IA5STRING> text(ASN1_IA5STRING_new());
  if (!name || !text ||
      !ASN1_STRING_set(text.get(), value.data(), static_cast<int>(value.size()))) {
    std::abort();  // out of memory
  }
  GENERAL_NAME_set0_value(name.get(), type, text.release());
  if (!bssl::PushToStack(names, std::move(name))) std::abort();
}

bssl::UniquePtr<X509_EXTENSION> ToExtension(GENERAL_NAMES* names, bool critical) {
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_i2d(NID_subject_alt_name, critical ? 1 : 0, names));
  if (!extension) std::abort();
  return extension;
}

}  // namespace

bssl::UniquePtr<X509_EXTENSION> MakeUriSan(absl::string_view uri, bool critical) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  Add(names.get(), GEN_URI, uri);
  return ToExtension(names.get(), critical);
}

bssl::UniquePtr<X509_EXTENSION> MakeDnsSan(const std::vector<std::string>& names, bool critical) {
  bssl::UniquePtr<GENERAL_NAMES> all(GENERAL_NAMES_new());
  for (const std::string& name : names) Add(all.get(), GEN_DNS, name);
  return ToExtension(all.get(), critical);
}

}  // namespace weft::certs
