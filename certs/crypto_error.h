// BoringSSL's error queue as a Status. The queue is per thread; every failed call is followed by
// one of these, so that no stale error is ever read by the next caller.
#ifndef WEFT_CERTS_CRYPTO_ERROR_H_
#define WEFT_CERTS_CRYPTO_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weft::certs {

// The oldest queued reason in words ("WRONG_VERSION_NUMBER"), or "unknown"; empties the queue.
std::string TakeCryptoReason();

// InvalidArgument "`what`: REASON": what failed is nearly always foreign bytes.
absl::Status CryptoError(absl::string_view what);

}  // namespace weft::certs

#endif  // WEFT_CERTS_CRYPTO_ERROR_H_
