#include "controlplane/translate/sidecar.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/type_urls.h"
#include "certs/issuer.h"
#include "google/protobuf/any.pb.h"
#include "proxy/config/config_state.h"
#include "proxy/config/http_filters.h"
#include "proxy/config/secrets.h"
#include "proxy/decide/match_chain.h"
#include "proxy/decide/match_route.h"
#include "proxy/decide/pick_endpoint.h"
#include "proxy/decide/request_policy.h"
#include "proxy/tls/tls_context.h"

namespace weft {
namespace {

const certs::Issuer& IssuerOf(const std::string& trust_domain) {
  static auto* const issuers = new std::map<std::string, certs::Issuer>;
  auto found = issuers->find(trust_domain);
  if (found == issuers->end()) {
    certs::Issuer issuer = *certs::Issuer::CreateRoot(trust_domain, absl::Now());
    found = issuers->emplace(trust_domain, std::move(issuer)).first;
  }
  return found->second;
}

Secrets SecretsOf(const std::string& trust_domain) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain =
      *IssuerOf(trust_domain)
           .Issue(key.public_key(), {trust_domain, "default", "a"}, absl::Hours(1), absl::Now());
  Secrets secrets;
  const TlsCertificate own{absl::StrJoin(chain, ""), key.ToPem()};
  secrets.certificates["default"] = own;
  const std::string roots = IssuerOf(trust_domain).root().ToPem();
  secrets.read_file = [own, roots](const std::string& path) -> absl::StatusOr<std::string> {
    if (absl::StrContains(path, "key")) return own.key_pem;
    if (absl::StrContains(path, "cert.")) return own.chain_pem;
    return roots;
  };
  return secrets;
}

RequestHead HeadOf(const Request& request) {
  RequestHead head;
  head.method = request.method;
  head.scheme = "http";
  head.authority = request.authority;
  head.path = request.path;
  for (const auto& [name, value] : request.headers) head.headers.Add(name, value);
  return head;
}

// "key=value" items, those of no interest left out.
class Items {
 public:
  template <typename Value>
  void Add(absl::string_view key, const Value& value) {
    absl::StrAppend(&text_, text_.empty() ? "" : " ", key, "=", value);
  }
  void Add(absl::string_view key, absl::Duration value) {
    if (value != absl::InfiniteDuration()) Add(key, absl::FormatDuration(value));
  }
  void AddIf(bool said, absl::string_view key) {
    if (said) absl::StrAppend(&text_, text_.empty() ? "" : " ", key);
  }
  template <typename Value>
  void AddIf(bool said, absl::string_view key, const Value& value) {
    if (said) Add(key, value);
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

std::string ShareOf(const Fraction& share) {
  return absl::StrCat(100.0 * share.numerator / share.denominator, "%");
}

std::string ClustersOf(const std::vector<WeightedTarget>& targets) {
  if (targets.size() == 1) return absl::StrCat("cluster=", targets.front().cluster);
  return absl::StrCat("clusters=", absl::StrJoin(targets, ",", [](auto* out, const auto& target) {
                        absl::StrAppend(out, target.weight, "*", target.cluster);
                      }));
}

void AddHeaders(absl::string_view side, const HeaderMutations& headers, Items& to) {
  for (const HeaderToAdd& one : headers.add) {
    const bool sets = one.action == HeaderToAdd::Action::kOverwriteOrAdd;
    to.Add(absl::StrCat(side, sets ? ".set." : ".add.", one.name),
           one.format.empty() ? one.value : "(format)");
  }
  for (const std::string& name : headers.remove) to.Add(absl::StrCat(side, ".remove"), name);
}

void AddRetry(const RetryPolicy* policy, Items& to) {
  to.Add("retries", policy == nullptr ? 0 : policy->num_retries);
  if (policy == nullptr) return;
  to.AddIf(policy->per_try_timeout != absl::InfiniteDuration(), "per_try",
           absl::FormatDuration(policy->per_try_timeout));
  to.AddIf(!policy->retriable_status_codes.empty(), "retry_codes",
           absl::StrJoin(policy->retriable_status_codes, ","));
  to.AddIf((policy->retry_on & kRetryOn5xx) != 0, "retry_5xx");
  to.AddIf(policy->base_interval != absl::Milliseconds(25), "backoff",
           absl::FormatDuration(policy->base_interval));
}

void AddHashPolicies(const ForwardAction& action, Items& to) {
  constexpr const char* kSources[] = {"header", "cookie", "query", "source_ip"};
  for (const HashPolicy& one : action.hash_policies) {
    to.Add("hash", absl::StrCat(kSources[static_cast<int>(one.source)], ":", one.name));
    if (!one.cookie_ttl.has_value()) continue;
    to.Add("cookie", absl::StrCat(one.cookie_path, one.cookie_attributes, "; ttl ",
                                  absl::FormatDuration(*one.cookie_ttl)));
  }
}

void AddForward(const ForwardAction& action, const HttpManagerConfig& manager,
                const Request& request, Items& to) {
  RequestHead head = HeadOf(request);
  const RequestPolicy policy = PolicyOf(action, manager, head);
  to.Add("timeout", policy.timeout);
  to.Add("max_stream", policy.max_stream);
  AddRetry(policy.retry(), to);
  to.AddIf(!action.prefix_rewrite.empty(), "prefix_rewrite", action.prefix_rewrite);
  to.AddIf(action.regex_rewrite.has_value(), "regex_rewrite");
  to.AddIf(action.host_rewrite.has_value(), "host", action.host_rewrite.value_or(""));
  for (const RequestMirror& mirror : action.mirrors) {
    to.Add("mirror", absl::StrCat(ShareOf(mirror.share), "*", mirror.cluster));
  }
  AddHashPolicies(action, to);
  for (const WeightedTarget& target : action.clusters) {
    AddHeaders("share.request", target.request_headers, to);
    AddHeaders("share.response", target.response_headers, to);
    to.AddIf(target.host_rewrite.has_value(), "share.host", target.host_rewrite.value_or(""));
  }
}

void AddFault(const FaultConfig& fault, Items& to) {
  to.AddIf(!fault.delay_share.never(), "delay",
           absl::StrCat(ShareOf(fault.delay_share), "*", absl::FormatDuration(fault.delay)));
  if (fault.abort_share.never()) return;
  to.Add("abort", absl::StrCat(ShareOf(fault.abort_share), "*",
                               fault.abort_grpc_status.has_value()
                                   ? absl::StrCat("grpc ", *fault.abort_grpc_status)
                                   : absl::StrCat(fault.abort_status)));
}

void AddCors(const CorsConfig& cors, Items& to) {
  for (const StringMatch& origin : cors.allow_origins) to.Add("origin", origin.value);
  to.AddIf(!cors.allow_methods.empty(), "allow_methods", cors.allow_methods);
  to.AddIf(!cors.allow_headers.empty(), "allow_headers", cors.allow_headers);
  to.AddIf(!cors.expose_headers.empty(), "expose_headers", cors.expose_headers);
  to.AddIf(!cors.max_age.empty(), "max_age", cors.max_age);
  to.AddIf(cors.allow_credentials.value_or(false), "credentials");
  if (cors.forward_not_matching_preflights.has_value()) {
    to.Add("forward_preflights", *cors.forward_not_matching_preflights ? "yes" : "no");
  }
}

// Only what a filter of the listener takes up has effect.
void AddFilters(const Route& route, const HttpManagerConfig& manager, Items& to) {
  for (const HttpFilter& filter : manager.filters) {
    const FilterOverride* own = FindOverride(route.filters, filter.name);
    if (own == nullptr || own->config == nullptr) continue;
    if (const auto* fault = std::get_if<FaultConfig>(&*own->config)) AddFault(*fault, to);
    if (const auto* cors = std::get_if<CorsConfig>(&*own->config)) AddCors(*cors, to);
  }
}

std::string OutcomeOf(const Route& route, const HttpManagerConfig& manager,
                      const Request& request) {
  Items items;
  items.Add("route", route.name);
  if (const auto* forward = std::get_if<ForwardAction>(&route.action)) {
    items.AddIf(true, ClustersOf(forward->clusters));
    AddForward(*forward, manager, request, items);
  } else if (const auto* direct = std::get_if<DirectResponse>(&route.action)) {
    items.Add("direct", absl::StrCat(direct->status, " body=", direct->body));
  } else {
    const auto& redirect = std::get<RedirectAction>(route.action);
    items.Add("redirect", redirect.status);
    items.Add("to", absl::StrCat(redirect.scheme, "://", redirect.host, ":", redirect.port,
                                 redirect.path, redirect.prefix_rewrite));
  }
  AddHeaders("request", route.request_headers, items);
  AddHeaders("response", route.response_headers, items);
  AddFilters(route, manager, items);
  items.AddIf(route.require_tls == RequireTls::kAll, "require_tls");
  return std::move(items).text();
}

void AddBalancing(const ClusterConfig& cluster, Items& to) {
  constexpr const char* kPolicies[] = {"round_robin", "least_request", "random", "ring_hash",
                                       "maglev"};
  to.Add("lb", cluster.type == ClusterType::kOriginalDst
                   ? "original_dst"
                   : kPolicies[static_cast<int>(cluster.balancing)]);
  const BalancingOptions& options = *cluster.options;
  to.Add("ring", options.ring_min_size);
  to.Add("maglev_table", options.maglev_table_size);
  if (options.slow_start.window > absl::ZeroDuration()) {
    to.Add("slow_start", options.slow_start.window);
    to.Add("aggression", options.slow_start.aggression);
    to.Add("min_weight", options.slow_start.min_weight);
  }
  to.AddIf(cluster.locality_weighted, "locality_weighted");
}

void AddLimits(const CircuitBreakerLimits& limits, Items& to) {
  to.Add("max_connections", limits.max_connections);
  to.Add("max_pending", limits.max_pending_requests);
  to.Add("max_requests", limits.max_requests);
  to.Add("max_retries", limits.max_retries);
  if (!limits.retry_budget.has_value()) return;
  to.Add("budget",
         absl::StrCat(limits.retry_budget->percent, "%,", limits.retry_budget->min_concurrency));
}

void AddProtocol(const ClusterConfig& cluster, Items& to) {
  constexpr const char* kProtocols[] = {"http1", "http2", "downstream", "alpn"};
  to.Add("protocol", kProtocols[static_cast<int>(cluster.protocol)]);
  to.Add("streams", cluster.http2.max_concurrent_streams);
  to.Add("ping", cluster.http2.keepalive_interval);
  to.Add("ping_timeout", cluster.http2.keepalive_timeout);
  to.Add("requests_per_connection", cluster.max_requests_per_connection);
  to.Add("idle", cluster.idle_timeout);
  to.Add("connect", cluster.connect_timeout);
  to.Add("keepalive",
         absl::StrCat(cluster.keepalive.idle_seconds, ",", cluster.keepalive.interval_seconds, ",",
                      cluster.keepalive.probes));
}

void AddOutlier(const ClusterConfig& cluster, Items& to) {
  if (cluster.outlier == nullptr) return;
  const OutlierConfig& outlier = *cluster.outlier;
  const auto failures = [&](const char* name, uint32_t number, uint32_t enforcing) {
    to.Add(name, enforcing > 0 ? absl::StrCat(number) : "off");
  };
  failures("5xx", outlier.consecutive_5xx, outlier.enforcing_consecutive_5xx);
  failures("gateway", outlier.consecutive_gateway_failure,
           outlier.enforcing_consecutive_gateway_failure);
  to.AddIf(outlier.split_external_local_origin_errors, "local",
           outlier.consecutive_local_origin_failure);
  to.Add("interval", outlier.interval);
  to.Add("ejection", outlier.base_ejection_time);
  to.Add("ejected", outlier.max_ejection_percent);
  to.Add("panic", cluster.panic_threshold_percent);
}

void AddTls(const char* name, const ClientTlsContext* tls, ProxyProtocolOut proxied, Items& to) {
  if (tls == nullptr) {
    to.Add(name, "plain");
  } else {
    to.Add(name, absl::StrCat("tls,sni:", tls->SniFor(""), tls->verify_sni() ? ",verify_sni" : "",
                              tls->states_alpn() ? ",alpn" : ""));
  }
  if (proxied == ProxyProtocolOut::kNone) return;
  to.Add("proxy_protocol", proxied == ProxyProtocolOut::kV1 ? "v1" : "v2");
}

}  // namespace

struct Sidecar::State {
  explicit State(const std::string& trust_domain) : config(SecretsOf(trust_domain)) {}

  const FilterChainConfig* ChainOf(const std::string& address, uint16_t port,
                                   const std::string& server_name) const {
    const Snapshot& snapshot = *config.snapshot();
    ConnectionFacts facts;
    facts.destination = *Address::Ip(address, port);
    facts.source = facts.direct_source = *Address::Ip("10.244.0.200", 40000);
    facts.server_name = server_name;
    facts.tls = !server_name.empty();
    const ListenerConfig* listener = MatchListener(snapshot, facts.destination);
    if (listener == nullptr) listener = snapshot.listeners.at("virtualOutbound").get();
    return MatchChain(*listener, facts);
  }

  const FilterChainConfig* BoundChainOf(uint16_t port, const std::string& server_name,
                                        const std::string& protocol) const {
    ConnectionFacts facts;
    facts.destination = *Address::Ip("10.244.0.9", port);
    facts.source = facts.direct_source = *Address::Ip("192.0.2.1", 40000);
    facts.server_name = server_name;
    facts.tls = !server_name.empty();
    const std::vector<std::string> protocols = {protocol};
    if (!protocol.empty()) facts.application_protocols = protocols;
    for (const auto& [name, listener] : config.snapshot()->listeners) {
      if (!listener->bind_to_port || listener->address.port() != port) continue;
      return MatchChain(*listener, facts);
    }
    return nullptr;
  }

  std::string OutcomeAt(const FilterChainConfig& chain, const Request& request) const {
    const auto* http = std::get_if<HttpManagerConfig>(&chain.service);
    if (http == nullptr) return "not http";
    const auto table = config.snapshot()->FindRoutes(*http);
    if (table == nullptr) return "no routes";
    const Route* route = MatchRoute(*table, HeadOf(request), 0);
    return route == nullptr ? "404" : OutcomeOf(*route, *http, request);
  }

  ConfigState config;
  std::vector<std::string> refused;
};

Sidecar::Sidecar(const std::string& trust_domain) : state_(new State(trust_domain)) {}
Sidecar::~Sidecar() = default;

std::string Sidecar::RootOf(const std::string& trust_domain) {
  return IssuerOf(trust_domain).root().ToPem();
}

void Sidecar::Apply(absl::string_view type_url, const EncodedResources& resources) {
  std::vector<EncodedResource> encoded;
  for (const auto& [name, bytes] : resources) {
    google::protobuf::Any any;
    if (!any.ParseFromString(*bytes) || any.type_url() != type_url) {
      state_->refused.push_back(absl::StrCat(name, ": not a ", type_url));
    } else {
      encoded.push_back({name, any.value()});
    }
  }
  const absl::Status status = state_->config.Apply(type_url, encoded);
  if (!status.ok()) state_->refused.emplace_back(status.message());
}

std::vector<std::string> Sidecar::Complaints() const {
  std::vector<std::string> all = state_->refused;
  for (std::string& waiting : state_->config.Waiting()) all.push_back(std::move(waiting));
  return all;
}

std::string Sidecar::Outcome(uint16_t port, const Request& request) const {
  const FilterChainConfig* chain = state_->ChainOf("203.0.113.9", port, "");
  return chain == nullptr ? "no chain" : state_->OutcomeAt(*chain, request);
}

std::string Sidecar::RequestAt(uint16_t port, const Request& request,
                               const std::string& server_name) const {
  const FilterChainConfig* chain = state_->BoundChainOf(port, server_name, "");
  return chain == nullptr ? "closed" : state_->OutcomeAt(*chain, request);
}

std::string Sidecar::ConnectionAt(uint16_t port, const std::string& server_name,
                                  const std::string& protocol) const {
  const FilterChainConfig* chain = state_->BoundChainOf(port, server_name, protocol);
  if (chain == nullptr) return "closed";
  const auto* tcp = std::get_if<TcpProxyConfig>(&chain->service);
  return tcp == nullptr ? "http" : ClustersOf(tcp->clusters);
}

std::string Sidecar::ConnectionTo(const std::string& address, uint16_t port,
                                  const std::string& server_name) const {
  const FilterChainConfig* chain = state_->ChainOf(address, port, server_name);
  if (chain == nullptr) return "no chain";
  const auto* tcp = std::get_if<TcpProxyConfig>(&chain->service);
  if (tcp == nullptr) return "http";
  Items items;
  items.AddIf(true, ClustersOf(tcp->clusters));
  items.Add("idle", tcp->idle_timeout);
  items.Add("longest", tcp->max_connection_duration);
  items.AddIf(tcp->hash_source_ip, "hash=source_ip");
  return std::move(items).text();
}

std::string Sidecar::Settings(const std::string& name) const {
  const auto snapshot = state_->config.snapshot();
  const ClusterConfig* cluster = snapshot->FindCluster(name);
  if (cluster == nullptr) return "no cluster";
  Items items;
  AddBalancing(*cluster, items);
  AddLimits(cluster->limits, items);
  AddProtocol(*cluster, items);
  AddOutlier(*cluster, items);
  AddTls("socket", cluster->tls.get(), cluster->proxy_protocol, items);
  for (const TransportSocketChoice& choice : cluster->transport_sockets) {
    AddTls(choice.name.c_str(), choice.tls.get(), choice.proxy_protocol, items);
  }
  return std::move(items).text();
}

std::string Sidecar::Places(const std::string& name) const {
  const auto snapshot = state_->config.snapshot();
  const ClusterConfig* cluster = snapshot->FindCluster(name);
  if (cluster == nullptr) return "no cluster";
  std::vector<std::string> lines;
  const auto& endpoints = cluster->endpoints->endpoints;
  for (size_t priority = 0; priority < cluster->endpoints->priorities.size(); ++priority) {
    for (const LocalityConfig& one : cluster->endpoints->priorities[priority].localities) {
      std::vector<std::string> addresses;
      for (size_t i = one.first; i < one.first + one.count; ++i) {
        addresses.push_back(endpoints[i].address.ToString());
      }
      lines.push_back(absl::StrCat(priority, " ", one.locality.region, "/", one.locality.zone,
                                   " weight ", one.weight, ": ", absl::StrJoin(addresses, ", ")));
    }
  }
  return absl::StrJoin(lines, "\n");
}

std::vector<std::string> Sidecar::Picks(const std::string& name, int picks) const {
  const auto snapshot = state_->config.snapshot();
  const ClusterConfig* cluster = snapshot->FindCluster(name);
  if (cluster == nullptr) return {"no cluster"};
  std::set<std::string> picked;
  ClusterLoad load;
  for (int i = 0; i < picks; ++i) {
    PickFacts facts;
    facts.random = static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15;
    facts.hash = facts.random;
    if (const auto index = PickEndpoint(*cluster, load, facts)) {
      picked.insert(cluster->endpoints->endpoints[*index].address.ToString());
    }
  }
  return {picked.begin(), picked.end()};
}

}  // namespace weft
