// HttpGet: one GET over a connection that is there, for the little that weftd fetches. HTTP/1.1,
// one answer, then the connection is done with.
#ifndef WEFT_CONTROLPLANE_SOURCES_HTTP_GET_H_
#define WEFT_CONTROLPLANE_SOURCES_HTTP_GET_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/task.h"

namespace weft {

struct HttpGetRequest {
  std::string authority;
  std::string path;  // with its query
  size_t max_bytes;  // of the answer's body
};

// The body of a 200. Anything else is an error, a redirect too: it would lead where nobody has
// looked. `loop` and `stream` must outlive the task.
Task<absl::StatusOr<std::string>> HttpGet(EventLoop& loop, ByteStream& stream,
                                          HttpGetRequest request, MonotonicTime deadline);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_HTTP_GET_H_
