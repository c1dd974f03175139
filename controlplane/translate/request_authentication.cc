#include "controlplane/translate/request_authentication.h"

#include "absl/strings/str_format.h"
#include "api/envoy/jwt_authn.pb.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/authorization_rule.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/key_set_uris.h"

namespace weft {
namespace {

namespace jwt = envoy::extensions::filters::http::jwt_authn::v3;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
using istio::security::v1beta1::JWTRule;

// A public key without a private one: x is SHA-256 of "weft: nobody has the private key 0", which
// happens to be on the curve; y the even one of the two that go with it.
constexpr char kNobodysKey[] = R"({"keys":[{"kty":"EC","crv":"P-256","kid":"weft-no-keys",)"
                               R"("x":"-3p2MdQL7s17pxHQlqmTld7XTXKu3tprBshDSLvKjlQ",)"
                               R"("y":"Erqmfsyvo6m5J6dA8tlXGQPIzIKxNfDRMaBVgnZZz_4"}]})";

std::string KeysOf(const JWTRule& rule, const World& world) {
  if (!rule.jwks().empty()) return rule.jwks();
  const auto fetched = world.key_sets.find(KeySetUriOf(rule));
  return fetched == world.key_sets.end() ? kNobodysKey : *fetched->second;
}

void SetPlaces(const JWTRule& rule, jwt::JwtProvider& to) {
  for (const auto& from : rule.from_headers()) {
    auto* header = to.add_from_headers();
    header->set_name(from.name());
    header->set_value_prefix(from.prefix());
  }
  *to.mutable_from_params() = rule.from_params();
  *to.mutable_from_cookies() = rule.from_cookies();
}

void SetOutputs(const JWTRule& rule, jwt::JwtProvider& to) {
  to.set_forward(rule.forward_original_token());
  to.set_forward_payload_header(rule.output_payload_to_header());
  to.set_payload_in_metadata(kTokenPayload);
  for (const auto& output : rule.output_claim_to_headers()) {
    auto* header = to.add_claim_to_headers();
    header->set_header_name(output.header());
    header->set_claim_name(output.claim());
  }
  auto* spaced = to.mutable_normalize_payload_in_metadata();
  spaced->add_space_delimited_claims("scope");
  spaced->add_space_delimited_claims("permission");
  for (const std::string& claim : rule.space_delimited_claims()) {
    spaced->add_space_delimited_claims(claim);
  }
}

jwt::JwtProvider ProviderOf(const JWTRule& rule, const World& world) {
  jwt::JwtProvider provider;
  provider.set_issuer(rule.issuer());
  *provider.mutable_audiences() = rule.audiences();
  provider.mutable_local_jwks()->set_inline_string(KeysOf(rule, world));
  SetPlaces(rule, provider);
  SetOutputs(rule, provider);
  return provider;
}

}  // namespace

std::optional<HttpFilter> JwtFilterFor(const TranslationIndex& index,
                                       const std::string& workload_namespace,
                                       const Labels& labels) {
  jwt::JwtAuthentication authentication;
  for (const auto* config : index.RequestAuthenticationsFor(workload_namespace, labels)) {
    for (const JWTRule& rule : config->spec->jwt_rules()) {
      // Padded, so that the order of their names is theirs.
      const std::string name = absl::StrFormat("origins-%04d", authentication.providers().size());
      (*authentication.mutable_providers())[name] = ProviderOf(rule, index.world());
    }
  }
  if (authentication.providers().empty()) return std::nullopt;
  auto* everywhere = authentication.add_rules();
  everywhere->mutable_match()->set_prefix("/");
  // Every token that is there has to be good; there may be none.
  everywhere->mutable_required()->mutable_allow_missing();
  authentication.set_bypass_cors_preflight(true);
  HttpFilter filter;
  filter.set_name("envoy.filters.http.jwt_authn");
  *filter.mutable_typed_config() = PackAny(authentication);
  return filter;
}

}  // namespace weft
