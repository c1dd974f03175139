// The ciphertext side of a TlsStream: a BIO between BoringSSL and the inner stream.
//
// BoringSSL asks for exactly the bytes that a record misses, and hands over one record at a time.
// Towards the network that becomes one read of a whole block and one gathered write of several
// records. Both directions hold memory only while bytes are in them.
#ifndef WEFT_PROXY_TLS_CIPHER_IO_H_
#define WEFT_PROXY_TLS_CIPHER_IO_H_

#include <openssl/base.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "proxy/base/buffer.h"
#include "proxy/net/byte_stream.h"

namespace weft {

class CipherIo {
 public:
  // `already_read` was taken off `inner` before, by sniffing.
  CipherIo(std::unique_ptr<ByteStream> inner, Buffer already_read);
  CipherIo(const CipherIo&) = delete;
  CipherIo& operator=(const CipherIo&) = delete;

  // For SSL_set_bio; must not outlive this object.
  bssl::UniquePtr<BIO> MakeBio();

  // Sends what BoringSSL wrote. kOk: all of it, or there was nothing.
  IoStatus Flush();
  // Buffers (about a record each) that wait to be sent.
  size_t queued() const { return out_.size(); }
  // Ciphertext that is here and not yet asked for.
  bool has_input() const { return !in_.empty(); }
  // How the last read of the inner stream ended: what an SSL_ERROR_SYSCALL was.
  IoStatus last_read() const { return last_read_; }

  ByteStream& inner() { return *inner_; }
  const ByteStream& inner() const { return *inner_; }

 private:
  friend struct CipherBio;
  void ConsumeOutput(size_t bytes);

  std::unique_ptr<ByteStream> inner_;
  Buffer in_;
  std::vector<Buffer> out_;
  IoStatus last_read_ = IoStatus::kBlocked;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_CIPHER_IO_H_
