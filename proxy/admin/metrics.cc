#include "proxy/admin/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <tuple>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

// Parts of names that Envoy's flat form sets off by a dot.
constexpr absl::string_view kGroups[] = {
    "circuit_breakers_default_",
    "cors_",
    "fault_",
    "health_check_",
    "http1_",
    "http_local_rate_limit_",
    "jwt_authn_",
    "outlier_detection_",
    "rbac_",
    "ssl_",
};

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"P0", 0},     {"P25", 0.25}, {"P50", 0.5},     {"P75", 0.75},    {"P90", 0.9},
    {"P95", 0.95}, {"P99", 0.99}, {"P99.5", 0.995}, {"P99.9", 0.999}, {"P100", 1}};

std::string Dotted(absl::string_view name) {
  for (absl::string_view group : kGroups) {
    if (!absl::StartsWith(name, group)) continue;
    return absl::StrCat(group.substr(0, group.size() - 1), ".", name.substr(group.size()));
  }
  return std::string(name);
}

// The filters that count, and Prometheus' label of whom they count for.
constexpr struct {
  absl::string_view part;  // of the whole name, behind a stat_prefix
  absl::string_view label;
} kFilters[] = {
    {".cors.", "envoy_http_conn_manager_prefix"},
    {".ext_authz.", "envoy_http_conn_manager_prefix"},
    {".fault.", "envoy_http_conn_manager_prefix"},
    {".http_local_rate_limit.", "envoy_local_http_ratelimit_prefix"},
    {".jwt_authn.", "envoy_http_conn_manager_prefix"},
    {".rbac.", "envoy_http_conn_manager_prefix"},
};

// A counter of a filter by its parts: "http.in.fault.aborts_injected" is "fault_aborts_injected" of
// "in". Some are of the cluster that the request was for: "cluster.up.ext_authz.ok".
struct FilterCounter {
  std::string name;
  absl::string_view prefix;
  absl::string_view subject;
  absl::string_view label;
  absl::string_view whole;
  uint64_t count;
};

FilterCounter PartsOf(absl::string_view whole, uint64_t count) {
  const bool of_cluster = absl::StartsWith(whole, "cluster.");
  FilterCounter counter = {"", of_cluster ? "cluster" : "http", "", "", whole, count};
  absl::string_view rest = whole;
  for (const auto& [part, label] : kFilters) {
    const size_t at = whole.find(part);
    if (at == absl::string_view::npos) continue;
    counter.subject = absl::StripPrefix(whole.substr(0, at), of_cluster ? "cluster." : "http.");
    counter.label = of_cluster ? "envoy_cluster_name" : label;
    rest = whole.substr(at + 1);
    break;
  }
  counter.name = std::string(absl::StripPrefix(rest, "http_"));
  // A policy's name may be in it.
  for (char& c : counter.name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return counter;
}

// One value on its way into a text; exactly one of number and histogram counts.
struct Value {
  absl::string_view prefix;      // "cluster"
  absl::string_view subject;     // the cluster's name; "" for the process
  absl::string_view label;       // Prometheus' label of the subject
  absl::string_view name;        // "upstream_rq_xx"
  absl::string_view group = {};  // "http2": what Envoy puts between the subject and the name; or ""
  int response_class = 0;        // of an _xx name
  bool gauge = false;
  double number = 0;
  const Histogram* histogram = nullptr;
  absl::string_view flat_name = {};  // where it does not follow from the others

  std::string FlatName() const {
    if (!flat_name.empty()) return std::string(flat_name);
    std::string flat = absl::StrCat(prefix, ".");
    if (!subject.empty()) absl::StrAppend(&flat, subject, ".");
    if (!group.empty()) absl::StrAppend(&flat, group, ".");
    absl::StrAppend(&flat, Dotted(name));
    // "upstream_rq_xx" of class 2 is "upstream_rq_2xx".
    if (response_class != 0) flat.insert(flat.size() - 2, absl::StrCat(response_class));
    return flat;
  }
  bool used() const { return histogram != nullptr ? histogram->count() > 0 : number != 0; }
  bool IsAskedFor(const StatsQuery& query) const {
    if (query.used_only && !used()) return false;
    return query.filter == nullptr || RE2::PartialMatch(FlatName(), *query.filter);
  }
};

// Walks every value, all subjects of a name in a row: what Prometheus calls a family.
template <typename Visit>
class Walk {
 public:
  Walk(const StatsQuery& query, Visit visit) : query_(query), visit_(visit) {}

  void All(const Statistics& statistics) {
    for (const ServerMetric& metric : statistics.server) {
      Value value = {metric.prefix, "", "", metric.name};
      value.gauge = metric.gauge;
      value.number = metric.value;
      Give(value);
    }
    for (const auto& [reason, count] : statistics.counters.rejections) {
      Value value = {"server", reason, "reason", "rejected_requests"};
      value.number = static_cast<double>(count);
      Give(value);
    }
    const Counters& counters = statistics.counters;
    Sets("cluster", "envoy_cluster_name", counters.clusters);
    Sets("http", "envoy_http_conn_manager_prefix", counters.downstreams);
    Sets("tcp", "envoy_tcp_prefix", counters.tcps);
    Sets("listener", "envoy_listener_address", counters.listeners);
    for (const auto& [trust_domain, count] : counters.reverse_tunnels) {
      Value value = {"reverse_tunnel", trust_domain, "trust_domain", "cx_active"};
      value.gauge = true;
      value.number = static_cast<double>(count);
      Give(value);
    }
    Sets("cluster", "envoy_cluster_name", counters.cluster_http2, "http2");
    Sets("http", "envoy_http_conn_manager_prefix", counters.downstream_http2, "http2");
    Filters(counters.filters);
  }

 private:
  void Filters(const std::map<std::string, uint64_t>& counts) {
    std::vector<FilterCounter> counters;
    for (const auto& [whole, count] : counts) counters.push_back(PartsOf(whole, count));
    std::sort(counters.begin(), counters.end(), [](const FilterCounter& a, const FilterCounter& b) {
      return std::tie(a.name, a.whole) < std::tie(b.name, b.whole);
    });
    for (const FilterCounter& counter : counters) {
      Value value = {counter.prefix, counter.subject, counter.label, counter.name};
      value.number = static_cast<double>(counter.count);
      value.flat_name = counter.whole;
      Give(value);
    }
  }
  template <typename Set>
  void Sets(absl::string_view prefix, absl::string_view label,
            const std::map<std::string, Set>& sets, absl::string_view group = "") {
    for (const CounterField<Set>& field : Set::Fields()) {
      for (const auto& [subject, set] : sets) {
        Value value = {prefix, subject, label, field.name, group};
        value.gauge = field.kind == CounterKind::kGauge;
        const Set& of_subject = set;
        std::visit([&](auto member) { Field(value, of_subject.*member); }, field.member);
      }
    }
  }
  void Field(Value value, uint64_t number) {
    value.number = static_cast<double>(number);
    Give(value);
  }
  void Field(Value value, const ResponseClasses& classes) {
    for (size_t i = 1; i < classes.size(); ++i) {
      value.response_class = static_cast<int>(i);
      value.number = static_cast<double>(classes[i]);
      Give(value);
    }
  }
  void Field(Value value, const Histogram& histogram) {
    value.histogram = &histogram;
    Give(value);
  }
  void Give(const Value& value) {
    if (value.IsAskedFor(query_)) visit_(value);
  }

  const StatsQuery& query_;
  Visit visit_;
};

template <typename Visit>
void ForEachValue(const Statistics& statistics, const StatsQuery& query, Visit visit) {
  Walk<Visit>(query, visit).All(statistics);
}

// Sorted by name, numbers before histograms, as Envoy lists them.
struct FlatValues {
  std::map<std::string, double> numbers;
  std::map<std::string, const Histogram*> histograms;
};

FlatValues Flatten(const Statistics& statistics, const StatsQuery& query) {
  FlatValues flat;
  ForEachValue(statistics, query, [&flat](const Value& value) {
    if (value.histogram != nullptr) {
      flat.histograms[value.FlatName()] = value.histogram;
    } else {
      flat.numbers[value.FlatName()] = value.number;
    }
  });
  return flat;
}

// "P0(nan,0) P25(nan,1.2) …": since the last flush, which there is none of here, and since ever.
std::string QuantilesText(const Histogram& histogram) {
  if (histogram.count() == 0) return "No recorded values";
  std::string text;
  for (const auto& [name, part] : kQuantiles) {
    absl::StrAppend(&text, text.empty() ? "" : " ", name, "(nan,", histogram.Quantile(part), ")");
  }
  return text;
}

Json QuantilesJson(const std::map<std::string, const Histogram*>& histograms) {
  Json supported = Json::array();
  for (const auto& [name, part] : kQuantiles) supported.push_back(part * 100);
  Json computed = Json::array();
  for (const auto& [name, histogram] : histograms) {
    Json values = Json::array();
    for (const auto& [quantile, part] : kQuantiles) {
      const Json cumulative =
          histogram->count() == 0 ? Json(nullptr) : Json(histogram->Quantile(part));
      values.push_back({{"interval", nullptr}, {"cumulative", cumulative}});
    }
    computed.push_back({{"name", name}, {"values", std::move(values)}});
  }
  return {{"supported_quantiles", std::move(supported)},
          {"computed_quantiles", std::move(computed)}};
}

prometheus::MetricType TypeOf(const Value& value) {
  if (value.histogram != nullptr) return prometheus::MetricType::Histogram;
  return value.gauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Counter;
}

prometheus::ClientMetric ToPrometheus(const Value& value) {
  prometheus::ClientMetric metric;
  if (value.response_class != 0) {
    metric.label.push_back({"envoy_response_code_class", absl::StrCat(value.response_class)});
  }
  if (!value.subject.empty()) {
    metric.label.push_back({std::string(value.label), std::string(value.subject)});
  }
  if (value.histogram == nullptr) {
    (value.gauge ? metric.gauge.value : metric.counter.value) = value.number;
    return metric;
  }
  metric.histogram.sample_count = value.histogram->count();
  metric.histogram.sample_sum = value.histogram->sum();
  const Histogram::Buckets buckets = value.histogram->buckets();
  uint64_t cumulative = 0;
  for (size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    cumulative += buckets[i];
    metric.histogram.bucket.push_back({cumulative, Histogram::kBounds[i]});
  }
  return metric;
}

// Writes each family as soon as the next begins: never more than one is there as objects.
class PrometheusWriter {
 public:
  void Take(const Value& value) {
    const absl::string_view separator = value.group.empty() ? "" : "_";
    const std::string name =
        absl::StrCat("envoy_", value.prefix, "_", value.group, separator, value.name);
    if (family_.name != name) {
      Flush();
      family_.name = name;
      family_.type = TypeOf(value);
    }
    family_.metric.push_back(ToPrometheus(value));
  }
  std::string Finish() {
    Flush();
    return out_.str();
  }

 private:
  void Flush() {
    if (family_.metric.empty()) return;
    prometheus::TextSerializer().Serialize(out_, {family_});
    family_ = {};
  }

  prometheus::MetricFamily family_;
  std::ostringstream out_;
};

}  // namespace

std::string FormatStats(const Statistics& statistics, const StatsQuery& query) {
  const FlatValues flat = Flatten(statistics, query);
  std::string text;
  for (const auto& [name, number] : flat.numbers) {
    absl::StrAppend(&text, name, ": ", static_cast<int64_t>(number), "\n");
  }
  for (const auto& [name, histogram] : flat.histograms) {
    absl::StrAppend(&text, name, ": ", QuantilesText(*histogram), "\n");
  }
  return text;
}

std::string FormatStatsJson(const Statistics& statistics, const StatsQuery& query) {
  const FlatValues flat = Flatten(statistics, query);
  Json stats = Json::array();
  for (const auto& [name, number] : flat.numbers) {
    stats.push_back({{"name", name}, {"value", static_cast<int64_t>(number)}});
  }
  if (!flat.histograms.empty()) {
    stats.push_back({{"histograms", QuantilesJson(flat.histograms)}});
  }
  return Json{{"stats", std::move(stats)}}.dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

std::string FormatPrometheus(const Statistics& statistics, const StatsQuery& query) {
  PrometheusWriter writer;
  ForEachValue(statistics, query, [&writer](const Value& value) { writer.Take(value); });
  return writer.Finish();
}

}  // namespace weft
