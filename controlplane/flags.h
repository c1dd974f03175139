// Flags: weftd's command line, read and checked.
#ifndef WEFT_CONTROLPLANE_FLAGS_H_
#define WEFT_CONTROLPLANE_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/control_plane.h"
#include "proxy/base/log.h"

namespace weft {

// As written.
struct Flags {
  std::string cluster;
  std::string network;
  std::string mesh_id = "weft";
  std::string trust_domain;
  std::string registry;
  int registry_silence = 90;  // seconds
  int remote_expiry = 300;    // seconds
  bool allow_remote_exec = false;
  std::string data_dir;
  std::string ca_certs;
  std::string token_key;
  std::string token_audience = "weft-ca";
  std::string peers;
  std::string exports = "none";
  bool merge_local = true;
  std::string xds_listen = "0.0.0.0:15012";
  std::string xds_plain = "127.0.0.1:15010";
  std::string peer_listen = "0.0.0.0:15013";
  std::string peer_advertise;
  std::string monitoring = "0.0.0.0:15014";
  std::string debug_listen = "127.0.0.1:8080";
  std::string webhook_listen = "0.0.0.0:15017";
  std::string revision = "default";
  std::string proxy_image = "weft/proxy";
  std::string discovery_address = "weftd.weft-system.svc:15012";
  bool native_sidecar = false;
  std::vector<std::string> gateway_addresses;
  bool outbound_only = false;
  std::string log_level = "info";
  bool validate = false;
  std::string validate_with;
};

// Nothing if the process is to end now, with *exit_code (help was asked for, or the usage is wrong:
// then it was said on stderr).
std::optional<Flags> ParseFlags(int argc, char** argv, int* exit_code);

// "dir:A,B" → A, B; nothing else.
absl::StatusOr<std::vector<std::string>> RegistryFolders(const std::string& registry);

// Errors name the flag.
absl::StatusOr<ControlPlaneOptions> ToOptions(const Flags& flags);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FLAGS_H_
