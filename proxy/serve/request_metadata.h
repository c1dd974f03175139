// RequestMetadata: what the filters of a request found out, for those behind them (Envoy: dynamic
// metadata).
#ifndef WEFT_PROXY_SERVE_REQUEST_METADATA_H_
#define WEFT_PROXY_SERVE_REQUEST_METADATA_H_

#include <vector>

#include "proxy/decide/jwt_auth.h"
#include "proxy/decide/shadow_verdict.h"

namespace weft {

struct RequestMetadata {
  std::vector<VerifiedToken> tokens;
  std::vector<ShadowVerdict> shadows;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REQUEST_METADATA_H_
