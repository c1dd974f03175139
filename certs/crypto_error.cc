#include "certs/crypto_error.h"

#include <openssl/err.h>

#include "absl/strings/str_cat.h"

namespace weft::certs {

std::string TakeCryptoReason() {
  const uint32_t error = ERR_get_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? "unknown" : reason;
}

absl::Status CryptoError(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", TakeCryptoReason()));
}

}  // namespace weft::certs
