// The one normal form of a request's path, made once, before anything matches or forwards it: what
// the rules see is what the endpoint gets.
#ifndef WEFT_PROXY_DECIDE_NORMALISE_PATH_H_
#define WEFT_PROXY_DECIDE_NORMALISE_PATH_H_

#include <string>

#include "proxy/config/listener_config.h"

namespace weft {

enum class PathVerdict {
  kUnchanged,
  kChanged,
  kRedirect,  // answer 307 with the changed path as Location
  kReject,    // answer 400
};

// Normalises `path_and_query` in place, its query untouched. As Envoy, in this order:
//   path_with_escaped_slashes_action (%2F and %5C), then normalize_path (escapes of unreserved
//   characters decoded once, '\' to '/', "." and ".." segments removed, RFC 3986 section 6.2.2),
//   then merge_slashes.
// A fragment is cut off always (RFC 9110 section 7.1 has none in a request). Decoding happens once:
// "%252F" stays "%252F" and is never '/'. With `normalize` an escaped NUL is rejected. "*" and an
// empty path (CONNECT) stay as they are.
PathVerdict NormalisePath(const PathNormalisation& how, std::string& path_and_query);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_NORMALISE_PATH_H_
