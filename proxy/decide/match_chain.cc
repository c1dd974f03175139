#include "proxy/decide/match_chain.h"

#include <algorithm>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace weft {
namespace {

using Chains = absl::InlinedVector<const FilterChainConfig*, 16>;

// How specifically a chain fits one criterion: above 0, the more the better; 0 if it does not name
// a value; kNoFit if it names only others.
constexpr int kNoFit = -1;

// Keeps the chains that fit best; none if all are kNoFit.
template <typename Specificity>
void KeepBest(Chains& chains, Specificity specificity) {
  Chains best;
  int most = 0;
  for (const FilterChainConfig* chain : chains) {
    const int fit = specificity(chain->match);
    if (fit == kNoFit || fit < most) continue;
    if (fit > most) best.clear();
    most = fit;
    best.push_back(chain);
  }
  chains.swap(best);
}

int PortFit(const FilterChainMatch& match, uint16_t port) {
  if (!match.destination_port) return 0;
  return *match.destination_port == port ? 1 : kNoFit;
}

int PrefixFit(const std::vector<IpPrefix>& ranges, absl::string_view ip) {
  if (ranges.empty()) return 0;
  int fit = kNoFit;
  for (const IpPrefix& prefix : ranges) {
    // One more, so that 0.0.0.0/0 is more specific than no prefix at all.
    if (prefix.Contains(ip)) fit = std::max(fit, static_cast<int>(prefix.length) + 1);
  }
  return fit;
}

int ServerNameFit(const FilterChainMatch& match, absl::string_view name) {
  if (match.server_names.empty()) return 0;
  constexpr int kExact = 1 << 16;  // above the length of any name
  int fit = kNoFit;
  for (const std::string& candidate : match.server_names) {
    if (candidate == name) return kExact;
    // "*.suffix" stands for at least one more label.
    if (candidate[0] == '.' && name.size() > candidate.size() && absl::EndsWith(name, candidate)) {
      fit = std::max(fit, static_cast<int>(candidate.size()));
    }
  }
  return fit;
}

int TransportFit(const FilterChainMatch& match, bool tls) {
  if (match.transport_protocol.empty()) return 0;
  return match.transport_protocol == (tls ? "tls" : "raw_buffer") ? 1 : kNoFit;
}

int ProtocolFit(const FilterChainMatch& match, const std::string& protocol) {
  if (match.application_protocols.empty()) return 0;
  const auto& known = match.application_protocols;
  return std::find(known.begin(), known.end(), protocol) != known.end() ? 1 : kNoFit;
}

int SourceTypeFit(const FilterChainMatch& match, bool local) {
  if (match.source_type == SourceType::kAny) return 0;
  return (match.source_type == SourceType::kSameIpOrLoopback) == local ? 1 : kNoFit;
}

int SourcePortFit(const FilterChainMatch& match, uint16_t port) {
  const std::vector<uint16_t>& ports = match.source_ports;
  if (ports.empty()) return 0;
  return std::find(ports.begin(), ports.end(), port) != ports.end() ? 1 : kNoFit;
}

void KeepBestSource(Chains& chains, const ConnectionFacts& facts) {
  const absl::string_view direct = facts.direct_source.ip_bytes();
  KeepBest(chains, [&](const FilterChainMatch& match) {
    return PrefixFit(match.direct_source_prefix_ranges, direct);
  });
  const absl::string_view ip = facts.source.ip_bytes();
  const bool local = facts.source.is_loopback() || ip == facts.destination.ip_bytes();
  KeepBest(chains, [&](const FilterChainMatch& match) { return SourceTypeFit(match, local); });
  KeepBest(chains, [&](const FilterChainMatch& match) {
    return PrefixFit(match.source_prefix_ranges, ip);
  });
  const uint16_t port = facts.source.port();
  KeepBest(chains, [&](const FilterChainMatch& match) { return SourcePortFit(match, port); });
}

// The client's first choice that any chain names decides.
void KeepBestProtocol(Chains& chains, absl::Span<const std::string> offered) {
  for (const std::string& protocol : offered) {
    Chains named = chains;
    named.erase(std::remove_if(named.begin(), named.end(),
                               [&](const FilterChainConfig* chain) {
                                 return ProtocolFit(chain->match, protocol) != 1;
                               }),
                named.end());
    if (named.empty()) continue;
    chains.swap(named);
    return;
  }
  KeepBest(chains, [](const FilterChainMatch& match) { return ProtocolFit(match, ""); });
}

}  // namespace

const ListenerConfig* MatchListener(const Snapshot& snapshot, const Address& destination) {
  auto it = snapshot.listeners_by_address.find(ListenerKey(destination));
  if (it == snapshot.listeners_by_address.end()) {
    const absl::string_view any = destination.family() == AF_INET6 ? "::" : "0.0.0.0";
    absl::StatusOr<Address> wildcard = Address::Ip(any, destination.port());
    if (!wildcard.ok()) return nullptr;
    it = snapshot.listeners_by_address.find(ListenerKey(*wildcard));
  }
  return it == snapshot.listeners_by_address.end() ? nullptr : it->second.get();
}

const FilterChainConfig* MatchChain(const ListenerConfig& listener, const ConnectionFacts& facts) {
  Chains chains;
  for (const FilterChainConfig& chain : listener.chains) chains.push_back(&chain);
  const uint16_t port = facts.destination.port();
  KeepBest(chains, [&](const FilterChainMatch& match) { return PortFit(match, port); });
  const absl::string_view ip = facts.destination.ip_bytes();
  KeepBest(chains,
           [&](const FilterChainMatch& match) { return PrefixFit(match.prefix_ranges, ip); });
  const std::string name = absl::AsciiStrToLower(facts.server_name);
  KeepBest(chains, [&](const FilterChainMatch& match) { return ServerNameFit(match, name); });
  KeepBest(chains, [&](const FilterChainMatch& match) { return TransportFit(match, facts.tls); });
  KeepBestProtocol(chains, facts.application_protocols);
  KeepBestSource(chains, facts);
  if (!chains.empty()) return chains.front();
  return listener.default_chain ? &*listener.default_chain : nullptr;
}

}  // namespace weft
