// Rules of Telemetry.
#include <string>

#include "absl/strings/str_cat.h"
#include "api/istio/telemetry.pb.h"
#include "controlplane/model/log_condition.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace telemetry = istio::telemetry::v1alpha1;
using telemetry::MetricsOverrides;

constexpr char kNoSpans[] = "has no effect: weft-proxy reports no spans";
constexpr char kNoMetrics[] =
    "has no effect: weft-proxy counts by cluster and listener, and has no metrics by source and "
    "destination to change";

template <typename Part>
void CheckProviders(const Part& part, Checker& check) {
  for (int i = 0; i < part.providers_size(); ++i) {
    if (part.providers(i).name().empty()) {
      check.Error(absl::StrCat("providers[", i, "].name"), "is missing");
    }
  }
}

void CheckAccessLogging(const telemetry::AccessLogging& logging, Checker& check) {
  CheckProviders(logging, check);
  if (!logging.has_filter()) return;
  if (logging.disabled()) check.Warning("filter", "has no effect beside 'disabled'");
  if (logging.filter().expression().empty()) {
    return check.Error("filter.expression", "is missing");
  }
  const auto condition = ParseLogCondition(logging.filter().expression());
  if (!condition.ok()) {
    check.Error("filter.expression", std::string(condition.status().message()));
  }
}

void CheckOverride(const MetricsOverrides& one, Checker& check) {
  if (one.match().metric_match_case() == telemetry::MetricSelector::kCustomMetric &&
      one.match().custom_metric().empty()) {
    check.Error("match.customMetric", "is empty");
  }
  for (const auto& [tag, change] : one.tag_overrides()) {
    const std::string field = absl::StrCat("tagOverrides[", tag, "]");
    if (tag.empty()) check.Error("tagOverrides", "a tag without a name");
    const bool remove = change.operation() == MetricsOverrides::TagOverride::REMOVE;
    if (remove && !change.value().empty()) {
      check.Error(absl::StrCat(field, ".value"), "cannot be used together with REMOVE");
    }
    if (!remove && change.value().empty()) {
      check.Error(absl::StrCat(field, ".value"), "is missing for UPSERT");
    }
  }
  if (one.has_disabled()) check.Warning("disabled", kNoMetrics);
  if (!one.tag_overrides().empty()) check.Warning("tagOverrides", kNoMetrics);
}

void CheckMetrics(const telemetry::Metrics& metrics, Checker& check) {
  CheckProviders(metrics, check);
  check.Duration("reportingInterval", metrics.reporting_interval());
  if (!metrics.reporting_interval().empty()) check.Warning("reportingInterval", kNoMetrics);
  for (int i = 0; i < metrics.overrides_size(); ++i) {
    const Checker::In in(check, "overrides", i);
    CheckOverride(metrics.overrides(i), check);
  }
}

void CheckTag(const std::string& name, const telemetry::Tracing::CustomTag& tag, Checker& check) {
  using Tag = telemetry::Tracing::CustomTag;
  const std::string field = absl::StrCat("customTags[", name, "]");
  if (name.empty()) check.Error("customTags", "a tag without a name");
  switch (tag.type_case()) {
    case Tag::kLiteral:
      if (tag.literal().value().empty()) check.Error(field + ".literal.value", "is missing");
      break;
    case Tag::kEnvironment:
      if (tag.environment().name().empty()) check.Error(field + ".environment.name", "is missing");
      break;
    case Tag::kHeader:
      if (tag.header().name().empty()) check.Error(field + ".header.name", "is missing");
      break;
    case Tag::kFormatter:
      if (tag.formatter().value().empty()) check.Error(field + ".formatter.value", "is missing");
      break;
    case Tag::TYPE_NOT_SET:
      check.Error(field, "needs one of 'literal', 'environment', 'header' and 'formatter'");
  }
}

void CheckTracing(const telemetry::Tracing& tracing, Checker& check) {
  CheckProviders(tracing, check);
  if (tracing.providers_size() > 1) check.Error("providers", "takes one provider only");
  check.Range("randomSamplingPercentage", tracing.random_sampling_percentage(), 0, 100);
  for (const auto& [name, tag] : tracing.custom_tags()) CheckTag(name, tag, check);
  if (!tracing.providers().empty()) check.Warning("providers", kNoSpans);
  if (tracing.has_random_sampling_percentage()) {
    check.Warning("randomSamplingPercentage", kNoSpans);
  }
  if (!tracing.custom_tags().empty()) check.Warning("customTags", kNoSpans);
  if (tracing.has_use_request_id_for_trace_sampling()) {
    check.Warning("useRequestIdForTraceSampling", kNoSpans);
  }
  if (tracing.has_enable_istio_tags()) check.Warning("enableIstioTags", kNoSpans);
  // To ask for no spans is to ask for what there is.
  if (tracing.has_disable_span_reporting() && !tracing.disable_span_reporting()) {
    check.Warning("disableSpanReporting", kNoSpans);
  }
}

}  // namespace

void CheckTelemetry(const telemetry::Telemetry& spec, Checker& check) {
  CheckPolicyTarget(spec, check);
  for (int i = 0; i < spec.access_logging_size(); ++i) {
    const Checker::In in(check, "accessLogging", i);
    CheckAccessLogging(spec.access_logging(i), check);
  }
  for (int i = 0; i < spec.metrics_size(); ++i) {
    const Checker::In in(check, "metrics", i);
    CheckMetrics(spec.metrics(i), check);
  }
  for (int i = 0; i < spec.tracing_size(); ++i) {
    const Checker::In in(check, "tracing", i);
    CheckTracing(spec.tracing(i), check);
  }
}

}  // namespace weft
