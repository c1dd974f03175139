#include "controlplane/translate/router_tls.h"

#include <string>

#include "api/envoy/tls.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::config::core::v3::TransportSocket;
using envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
using envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
using envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig;
using envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
using envoy::extensions::transport_sockets::tls::v3::TlsParameters;
using istio::networking::v1alpha3::ServerTLSSettings;

// The proxy speaks no TLS before 1.2: an older minimum is that.
TlsParameters::TlsProtocol LeastOf(ServerTLSSettings::TLSProtocol version) {
  return version == ServerTLSSettings::TLSV1_3 ? TlsParameters::TLSv1_3 : TlsParameters::TLSv1_2;
}

void SetParameters(const ServerTLSSettings& from, TlsParameters& to) {
  to.set_tls_minimum_protocol_version(LeastOf(from.min_protocol_version()));
  if (from.max_protocol_version() == ServerTLSSettings::TLSV1_2) {
    to.set_tls_maximum_protocol_version(TlsParameters::TLSv1_2);
  } else if (from.max_protocol_version() == ServerTLSSettings::TLSV1_3) {
    to.set_tls_maximum_protocol_version(TlsParameters::TLSv1_3);
  }
  for (const std::string& suite : from.cipher_suites()) to.add_cipher_suites(suite);
}

void SetSds(const std::string& name, SdsSecretConfig& to) {
  to.set_name(name);
  *to.mutable_sds_config() = AdsSource();
}

void AddFile(const std::string& certificate, const std::string& key, CommonTlsContext& to) {
  if (certificate.empty()) return;
  auto* pair = to.add_tls_certificates();
  pair->mutable_certificate_chain()->set_filename(certificate);
  pair->mutable_private_key()->set_filename(key);
}

void SetCertificates(const RouterServer& server, CommonTlsContext& to) {
  for (const std::string& name : server.credentials.certificates) {
    SetSds(name, *to.add_tls_certificate_sds_secret_configs());
  }
  if (!server.credentials.certificates.empty()) return;
  const ServerTLSSettings& tls = server.server->tls();
  AddFile(tls.server_certificate(), tls.private_key(), to);
  for (const auto& pair : tls.tls_certificates()) {
    AddFile(pair.server_certificate(), pair.private_key(), to);
  }
}

void SetNames(const ServerTLSSettings& from, CertificateValidationContext& to) {
  for (const std::string& name : from.subject_alt_names()) {
    auto* san = to.add_match_typed_subject_alt_names();
    san->set_san_type(name.find("://") == std::string::npos ? SubjectAltNameMatcher::DNS
                                                            : SubjectAltNameMatcher::URI);
    san->mutable_matcher()->set_exact(name);
  }
  for (const std::string& hash : from.verify_certificate_hash()) {
    to.add_verify_certificate_hash(hash);
  }
  for (const std::string& hash : from.verify_certificate_spki()) {
    to.add_verify_certificate_spki(hash);
  }
  if (!from.ca_crl().empty()) to.mutable_crl()->set_filename(from.ca_crl());
}

void SetTrust(const RouterServer& server, CommonTlsContext& to) {
  const ServerTLSSettings& tls = server.server->tls();
  if (!server.credentials.roots.empty()) {
    auto& combined = *to.mutable_combined_validation_context();
    SetNames(tls, *combined.mutable_default_validation_context());
    SetSds(server.credentials.roots, *combined.mutable_validation_context_sds_secret_config());
    return;
  }
  auto& validation = *to.mutable_validation_context();
  SetNames(tls, validation);
  validation.mutable_trusted_ca()->set_filename(tls.ca_certificates());
}

}  // namespace

bool AsksClients(const RouterServer& server) {
  const auto mode = server.server->tls().mode();
  return mode == ServerTLSSettings::MUTUAL || mode == ServerTLSSettings::OPTIONAL_MUTUAL ||
         mode == ServerTLSSettings::ISTIO_MUTUAL;
}

TransportSocket RouterDownstreamTls(const RouterServer& server) {
  const ServerTLSSettings& tls = server.server->tls();
  if (tls.mode() == ServerTLSSettings::ISTIO_MUTUAL) return MeshDownstreamTls();
  DownstreamTlsContext context;
  CommonTlsContext& common = *context.mutable_common_tls_context();
  SetParameters(tls, *common.mutable_tls_params());
  SetCertificates(server, common);
  if (ServesHttp(*server.server)) {
    common.add_alpn_protocols("h2");
    common.add_alpn_protocols("http/1.1");
  }
  if (AsksClients(server)) {
    SetTrust(server, common);
    context.mutable_require_client_certificate()->set_value(tls.mode() ==
                                                            ServerTLSSettings::MUTUAL);
  }
  TransportSocket socket;
  socket.set_name("envoy.transport_sockets.tls");
  *socket.mutable_typed_config() = PackAny(context);
  return socket;
}

}  // namespace weft
