// Calls of a weftd's admin socket: gRPC over a Unix socket, for one command of a user's.
// Blocking; any thread.
#ifndef TOOLS_WEFTCTL_WEFTD_CLIENT_H_
#define TOOLS_WEFTCTL_WEFTD_CLIENT_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft {

// `method`: "/package.Service/Method"; messages are bytes of protobuf. Errors are the call's, or
// say what is wrong with the socket.
absl::StatusOr<std::string> CallWeftd(const std::string& socket_path, absl::string_view method,
                                      const std::string& request, absl::Duration timeout);
// The same for a method that answers more than once, until it has said all.
absl::Status CallWeftdStream(const std::string& socket_path, absl::string_view method,
                             const std::string& request, absl::Duration timeout,
                             const std::function<void(const std::string&)>& on_message);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_WEFTD_CLIENT_H_
