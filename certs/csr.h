// Certificate signing requests (PKCS#10): a workload makes one, the authority reads it. The private
// key never leaves the workload. Pure; any thread.
#ifndef WEFT_CERTS_CSR_H_
#define WEFT_CERTS_CSR_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"

namespace weft::certs {

// A PEM request with an empty subject and `id` as its one URI SAN, signed with `key`.
std::string MakeCsr(const PrivateKey& key, const SpiffeId& id);

// What is believed of a request once its signature has been checked: that whoever sent it holds
// the key. That it may have the name is for the authority to decide.
struct SigningRequest {
  PublicKey key;
  SpiffeId id;
};

// Refuses all but: at most 16 KiB, P-256, a signature by that key, exactly one URI SAN that is a
// SPIFFE ID, and no other kind of name.
absl::StatusOr<SigningRequest> ParseCsr(absl::string_view pem);

}  // namespace weft::certs

#endif  // WEFT_CERTS_CSR_H_
