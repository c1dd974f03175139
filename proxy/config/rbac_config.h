// RbacConfig: one compiled RBAC filter: who may do what. decide/authorize.h evaluates it.
// Immutable, shared by pointer between Snapshots, any thread.
//
// Permissions ("what") and principals ("who") are trees of the same conditions. Regular expressions
// and address prefixes are ready to use, so evaluating compares and does nothing else.
#ifndef WEFT_PROXY_CONFIG_RBAC_CONFIG_H_
#define WEFT_PROXY_CONFIG_RBAC_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proxy/config/listener_config.h"
#include "proxy/config/matchers.h"
#include "proxy/config/metadata_match.h"

namespace weft {

struct PortRange {
  uint32_t start = 0;  // [start, end)
  uint32_t end = 0;
};

struct RbacRule {
  enum class Kind : uint8_t {
    kAlways,
    kAnd,              // `rules`
    kOr,               // `rules`
    kNot,              // `rules[0]`
    kHeader,           // HeaderMatch
    kUrlPath,          // StringMatch on the path without its query
    kServerName,       // StringMatch on the SNI
    kAuthenticated,    // the peer's certificate; StringMatch on its names, or none: any
    kMetadata,         // MetadataMatch
    kDestinationIp,    // IpPrefix
    kDestinationPort,  // PortRange
    kSourceIp,         // IpPrefix; who the listener takes for the client of the connection
    kDirectRemoteIp,   // IpPrefix; the other end of the TCP connection
    kRemoteIp,         // IpPrefix; the client, behind trusted proxies too
  };
  Kind kind = Kind::kAlways;
  // Where one thing can be read in several ways (a kHeader of several lines, a kUrlPath with
  // parameters): whether each reading has to match, or one is enough. Whichever makes the verdict
  // the stricter one; see decide/authorize.h.
  bool every_value = false;
  std::vector<RbacRule> rules;
  std::variant<std::monostate, HeaderMatch, StringMatch, MetadataMatch, IpPrefix, PortRange> test;
};

struct RbacPolicy {
  std::string name;
  std::vector<RbacRule> permissions;  // any of them
  std::vector<RbacRule> principals;   // and any of these
};

struct RbacRules {
  enum class Action : uint8_t { kAllow, kDeny, kLog };
  Action action = Action::kAllow;
  std::vector<RbacPolicy> policies;  // in the order of their names
};

struct RbacConfig {
  std::string stat_prefix;         // of the network filter
  std::string rules_stat_prefix;   // of the HTTP filter, in the names of its counters
  std::string shadow_stat_prefix;  // the same of shadow_rules
  bool counts_policies = false;    // each by its name too
  bool asks_remote_ip = false;     // one of its rules does
  std::optional<RbacRules> rules;
  std::optional<RbacRules> shadow_rules;  // counted only
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RBAC_CONFIG_H_
