// RawConfig: the resources in force as they came, for /config_dump. Names in the order of xDS
// types.
#ifndef WEFT_PROXY_CONFIG_RAW_CONFIG_H_
#define WEFT_PROXY_CONFIG_RAW_CONFIG_H_

#include <map>
#include <string>

namespace weft {

struct RawConfig {
  struct Type {
    std::string version;
    std::map<std::string, std::string> resources;  // serialized messages by name
  };
  std::string bootstrap;              // serialized envoy.config.bootstrap.v3.Bootstrap
  std::map<std::string, Type> types;  // by type URL
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RAW_CONFIG_H_
