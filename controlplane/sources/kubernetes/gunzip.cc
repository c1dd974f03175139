#include "controlplane/sources/kubernetes/gunzip.h"

#include <zlib.h>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

// The largest window, and gzip's head expected rather than zlib's (zlib.h, inflateInit2).
constexpr int kGzipWindow = 15 + 16;
constexpr size_t kPiece = 64 * 1024;

}  // namespace

Gunzip::Gunzip() : stream_(std::make_unique<z_stream>()) {
  // Fails for want of memory only; then the first Feed() does.
  inflateInit2(stream_.get(), kGzipWindow);
}

Gunzip::~Gunzip() { inflateEnd(stream_.get()); }

absl::Status Gunzip::Feed(absl::string_view bytes, std::string* out) {
  if (ended_) return absl::InvalidArgumentError("gzip: more after the end");
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_->avail_in = static_cast<uInt>(bytes.size());
  do {
    const size_t before = out->size();
    out->resize(before + kPiece);
    stream_->next_out = reinterpret_cast<Bytef*>(out->data() + before);
    stream_->avail_out = kPiece;
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    out->resize(out->size() - stream_->avail_out);
    ended_ = result == Z_STREAM_END;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return absl::InvalidArgumentError(
          absl::StrCat("gzip: ", stream_->msg != nullptr ? stream_->msg : zError(result)));
    }
  } while (!ended_ && stream_->avail_out == 0);
  if (stream_->avail_in > 0) return absl::InvalidArgumentError("gzip: more after the end");
  return absl::OkStatus();
}

}  // namespace weft
