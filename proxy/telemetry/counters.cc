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
    std::visit([&](auto in) { AddValue(in(to), in(const_cast<Set&>(from))); }, field.in);
  }
}

template <typename Set>
void ResetFields(Set& set) {
  for (const CounterField<Set>& field : Set::Fields()) {
    if (field.kind == CounterKind::kGauge) continue;
    std::visit([&set](auto in) { in(set) = {}; }, field.in);
  }
}

template <typename Value>
void AddByName(std::map<std::string, Value>& to, const std::map<std::string, Value>& from) {
  for (const auto& [name, value] : from) to[name].Add(value);
}

}  // namespace

#define WEFT_FIELD_AT(kind, name, place) \
  {#name, CounterKind::k##kind, +[](Set& set) -> counter_types::kind& { return set.place; }},
#define WEFT_FIELD(kind, name) WEFT_FIELD_AT(kind, name, name)

absl::Span<const CounterField<ClusterCounters>> ClusterCounters::Fields() {
  using Set = ClusterCounters;
  static constexpr CounterField<Set> kFields[] = {WEFT_CLUSTER_COUNTERS(WEFT_FIELD)
                                                      WEFT_OUTLIER_COUNTERS(WEFT_FIELD_AT)};
  return kFields;
}

absl::Span<const CounterField<DownstreamCounters>> DownstreamCounters::Fields() {
  using Set = DownstreamCounters;
  static constexpr CounterField<Set> kFields[] = {WEFT_DOWNSTREAM_COUNTERS(WEFT_FIELD)};
  return kFields;
}

absl::Span<const CounterField<TcpCounters>> TcpCounters::Fields() {
  using Set = TcpCounters;
  static constexpr CounterField<Set> kFields[] = {WEFT_TCP_COUNTERS(WEFT_FIELD)};
  return kFields;
}

absl::Span<const CounterField<ListenerCounters>> ListenerCounters::Fields() {
  using Set = ListenerCounters;
  static constexpr CounterField<Set> kFields[] = {WEFT_LISTENER_COUNTERS(WEFT_FIELD)};
  return kFields;
}

#undef WEFT_FIELD
#undef WEFT_FIELD_AT

void ClusterCounters::Add(const ClusterCounters& other) { AddFields(*this, other); }
void ClusterCounters::Reset() { ResetFields(*this); }
void DownstreamCounters::Add(const DownstreamCounters& other) { AddFields(*this, other); }
void DownstreamCounters::Reset() { ResetFields(*this); }
void TcpCounters::Add(const TcpCounters& other) { AddFields(*this, other); }
void TcpCounters::Reset() { ResetFields(*this); }
void ListenerCounters::Add(const ListenerCounters& other) { AddFields(*this, other); }
void ListenerCounters::Reset() { ResetFields(*this); }

void Counters::Add(const Counters& other) {
  AddByName(clusters, other.clusters);
  AddByName(downstreams, other.downstreams);
  AddByName(tcps, other.tcps);
  AddByName(listeners, other.listeners);
  for (const auto& [reason, count] : other.rejections) rejections[reason] += count;
}

}  // namespace weft
