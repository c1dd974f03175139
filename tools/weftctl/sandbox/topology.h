// The networks of the sandbox, as text for `ip -batch` and `nft -f`: pure functions.
//
//   wan (the supervisor's own network): bridge 172.31.0.1/24
//     └─ one router per cluster at 172.31.0.11, .12, …: what a node and a load balancer are.
//        Only ports 15443 and 15008 lead inwards, to the gateway pod, or none does; pods go out
//        masqueraded.
//          └─ pods, routed point to point: eth0 10.244.x.y/32, default route via 169.254.1.1;
//             where the sandbox is dual-stack also fd00:10:244::x/128, via fe80::1
//
// IPv6 does not leave a cluster.
//
// All clusters use the same ranges for pods and services, on purpose: only what passes the gateways
// can cross.
#ifndef TOOLS_WEFTCTL_SANDBOX_TOPOLOGY_H_
#define TOOLS_WEFTCTL_SANDBOX_TOPOLOGY_H_

#include <string>
#include <vector>

namespace weft::sandbox {

inline constexpr int kGatewayPort = 15443;
inline constexpr int kTunnelPort = 15008;
inline constexpr char kWeftdIp[] = "10.244.0.2";
inline constexpr char kGatewayIp[] = "10.244.0.4";
inline constexpr char kGatewayIpv6[] = "fd00:10:244::4";
inline constexpr char kDnsIp[] = "10.96.0.10";

// The wan address of the cluster with this index, from 0.
std::string WanAddress(int cluster);

// The nth pod address, from 0, after the fixed ones; n < kMaxPods.
inline constexpr int kMaxPods = 60000;
std::string PodAddress(int n);
std::string PodIpv6Address(int n);

// The nth cluster IP; n < kMaxServices.
inline constexpr int kMaxServices = 60000;
std::string ServiceAddress(int n);
std::string ServiceIpv6Address(int n);

// Run in the wan: the bridge, and a link to each router, whose namespaces are given by path.
std::string WanCommands(const std::vector<std::string>& router_namespaces);
// Run in the router of a cluster.
std::string RouterCommands(int cluster);
struct PodIps {
  std::string v4;
  std::string v6;  // empty if it has none
};
// Run in the router: a link to the pod whose namespace is given by path.
std::string AttachPodCommands(const std::string& link, const PodIps& pod,
                              const std::string& pod_namespace);
// Run in the pod.
std::string PodCommands(const PodIps& pod);

struct Backend {
  std::string ip;
  int port;
};
struct ServicePort {
  std::string cluster_ip;
  std::string protocol;  // "tcp" or "udp"
  int port;
  std::vector<Backend> backends;  // ready ones
};

struct RouterOptions {
  bool dual_stack = false;     // services and pods have IPv6 addresses, too
  bool block_inbound = false;  // from the wan only what answers our own
};
// kube-proxy in small, and the edge of the cluster.
std::string RouterRules(const std::vector<ServicePort>& services, const RouterOptions& options);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_TOPOLOGY_H_
