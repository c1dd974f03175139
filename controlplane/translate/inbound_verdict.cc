#include "controlplane/translate/inbound_verdict.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/envoy/listener.pb.h"
#include "gtest/gtest.h"
#include "proxy/config/compile.h"
#include "proxy/config/ext_authz_config.h"
#include "proxy/config/jwt_config.h"
#include "proxy/config/rbac_config.h"
#include "proxy/config/secrets.h"
#include "proxy/decide/authorize.h"
#include "proxy/decide/ext_authz.h"
#include "proxy/decide/jwt_auth.h"
#include "proxy/decide/match_chain.h"
#include "proxy/decide/normalise_path.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Listener;

// Tokens of these tests live around that time.
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// Certificates are no part of what is asked here: who a caller is, the call says.
Listener WithoutTls(Listener listener) {
  for (auto& chain : *listener.mutable_filter_chains()) chain.clear_transport_socket();
  return listener;
}

// All that a call shows, with the memory it is in.
struct Shown {
  explicit Shown(const Call& call)
      : source(*Address::Ip(call.source_ip, 40000)),
        remote(*Address::Ip(call.remote_ip, 40000)),
        destination(*Address::Ip(call.destination_ip, call.port)) {
    if (!call.principal.empty()) uris.push_back(absl::StrCat("spiffe://", call.principal));
    if (!call.principal.empty()) alpn.assign({"istio"});
    facts.destination_ip = destination.ip_bytes();
    facts.destination_port = call.port;
    facts.source_ip = facts.direct_remote_ip = source.ip_bytes();
    facts.remote_ip = remote.ip_bytes();
    facts.server_name = call.server_name;
    facts.authenticated = !call.principal.empty();
    facts.peer_uris = uris;
  }
  Shown(const Shown&) = delete;

  Address source, remote, destination;
  std::vector<std::string> uris;
  std::vector<std::string> alpn;
  RequestFacts facts;
};

const FilterChainConfig* ChainFor(const ListenerConfig& listener, const Call& call,
                                  const Shown& shown) {
  ConnectionFacts facts;
  facts.destination = shown.destination;
  facts.source = facts.direct_source = shown.source;
  facts.server_name = call.server_name;
  facts.application_protocols = shown.alpn;
  facts.tls = !call.principal.empty() || call.app_tls;
  return MatchChain(listener, facts);
}

std::string Denied(const Verdict& verdict) {
  return absl::StrCat("denied: ", verdict.policy == nullptr ? "none" : verdict.policy->name);
}

// One filter; nullopt: the request goes on.
std::optional<std::string> AskRbac(const RbacConfig& config, const RequestFacts& facts,
                                   std::vector<std::string>& on_trial) {
  if (config.shadow_rules.has_value()) {
    on_trial.push_back(Authorize(*config.shadow_rules, facts).allowed ? "allowed" : "denied");
  }
  if (!config.rules.has_value()) return std::nullopt;
  const Verdict verdict = Authorize(*config.rules, facts);
  if (verdict.allowed) return std::nullopt;
  return Denied(verdict);
}

std::optional<std::string> AskJwt(const JwtAuthnConfig& config, RequestHead& head,
                                  std::vector<VerifiedToken>& tokens) {
  RemoveForged(config, head.headers);
  bool problem = false;
  const JwtRequirement* requirement = RequirementFor(config, nullptr, head, 0, &problem);
  EXPECT_FALSE(problem);
  if (requirement == nullptr) return std::nullopt;
  JwtCache cache;
  const KeySets none;
  JwtVerdict verdict = VerifyTokens(config, *requirement, head, {none, kNow, cache});
  if (verdict.status != certs::JwtStatus::kOk) {
    return absl::StrCat("token: ", certs::JwtStatusText(verdict.status));
  }
  ApplyTokens(verdict.tokens, head);
  tokens = std::move(verdict.tokens);
  return std::nullopt;
}

RequestHead HeadOf(const Call& call) {
  RequestHead head;
  head.method = call.method;
  head.scheme = "http";
  head.authority = call.host;
  head.path = call.path;
  for (const auto& [name, value] : call.headers) head.headers.Add(name, value);
  return head;
}

}  // namespace

InboundProxy::InboundProxy(const Listener& listener) {
  auto compiled = CompileListener(WithoutTls(listener), Secrets());
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  if (compiled.ok()) listener_ = *std::move(compiled);
}

InboundProxy::~InboundProxy() = default;

std::string InboundProxy::Ask(const Call& call) {
  if (listener_ == nullptr) return "refused by the proxy";
  Shown shown(call);
  on_trial_.clear();
  asked_.clear();
  const FilterChainConfig* chain = ChainFor(*listener_, call, shown);
  if (chain == nullptr) return "closed";
  for (const auto& config : chain->authorization) {
    if (auto denied = AskRbac(*config, shown.facts, on_trial_)) return *denied;
  }
  if (const auto* tcp = std::get_if<TcpProxyConfig>(&chain->service)) {
    return tcp->clusters[0].cluster == "BlackHoleCluster" ? "closed" : "allowed";
  }
  const auto& http = std::get<HttpManagerConfig>(chain->service);
  head_ = HeadOf(call);
  if (NormalisePath(http.path, head_.path) == PathVerdict::kReject) return "malformed";
  std::vector<VerifiedToken> tokens;
  std::vector<ShadowVerdict> shadows;
  for (const HttpFilter& filter : http.filters) {
    std::optional<std::string> answer;
    if (const auto* jwt = std::get_if<JwtFilterConfig>(&*filter.config)) {
      answer = AskJwt(*jwt->authn, head_, tokens);
    } else if (const auto* rbac = std::get_if<RbacFilterConfig>(&*filter.config)) {
      const std::vector<TokenMetadata> metadata = MetadataOf(tokens);
      shown.facts.head = &head_;
      shown.facts.metadata = metadata;
      shown.facts.claims = tokens.empty() ? nullptr : &tokens.front().jwt->payload;
      answer = AskRbac(*rbac->rbac, shown.facts, on_trial_);
      if (rbac->rbac->shadow_rules.has_value()) {
        shadows.push_back(
            {rbac->rbac->shadow_stat_prefix, Authorize(*rbac->rbac->shadow_rules, shown.facts)});
      }
    } else if (const auto* authz = std::get_if<ExtAuthzFilterConfig>(&*filter.config)) {
      if (IsAskedAbout(*authz->authz, shadows, 0)) asked_ = authz->authz->cluster;
    }
    if (answer.has_value()) return *answer;
  }
  return "allowed";
}

}  // namespace weft
