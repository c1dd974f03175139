// Whether a certificate and a key belong together: asked of what users hand in, before it is handed
// on. Any kind of key that TLS servers have (key.h is about our own).
#ifndef WEFT_CERTS_KEY_PAIR_H_
#define WEFT_CERTS_KEY_PAIR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weft::certs {

// `chain_pem`: the leaf first. The error says which of the two is at fault, and nothing of the key.
absl::Status CheckKeyPair(absl::string_view chain_pem, absl::string_view key_pem);

}  // namespace weft::certs

#endif  // WEFT_CERTS_KEY_PAIR_H_
