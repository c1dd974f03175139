#include "proxy/serve/rbac_filter.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/config/rbac_config.h"
#include "proxy/serve/authorization.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/request_metadata.h"

namespace weft {
namespace {

// Of this name in a route too: what counts is the filter, as in Envoy.
const RbacConfig& OwnConfig(const ActiveFilter& active) {
  return *std::get<RbacFilterConfig>(*active.filter.config).rbac;
}

void CountPolicy(Exchange& x, const Verdict& verdict, absl::string_view more) {
  if (verdict.policy == nullptr) return;
  const std::string prefix = absl::StrCat(HttpPrefix(x, "rbac"), ".policy.", verdict.policy->name);
  const char* what = verdict.allowed ? "allowed" : "denied";
  ++*x.worker().filters().Counter(absl::StrCat(prefix, ".", more, what));
}

void Count(Exchange& x, const ActiveFilter& active, const Authorization& result) {
  enum { kAllowed, kDenied, kShadowAllowed, kShadowDenied };
  const RbacConfig& config = OwnConfig(active);
  FilterState& state = StateOf(x, active.filter.config, [&] {
    const std::string prefix = HttpPrefix(x, "rbac");
    return std::vector<std::string>{
        CounterName(prefix, config.rules_stat_prefix, "allowed"),
        CounterName(prefix, config.rules_stat_prefix, "denied"),
        CounterName(prefix, config.shadow_stat_prefix, "shadow_allowed"),
        CounterName(prefix, config.shadow_stat_prefix, "shadow_denied"),
    };
  });
  if (result.enforced) ++*state.counters[result.verdict.allowed ? kAllowed : kDenied];
  if (result.shadow_enforced) {
    ++*state.counters[result.shadow.allowed ? kShadowAllowed : kShadowDenied];
  }
  if (!config.counts_policies) return;
  if (result.enforced) CountPolicy(x, result.verdict, "");
  if (result.shadow_enforced) CountPolicy(x, result.shadow, "shadow_");
}

// The client behind the proxies that config believes; who is connected, if they say no address.
Address RemoteAddressOf(const Exchange& x) {
  const HttpConnection& connection = x.connection;
  const RequestOrigin origin =
      OriginOfPrepared(connection.config, connection.client, x.head.headers);
  absl::StatusOr<Address> address = Address::Ip(origin.address, 0);
  return address.ok() ? *address : connection.downstream.stream->peer_address();
}

}  // namespace

std::optional<Answer> RunRbac(Exchange& x, const ActiveFilter& active, RequestMetadata& metadata) {
  const RbacConfig& config = *active.config<RbacFilterConfig>().rbac;
  if (!config.rules && !config.shadow_rules) return std::nullopt;
  RequestFacts facts = FactsOf(x.connection.downstream);
  facts.head = &x.head;
  Address remote;
  if (config.asks_remote_ip) {
    remote = RemoteAddressOf(x);
    facts.remote_ip = remote.ip_bytes();
  }
  const std::vector<VerifiedToken>& tokens = metadata.tokens;
  const std::vector<TokenMetadata> payloads = MetadataOf(tokens);
  facts.metadata = payloads;
  if (!tokens.empty()) facts.claims = &tokens.front().jwt->payload;

  const Authorization result = AuthorizeBy(config, facts);
  Count(x, active, result);
  if (result.shadow_enforced) {
    metadata.shadows.push_back({OwnConfig(active).shadow_stat_prefix, result.shadow});
  }
  if (result.verdict.allowed) return std::nullopt;
  return Answer{403, ResponseFlag::kNone, DenialDetails(result.verdict), "RBAC: access denied", {}};
}

}  // namespace weft
