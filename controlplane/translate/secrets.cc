#include "controlplane/translate/secrets.h"

#include "api/envoy/tls.pb.h"
#include "controlplane/translate/encode.h"

namespace weft {

EncodedResources TrustSecrets(const World& world) {
  std::map<std::string, std::string> roots;  // by trust domain
  roots.emplace(world.self->trust_domain, world.self->roots_pem);
  for (const auto& [cluster, peer] : world.peers) {
    if (!peer->roots_pem.empty()) roots.emplace(peer->trust_domain, peer->roots_pem);
  }
  envoy::extensions::transport_sockets::tls::v3::SPIFFECertValidatorConfig spiffe;
  for (const auto& [trust_domain, pem] : roots) {
    auto* domain = spiffe.add_trust_domains();
    domain->set_name(trust_domain);
    domain->mutable_trust_bundle()->set_inline_string(pem);
  }
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.set_name("ROOTCA");
  auto* validator = secret.mutable_validation_context()->mutable_custom_validator_config();
  validator->set_name("envoy.tls.cert_validator.spiffe");
  *validator->mutable_typed_config() = PackAny(spiffe);
  return {{secret.name(), EncodeResource(secret)}};
}

}  // namespace weft
