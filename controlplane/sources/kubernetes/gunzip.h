// Gunzip: a gzip body (RFC 1952) as it comes, by zlib. Not thread-safe.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_GUNZIP_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_GUNZIP_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

struct z_stream_s;

namespace weft {

class Gunzip {
 public:
  // What to give at once: it becomes 4 MiB at most, as deflate shrinks to a thousandth at best.
  static constexpr size_t kMostAtOnce = 4 * 1024;

  Gunzip();
  ~Gunzip();
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  // Appends what `bytes` stand for.
  absl::Status Feed(absl::string_view bytes, std::string* out);
  // The body is complete and its checksum was right.
  bool ended() const { return ended_; }

 private:
  const std::unique_ptr<z_stream_s> stream_;
  bool ended_ = false;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_GUNZIP_H_
