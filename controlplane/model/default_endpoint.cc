#include "controlplane/model/default_endpoint.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

struct Form {
  absl::string_view prefix;
  absl::string_view ip;
};
constexpr Form kForms[] = {
    {"127.0.0.1:", "127.0.0.1"}, {"[::1]:", "::1"}, {"0.0.0.0:", ""}, {"[::]:", ""}};

}  // namespace

std::optional<DefaultEndpoint> ParseDefaultEndpoint(absl::string_view text) {
  DefaultEndpoint endpoint;
  if (absl::ConsumePrefix(&text, "unix://")) {
    if (text.size() < 2 || text.front() != '/') return std::nullopt;
    endpoint.path = std::string(text);
    return endpoint;
  }
  for (const Form& form : kForms) {
    absl::string_view rest = text;
    uint32_t port = 0;
    if (!absl::ConsumePrefix(&rest, form.prefix)) continue;
    if (!absl::SimpleAtoi(rest, &port) || port < 1 || port > 65535) return std::nullopt;
    endpoint.ip = std::string(form.ip);
    endpoint.port = static_cast<uint16_t>(port);
    return endpoint;
  }
  return std::nullopt;
}

}  // namespace weft
