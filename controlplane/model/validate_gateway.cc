// Rules of Gateway.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::ServerTLSSettings;

constexpr std::array<absl::string_view, 10> kProtocols = {
    "HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "TLS", "MONGO", "MYSQL", "REDIS"};

void CheckServerPort(const networking::Port& port, Checker& check) {
  const Checker::In in(check, "port");
  check.RequiredPort("number", port.number());
  if (port.name().empty()) check.Error("name", "is missing");
  const std::string protocol = absl::AsciiStrToUpper(port.protocol());
  if (protocol.empty()) {
    check.Error("protocol", "is missing");
  } else if (std::find(kProtocols.begin(), kProtocols.end(), protocol) == kProtocols.end()) {
    check.Error("protocol", absl::StrCat("'", port.protocol(),
                                         "' is not a protocol; HTTP, HTTPS, "
                                         "HTTP2, GRPC, TCP and TLS are"));
  }
}

// "host", "*/host", "./host" or "namespace/host".
void CheckServerHost(absl::string_view host, size_t index, Checker& check) {
  const size_t slash = host.find('/');
  if (slash != absl::string_view::npos) {
    const absl::string_view scope = host.substr(0, slash);
    if (scope.empty()) check.Error(absl::StrCat("hosts[", index, "]"), "nothing before '/'");
    host.remove_prefix(slash + 1);
  }
  check.Host(absl::StrCat("hosts[", index, "]"), host, /*wildcard=*/true);
}

// What BoringSSL knows of TLS 1.2; those of TLS 1.3 are not for choice.
constexpr std::array<absl::string_view, 14> kCipherSuites = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
};

bool IsBeforeTls12(ServerTLSSettings::TLSProtocol version) {
  return version == ServerTLSSettings::TLSV1_0 || version == ServerTLSSettings::TLSV1_1;
}

void CheckVersions(const ServerTLSSettings& tls, Checker& check) {
  if (IsBeforeTls12(tls.min_protocol_version())) {
    check.Warning("minProtocolVersion", "TLS before 1.2 is not spoken: 1.2 is the least");
  }
  if (IsBeforeTls12(tls.max_protocol_version())) {
    check.Error("maxProtocolVersion", "TLS before 1.2 is not spoken");
  }
  if (tls.max_protocol_version() != ServerTLSSettings::TLS_AUTO &&
      tls.max_protocol_version() < tls.min_protocol_version()) {
    check.Error("maxProtocolVersion", "is below 'minProtocolVersion'");
  }
  for (int i = 0; i < tls.cipher_suites_size(); ++i) {
    const std::string& suite = tls.cipher_suites(i);
    if (std::find(kCipherSuites.begin(), kCipherSuites.end(), suite) != kCipherSuites.end()) {
      continue;
    }
    check.Error(absl::StrCat("cipherSuites[", i, "]"),
                absl::StrCat("'", suite,
                             "' is none that can be chosen; write them as OpenSSL does: "
                             "ECDHE-RSA-AES256-GCM-SHA384"));
  }
}

void CheckCredentialName(absl::string_view field, const std::string& name, Checker& check) {
  if (name.find('/') == std::string::npos) return;
  check.Error(field, absl::StrCat("'", name,
                                  "' is not the name of a Secret; it is looked for in the gateway "
                                  "workload's own namespace"));
}

// Where keys come from, if TLS ends here: from Secrets, or from files of the gateway's pod.
void CheckCredentials(const ServerTLSSettings& tls, Checker& check) {
  CheckCredentialName("credentialName", tls.credential_name(), check);
  CheckCredentialName("caCertCredentialName", tls.ca_cert_credential_name(), check);
  for (int i = 0; i < tls.credential_names_size(); ++i) {
    CheckCredentialName(absl::StrCat("credentialNames[", i, "]"), tls.credential_names(i), check);
  }
  const bool named = !tls.credential_name().empty() || !tls.credential_names().empty();
  for (int i = 0; i < tls.tls_certificates_size(); ++i) {
    const Checker::In at(check, "tlsCertificates", i);
    if (tls.tls_certificates(i).server_certificate().empty()) {
      check.Error("serverCertificate", "is missing");
    }
    if (tls.tls_certificates(i).private_key().empty()) check.Error("privateKey", "is missing");
  }
  if (!named && tls.tls_certificates().empty()) {
    if (tls.server_certificate().empty()) {
      check.Error("serverCertificate", "is missing; 'credentialName' would do as well");
    }
    if (tls.private_key().empty()) {
      check.Error("privateKey", "is missing; 'credentialName' would do as well");
    }
  }
  const bool asks =
      tls.mode() == ServerTLSSettings::MUTUAL || tls.mode() == ServerTLSSettings::OPTIONAL_MUTUAL;
  if (asks && !named && tls.ca_certificates().empty() && tls.ca_cert_credential_name().empty()) {
    check.Error("caCertificates", "is missing; 'credentialName' would do as well");
  }
  if (!asks && !tls.subject_alt_names().empty()) {
    check.Error("subjectAltNames", "names clients, which only MUTUAL and OPTIONAL_MUTUAL ask for");
  }
}

bool Terminates(const ServerTLSSettings& tls) {
  return tls.mode() == ServerTLSSettings::SIMPLE || tls.mode() == ServerTLSSettings::MUTUAL ||
         tls.mode() == ServerTLSSettings::OPTIONAL_MUTUAL;
}

void CheckServerTls(const networking::Server& server, Checker& check) {
  const std::string protocol = absl::AsciiStrToUpper(server.port().protocol());
  const bool secure = protocol == "HTTPS" || protocol == "TLS";
  if (!server.has_tls()) {
    if (secure) check.Error("tls", absl::StrCat("is missing for protocol ", protocol));
    return;
  }
  const ServerTLSSettings& tls = server.tls();
  const Checker::In in(check, "tls");
  if (!secure) {
    const bool only_redirect = tls.mode() == ServerTLSSettings::PASSTHROUGH &&
                               tls.credential_name().empty() && tls.server_certificate().empty();
    if (protocol == "HTTP" && !(only_redirect && tls.https_redirect())) {
      check.Error("", "a port of protocol HTTP can only have 'httpsRedirect' here");
    } else if (protocol != "HTTP") {
      check.Warning("", absl::StrCat("has no effect on a port of protocol ", protocol,
                                     "; TLS is of the protocols HTTPS and TLS"));
    }
    return;
  }
  if (tls.https_redirect()) check.Warning("httpsRedirect", "has no effect where TLS is spoken");
  CheckVersions(tls, check);
  if (Terminates(tls)) CheckCredentials(tls, check);
}

// An IP of the pod, or a Unix socket.
void CheckBind(const std::string& bind, Checker& check) {
  if (bind.empty() || IsIp(bind) || bind.rfind("unix:///", 0) == 0) return;
  check.Error("bind", absl::StrCat("'", bind, "' is neither an IP address nor 'unix:///PATH'"));
}

}  // namespace

void CheckGateway(const networking::Gateway& spec, Checker& check) {
  if (spec.servers().empty()) check.Error("servers", "is missing");
  std::set<std::string> names;
  for (int i = 0; i < spec.servers_size(); ++i) {
    const networking::Server& server = spec.servers(i);
    const Checker::In in(check, "servers", i);
    if (server.has_port()) {
      CheckServerPort(server.port(), check);
    } else {
      check.Error("port", "is missing");
    }
    if (!server.port().name().empty() && !names.insert(server.port().name()).second) {
      check.Error("port.name", absl::StrCat("'", server.port().name(), "' is there twice"));
    }
    if (server.hosts().empty()) check.Error("hosts", "is missing");
    for (int k = 0; k < server.hosts_size(); ++k) CheckServerHost(server.hosts(k), k, check);
    CheckServerTls(server, check);
    CheckBind(server.bind(), check);
    if (!server.default_endpoint().empty()) {
      check.Warning("defaultEndpoint",
                    "has no effect: a VirtualService says where a gateway's connections go");
    }
  }
  check.SelectorLabels("selector", spec.selector());
}

}  // namespace weft
