#include "controlplane/translate/authorizers.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/istio/mesh.pb.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/sidecar_scope.h"

namespace weft {
namespace {

using istio::security::v1beta1::AuthorizationPolicy;

absl::Status Unknown(const TranslationIndex& index, const std::string& name) {
  const std::vector<std::string> known = index.mesh().Authorizers();
  return absl::NotFoundError(absl::StrCat(
      "'", name, "': the mesh config's extensionProviders declare no authorizer of this name; ",
      known.empty() ? "there is none" : absl::StrCat("there is ", absl::StrJoin(known, ", "))));
}

// What a provider says of its place: "[NAMESPACE/]HOST". Null: there is no such service.
const Service* FindPlace(const TranslationIndex& index, const std::string& place) {
  const size_t slash = place.find('/');
  const bool anywhere = slash == std::string::npos;
  const std::string name_space =
      anywhere ? index.mesh().config()->key.namespace_ : place.substr(0, slash);
  const std::string host =
      index.ResolveHost(anywhere ? place : place.substr(slash + 1), name_space);
  for (const Service* service : index.ServicesOf(index.FollowAlias(host))) {
    if (anywhere || service->namespace_ == name_space) return service;
  }
  return nullptr;
}

absl::StatusOr<Authorizer> At(const TranslationIndex& index, const MeshSettings::Provider& provider,
                              const std::string& place, uint32_t number) {
  const bool grpc = provider.has_envoy_ext_authz_grpc();
  const auto missing = [&](absl::string_view what) {
    return absl::NotFoundError(
        absl::StrCat("'", provider.name(), "': its service '", place, "' ", what));
  };
  const Service* service = FindPlace(index, place);
  if (service == nullptr) return missing("is not in the mesh");
  const ServicePort* port = FindPort(*service, number);
  if (port == nullptr) return missing(absl::StrCat("has no port ", number));
  if (!IsHttp(port->protocol)) {
    return missing(absl::StrCat("has no HTTP on port ", number,
                                "; name the port http or grpc, or set its appProtocol"));
  }
  if (grpc && !IsHttp2(port->protocol)) {
    return missing(absl::StrCat("has no gRPC on port ", number,
                                "; name the port grpc, or set its appProtocol"));
  }
  return Authorizer{&provider, service, port->port};
}

}  // namespace

absl::StatusOr<Authorizer> FindAuthorizer(const TranslationIndex& index, const std::string& name) {
  const MeshSettings::Provider* provider = index.mesh().Find(name);
  if (provider != nullptr && provider->has_envoy_ext_authz_http()) {
    const auto& http = provider->envoy_ext_authz_http();
    return At(index, *provider, http.service(), http.port());
  }
  if (provider != nullptr && provider->has_envoy_ext_authz_grpc()) {
    const auto& grpc = provider->envoy_ext_authz_grpc();
    return At(index, *provider, grpc.service(), grpc.port());
  }
  return Unknown(index, name);
}

std::set<std::string> AuthorizersNamed(const TranslationIndex& index,
                                       const std::string& workload_namespace,
                                       const Labels& labels) {
  std::set<std::string> names;
  for (const auto* config : index.AuthorizationPoliciesFor(workload_namespace, labels)) {
    if (config->spec->action() != AuthorizationPolicy::CUSTOM || IsOnTrial(*config)) continue;
    names.insert(config->spec->provider().name());
  }
  return names;
}

absl::StatusOr<Authorizer> AuthorizerOf(const TranslationIndex& index,
                                        const std::set<std::string>& names) {
  if (names.empty()) return absl::NotFoundError("no policy names one");
  if (names.size() > 1) {
    return absl::NotFoundError(absl::StrCat("a workload has one authorizer, and its policies name ",
                                            absl::StrJoin(names, ", ")));
  }
  return FindAuthorizer(index, *names.begin());
}

bool IsOnTrial(const TranslationIndex::AuthorizationPolicyConfig& config) {
  const auto found = config.annotations.find("istio.io/dry-run");
  if (found == config.annotations.end()) return false;
  return absl::EqualsIgnoreCase(found->second, "true") ||
         absl::EqualsIgnoreCase(found->second, "t") || found->second == "1";
}

}  // namespace weft
