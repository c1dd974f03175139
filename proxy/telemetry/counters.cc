#include "proxy/telemetry/counters.h"

namespace weft {
namespace {

void AddValue(uint64_t& to, const uint64_t& from) { to += from; }
void AddValue(ResponseClasses& to, const ResponseClasses& from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}
void AddValue(Histogram& to, const Histogram& from) { to.Add(from); }

template <typename Set>
void AddFields(Set& to, const Set& from) {
  for (const CounterField<Set>& field : Set::Fields()) {
    std::visit([&](auto member) { AddValue(to.*member, from.*member); }, field.member);
  }
}

template <typename Set>
void ResetFields(Set& set) {
  for (const CounterField<Set>& field : Set::Fields()) {
    if (field.kind == CounterKind::kGauge) continue;
    std::visit([&set](auto member) { set.*member = {}; }, field.member);
  }
}

template <typename Value>
void AddByName(std::map<std::string, Value>& to, const std::map<std::string, Value>& from) {
  for (const auto& [name, value] : from) to[name].Add(value);
}

}  // namespace

void ClusterCounters::Add(const ClusterCounters& other) { AddFields(*this, other); }
void ClusterCounters::Reset() { ResetFields(*this); }
void DownstreamCounters::Add(const DownstreamCounters& other) { AddFields(*this, other); }
void DownstreamCounters::Reset() { ResetFields(*this); }
void TcpCounters::Add(const TcpCounters& other) { AddFields(*this, other); }
void TcpCounters::Reset() { ResetFields(*this); }
void ListenerCounters::Add(const ListenerCounters& other) { AddFields(*this, other); }
void ListenerCounters::Reset() { ResetFields(*this); }

void H2Counters::Add(const H2Counters& other) { AddFields(*this, other); }
void H2Counters::Reset() { ResetFields(*this); }

void Counters::Add(const Counters& other) {
  AddByName(clusters, other.clusters);
  AddByName(downstreams, other.downstreams);
  AddByName(tcps, other.tcps);
  AddByName(listeners, other.listeners);
  AddByName(cluster_http2, other.cluster_http2);
  AddByName(downstream_http2, other.downstream_http2);
  for (const auto& [reason, count] : other.rejections) rejections[reason] += count;
  for (const auto& [name, count] : other.reverse_tunnels) reverse_tunnels[name] += count;
  for (const auto& [name, count] : other.filters) filters[name] += count;
}

}  // namespace weft
