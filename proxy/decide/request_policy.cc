#include "proxy/decide/request_policy.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "proxy/config/retry_on.h"
#include "proxy/http/grpc.h"

namespace weft {
namespace {

// More attempts than this a request cannot ask for, whoever it is from.
constexpr uint32_t kMostRetriesAsked = 10;

std::optional<int64_t> Number(const Headers& headers, absl::string_view name) {
  const std::optional<absl::string_view> text = headers.Get(name);
  int64_t number = 0;
  if (!text.has_value() || !absl::SimpleAtoi(*text, &number) || number < 0) return std::nullopt;
  return number;
}

std::optional<absl::Duration> Milliseconds(const Headers& headers, absl::string_view name) {
  const std::optional<int64_t> number = Number(headers, name);
  if (!number.has_value()) return std::nullopt;
  return *number == 0 ? absl::InfiniteDuration() : absl::Milliseconds(*number);
}

// What the client's grpc-timeout comes to here: at most `most` (infinite: as it says), and earlier
// by the offset, so that our answer reaches it in time.
absl::Duration Bounded(absl::Duration asked, absl::Duration most, absl::Duration offset) {
  const absl::Duration bounded = std::min(asked, most);
  return offset > absl::ZeroDuration() && offset < bounded ? bounded - offset : bounded;
}

void ApplyTimeouts(const ForwardAction& action, const HttpManagerConfig& manager,
                   const RequestHead& head, RequestPolicy& to) {
  to.idle = action.idle_timeout.value_or(manager.stream_idle_timeout);
  to.max_stream = action.max_stream_duration.value_or(manager.max_stream_duration);
  // As Envoy has it: a route that limits its streams so has no timeout besides.
  to.timeout = action.max_stream_duration.has_value() ? absl::InfiniteDuration() : action.timeout;
  if (!action.grpc_timeout_max.has_value() && !action.max_grpc_timeout.has_value()) return;
  if (!IsGrpc(head.headers)) return;
  const absl::Duration asked = GrpcTimeout(head.headers).value_or(absl::InfiniteDuration());
  if (action.grpc_timeout_max.has_value()) {
    to.max_stream = Bounded(asked, *action.grpc_timeout_max, action.grpc_timeout_offset);
  } else {
    to.timeout = Bounded(asked, *action.max_grpc_timeout, action.grpc_timeout_offset);
  }
}

void ApplyRetryFields(const Headers& headers, RequestPolicy& to) {
  uint32_t bits = 0;
  for (const char* name : {"x-envoy-retry-on", "x-envoy-retry-grpc-on"}) {
    if (const auto list = headers.Get(name)) bits |= ParseRetryOn(*list);
  }
  const std::optional<int64_t> retries = Number(headers, "x-envoy-max-retries");
  const auto codes = headers.Get("x-envoy-retriable-status-codes");
  const auto names = headers.Get("x-envoy-retriable-header-names");
  if (bits == 0 && !retries.has_value() && !codes.has_value() && !names.has_value()) return;
  to.own = to.of_route != nullptr ? *to.of_route : RetryPolicy();
  to.own->retry_on |= bits;
  if (retries.has_value()) {
    to.own->num_retries = static_cast<uint32_t>(std::min<int64_t>(*retries, kMostRetriesAsked));
  }
  for (absl::string_view code : absl::StrSplit(codes.value_or(""), ',', absl::SkipWhitespace())) {
    uint32_t number = 0;
    if (absl::SimpleAtoi(code, &number)) to.own->retriable_status_codes.push_back(number);
  }
  for (absl::string_view name : absl::StrSplit(names.value_or(""), ',', absl::SkipWhitespace())) {
    to.own->retriable_headers.emplace_back().name =
        absl::AsciiStrToLower(absl::StripAsciiWhitespace(name));
  }
}

void RemoveFields(Headers& headers) {
  static constexpr absl::string_view kOurs[] = {
      "x-envoy-retry-on",
      "x-envoy-retry-grpc-on",
      "x-envoy-max-retries",
      "x-envoy-retriable-status-codes",
      "x-envoy-retriable-header-names",
      "x-envoy-upstream-rq-timeout-ms",
      "x-envoy-upstream-rq-per-try-timeout-ms",
      "x-envoy-upstream-rq-timeout-alt-response",
  };
  headers.RemoveIf([](const HeaderView& header) {
    return std::any_of(std::begin(kOurs), std::end(kOurs), [&](absl::string_view name) {
      return absl::EqualsIgnoreCase(header.name, name);
    });
  });
}

}  // namespace

RequestPolicy PolicyOf(const ForwardAction& action, const HttpManagerConfig& manager,
                       RequestHead& head) {
  RequestPolicy to;
  to.of_route = action.retry.has_value() ? &*action.retry : nullptr;
  ApplyTimeouts(action, manager, head, to);
  to.per_try = to.of_route != nullptr ? to.of_route->per_try_timeout : absl::InfiniteDuration();
  to.per_try_idle =
      to.of_route != nullptr ? to.of_route->per_try_idle_timeout : absl::InfiniteDuration();
  Headers& headers = head.headers;
  if (headers.HasPrefix("x-envoy-")) {
    if (const auto asked = Milliseconds(headers, "x-envoy-upstream-rq-timeout-ms")) {
      to.timeout = *asked;
    }
    if (const auto asked = Milliseconds(headers, "x-envoy-upstream-rq-per-try-timeout-ms")) {
      to.per_try = *asked;
    }
    ApplyRetryFields(headers, to);
    RemoveFields(headers);
  }
  // One that the whole request's deadline comes before says nothing.
  if (to.per_try >= to.timeout) to.per_try = absl::InfiniteDuration();
  return to;
}

}  // namespace weft
