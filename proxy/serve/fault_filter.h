// The fault filter: delays and aborts requests on purpose.
#ifndef WEFT_PROXY_SERVE_FAULT_FILTER_H_
#define WEFT_PROXY_SERVE_FAULT_FILTER_H_

#include <optional>

#include "proxy/runtime/task.h"
#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"

namespace weft {

// `active` must outlive the task.
Task<std::optional<Answer>> RunFault(Exchange& x, const ActiveFilter& active);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_FAULT_FILTER_H_
