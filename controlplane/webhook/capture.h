// Which traffic of a pod the sidecar takes over, and the nftables rules that make it so.
//
// Place: the injector validates the pod's annotations here and turns them into flags of the init
// container's `weftctl capture`, which turns the flags into rules here. Pure functions.
//
// How the rules know the proxy's own traffic: it marks its outbound sockets (SO_MARK) or, where it
// has a user of its own, runs as that user; and it connects to the local application from
// 127.0.0.6 or ::6. The latter is no address of a machine by itself, so loopback has to be given
// it.
//
// Both IP families are captured alike, whether the pod has an address of them or not.
#ifndef CONTROLPLANE_WEBHOOK_CAPTURE_H_
#define CONTROLPLANE_WEBHOOK_CAPTURE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::webhook {

inline constexpr int kProxyMark = 1337;
inline constexpr int kProxyUser = 1337;
inline constexpr int kOutboundPort = 15001;
inline constexpr int kInboundPort = 15006;
inline constexpr int kDnsPort = 15053;
inline constexpr char kProxySource[] = "127.0.0.6";
inline constexpr char kProxyIpv6Source[] = "::6";

struct CaptureOptions {
  bool all_inbound = true;  // else only inbound_ports
  std::vector<int> inbound_ports;
  std::vector<int> excluded_inbound_ports;
  bool all_outbound = true;  // else only outbound_ranges and outbound_ports
  std::vector<std::string> outbound_ranges;
  std::vector<int> outbound_ports;
  std::vector<int> excluded_outbound_ports;
  std::vector<std::string> excluded_outbound_ranges;
};

// Reads the traffic.sidecar.istio.io/* annotations of a pod; others are ignored. The error names
// the annotation.
absl::StatusOr<CaptureOptions> CaptureFromAnnotations(
    const std::map<std::string, std::string>& annotations);

// The flags of `weftctl capture` that stand for these annotations, and back. Only what is not the
// default becomes a flag.
std::vector<std::string> CaptureFlags(const std::map<std::string, std::string>& annotations);
absl::StatusOr<CaptureOptions> CaptureFromFlags(const std::vector<std::string>& flags);

// A script for `nft -f -` that replaces earlier capture rules of this network namespace.
std::string CaptureRules(const CaptureOptions& options);

}  // namespace weft::webhook

#endif  // CONTROLPLANE_WEBHOOK_CAPTURE_H_
