#include "tools/weftctl/link_tables.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/weftctl/table.h"

namespace weft {
namespace {

using Row = std::vector<std::string>;

std::string Heard(const admin::v1::Link& link) {
  if (link.heard_seconds_ago() < 0) return "never";
  if (link.heard_seconds_ago() < 60) return absl::StrFormat("%.1fs ago", link.heard_seconds_ago());
  return absl::StrFormat("%.0fm ago", link.heard_seconds_ago() / 60);
}

std::string Gateways(const admin::v1::Link& link) {
  if (link.gateways().empty()) return "-";
  int answering = 0;
  for (const admin::v1::GatewayStatus& gateway : link.gateways()) answering += gateway.answers();
  return absl::StrCat(answering, "/", link.gateways_size());
}

std::string Remarks(const admin::v1::Link& link) {
  std::vector<std::string> remarks;
  if (link.outbound_only()) remarks.push_back("outbound-only");
  if (link.draining()) remarks.push_back("draining");
  if (link.state() != "fresh" && !link.last_error().empty()) remarks.push_back(link.last_error());
  return remarks.empty() ? "-" : absl::StrJoin(remarks, ", ");
}

// 1.2 GB/s, 37 MB/s, 4.0 kB/s.
std::string Speed(double bytes_per_second) {
  constexpr const char* kUnits[] = {"B/s", "kB/s", "MB/s", "GB/s"};
  int unit = 0;
  while (bytes_per_second >= 1000 && unit < 3) {
    bytes_per_second /= 1000;
    ++unit;
  }
  const int decimals = bytes_per_second < 10 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, bytes_per_second, kUnits[unit]);
}

}  // namespace

std::string LinkTable(const admin::v1::ListResponse& links) {
  std::vector<Row> rows = {
      {"CLUSTER", "STATE", "HEARD", "SERVICES", "GATEWAYS", "COST", "REMARKS"}};
  for (const admin::v1::Link& link : links.links()) {
    rows.push_back({link.cluster(), link.state(), Heard(link), absl::StrCat(link.services()),
                    Gateways(link), absl::StrCat(link.cost()), Remarks(link)});
  }
  return FormatTable(rows);
}

std::string LinkDetails(const admin::v1::Link& link) {
  std::vector<Row> rows = {
      {"Cluster:", link.cluster()},
      {"Trust domain:", link.trust_domain()},
      {"State:", absl::StrCat(link.state(), ", heard ", Heard(link))},
      {"Dialed by:", link.dialed_by_us() ? "us" : "them"},
      {"Services:", absl::StrCat(link.services())},
      {"Cost:", absl::StrCat(link.cost())},
      {"Outbound-only:", link.outbound_only() ? "yes" : "no"},
      {"Draining:", link.draining() ? "yes" : "no"},
  };
  if (link.state() != "fresh") rows[3][1] = "-";
  for (const admin::v1::GatewayStatus& gateway : link.gateways()) {
    rows.push_back(
        {"Gateway:", absl::StrCat(gateway.address(), ", ",
                                  gateway.answers()
                                      ? absl::StrFormat("answers in %.1f ms", gateway.latency_ms())
                                      : "does not answer")});
  }
  if (!link.last_error().empty()) rows.push_back({"Last error:", link.last_error()});
  return FormatTable(rows);
}

std::string HopTable(const admin::v1::TestResponse& test) {
  std::vector<Row> rows = {{"HOP", "TIME", "SPEED", "RESULT"}};
  for (const admin::v1::Hop& hop : test.hops()) {
    rows.push_back({hop.name(), absl::StrFormat("%.2f ms", hop.milliseconds()),
                    hop.bytes_per_second() > 0 ? Speed(hop.bytes_per_second()) : "-",
                    hop.ok() ? "ok" : hop.error()});
  }
  return FormatTable(rows);
}

}  // namespace weft
