#include "controlplane/translate/listeners_entry.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/listener.pb.h"
#include "controlplane/translate/l4_routes.h"
#include "controlplane/translate/listeners_outbound.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/unknown_destinations.h"

namespace weft {
namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::FilterChainMatch;
using envoy::config::listener::v3::Listener;

// One of the services that a connection to an address and port may mean.
struct Candidate {
  const Service* service;
  const ServicePort* port;
  std::string block;  // only connections to addresses of this CIDR block; empty: to any
};
using Candidates = std::vector<Candidate>;

void SetBlock(absl::string_view block, FilterChainMatch& match) {
  const size_t slash = block.find('/');
  uint32_t length = 0;
  if (slash == absl::string_view::npos || !absl::SimpleAtoi(block.substr(slash + 1), &length)) {
    return;
  }
  auto* range = match.add_prefix_ranges();
  range->set_address_prefix(std::string(block.substr(0, slash)));
  range->mutable_prefix_len()->set_value(length);
}

// Each of the chains that the candidate's routes make, narrowed to what means the candidate.
std::vector<FilterChain> ChainsFor(const RouteContext& context, const Candidate& candidate,
                                   bool by_name, const Listener& listener) {
  const std::string own = OutboundClusterName(candidate.port->port, "", candidate.service->host);
  std::vector<FilterChain> chains =
      ConnectionChains(context, *candidate.service, *candidate.port, own,
                       listener.address().socket_address().address());
  for (FilterChain& chain : chains) {
    chain.set_name(own);
    FilterChainMatch match = chain.filter_chain_match();
    SetBlock(candidate.block, match);
    if (by_name && candidate.port->protocol == Protocol::kTls && match.server_names().empty()) {
      match.set_transport_protocol("tls");
      match.add_server_names(candidate.service->host);
    }
    if (match.ByteSizeLong() > 0) *chain.mutable_filter_chain_match() = std::move(match);
  }
  return chains;
}

bool TakesAll(const FilterChain& chain) { return !chain.has_filter_chain_match(); }

// The chain that takes all there is; null if there is none.
FilterChain* CatchAllOf(Listener& listener) {
  for (FilterChain& chain : *listener.mutable_filter_chains()) {
    if (TakesAll(chain)) return &chain;
  }
  return nullptr;
}

void AddChains(const RouteContext& context, const Candidates& candidates, bool by_name,
               Listener& listener) {
  const bool http = listener.filter_chains_size() > 0;  // it was there, and takes all
  std::set<std::string> matches;
  if (http) matches.insert("");
  bool named = false;
  for (const Candidate& candidate : candidates) {
    for (FilterChain& chain : ChainsFor(context, candidate, by_name, listener)) {
      if (!matches.insert(chain.filter_chain_match().SerializeAsString()).second) continue;
      named |= chain.filter_chain_match().transport_protocol() == "tls";
      *listener.add_filter_chains() = std::move(chain);
    }
  }
  FilterChain* catch_all = CatchAllOf(listener);
  if (named) {
    InspectTls(listener);
    // HTTP is for what is plain; TLS of another name goes its own way.
    if (http) {
      listener.mutable_filter_chains(0)->mutable_filter_chain_match()->set_transport_protocol(
          "raw_buffer");
      catch_all = nullptr;
    }
  }
  if (catch_all != nullptr) return;
  const std::string unknown = UnknownCluster(context);
  listener.mutable_default_filter_chain()->set_name("unknown");
  *listener.mutable_default_filter_chain()->add_filters() = TcpProxyFilter(unknown, unknown);
}

bool IsBlock(absl::string_view address) { return absl::StrContains(address, "/"); }

}  // namespace

std::vector<Listener> EntryListeners(const RouteContext& context, ListenersByPort& by_port) {
  std::map<std::pair<std::string, uint16_t>, Candidates> by_address;
  std::map<uint16_t, Candidates> anywhere;
  for (const auto& [service, port] : context.services.tcp_ports()) {
    if (!service->entry.has_value()) continue;
    std::set<std::string> addresses(service->entry->addresses.begin(),
                                    service->entry->addresses.end());
    addresses.insert(service->address);  // empty, if it has none at all
    if (!service->other_address.empty()) addresses.insert(service->other_address);
    for (const std::string& address : addresses) {
      if (IsBlock(address)) {
        anywhere[port->port].push_back({service, port, address});
      } else if (!address.empty()) {
        by_address[{address, port->port}].push_back({service, port, ""});
      } else if (addresses.size() == 1) {
        anywhere[port->port].push_back({service, port, ""});
      }
    }
  }
  for (const auto& [port, candidates] : anywhere) {
    auto [found, added] = by_port.try_emplace(port);
    if (added) {
      found->second = NewOutboundListener(absl::StrCat("0.0.0.0_", port),
                                          WildcardsOf(context.scope.families), port);
      found->second.mutable_bind_to_port()->set_value(false);
    }
    AddChains(context, candidates, /*by_name=*/true, found->second);
  }
  std::vector<Listener> listeners;
  for (const auto& [place, candidates] : by_address) {
    const auto& [address, port] = place;
    if (AddressesFor(context.scope.families, address, "").empty()) continue;
    Listener listener = NewOutboundListener(absl::StrCat(address, "_", port), {address}, port);
    listener.mutable_bind_to_port()->set_value(false);
    AddChains(context, candidates, /*by_name=*/candidates.size() > 1, listener);
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

}  // namespace weft
