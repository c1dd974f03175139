// ConfigSource: where resources of one type come from, and what a message needs of them.
//
// A cluster names the source of its endpoints, a listener that of its routes, a TLS context that of
// its secrets. FindNeeds() walks any message, what is packed in it too, and lists them, so that no
// compiler of a single kind has to. Pure.
#ifndef WEFT_PROXY_CONFIG_CONFIG_SOURCE_H_
#define WEFT_PROXY_CONFIG_CONFIG_SOURCE_H_

#include <cstddef>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace google::protobuf {
class Message;
}
namespace envoy::config::core::v3 {
class ConfigSource;
class ApiConfigSource;
}  // namespace envoy::config::core::v3

namespace weft {

struct ConfigSource {
  enum class Kind {
    kAds,   // the one aggregated stream
    kGrpc,  // a stream of its own to `cluster`
    kFile,  // a file with a DiscoveryResponse
  };
  Kind kind = Kind::kAds;
  bool delta = false;             // kGrpc: only what changed is sent
  bool node_only_once = false;    // kGrpc: only the first request of a stream says who asks
  std::string cluster;            // kGrpc
  std::string path;               // kFile
  std::string watched_directory;  // kFile: what to watch instead of the file's folder; or ""
  // How long others wait for what does not come; infinite: for ever.
  absl::Duration initial_fetch_timeout = absl::Seconds(15);

  // By what would be one and the same stream, or one file.
  friend bool operator<(const ConfigSource& a, const ConfigSource& b) {
    return std::tie(a.kind, a.delta, a.cluster, a.path, a.watched_directory) <
           std::tie(b.kind, b.delta, b.cluster, b.path, b.watched_directory);
  }
};

absl::StatusOr<ConfigSource> CompileConfigSource(const envoy::config::core::v3::ConfigSource& from);
// Of `ads_config`, or of an `api_config_source`.
absl::StatusOr<ConfigSource> CompileApiConfigSource(
    const envoy::config::core::v3::ApiConfigSource& from);

// A resource that something refers to by name.
struct ResourceNeed {
  absl::string_view type_url;  // kEndpointType, kRouteType or kSecretType
  std::string name;
  ConfigSource source;
};

struct Needs {
  std::vector<ResourceNeed> resources;
  // Folders in which certificates are replaced while the proxy runs.
  std::vector<std::string> folders;
};

enum class FileRotation {
  kWatchedDirectory,  // only where a certificate names its watched_directory
  kEveryFile,         // every file that is named, as with secrets that come by SDS
};

// The error names the field that cannot be followed.
absl::StatusOr<Needs> FindNeeds(const google::protobuf::Message& message, FileRotation rotation);

// Calls `look` with `message`, and with each message in it and packed in it.
void ForEachMessage(const google::protobuf::Message& message,
                    const std::function<void(const google::protobuf::Message&)>& look);

// How many fields of `message`, and of what is packed in it, are not known here.
size_t CountUnknownFields(const google::protobuf::Message& message);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_CONFIG_SOURCE_H_
