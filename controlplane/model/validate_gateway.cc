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
    }
    return;
  }
  const bool terminates = tls.mode() == ServerTLSSettings::SIMPLE ||
                          tls.mode() == ServerTLSSettings::MUTUAL ||
                          tls.mode() == ServerTLSSettings::OPTIONAL_MUTUAL;
  const bool has_credential = !tls.credential_name().empty() || !tls.credential_names().empty() ||
                              !tls.tls_certificates().empty();
  if (!terminates || has_credential) return;
  if (tls.server_certificate().empty()) {
    check.Error("serverCertificate", "is missing; 'credentialName' would do as well");
  }
  if (tls.private_key().empty()) {
    check.Error("privateKey", "is missing; 'credentialName' would do as well");
  }
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
  }
  check.SelectorLabels("selector", spec.selector());
}

}  // namespace weft
