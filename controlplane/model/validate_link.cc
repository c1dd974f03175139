// Rules of Link.
#include <string>

#include "absl/strings/str_cat.h"
#include "api/weft/kinds.pb.h"
#include "certs/spiffe_id.h"
#include "certs/trust_bundle.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

using v1alpha1::LinkSpec;

void CheckGatewayOf(const LinkSpec::Gateway& gateway, Checker& check) {
  if (!IsIp(gateway.address())) {
    check.Error("address", absl::StrCat("'", gateway.address(), "' is not an IP address"));
  }
  check.RequiredPort("port", gateway.port());
  check.Port("tunnelPort", gateway.tunnel_port());
}

// By what the cluster is believed.
void CheckTrust(const LinkSpec& spec, Checker& check) {
  const absl::Status domain = certs::CheckTrustDomain(spec.trust_domain());
  if (!domain.ok()) return check.Error("trustDomain", std::string(domain.message()));
  const absl::Status roots = certs::TrustBundles().Set(spec.trust_domain(), spec.roots());
  if (!roots.ok()) check.Error("roots", std::string(roots.message()));
}

}  // namespace

void CheckLink(const LinkSpec& spec, Checker& check) {
  check.Label("metadata.name", check.key().name);
  const Checker::In in(check, "spec");
  if (spec.has_token_secret_ref()) {
    check.Host("tokenSecretRef.name", spec.token_secret_ref().name(), /*wildcard=*/false);
  }
  for (int i = 0; i < spec.gateways_size(); ++i) {
    const Checker::In item(check, "gateways", i);
    CheckGatewayOf(spec.gateways(i), check);
  }
  for (int i = 0; i < spec.accept_config_size(); ++i) {
    if (spec.accept_config(i) == "*") continue;
    check.Label(absl::StrCat("acceptConfig[", i, "]"), spec.accept_config(i));
  }
  if (!spec.roots().empty()) {
    if (spec.network().empty()) check.Error("network", "is missing");
    return CheckTrust(spec, check);
  }
  if (!spec.has_token_secret_ref()) {
    check.Error("roots", "is missing; or have 'tokenSecretRef' name a Secret with a link token");
  }
}

}  // namespace weft
