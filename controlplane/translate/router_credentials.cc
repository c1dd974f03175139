#include "controlplane/translate/router_credentials.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/tls.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/tls_secret.h"
#include "controlplane/translate/encode.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::ClientTLSSettings;
using istio::networking::v1alpha3::ServerTLSSettings;

constexpr absl::string_view kRootsSuffix = "-cacert";

// "name" of the router's namespace; Gateways made of the Gateway API name another one's as
// "namespace/name", where a ReferenceGrant lets them.
SecretName Resolve(absl::string_view written, const std::string& router_namespace) {
  const size_t slash = written.find('/');
  if (slash == absl::string_view::npos) return {router_namespace, std::string(written)};
  return {std::string(written.substr(0, slash)), std::string(written.substr(slash + 1))};
}

std::string SdsName(absl::string_view written, absl::string_view suffix = "") {
  return absl::StrCat("kubernetes://", written, suffix);
}

const TlsSecret* Find(const World& world, const SecretName& name) {
  const auto found = world.secrets.find(SecretKey(name.first, name.second));
  return found == world.secrets.end() ? nullptr : found->second.get();
}

absl::Status NotThere(const SecretName& name) {
  return absl::NotFoundError(absl::StrCat("Secret ", SecretKey(name.first, name.second),
                                          " is not there, or not of use for TLS"));
}

class Lookup {
 public:
  Lookup(const World& world, const std::string& router_namespace)
      : world_(world), namespace_(router_namespace) {}

  absl::Status AddCertificate(const std::string& written) {
    const SecretName name = Resolve(written, namespace_);
    const TlsSecret* secret = Find(world_, name);
    if (secret == nullptr) return NotThere(name);
    if (secret->certificate.empty()) {
      return absl::NotFoundError(
          absl::StrCat("Secret ", SecretKey(name.first, name.second), " has no certificate"));
    }
    credentials_.certificates.push_back(SdsName(written));
    credentials_.sources[SdsName(written)] = {SecretKey(name.first, name.second), false};
    return absl::OkStatus();
  }

  // Of the Secret of this name, exactly.
  absl::Status AddRootsOf(const std::string& written) {
    const SecretName name = Resolve(written, namespace_);
    const TlsSecret* secret = Find(world_, name);
    if (secret == nullptr) return NotThere(name);
    if (secret->ca.empty()) {
      return absl::NotFoundError(
          absl::StrCat("Secret ", SecretKey(name.first, name.second), " has no roots (ca.crt)"));
    }
    SetRoots(SdsName(written, kRootsSuffix), SecretKey(name.first, name.second));
    return absl::OkStatus();
  }

  // Of NAME-cacert, else of the Secret itself.
  absl::Status AddRootsBeside(const std::string& written) {
    const SecretName name = Resolve(written, namespace_);
    const SecretName beside = {name.first, absl::StrCat(name.second, kRootsSuffix)};
    const TlsSecret* secret = Find(world_, beside);
    if (secret == nullptr || secret->ca.empty()) return AddRootsOf(written);
    SetRoots(SdsName(written, kRootsSuffix), SecretKey(beside.first, beside.second));
    return absl::OkStatus();
  }

  RouterCredentials Take() && { return std::move(credentials_); }

 private:
  void SetRoots(std::string sds, std::string secret) {
    credentials_.sources[sds] = {std::move(secret), true};
    credentials_.roots = std::move(sds);
  }

  const World& world_;
  const std::string& namespace_;
  RouterCredentials credentials_;
};

std::vector<std::string> NamesOf(const ServerTLSSettings& tls) {
  std::vector<std::string> names(tls.credential_names().begin(), tls.credential_names().end());
  if (names.empty() && !tls.credential_name().empty()) names.push_back(tls.credential_name());
  return names;
}

bool AsksClients(const ServerTLSSettings& tls) {
  return tls.mode() == ServerTLSSettings::MUTUAL ||
         tls.mode() == ServerTLSSettings::OPTIONAL_MUTUAL;
}

}  // namespace

absl::StatusOr<RouterCredentials> CredentialsOf(const World& world, const ServerTLSSettings& tls,
                                                const std::string& router_namespace) {
  Lookup lookup(world, router_namespace);
  const std::vector<std::string> names = NamesOf(tls);
  for (const std::string& name : names) {
    absl::Status status = lookup.AddCertificate(name);
    if (!status.ok()) return status;
  }
  absl::Status status;
  if (AsksClients(tls) && !tls.ca_cert_credential_name().empty()) {
    status = lookup.AddRootsOf(tls.ca_cert_credential_name());
  } else if (AsksClients(tls) && !names.empty() && tls.ca_certificates().empty()) {
    status = lookup.AddRootsBeside(names.front());
  }
  if (!status.ok()) return status;
  return std::move(lookup).Take();
}

absl::StatusOr<RouterCredentials> CredentialsOf(const World& world, const ClientTLSSettings& tls,
                                                const std::string& router_namespace) {
  Lookup lookup(world, router_namespace);
  if (tls.mode() == ClientTLSSettings::MUTUAL) {
    absl::Status status = lookup.AddCertificate(tls.credential_name());
    if (!status.ok()) return status;
  }
  absl::Status status = lookup.AddRootsBeside(tls.credential_name());
  if (!status.ok()) return status;
  return std::move(lookup).Take();
}

void AddSecretsNamed(const ServerTLSSettings& tls, const std::string& router_namespace,
                     std::set<SecretName>& names) {
  for (const std::string& written : NamesOf(tls)) {
    const SecretName name = Resolve(written, router_namespace);
    names.insert(name);
    if (AsksClients(tls)) names.insert({name.first, absl::StrCat(name.second, kRootsSuffix)});
  }
  if (AsksClients(tls) && !tls.ca_cert_credential_name().empty()) {
    names.insert(Resolve(tls.ca_cert_credential_name(), router_namespace));
  }
}

void AddSecretsNamed(const ClientTLSSettings& tls, const std::string& router_namespace,
                     std::set<SecretName>& names) {
  if (tls.credential_name().empty()) return;
  const SecretName name = Resolve(tls.credential_name(), router_namespace);
  names.insert(name);
  names.insert({name.first, absl::StrCat(name.second, kRootsSuffix)});
}

void AddSecrets(const World& world, const RouterCredentials& credentials, EncodedResources& to) {
  for (const auto& [name, source] : credentials.sources) {
    const auto found = world.secrets.find(source.secret);
    if (found == world.secrets.end()) continue;
    envoy::extensions::transport_sockets::tls::v3::Secret secret;
    secret.set_name(name);
    if (source.roots) {
      auto& trust = *secret.mutable_validation_context();
      trust.mutable_trusted_ca()->set_inline_string(found->second->ca);
      if (!found->second->crl.empty()) trust.mutable_crl()->set_inline_string(found->second->crl);
    } else {
      auto& pair = *secret.mutable_tls_certificate();
      pair.mutable_certificate_chain()->set_inline_string(found->second->certificate);
      pair.mutable_private_key()->set_inline_string(found->second->key);
    }
    to.emplace(name, EncodeResource(secret));
  }
}

}  // namespace weft
