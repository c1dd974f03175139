// SHA-256 of text, to tell whether two sides speak of the same.
#ifndef WEFT_CERTS_DIGEST_H_
#define WEFT_CERTS_DIGEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace weft::certs {

// Lower-case hex.
std::string Sha256Hex(absl::string_view text);

}  // namespace weft::certs

#endif  // WEFT_CERTS_DIGEST_H_
