// The few lines of memory-BIO handling that every PEM reader and writer here needs.
#ifndef WEFT_CERTS_PEM_H_
#define WEFT_CERTS_PEM_H_

#include <openssl/base.h>

#include <string>

#include "absl/strings/string_view.h"

namespace weft::certs {

// Reads from `bytes`, which must outlive the BIO.
bssl::UniquePtr<BIO> ReadBio(absl::string_view bytes);

// What was written to a memory BIO.
std::string TakeText(BIO* bio);

// A password callback that has none: without it, BoringSSL would ask the terminal.
int RefusePassword(char* buffer, int size, int writing, void* unused);

}  // namespace weft::certs

#endif  // WEFT_CERTS_PEM_H_
