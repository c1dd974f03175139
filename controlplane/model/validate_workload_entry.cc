// Rules of WorkloadEntry and WorkloadGroup, and of a ServiceEntry's endpoints, which are the same.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::ReadinessProbe;
using networking::WorkloadEntry;

constexpr absl::string_view kUnixPrefix = "unix://";
constexpr size_t kLocalityParts = 3;

void CheckAddress(const WorkloadEntry& spec, Checker& check) {
  const absl::string_view address = spec.address();
  if (address.empty()) {
    if (spec.network().empty()) {
      check.Error("address",
                  "is missing; only what is behind another network's gateway needs none");
    }
    return;
  }
  if (!absl::StartsWith(address, kUnixPrefix)) return check.Host("address", address, false);
  const absl::string_view path = address.substr(kUnixPrefix.size());
  if (!absl::StartsWith(path, "/") && !absl::StartsWith(path, "@")) {
    check.Error("address", absl::StrCat("'", address, "' is not an absolute path, as in ",
                                        "'unix:///run/app.sock'"));
  }
  if (!spec.ports().empty()) check.Error("ports", "a Unix socket has no ports");
}

void CheckLocality(absl::string_view locality, Checker& check) {
  if (locality.empty()) return;
  const std::vector<absl::string_view> parts = absl::StrSplit(locality, '/');
  bool empty = false;
  for (absl::string_view part : parts) empty |= part.empty();
  if (parts.size() > kLocalityParts || empty) {
    check.Error("locality",
                absl::StrCat("'", locality, "' is not of the form 'region/zone/subzone'"));
  }
}

void CheckProbeMethod(const ReadinessProbe& probe, Checker& check) {
  switch (probe.health_check_method_case()) {
    case ReadinessProbe::kHttpGet: {
      check.RequiredPort("httpGet.port", probe.http_get().port());
      const std::string& scheme = probe.http_get().scheme();
      if (!scheme.empty() && !absl::EqualsIgnoreCase(scheme, "http") &&
          !absl::EqualsIgnoreCase(scheme, "https")) {
        check.Error("httpGet.scheme", absl::StrCat("'", scheme, "' is neither HTTP nor HTTPS"));
      }
      for (int i = 0; i < probe.http_get().http_headers_size(); ++i) {
        check.HeaderName(absl::StrCat("httpGet.httpHeaders[", i, "].name"),
                         probe.http_get().http_headers(i).name());
      }
      return;
    }
    case ReadinessProbe::kTcpSocket:
      return check.RequiredPort("tcpSocket.port", probe.tcp_socket().port());
    case ReadinessProbe::kGrpc:
      return check.RequiredPort("grpc.port", probe.grpc().port());
    case ReadinessProbe::kExec:
      if (probe.exec().command().empty()) check.Error("exec.command", "is missing");
      return;
    case ReadinessProbe::HEALTH_CHECK_METHOD_NOT_SET:
      check.Error("", "one of httpGet, tcpSocket, exec and grpc is needed");
  }
}

void CheckProbe(const ReadinessProbe& probe, Checker& check) {
  const Checker::In in(check, "probe");
  check.NotNegative("initialDelaySeconds", probe.initial_delay_seconds());
  check.NotNegative("timeoutSeconds", probe.timeout_seconds());
  check.NotNegative("periodSeconds", probe.period_seconds());
  check.NotNegative("successThreshold", probe.success_threshold());
  check.NotNegative("failureThreshold", probe.failure_threshold());
  CheckProbeMethod(probe, check);
}

void CheckAllButAddress(const WorkloadEntry& spec, Checker& check) {
  for (const auto& [name, port] : spec.ports()) {
    const std::string field = absl::StrCat("ports[", name, "]");
    if (name.empty()) check.Error("ports", "a port without a name");
    check.RequiredPort(field, port);
  }
  check.SelectorLabels("labels", spec.labels());
  CheckLocality(spec.locality(), check);
  if (absl::StrContains(spec.service_account(), "/")) {
    check.Error("serviceAccount", absl::StrCat("'", spec.service_account(),
                                               "' is not a name; its namespace is the entry's"));
  }
}

}  // namespace

void CheckMachine(const WorkloadEntry& spec, Checker& check) {
  CheckAddress(spec, check);
  CheckAllButAddress(spec, check);
}

void CheckWorkloadEntry(const WorkloadEntry& spec, Checker& check) { CheckMachine(spec, check); }

void CheckWorkloadGroup(const networking::WorkloadGroup& spec, Checker& check) {
  check.SelectorLabels("metadata.labels", spec.metadata().labels());
  if (spec.has_template_()) {
    const Checker::In in(check, "template");
    if (!spec.template_().address().empty()) {
      check.Warning("address", "has no effect: each machine has one of its own");
    }
    CheckAllButAddress(spec.template_(), check);
  } else {
    check.Error("template", "is missing");
  }
  if (spec.has_probe()) CheckProbe(spec.probe(), check);
}

}  // namespace weft
