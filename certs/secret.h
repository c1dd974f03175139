// Secrets that are compared and made, but never printed.
#ifndef WEFT_CERTS_SECRET_H_
#define WEFT_CERTS_SECRET_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace weft::certs {

// As unforeseeable as keys are.
std::string RandomBytes(size_t size);

// In a time that depends on their sizes only, so that who guesses does not learn how near it was.
bool SameSecret(absl::string_view a, absl::string_view b);

}  // namespace weft::certs

#endif  // WEFT_CERTS_SECRET_H_
