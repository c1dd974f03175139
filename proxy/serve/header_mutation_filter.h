// The header mutation filter: changes the heads of requests and responses.
#ifndef WEFT_PROXY_SERVE_HEADER_MUTATION_FILTER_H_
#define WEFT_PROXY_SERVE_HEADER_MUTATION_FILTER_H_

#include "proxy/http/head.h"
#include "proxy/serve/active_filter.h"

namespace weft {

void MutateRequest(Exchange& x, const ActiveFilter& active);
void MutateResponse(Exchange& x, const ActiveFilter& active, ResponseHead& head);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_HEADER_MUTATION_FILTER_H_
