// The rules of an HTTPRoute or GRPCRoute as HTTP routes of a VirtualService, with what decides
// about their order. A part of gateway_api.h. For .cc files only: it includes generated headers.
#ifndef WEFT_CONTROLPLANE_MODEL_GATEWAY_API_RULES_H_
#define WEFT_CONTROLPLANE_MODEL_GATEWAY_API_RULES_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/istio/networking.pb.h"
#include "api/kubernetes/gateway.pb.h"
#include "controlplane/model/world.h"

namespace weft {

// Which of several rules that fit a request counts: the greater one. What is equal in these is
// decided by the routes' age, then name, then the order within.
struct RulePrecedence {
  int path_kind = 0;  // exact, regular expression, prefix
  size_t path_length = 0;
  bool method = false;
  size_t headers = 0;
  size_t query_params = 0;

  friend auto operator<=>(const RulePrecedence&, const RulePrecedence&) = default;
};

struct ConvertedRule {
  RulePrecedence precedence;
  istio::networking::v1alpha3::HTTPRoute route;  // with one match
};

// What a backend comes to.
class Backends {
 public:
  explicit Backends(const World& world) : world_(world) {}

  struct Verdict {
    std::string host;    // empty: it cannot be used
    std::string reason;  // then: of the condition ResolvedRefs
    std::string message;
  };
  // A RouteBackend or BackendReference of a route of this kind and namespace.
  template <typename Reference>
  Verdict Resolve(const Reference& backend, absl::string_view route_kind,
                  const std::string& route_namespace) const;
  // Whether a ReferenceGrant lets objects of that kind and namespace refer to this one.
  bool Granted(absl::string_view from_kind, const std::string& from_namespace,
               absl::string_view to_kind, const std::string& to_namespace,
               const std::string& to_name) const;

 private:
  Verdict Resolve(const std::string& group, const std::string& kind, const std::string& name,
                  const std::string& namespace_, uint32_t port, absl::string_view route_kind,
                  const std::string& route_namespace) const;

  const World& world_;
};

template <typename Reference>
Backends::Verdict Backends::Resolve(const Reference& backend, absl::string_view route_kind,
                                    const std::string& route_namespace) const {
  return Resolve(backend.group(), backend.kind().empty() ? "Service" : backend.kind(),
                 backend.name(),
                 backend.namespace_().empty() ? route_namespace : backend.namespace_(),
                 backend.port(), route_kind, route_namespace);
}

std::vector<ConvertedRule> ConvertRules(const Backends& backends,
                                        const Config<kubernetes::HttpRouteSpec>& route,
                                        uint16_t listener_port);
std::vector<ConvertedRule> ConvertRules(const Backends& backends,
                                        const Config<kubernetes::GrpcRouteSpec>& route,
                                        uint16_t listener_port);

// Of a TLSRoute or TCPRoute, the backends that can be used.
std::vector<istio::networking::v1alpha3::RouteDestination> ConvertBackends(
    const Backends& backends, const kubernetes::L4RouteRule& rule, absl::string_view route_kind,
    const std::string& route_namespace);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GATEWAY_API_RULES_H_
