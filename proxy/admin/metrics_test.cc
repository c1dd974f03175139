#include "proxy/admin/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Statistics Example() {
  Statistics statistics;
  statistics.server.push_back({"server", "live", true, 1});
  ClusterCounters& cluster = statistics.counters.clusters["x"];
  cluster.upstream_rq_total = 3;
  cluster.upstream_rq_xx[2] = 2;
  cluster.upstream_rq_time.Record(absl::Milliseconds(3));
  cluster.upstream_rq_time.Record(absl::Milliseconds(30));
  statistics.counters.downstreams["in"].downstream_rq_active = 1;
  statistics.counters.downstreams["in"].downstream_rq_xx[5] = 7;
  statistics.counters.tcps["t"].downstream_cx_total = 4;
  statistics.counters.listeners["0.0.0.0_80"].ssl_handshake = 9;
  return statistics;
}

TEST(Metrics, FlatNamesAreEnvoys) {
  const std::string text = FormatStats(Example(), {});
  for (const char* line : {
           "server.live: 1\n",
           "cluster.x.upstream_rq_total: 3\n",
           "cluster.x.upstream_rq_2xx: 2\n",
           "cluster.x.upstream_cx_total: 0\n",
           "cluster.x.upstream_rq_time: P0(nan,",
           "cluster.x.upstream_cx_connect_ms: No recorded values\n",
           "http.in.downstream_rq_active: 1\n",
           "http.in.downstream_rq_5xx: 7\n",
           "tcp.t.downstream_cx_total: 4\n",
           "listener.0.0.0.0_80.ssl.handshake: 9\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, PrometheusNamesAndLabelsAreEnvoys) {
  const std::string text = FormatPrometheus(Example(), {});
  for (const char* line : {
           "# TYPE envoy_server_live gauge\n",
           "envoy_server_live 1\n",
           "# TYPE envoy_cluster_upstream_rq_total counter\n",
           "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"x\"} 3\n",
           "envoy_http_downstream_rq_xx{envoy_response_code_class=\"5\","
           "envoy_http_conn_manager_prefix=\"in\"} 7\n",
           "envoy_tcp_downstream_cx_total{envoy_tcp_prefix=\"t\"} 4\n",
           "envoy_listener_ssl_handshake{envoy_listener_address=\"0.0.0.0_80\"} 9\n",
           "# TYPE envoy_cluster_upstream_rq_time histogram\n",
           "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"x\",le=\"1\"} 0\n",
           "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"x\",le=\"5\"} 1\n",
           "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"x\",le=\"+Inf\"} 2\n",
           "envoy_cluster_upstream_rq_time_sum{envoy_cluster_name=\"x\"} 33\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, AFamilyIsWrittenOnce) {
  Statistics statistics = Example();
  statistics.counters.clusters["y"].upstream_rq_total = 1;
  for (const char* listener : {"a", "b"}) {
    for (const char* what : {"allowed", "denied"}) {
      ++statistics.counters.filters[std::string("http.") + listener + ".rbac." + what];
    }
  }
  const std::string text = FormatPrometheus(statistics, {});
  for (const std::string type : {"# TYPE envoy_cluster_upstream_rq_total counter",
                                 "# TYPE envoy_http_rbac_allowed counter"}) {
    ASSERT_THAT(text, HasSubstr(type));
    EXPECT_EQ(text.find(type), text.rfind(type));
  }
}

TEST(Metrics, FiltersCountByTheirWholeNames) {
  Statistics statistics;
  statistics.counters.filters = {
      {"http.in.0.fault.aborts_injected", 1}, {"http.in.rbac.policy.a-b.denied", 2},
      {"http.in.rbac.dry_shadow_denied", 3},  {"s.http_local_rate_limit.enabled", 4},
      {"http.in.ext_authz.waf.ok", 5},        {"cluster.up.ext_authz.ok", 6}};
  const std::string flat = FormatStats(statistics, {});
  EXPECT_THAT(flat, HasSubstr("http.in.0.fault.aborts_injected: 1\n"));
  EXPECT_THAT(flat, HasSubstr("http.in.rbac.policy.a-b.denied: 2\n"));
  EXPECT_THAT(flat, HasSubstr("s.http_local_rate_limit.enabled: 4\n"));
  const std::string prometheus = FormatPrometheus(statistics, {});
  for (const char* line : {
           "envoy_http_fault_aborts_injected{envoy_http_conn_manager_prefix=\"in.0\"} 1\n",
           "envoy_http_rbac_policy_a_b_denied{envoy_http_conn_manager_prefix=\"in\"} 2\n",
           "envoy_http_rbac_dry_shadow_denied{envoy_http_conn_manager_prefix=\"in\"} 3\n",
           "envoy_http_local_rate_limit_enabled{envoy_local_http_ratelimit_prefix=\"s\"} 4\n",
           "envoy_http_ext_authz_waf_ok{envoy_http_conn_manager_prefix=\"in\"} 5\n",
           "envoy_cluster_ext_authz_ok{envoy_cluster_name=\"up\"} 6\n",
       }) {
    EXPECT_THAT(prometheus, HasSubstr(line));
  }
}

TEST(Metrics, FilterIsARegularExpressionAndUsedOnlyLeavesOutZeroes) {
  const RE2 filter("^cluster\\..*rq_(total|timeout)");
  const std::string filtered = FormatStats(Example(), {&filter, false});
  EXPECT_EQ(filtered, "cluster.x.upstream_rq_timeout: 0\ncluster.x.upstream_rq_total: 3\n");
  EXPECT_EQ(FormatStats(Example(), {&filter, true}), "cluster.x.upstream_rq_total: 3\n");
  EXPECT_THAT(FormatPrometheus(Example(), {&filter, true}),
              AllOf(HasSubstr("rq_total"), Not(HasSubstr("rq_timeout"))));
}

TEST(Metrics, JsonHasNumbersAndQuantiles) {
  const RE2 filter("upstream_rq_ti");
  const std::string json = FormatStatsJson(Example(), {&filter, false});
  EXPECT_THAT(json,
              AllOf(HasSubstr(R"({"name":"cluster.x.upstream_rq_timeout","value":0})"),
                    HasSubstr(R"("computed_quantiles":[{"name":"cluster.x.upstream_rq_time")")));
}

TEST(Metrics, SetsAddUp) {
  Counters sum = Example().counters;
  sum.Add(Example().counters);
  EXPECT_EQ(sum.clusters["x"].upstream_rq_total, 6u);
  EXPECT_EQ(sum.clusters["x"].upstream_rq_xx[2], 4u);
  EXPECT_EQ(sum.clusters["x"].upstream_rq_time.count(), 4u);
  EXPECT_EQ(sum.listeners["0.0.0.0_80"].ssl_handshake, 18u);
}

TEST(Histogram, QuantilesComeFromTheBuckets) {
  Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  for (int i = 0; i < 90; ++i) histogram.Record(0.3);
  for (int i = 0; i < 10; ++i) histogram.Record(7000);
  EXPECT_LE(histogram.Quantile(0.5), 0.5);
  EXPECT_GT(histogram.Quantile(0.99), 5000);
  EXPECT_LE(histogram.Quantile(1), 10000);
  histogram.Record(1e9);
  EXPECT_EQ(histogram.buckets().back(), 1u);
}

}  // namespace
}  // namespace weft
