#include "tools/weftctl/sandbox/topology.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft::sandbox {
namespace {

constexpr char kNextHop[] = "169.254.1.1";
constexpr char kIpv6NextHop[] = "fe80::1";
constexpr int kFirstPod = 10;      // below are the fixed addresses of the system's pods
constexpr int kFirstService = 20;  // below is the cluster's DNS

std::string AddressIn(const char* prefix, int n) {
  // 250 a block, so that no address ends in 0 or 255.
  return absl::StrCat(prefix, n / 250, ".", n % 250 + 1);
}

std::string Ipv6AddressIn(const char* prefix, int n) {
  return absl::StrCat(prefix, absl::Hex(n + 1));
}

// "ip" or "ip6", as rules call the family of an address.
absl::string_view FamilyOf(const std::string& ip) {
  return absl::StrContains(ip, ':') ? "ip6" : "ip";
}

std::vector<ServicePort> OfFamily(const std::vector<ServicePort>& services,
                                  absl::string_view family) {
  std::vector<ServicePort> some;
  for (const ServicePort& service : services) {
    if (FamilyOf(service.cluster_ip) == family) some.push_back(service);
  }
  return some;
}

void AppendService(const ServicePort& service, std::string* rules) {
  if (service.backends.empty()) return;
  std::string targets =
      absl::StrJoin(service.backends, ", ", [i = 0](std::string* out, const Backend& b) mutable {
        absl::StrAppend(out, i++, " : ", b.ip, " . ", b.port);
      });
  const absl::string_view family = FamilyOf(service.cluster_ip);
  absl::StrAppend(rules, "    ", family, " daddr ", service.cluster_ip, " ", service.protocol,
                  " dport ", service.port, " dnat ", family, " addr . port to numgen random mod ",
                  service.backends.size(), " map { ", targets, " }\n");
}

// A pod that reaches itself through its service must see the answer come back through the router.
void AppendHairpins(const std::vector<ServicePort>& services, absl::string_view family,
                    std::string* rules) {
  std::set<std::string> ips;
  for (const ServicePort& s : services) {
    for (const Backend& b : s.backends) ips.insert(b.ip);
  }
  if (ips.empty()) return;
  std::string pairs = absl::StrJoin(ips, ", ", [](std::string* out, const std::string& ip) {
    absl::StrAppend(out, ip, " . ", ip);
  });
  absl::StrAppend(rules, "    ", family, " saddr . ", family, " daddr { ", pairs,
                  " } masquerade\n");
}

std::string Ipv6Rules(const std::vector<ServicePort>& services) {
  std::string rules =
      "table ip6 weft\ndelete table ip6 weft\n"
      "table ip6 weft {\n"
      "  chain inwards {\n"
      "    type nat hook prerouting priority dstnat\n";
  for (const ServicePort& service : services) AppendService(service, &rules);
  absl::StrAppend(&rules,
                  "  }\n"
                  "  chain without_backend {\n"
                  "    type filter hook prerouting priority dstnat + 10\n"
                  "    ip6 daddr fd00:10:96::/112 meta l4proto tcp reject with tcp reset\n"
                  "    ip6 daddr fd00:10:96::/112 reject\n"
                  "  }\n"
                  "  chain border {\n"
                  "    type filter hook forward priority filter\n"
                  "    iifname \"wan0\" drop\n"
                  "    oifname \"wan0\" drop\n"
                  "  }\n"
                  "  chain hairpins {\n"
                  "    type nat hook postrouting priority srcnat\n");
  AppendHairpins(services, "ip6", &rules);
  absl::StrAppend(&rules, "  }\n}\n");
  return rules;
}

}  // namespace

std::string WanAddress(int cluster) { return absl::StrCat("172.31.0.", 11 + cluster); }
std::string PodAddress(int n) { return AddressIn("10.244.", kFirstPod + n); }
std::string PodIpv6Address(int n) { return Ipv6AddressIn("fd00:10:244::", kFirstPod + n); }
std::string ServiceAddress(int n) { return AddressIn("10.96.", kFirstService + n); }
std::string ServiceIpv6Address(int n) { return Ipv6AddressIn("fd00:10:96::", kFirstService + n); }

std::string WanCommands(const std::vector<std::string>& router_namespaces) {
  std::string commands =
      "link set lo up\n"
      "link add wan type bridge\n"
      "addr add 172.31.0.1/24 dev wan\n"
      "link set wan up\n";
  for (size_t i = 0; i < router_namespaces.size(); ++i) {
    absl::StrAppend(&commands, "link add to", i, " type veth peer name wan0 netns ",
                    router_namespaces[i], "\n", "link set to", i, " master wan up\n");
  }
  return commands;
}

std::string RouterCommands(int cluster) {
  return absl::StrCat("link set lo up\naddr add ", kDnsIp, "/32 dev lo\naddr add ",
                      WanAddress(cluster), "/24 dev wan0\nlink set wan0 up\n");
}

std::string AttachPodCommands(const std::string& link, const PodIps& pod,
                              const std::string& pod_namespace) {
  std::string commands = absl::StrCat(
      "link add ", link, " type veth peer name eth0 netns ", pod_namespace, "\naddr add ", kNextHop,
      "/32 dev ", link, "\nlink set ", link, " up\nroute add ", pod.v4, "/32 dev ", link, "\n");
  if (pod.v6.empty()) return commands;
  absl::StrAppend(&commands, "addr add ", kIpv6NextHop, "/64 dev ", link, " nodad\nroute add ",
                  pod.v6, "/128 dev ", link, "\n");
  return commands;
}

std::string PodCommands(const PodIps& pod) {
  std::string commands = absl::StrCat(
      "link set lo up\naddr add ", pod.v4, "/32 dev eth0\nlink set eth0 up\n", "route add ",
      kNextHop, " dev eth0 scope link\nroute add default via ", kNextHop, " src ", pod.v4, "\n");
  if (pod.v6.empty()) return commands;
  absl::StrAppend(&commands, "addr add ", pod.v6, "/128 dev eth0 nodad\nroute add ::/0 via ",
                  kIpv6NextHop, " dev eth0 src ", pod.v6, "\n");
  return commands;
}

std::string RouterRules(const std::vector<ServicePort>& services, const RouterOptions& options) {
  const std::vector<ServicePort> v4 = OfFamily(services, "ip");
  std::string rules =
      "table ip weft\ndelete table ip weft\n"
      "table ip weft {\n";
  if (options.block_inbound) {
    // To the router itself; the border below is for what passes through.
    absl::StrAppend(&rules,
                    "  chain closed {\n"
                    "    type filter hook input priority filter\n"
                    "    iifname \"wan0\" ct state established,related accept\n"
                    "    iifname \"wan0\" drop\n"
                    "  }\n");
  }
  absl::StrAppend(&rules,
                  "  chain inwards {\n"
                  "    type nat hook prerouting priority dstnat\n");
  for (int port : {kGatewayPort, kTunnelPort}) {
    if (options.block_inbound) break;
    absl::StrAppend(&rules, "    iifname \"wan0\" tcp dport ", port, " dnat to ", kGatewayIp, ":",
                    port, "\n");
  }
  for (const ServicePort& service : v4) AppendService(service, &rules);
  absl::StrAppend(&rules,
                  "  }\n"
                  "  chain without_backend {\n"
                  "    type filter hook prerouting priority dstnat + 10\n"
                  "    ip daddr 10.96.0.0/16 ip daddr != ",
                  kDnsIp,
                  " meta l4proto tcp reject with tcp reset\n"
                  "    ip daddr 10.96.0.0/16 ip daddr != ",
                  kDnsIp,
                  " reject\n"
                  "  }\n"
                  // Other clusters use the same addresses: what was not translated must not pass.
                  "  chain border {\n"
                  "    type filter hook forward priority filter\n"
                  "    iifname \"wan0\" ct state established,related accept\n",
                  // A service's address is translated, too, wherever the packet comes from.
                  options.block_inbound ? "" : "    iifname \"wan0\" ct status dnat accept\n",
                  "    iifname \"wan0\" drop\n"
                  "  }\n"
                  "  chain outwards {\n"
                  "    type nat hook postrouting priority srcnat\n"
                  "    oifname \"wan0\" masquerade\n");
  AppendHairpins(v4, "ip", &rules);
  absl::StrAppend(&rules, "  }\n}\n");
  if (options.dual_stack) absl::StrAppend(&rules, Ipv6Rules(OfFamily(services, "ip6")));
  return rules;
}

}  // namespace weft::sandbox
