// The one certificate extension that Weft builds by hand, because BoringSSL's textual form would
// let a comma in a name add another.
#ifndef WEFT_CERTS_SAN_H_
#define WEFT_CERTS_SAN_H_

#include <openssl/base.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace weft::certs {

bssl::UniquePtr<X509_EXTENSION> MakeUriSan(absl::string_view uri, bool critical);
bssl::UniquePtr<X509_EXTENSION> MakeDnsSan(const std::vector<std::string>& names, bool critical);

}  // namespace weft::certs

#endif  // WEFT_CERTS_SAN_H_
