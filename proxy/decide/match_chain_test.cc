#include "proxy/decide/match_chain.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

FilterChainConfig Chain(std::string name, FilterChainMatch match) {
  FilterChainConfig chain;
  chain.name = std::move(name);
  chain.match = std::move(match);
  return chain;
}

// The inbound listener of a permissive sidecar, as the control plane sends it.
ListenerConfig Inbound() {
  const std::vector<std::string> istio = {"istio", "istio-peer-exchange", "istio-h2"};
  ListenerConfig listener;
  listener.chains.push_back(
      Chain("mtls-80",
            {.destination_port = 80, .transport_protocol = "tls", .application_protocols = istio}));
  listener.chains.push_back(
      Chain("plain-80", {.destination_port = 80, .transport_protocol = "raw_buffer"}));
  listener.chains.push_back(Chain("tls-80", {.destination_port = 80, .transport_protocol = "tls"}));
  listener.chains.push_back(
      Chain("strict-90",
            {.destination_port = 90, .transport_protocol = "tls", .application_protocols = istio}));
  listener.chains.push_back(
      Chain("mtls-any", {.transport_protocol = "tls", .application_protocols = istio}));
  listener.default_chain = Chain("default", {});
  return listener;
}

std::string ChainOf(const ListenerConfig& listener, absl::string_view destination, bool tls,
                    const std::vector<std::string>& alpn, absl::string_view sni = "") {
  ConnectionFacts facts;
  facts.destination = *Address::Parse(destination);
  facts.tls = tls;
  facts.application_protocols = alpn;
  facts.server_name = sni;
  const FilterChainConfig* chain = MatchChain(listener, facts);
  return chain == nullptr ? "none" : chain->name;
}

TEST(MatchChain, TellsMeshTlsPlainAndForeignTlsApart) {
  const ListenerConfig inbound = Inbound();
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:80", true, {"istio"}), "mtls-80");
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:80", true, {"x", "istio-h2"}), "mtls-80");
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:80", false, {}), "plain-80");
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:80", true, {"h2", "http/1.1"}), "tls-80");
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:81", true, {"istio"}), "mtls-any");
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:81", false, {}), "default");
}

TEST(MatchChain, APortThatFitsIsNotLeftForALessSpecificChain) {
  ListenerConfig inbound = Inbound();
  inbound.default_chain.reset();
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:90", false, {}), "none") << "plaintext on a strict port";
  EXPECT_EQ(ChainOf(inbound, "10.1.1.1:90", true, {"h2"}), "none");
}

TEST(MatchChain, TheLongestServerNameWins) {
  ListenerConfig listener;
  listener.chains.push_back(Chain("any", {}));
  listener.chains.push_back(Chain("org", {.server_names = {".org"}}));
  listener.chains.push_back(Chain("example", {.server_names = {".example.org"}}));
  listener.chains.push_back(Chain("exact", {.server_names = {"www.example.org"}}));
  EXPECT_EQ(ChainOf(listener, "1.2.3.4:1", true, {}, "WWW.Example.org"), "exact");
  EXPECT_EQ(ChainOf(listener, "1.2.3.4:1", true, {}, "a.b.example.org"), "example");
  EXPECT_EQ(ChainOf(listener, "1.2.3.4:1", true, {}, "example.org"), "org");
  EXPECT_EQ(ChainOf(listener, "1.2.3.4:1", true, {}, "org"), "any");
  EXPECT_EQ(ChainOf(listener, "1.2.3.4:1", true, {}, ""), "any");
}

TEST(MatchChain, TheLongestPrefixWins) {
  ListenerConfig listener;
  listener.chains.push_back(Chain("eight", {.prefix_ranges = {{std::string("\x0a\0\0\0", 4), 8}}}));
  listener.chains.push_back(
      Chain("thirteen", {.prefix_ranges = {{std::string("\x0a\x08\0\0", 4), 13}}}));
  listener.chains.push_back(Chain("all", {.prefix_ranges = {{std::string(4, '\0'), 0}}}));
  listener.chains.push_back(Chain("unstated", {}));
  EXPECT_EQ(ChainOf(listener, "10.9.0.1:1", false, {}), "thirteen");
  EXPECT_EQ(ChainOf(listener, "10.16.0.1:1", false, {}), "eight");
  EXPECT_EQ(ChainOf(listener, "11.0.0.1:1", false, {}), "all");
  EXPECT_EQ(ChainOf(listener, "[::1]:1", false, {}), "unstated");
}

void AddListener(Snapshot& snapshot, std::string name, absl::string_view address) {
  auto listener = std::make_shared<ListenerConfig>();
  listener->name = std::move(name);
  listener->address = *Address::Parse(address);
  listener->bind_to_port = false;
  snapshot.listeners_by_address.emplace(ListenerKey(listener->address), listener);
}

TEST(MatchListener, ExactDestinationThenWildcardThenNone) {
  Snapshot snapshot;
  AddListener(snapshot, "http", "0.0.0.0:5000");
  AddListener(snapshot, "tcp", "10.96.0.7:5000");
  AddListener(snapshot, "six", "[::]:5000");
  const auto name = [&](absl::string_view destination) -> std::string {
    const ListenerConfig* listener = MatchListener(snapshot, *Address::Parse(destination));
    return listener == nullptr ? "none" : listener->name;
  };
  EXPECT_EQ(name("10.96.0.7:5000"), "tcp");
  EXPECT_EQ(name("10.96.0.8:5000"), "http");
  EXPECT_EQ(name("[fd00::1]:5000"), "six");
  EXPECT_EQ(name("10.96.0.7:5001"), "none");
}

// 10.0.0.0/8, 10.1.0.0/16 and so on.
std::vector<IpPrefix> Range(absl::string_view ip, uint32_t length) {
  return {{std::string(Address::Ip(ip, 0)->ip_bytes()), length}};
}

TEST(MatchChain, SourcesNarrowDownAfterAllElse) {
  ListenerConfig listener;
  listener.chains.push_back(Chain("any", {}));
  listener.chains.push_back(
      Chain("peer", {.direct_source_prefix_ranges = Range("192.168.0.0", 16)}));
  listener.chains.push_back(Chain("local", {.source_type = SourceType::kSameIpOrLoopback}));
  listener.chains.push_back(Chain(
      "ten", {.source_type = SourceType::kExternal, .source_prefix_ranges = Range("10.0.0.0", 8)}));
  listener.chains.push_back(Chain("ten-one", {.source_type = SourceType::kExternal,
                                              .source_prefix_ranges = Range("10.1.0.0", 16)}));
  listener.chains.push_back(Chain("ten-one-port", {.source_type = SourceType::kExternal,
                                                   .source_prefix_ranges = Range("10.1.0.0", 16),
                                                   .source_ports = {7, 9}}));
  struct Case {
    const char* source;
    const char* direct;
    const char* chain;
  };
  const Case kCases[] = {
      {"127.0.0.1:1", "127.0.0.1:1", "local"},
      {"10.9.9.9:80", "10.9.9.9:80", "local"},  // the destination's own address
      {"10.2.0.1:1", "10.2.0.1:1", "ten"},
      {"10.1.0.1:1", "10.1.0.1:1", "ten-one"},
      {"10.1.0.1:9", "10.1.0.1:9", "ten-one-port"},
      {"10.1.0.1:9", "192.168.7.7:1", "peer"},
      // External decides before prefixes, and there is no way back from it.
      {"172.16.0.1:1", "172.16.0.1:1", "none"},
  };
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.source);
    ConnectionFacts facts;
    facts.destination = *Address::Parse("10.9.9.9:80");
    facts.source = *Address::Parse(one.source);
    facts.direct_source = *Address::Parse(one.direct);
    const FilterChainConfig* chain = MatchChain(listener, facts);
    EXPECT_EQ(chain == nullptr ? "none" : chain->name, one.chain);
  }
}

}  // namespace
}  // namespace weft
