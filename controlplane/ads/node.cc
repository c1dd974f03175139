#include "controlplane/ads/node.h"

#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "api/envoy/core.pb.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

constexpr size_t kMaxNodeId = 1024;
constexpr char kTunnels[] = "weft.tunnels";  // among the client_features
constexpr size_t kShown = 253;               // of a cluster's name
constexpr char kNetworkLabel[] = "topology.istio.io/network";

std::string Text(const google::protobuf::Struct& metadata, const char* name) {
  auto found = metadata.fields().find(name);
  return found == metadata.fields().end() ? "" : found->second.string_value();
}

Labels ReadLabels(const google::protobuf::Struct& metadata) {
  Labels labels;
  auto found = metadata.fields().find("LABELS");
  if (found == metadata.fields().end()) return labels;
  for (const auto& [name, value] : found->second.struct_value().fields()) {
    labels[name] = value.string_value();
  }
  return labels;
}

constexpr char kProxylessGenerator[] = "grpc";
constexpr char kDefaultNamespace[] = "default";

ClientNode ProxylessNode(const envoy::config::core::v3::Node& node) {
  ClientNode read;
  read.role = ProxyRole::kProxyless;
  read.id = node.id();
  read.cluster = Text(node.metadata(), "CLUSTER_ID");
  read.namespace_ = Text(node.metadata(), "NAMESPACE");
  if (read.namespace_.empty()) read.namespace_ = kDefaultNamespace;
  read.service_account = Text(node.metadata(), "SERVICE_ACCOUNT");
  read.labels = ReadLabels(node.metadata());
  read.locality = {node.locality().region(), node.locality().zone()};
  return read;
}

}  // namespace

absl::StatusOr<ClientNode> ReadNode(const envoy::config::core::v3::Node& node) {
  if (node.id().size() > kMaxNodeId) return absl::InvalidArgumentError("node id: too long");
  if (Text(node.metadata(), "GENERATOR") == kProxylessGenerator) return ProxylessNode(node);
  const std::vector<std::string> parts = absl::StrSplit(node.id(), '~');
  const auto malformed = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "node id: ", why, "; expected \"sidecar~IP~POD.NAMESPACE~NAMESPACE.svc.cluster.local\""));
  };
  if (parts.size() != 4) return malformed("not four parts");
  ClientNode read;
  if (parts[0] == "router") {
    read.role = ProxyRole::kRouter;
  } else if (parts[0] != "sidecar") {
    return malformed("neither a sidecar nor a router");
  }
  if (!Address::Ip(parts[1], 0).ok()) return malformed("the second part is not an IP address");
  read.id = node.id();
  read.address = parts[1];
  read.cluster = Text(node.metadata(), "CLUSTER_ID");
  read.namespace_ = Text(node.metadata(), "NAMESPACE");
  if (read.namespace_.empty()) {
    const size_t dot = parts[2].rfind('.');
    if (dot != std::string::npos) read.namespace_ = parts[2].substr(dot + 1);
  }
  if (read.namespace_.empty()) return malformed("no namespace, and none in the metadata");
  if (read.role == ProxyRole::kRouter && read.namespace_ == kSystemNamespace) {
    read.role = ProxyRole::kGateway;
  }
  read.service_account = Text(node.metadata(), "SERVICE_ACCOUNT");
  read.labels = ReadLabels(node.metadata());
  read.tunnels = absl::c_linear_search(node.client_features(), kTunnels);
  return read;
}

absl::Status CheckNode(const ClientNode& node, const certs::SpiffeId& identity,
                       const World& world) {
  const auto denied = [&](absl::string_view why) {
    return absl::PermissionDeniedError(
        absl::StrCat(identity.ToString(), " may not be ", node.id, ": ", why));
  };
  if (identity.trust_domain != world.self->trust_domain) return denied("another trust domain");
  if (identity.namespace_ != node.namespace_) return denied("another namespace");
  if (!node.service_account.empty() && identity.service_account != node.service_account) {
    return denied("another service account");
  }
  if (node.role == ProxyRole::kProxyless) return absl::OkStatus();
  if (WorkloadsOf(world, node.cluster) == nullptr) {
    return absl::UnavailableError(absl::StrCat("no workloads are known of cluster '",
                                               absl::CHexEscape(node.cluster.substr(0, kShown)),
                                               "'"));
  }
  const auto found = FindWorkload(world, node.cluster, node.address);
  if (found == nullptr) {
    return absl::UnavailableError(absl::StrCat("no workload is known at ", node.address));
  }
  const Workload& workload = *found;
  if (workload.namespace_ != identity.namespace_ ||
      workload.service_account != identity.service_account) {
    return denied(absl::StrCat("that address is ", workload.namespace_, "/", workload.name, "'s"));
  }
  return absl::OkStatus();
}

ProxyView ViewOf(const ClientNode& node, const World& world) {
  ProxyView view;
  view.role = node.role;
  view.namespace_ = node.namespace_;
  view.address = node.address;
  view.service_account = node.service_account;
  const bool remote = world.remote_workloads.contains(node.cluster);
  view.cluster = remote ? node.cluster : world.self->cluster;
  view.network = remote ? world.peers.at(node.cluster)->network : world.self->network;
  view.labels = node.labels;
  view.locality = node.locality;
  view.identified = node.identified;
  view.tunnels = node.tunnels;
  const auto found = FindWorkload(world, view.cluster, node.address);
  if (found == nullptr || found->namespace_ != node.namespace_) return view;
  view.address = found->address;
  view.other_address = found->other_address;
  view.service_account = found->service_account;
  view.labels = found->labels;
  view.locality = found->locality;
  // A remote cluster may have several networks, which its pods' labels tell.
  const auto network = view.labels.find(kNetworkLabel);
  if (remote && network != view.labels.end()) view.network = network->second;
  return view;
}

}  // namespace weft
