// The only file access of certs/: small files of keys and certificates, never seen half-written.
#ifndef WEFT_CERTS_FILE_H_
#define WEFT_CERTS_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::certs {

// NotFound if there is no such file; refuses more than 1 MiB.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces `path` as a whole: temporary file beside it, fsync, rename, fsync of the folder. After a
// crash at any point the old or the new contents are there, complete. `mode` holds from the first
// byte on (0600 for keys). One writer at a time per path.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents, int mode);

}  // namespace weft::certs

#endif  // WEFT_CERTS_FILE_H_
