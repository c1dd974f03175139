// The Secrets that TLS at a router names (`credentialName`), as SDS secrets of their own.
//
// They are looked for in the router's own namespace, whatever namespace names them, and are sent to
// a router only if a Gateway (or DestinationRule) in force there names them. Names in SDS are
// Istio's: "kubernetes://NAME", "kubernetes://NAME-cacert".
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTER_CREDENTIALS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTER_CREDENTIALS_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/resources.h"

namespace istio::networking::v1alpha3 {
class ClientTLSSettings;
class ServerTLSSettings;
}  // namespace istio::networking::v1alpha3

namespace weft {

struct RouterCredentials {
  std::vector<std::string> certificates;  // SDS names
  std::string roots;                      // an SDS name; empty: none
  // By SDS name, where in World::secrets it is, and which half of it.
  struct Source {
    std::string secret;
    bool roots = false;
  };
  std::map<std::string, Source> sources;
};

// Namespace and name of a Secret.
using SecretName = std::pair<std::string, std::string>;

// NotFound names the Secret that is not there, or what it lacks.
absl::StatusOr<RouterCredentials> CredentialsOf(
    const World& world, const istio::networking::v1alpha3::ServerTLSSettings& tls,
    const std::string& router_namespace);
absl::StatusOr<RouterCredentials> CredentialsOf(
    const World& world, const istio::networking::v1alpha3::ClientTLSSettings& tls,
    const std::string& router_namespace);

// All Secrets that may decide what CredentialsOf says.
void AddSecretsNamed(const istio::networking::v1alpha3::ServerTLSSettings& tls,
                     const std::string& router_namespace, std::set<SecretName>& names);
void AddSecretsNamed(const istio::networking::v1alpha3::ClientTLSSettings& tls,
                     const std::string& router_namespace, std::set<SecretName>& names);

// Adds the SDS secrets of the credentials.
void AddSecrets(const World& world, const RouterCredentials& credentials, EncodedResources& to);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTER_CREDENTIALS_H_
