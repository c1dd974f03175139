#include "proxy/tls/cipher_io.h"

#include <openssl/bio.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace weft {

// Parts of one gathered write; TlsStream queues fewer.
static constexpr size_t kMaxParts = 16;

// The functions of the BIO.
struct CipherBio {
  static CipherIo& Of(BIO* bio) { return *static_cast<CipherIo*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* out, int size) {
    CipherIo& io = Of(bio);
    BIO_clear_retry_flags(bio);
    if (io.in_.empty()) {
      io.last_read_ = io.inner_->Read(io.in_, Buffer::kBlockSize).status;
      if (io.last_read_ == IoStatus::kBlocked) BIO_set_retry_read(bio);
      if (io.last_read_ == IoStatus::kEof) return 0;
      if (io.last_read_ != IoStatus::kOk) return -1;
    }
    const size_t moved = std::min(static_cast<size_t>(size), io.in_.size());
    std::memcpy(out, io.in_.data(), moved);
    io.in_.Consume(moved);
    return static_cast<int>(moved);
  }

  // Never blocks: the stream bounds what it lets BoringSSL write.
  static int Write(BIO* bio, const char* data, int size) {
    CipherIo& io = Of(bio);
    const size_t bytes = static_cast<size_t>(size);
    if (io.out_.empty() || io.out_.back().writable() < bytes) io.out_.emplace_back();
    io.out_.back().Append(absl::string_view(data, bytes));
    return size;
  }

  static long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft cipher");
      if (made == nullptr) std::abort();  // out of memory
      BIO_meth_set_read(made, Read);
      BIO_meth_set_write(made, Write);
      BIO_meth_set_ctrl(made, Control);
      return made;
    }();
    return method;
  }
};

CipherIo::CipherIo(std::unique_ptr<ByteStream> inner, Buffer already_read)
    : inner_(std::move(inner)), in_(std::move(already_read)) {}

bssl::UniquePtr<BIO> CipherIo::MakeBio() {
  bssl::UniquePtr<BIO> bio(BIO_new(CipherBio::Method()));
  if (bio == nullptr) std::abort();  // out of memory
  BIO_set_data(bio.get(), this);
  BIO_set_init(bio.get(), 1);
  return bio;
}

IoStatus CipherIo::Flush() {
  while (!out_.empty()) {
    absl::string_view parts[kMaxParts];
    const size_t count = std::min(out_.size(), kMaxParts);
    for (size_t i = 0; i < count; ++i) parts[i] = out_[i].view();
    const IoResult sent = inner_->Write(absl::MakeConstSpan(parts, count));
    if (!sent.ok()) return sent.status;
    ConsumeOutput(sent.bytes);
  }
  return IoStatus::kOk;
}

void CipherIo::ConsumeOutput(size_t bytes) {
  auto first = out_.begin();
  for (; first != out_.end() && bytes >= first->size(); ++first) bytes -= first->size();
  if (first != out_.end()) first->Consume(bytes);
  out_.erase(out_.begin(), first);
}

}  // namespace weft
