// MeshEnvironment: what injection tells a sidecar or gateway about itself, by environment variables
// and files, and the xDS node made from it. Pure over a lookup function.
#ifndef WEFT_PROXY_MESH_ENVIRONMENT_H_
#define WEFT_PROXY_MESH_ENVIRONMENT_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "certs/spiffe_id.h"
#include "proxy/net/address.h"

namespace weft {

enum class MeshRole { kSidecar, kGateway };

struct MeshEnvironment {
  MeshRole role = MeshRole::kSidecar;
  std::string pod_name;
  std::string pod_namespace;
  std::string instance_ip;
  std::string service_account;
  std::string cluster_id;
  std::string network;
  std::string mesh_id;
  std::string trust_domain;
  Address discovery;       // weftd, mTLS xDS and CA
  bool delta_xds = false;  // whether to ask for changes only, rather than for the whole state
  std::string workload;
  std::map<std::string, std::string> labels;
  std::string token_path = "/var/run/secrets/tokens/weft-token";
  std::string root_cert_path = "/var/run/secrets/weft/root-cert.pem";

  certs::SpiffeId id() const { return {trust_domain, pod_namespace, service_account}; }
};

using EnvironmentLookup = std::function<const char*(const char* name)>;

// The error names the variable that is missing or malformed.
absl::StatusOr<MeshEnvironment> ReadMeshEnvironment(MeshRole role, const EnvironmentLookup& lookup);

// A serialized envoy.config.core.v3.Node.
std::string EncodeNode(const MeshEnvironment& environment);

}  // namespace weft

#endif  // WEFT_PROXY_MESH_ENVIRONMENT_H_
