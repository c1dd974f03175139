#include "controlplane/flags.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "certs/file.h"
#include "certs/spiffe_id.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {
namespace {

// As long as the hash of the tokens' HMAC (RFC 2104, section 3).
constexpr size_t kShortestTokenKey = 32;

absl::Status InFlag(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", what));
}

absl::Status ReadAddress(absl::string_view flag, const std::string& text, Address& to) {
  auto address = Address::Parse(text);
  if (!address.ok() || address->family() == AF_UNIX) {
    return InFlag(flag, absl::StrCat("not IP:PORT: \"", text, "\""));
  }
  to = *std::move(address);
  return absl::OkStatus();
}

// For what must not be seen from outside.
absl::Status ReadLoopback(absl::string_view flag, const std::string& text, Address& to) {
  absl::Status read = ReadAddress(flag, text, to);
  if (!read.ok()) return read;
  const std::string ip = to.ip();
  if (ip == "::1" || absl::string_view(ip).substr(0, 4) == "127.") return absl::OkStatus();
  return InFlag(flag,
                absl::StrCat("is not protected, so it has to be on loopback: \"", text, "\""));
}

bool IsUnspecified(const Address& address) {
  return address.ip() == "0.0.0.0" || address.ip() == "::";
}

// Whether others may reach it: neither loopback nor, being good for one link only, link-local.
bool IsReachable(const ifaddrs& one) {
  if (one.ifa_addr == nullptr) return false;
  if ((one.ifa_flags & IFF_LOOPBACK) != 0 || (one.ifa_flags & IFF_UP) == 0) return false;
  if (one.ifa_addr->sa_family == AF_INET) return true;
  return one.ifa_addr->sa_family == AF_INET6 &&
         !IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(one.ifa_addr)->sin6_addr);
}

// The first address of this machine that others may reach, of IPv4 if there is one.
std::string OwnAddress() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "";
  std::string v4, v6;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (!IsReachable(*one)) continue;
    const bool is_v6 = one->ifa_addr->sa_family == AF_INET6;
    const socklen_t length = is_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    std::string& found = is_v6 ? v6 : v4;
    if (found.empty()) found = Address::FromSockaddr(one->ifa_addr, length).ip();
  }
  freeifaddrs(all);
  return v4.empty() ? v6 : v4;
}

absl::Status ReadPeerApi(const Flags& flags, const Address& listen, GatewayAddress& to) {
  if (flags.peer_advertise.empty()) {
    to.address = IsUnspecified(listen) ? OwnAddress() : listen.ip();
    to.port = listen.port();
    return absl::OkStatus();
  }
  Address advertised;
  absl::Status read = ReadAddress("--peer-advertise", flags.peer_advertise, advertised);
  if (!read.ok()) return read;
  to = {advertised.ip(), advertised.port()};
  return absl::OkStatus();
}

// "IP:PORT" or "IP:PORT/TUNNEL-PORT".
absl::Status ReadGateway(const std::string& text, GatewayAddress& to) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  Address address;
  absl::Status read = ReadAddress("--gateway-address", parts.first, address);
  if (!read.ok()) return read;
  to = {address.ip(), address.port()};
  if (!absl::StrContains(text, '/')) return absl::OkStatus();
  uint32_t tunnel_port = 0;
  if (!absl::SimpleAtoi(parts.second, &tunnel_port) || tunnel_port == 0 || tunnel_port > 65535) {
    return InFlag("--gateway-address", absl::StrCat("not IP:PORT/TUNNEL-PORT: \"", text, "\""));
  }
  to.tunnel_port = static_cast<uint16_t>(tunnel_port);
  return absl::OkStatus();
}

absl::Status ReadIdentity(const Flags& flags, ControlPlaneOptions& options) {
  if (!IsDnsLabel(flags.cluster)) {
    return InFlag("--cluster", absl::StrCat("not a DNS label: \"", flags.cluster, "\""));
  }
  options.self.cluster = flags.cluster;
  options.self.network = flags.network.empty() ? flags.cluster : flags.network;
  options.self.mesh_id = flags.mesh_id;
  options.self.trust_domain =
      flags.trust_domain.empty() ? absl::StrCat(flags.cluster, ".weft") : flags.trust_domain;
  absl::Status domain = certs::CheckTrustDomain(options.self.trust_domain);
  if (!domain.ok()) return InFlag("--trust-domain", domain.message());
  return absl::OkStatus();
}

// What workloads without a certificate prove by who they are.
absl::Status ReadTokens(const Flags& flags, ControlPlaneOptions& options) {
  if (flags.token_audience.empty()) return InFlag("--token-audience", "is empty");
  options.token_audience = flags.token_audience;
  if (flags.token_key.empty()) {
    if (options.registry_server.has_value()) return absl::OkStatus();
    return InFlag("--token-key", "is required where the registry is no API server");
  }
  auto key = certs::ReadFile(flags.token_key);
  if (!key.ok()) return InFlag("--token-key", key.status().message());
  options.token_key = absl::HexStringToBytes(absl::StripAsciiWhitespace(*key));
  if (options.token_key.size() < kShortestTokenKey) {
    return absl::InvalidArgumentError(absl::StrCat("--token-key ", flags.token_key,
                                                   ": expected at least 32 random bytes in hex"));
  }
  return absl::OkStatus();
}

absl::Status ReadAddresses(const Flags& flags, ControlPlaneOptions& options) {
  absl::Status read = ReadAddress("--xds-listen", flags.xds_listen, options.xds);
  if (read.ok()) read = ReadLoopback("--xds-plain", flags.xds_plain, options.xds_plain);
  if (read.ok()) read = ReadAddress("--peer-listen", flags.peer_listen, options.peer);
  if (read.ok()) read = ReadAddress("--monitoring", flags.monitoring, options.monitoring);
  if (read.ok() && !flags.debug_listen.empty()) {
    read = ReadLoopback("--debug-listen", flags.debug_listen, options.debug);
  }
  if (read.ok() && !flags.webhook_listen.empty()) {
    read = ReadAddress("--webhook-listen", flags.webhook_listen, options.webhook);
  }
  if (read.ok()) read = ReadPeerApi(flags, options.peer, options.self.peer_api);
  for (const std::string& text : flags.gateway_addresses) {
    GatewayAddress gateway;
    if (read.ok()) read = ReadGateway(text, gateway);
    if (read.ok()) options.gateways.push_back(gateway);
  }
  options.self.outbound_only = flags.outbound_only;
  if (read.ok() && flags.outbound_only && !options.gateways.empty()) {
    return InFlag("--outbound-only", "nobody can dial the --gateway-address of such a cluster");
  }
  return read;
}

void ReadInjection(const Flags& flags, webhook::InjectConfig& to) {
  to.revision = flags.revision;
  to.image = flags.proxy_image;
  to.discovery_address = flags.discovery_address;
  to.native_sidecar = flags.native_sidecar;
}

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status ReadRegistry(const Flags& flags, ControlPlaneOptions& options) {
  absl::string_view rest = flags.registry;
  if (!absl::ConsumePrefix(&rest, "kubernetes") || (!rest.empty() && rest[0] != ':')) {
    if (!absl::StartsWith(flags.registry, "dir:")) {
      return InFlag("--registry", absl::StrCat("expected dir:FOLDER,… or kubernetes[:KUBECONFIG], "
                                               "found \"",
                                               flags.registry, "\""));
    }
    auto folders = RegistryFolders(flags.registry);
    if (!folders.ok()) return folders.status();
    options.registry_folders = *std::move(folders);
    return absl::OkStatus();
  }
  if (rest == ":") return InFlag("--registry", "kubernetes: names no kubeconfig file");
  auto server = rest.empty() ? InClusterConfig(Variable("KUBERNETES_SERVICE_HOST"),
                                               Variable("KUBERNETES_SERVICE_PORT"))
                             : LoadKubeconfig(std::string(rest.substr(1)));
  if (!server.ok()) return InFlag("--registry", server.status().message());
  options.registry_server = *std::move(server);
  return absl::OkStatus();
}

}  // namespace

std::optional<Flags> ParseFlags(int argc, char** argv, int* exit_code) {
  Flags flags;
  CLI::App app("weftd: the control plane of one cluster");
  app.option_defaults()->always_capture_default();
  app.add_option("--cluster", flags.cluster, "name of this cluster");
  app.add_option("--network", flags.network, "its network; the cluster's name by default");
  app.add_option("--mesh-id", flags.mesh_id, "name of the mesh");
  app.add_option("--trust-domain", flags.trust_domain, "CLUSTER.weft by default");
  app.add_option("--registry", flags.registry,
                 "dir:FOLDER,… of Kubernetes YAML, later ones win; or kubernetes[:KUBECONFIG], "
                 "by the service account where no file is named")
      ->required();
  app.add_option("--registry-silence", flags.registry_silence,
                 "seconds after which a watch of the API server that says nothing, not even a "
                 "bookmark, is made anew")
      ->check(CLI::PositiveNumber);
  app.add_option("--remote-expiry", flags.remote_expiry,
                 "seconds for which a remote cluster stays as it was last known while its API "
                 "server is away")
      ->check(CLI::PositiveNumber);
  app.add_flag("--allow-remote-exec", flags.allow_remote_exec,
               "let kubeconfigs in Secrets of remote clusters run commands and read files in "
               "weftd's pod");
  app.add_option("--data-dir", flags.data_dir, "where the CA keeps its root");
  app.add_option("--ca-certs", flags.ca_certs,
                 "folder of a CA to sign with, in Istio's form: ca-cert.pem, ca-key.pem, "
                 "root-cert.pem, cert-chain.pem; watched. With --registry kubernetes by default "
                 "Secret weft-system/cacerts, if it is there");
  app.add_option("--token-key", flags.token_key,
                 "file with the key of workload tokens that no API server issued; not needed with "
                 "--registry kubernetes");
  app.add_option("--token-audience", flags.token_audience,
                 "what workload tokens of the API server are issued for; sidecars that it injects "
                 "get such ones");
  app.add_option("--xds-listen", flags.xds_listen, "xDS and CA over TLS");
  app.add_option("--xds-plain", flags.xds_plain, "the same in plain, loopback only");
  app.add_option("--peer-listen", flags.peer_listen, "the peer API over TLS");
  app.add_option("--peer-advertise", flags.peer_advertise,
                 "where our gateways find the peer API; our own address by default");
  app.add_option("--monitoring", flags.monitoring, "/ready and /metrics");
  app.add_option("--debug-listen", flags.debug_listen, "/debug, loopback only; \"\" for none");
  app.add_option("--webhook-listen", flags.webhook_listen,
                 "/inject and /validate over HTTPS, for an API server; \"\" for none");
  app.add_option("--revision", flags.revision, "which pods it injects, by their istio.io/rev");
  app.add_option("--proxy-image", flags.proxy_image, "image of the sidecars it injects");
  app.add_option("--discovery-address", flags.discovery_address,
                 "HOST:PORT of --xds-listen, as the sidecars it injects reach it");
  app.add_flag("--native-sidecar", flags.native_sidecar,
               "inject sidecars as init containers that go on running; Kubernetes from 1.29 on");
  app.add_option("--gateway-address", flags.gateway_addresses,
                 "IP:PORT of one of our gateways, as others reach it, or IP:PORT/TUNNEL-PORT if it "
                 "takes tunnels; repeatable");
  app.add_flag("--outbound-only", flags.outbound_only,
               "nobody can dial this cluster: its gateways dial those of its peers");
  app.add_option("--peers", flags.peers,
                 "folder with a file for each linked cluster, as `weftctl link` writes them; "
                 "watched; by default links/ in --data-dir, or Link objects of an API server");
  app.add_option("--export", flags.exports,
                 "what peers get to see where neither a ServiceExport nor an annotation of the "
                 "Service nor its namespace's label weft.io/export says it")
      ->check(CLI::IsMember({"all", "none"}));
  app.add_flag(
      "--merge-local,!--no-merge-local", flags.merge_local,
      "whether NAME.NS.svc.cluster.local leads to other clusters, too, where we export the "
      "service or have none, and no label or annotation weft.io/merge-local says "
      "otherwise; NAME.NS.svc.clusterset.local always does");
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warning, error or off");
  app.add_flag("--validate", flags.validate, "check the registry folders and exit: 0, or 65");
  app.add_option("--validate-with", flags.validate_with,
                 "dir:FOLDER,… of linked clusters, whose services may be referred to");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    constexpr int kUsage = 64;
    *exit_code = app.exit(error) == 0 ? 0 : kUsage;
    return std::nullopt;
  }
  return flags;
}

absl::StatusOr<std::vector<std::string>> RegistryFolders(const std::string& registry) {
  absl::string_view rest = registry;
  if (!absl::ConsumePrefix(&rest, "dir:")) {
    return InFlag("--registry", absl::StrCat("expected dir:FOLDER,…, found \"", registry, "\""));
  }
  std::vector<std::string> folders = absl::StrSplit(rest, ',', absl::SkipEmpty());
  if (folders.empty()) return InFlag("--registry", "names no folder");
  return folders;
}

absl::StatusOr<ControlPlaneOptions> ToOptions(const Flags& flags) {
  ControlPlaneOptions options;
  absl::Status registry = ReadRegistry(flags, options);
  if (!registry.ok()) return registry;
  if (flags.data_dir.empty()) return InFlag("--data-dir", "is required");
  options.registry_silence = absl::Seconds(flags.registry_silence);
  options.remote_expiry = absl::Seconds(flags.remote_expiry);
  options.allow_remote_exec = flags.allow_remote_exec;
  options.data_folder = flags.data_dir;
  options.ca_folder = flags.ca_certs;
  options.peers_folder = flags.peers;
  const bool files = !options.registry_server.has_value();  // else links are objects
  if (flags.peers.empty() && files) options.peers_folder = absl::StrCat(flags.data_dir, "/links");
  options.exports = flags.exports == "none" ? ExportPolicy::kNone : ExportPolicy::kAll;
  options.self.merges_local_names = flags.merge_local;
  absl::Status read = ReadIdentity(flags, options);
  if (read.ok()) read = ReadTokens(flags, options);
  if (read.ok()) read = ReadAddresses(flags, options);
  if (!read.ok()) return read;
  ReadInjection(flags, options.injection);
  return options;
}

}  // namespace weft
