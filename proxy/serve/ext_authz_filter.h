// The ext_authz filter: an external authorizer is asked whether a request may pass
// (decide/ext_authz.h).
#ifndef WEFT_PROXY_SERVE_EXT_AUTHZ_FILTER_H_
#define WEFT_PROXY_SERVE_EXT_AUTHZ_FILTER_H_

#include <optional>

#include "proxy/http/head.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"
#include "proxy/serve/request_metadata.h"

namespace weft {

// `active` and `metadata` must outlive the task.
Task<std::optional<Answer>> RunExtAuthz(Exchange& x, const ActiveFilter& active,
                                        const RequestMetadata& metadata);

// What authorizers that let the request pass want its response to have.
void AddAuthzToResponse(Exchange& x, ResponseHead& head);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_EXT_AUTHZ_FILTER_H_
