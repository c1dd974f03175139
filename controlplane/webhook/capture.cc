#include "controlplane/webhook/capture.h"

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace weft::webhook {
namespace {

constexpr char kPrefix[] = "traffic.sidecar.istio.io/";

// Annotation (behind kPrefix) and flag of each setting.
struct Setting {
  const char* annotation;
  const char* flag;
};
constexpr Setting kSettings[] = {
    {"includeInboundPorts", "--include-inbound-ports"},
    {"excludeInboundPorts", "--exclude-inbound-ports"},
    {"includeOutboundPorts", "--include-outbound-ports"},
    {"excludeOutboundPorts", "--exclude-outbound-ports"},
    {"includeOutboundIPRanges", "--include-outbound-ranges"},
    {"excludeOutboundIPRanges", "--exclude-outbound-ranges"},
};

// Split at commas; white space and empty items do not count.
std::vector<std::string> Items(absl::string_view list) {
  std::vector<std::string> items;
  for (absl::string_view item : absl::StrSplit(list, ',')) {
    item = absl::StripAsciiWhitespace(item);
    if (!item.empty()) items.emplace_back(item);
  }
  return items;
}

absl::StatusOr<std::vector<int>> Ports(absl::string_view name, absl::string_view list) {
  std::vector<int> ports;
  for (const std::string& item : Items(list)) {
    int port = 0;
    if (!absl::SimpleAtoi(item, &port) || port < 1 || port > 65535) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": '", item, "' is no port: give numbers from 1 to 65535, separated by commas"));
    }
    ports.push_back(port);
  }
  return ports;
}

bool IsIpv6(const std::string& range) { return absl::StrContains(range, ':'); }

bool IsRange(const std::string& text) {
  std::vector<std::string> parts = absl::StrSplit(text, '/');
  in6_addr address;
  const int most = IsIpv6(text) ? 128 : 32;
  int bits = most;
  if (inet_pton(IsIpv6(text) ? AF_INET6 : AF_INET, parts[0].c_str(), &address) != 1) return false;
  if (parts.size() == 1) return true;
  return parts.size() == 2 && absl::SimpleAtoi(parts[1], &bits) && bits >= 0 && bits <= most;
}

absl::StatusOr<std::vector<std::string>> Ranges(absl::string_view name, absl::string_view list) {
  std::vector<std::string> ranges;
  for (const std::string& item : Items(list)) {
    if (!IsRange(item)) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": '", item, "' is no range: give ADDRESS/BITS, separated by commas"));
    }
    ranges.push_back(item);
  }
  return ranges;
}

// Applies one setting, called `name` in errors; `annotation` is its name without prefix.
absl::Status Apply(absl::string_view annotation, absl::string_view name, absl::string_view value,
                   CaptureOptions* options) {
  bool everything = absl::StripAsciiWhitespace(value) == "*";
  if (absl::EndsWith(annotation, "IPRanges")) {
    bool include = absl::StartsWith(annotation, "include");
    if (everything && include) return absl::OkStatus();  // the default
    absl::StatusOr<std::vector<std::string>> ranges = Ranges(name, value);
    if (!ranges.ok()) return ranges.status();
    if (include) options->all_outbound = false;
    (include ? options->outbound_ranges : options->excluded_outbound_ranges) = *ranges;
    return absl::OkStatus();
  }
  if (everything && annotation == "includeInboundPorts") return absl::OkStatus();
  absl::StatusOr<std::vector<int>> ports = Ports(name, value);
  if (!ports.ok()) return ports.status();
  if (annotation == "includeInboundPorts") {
    options->all_inbound = false;
    options->inbound_ports = *ports;
  } else if (annotation == "excludeInboundPorts") {
    options->excluded_inbound_ports = *ports;
  } else if (annotation == "includeOutboundPorts") {
    options->outbound_ports = *ports;
  } else {
    options->excluded_outbound_ports = *ports;
  }
  return absl::OkStatus();
}

void Line(std::string* rules, absl::string_view rule) {
  absl::StrAppend(rules, "    ", rule, "\n");
}

template <typename T>
void LineForSet(std::string* rules, absl::string_view before, const std::vector<T>& set,
                absl::string_view after) {
  if (set.empty()) return;
  Line(rules, absl::StrCat(before, " { ", absl::StrJoin(set, ", "), " } ", after));
}

// As above, of destinations: a line for each IP family.
void LinesForRanges(std::string* rules, absl::string_view before,
                    const std::vector<std::string>& ranges, absl::string_view after) {
  std::vector<std::string> v4, v6;
  for (const std::string& range : ranges) (IsIpv6(range) ? v6 : v4).push_back(range);
  LineForSet(rules, absl::StrCat(before, "ip daddr"), v4, after);
  LineForSet(rules, absl::StrCat(before, "ip6 daddr"), v6, after);
}

void AppendOutput(const CaptureOptions& options, std::string* rules) {
  Line(rules, absl::StrCat("ip saddr ", kProxySource, " return"));
  Line(rules, absl::StrCat("ip6 saddr ", kProxyIpv6Source, " return"));
  // The proxy calling its own pod's address goes through the inbound side like any other caller.
  for (std::string own :
       {absl::StrCat("meta mark ", kProxyMark), absl::StrCat("meta skuid ", kProxyUser)}) {
    for (const char* elsewhere : {"ip daddr != 127.0.0.0/8", "ip6 daddr != ::1"}) {
      Line(rules, absl::StrCat("oifname \"lo\" ", own, " meta l4proto tcp ", elsewhere,
                               " redirect to :", kInboundPort));
    }
  }
  Line(rules, absl::StrCat("meta mark ", kProxyMark, " return"));
  Line(rules, absl::StrCat("meta skuid ", kProxyUser, " return"));
  Line(rules, absl::StrCat("udp dport 53 redirect to :", kDnsPort));
  Line(rules, absl::StrCat("tcp dport 53 redirect to :", kDnsPort));
  Line(rules, "oifname \"lo\" return");
  Line(rules, "ip daddr 127.0.0.0/8 return");
  Line(rules, "ip6 daddr { ::1, fe80::/10 } return");
  LineForSet(rules, "tcp dport", options.excluded_outbound_ports, "return");
  LinesForRanges(rules, "", options.excluded_outbound_ranges, "return");
  std::string redirect = absl::StrCat("redirect to :", kOutboundPort);
  if (options.all_outbound) {
    Line(rules, absl::StrCat("meta l4proto tcp ", redirect));
    return;
  }
  LineForSet(rules, "tcp dport", options.outbound_ports, redirect);
  LinesForRanges(rules, "meta l4proto tcp ", options.outbound_ranges, redirect);
}

void AppendInput(const CaptureOptions& options, std::string* rules) {
  Line(rules, "iifname \"lo\" return");
  Line(rules, "tcp dport { 15020, 15021, 15090 } return");  // the proxy's own health and metrics
  LineForSet(rules, "tcp dport", options.excluded_inbound_ports, "return");
  std::string redirect = absl::StrCat("redirect to :", kInboundPort);
  if (options.all_inbound) {
    Line(rules, absl::StrCat("meta l4proto tcp ", redirect));
  } else {
    LineForSet(rules, "tcp dport", options.inbound_ports, redirect);
  }
}

// The proxy's own DNS queries and their answers are not tracked: a client's query from a port that
// one of these had a moment ago would count as part of it, and go past the proxy.
void AppendUntracked(std::string* rules) {
  absl::StrAppend(rules,
                  "  chain output_untracked {\n"
                  "    type filter hook output priority raw\n");
  Line(rules, absl::StrCat("meta mark ", kProxyMark, " udp dport 53 notrack"));
  Line(rules, absl::StrCat("meta skuid ", kProxyUser, " udp dport 53 notrack"));
  absl::StrAppend(rules,
                  "  }\n"
                  "  chain prerouting_untracked {\n"
                  "    type filter hook prerouting priority raw\n");
  Line(rules, "iifname != \"lo\" udp sport 53 notrack");
  absl::StrAppend(rules, "  }\n");
}

}  // namespace

absl::StatusOr<CaptureOptions> CaptureFromAnnotations(
    const std::map<std::string, std::string>& annotations) {
  CaptureOptions options;
  for (const Setting& setting : kSettings) {
    auto found = annotations.find(absl::StrCat(kPrefix, setting.annotation));
    if (found == annotations.end()) continue;
    absl::Status s = Apply(setting.annotation, absl::StrCat("annotation ", found->first),
                           found->second, &options);
    if (!s.ok()) return s;
  }
  return options;
}

std::vector<std::string> CaptureFlags(const std::map<std::string, std::string>& annotations) {
  std::vector<std::string> flags;
  for (const Setting& setting : kSettings) {
    auto found = annotations.find(absl::StrCat(kPrefix, setting.annotation));
    if (found != annotations.end()) {
      flags.push_back(absl::StrCat(setting.flag, "=", found->second));
    }
  }
  return flags;
}

absl::StatusOr<CaptureOptions> CaptureFromFlags(const std::vector<std::string>& flags) {
  CaptureOptions options;
  for (const std::string& flag : flags) {
    std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(flag, absl::MaxSplits('=', 1));
    const Setting* known = nullptr;
    for (const Setting& setting : kSettings) {
      if (parts.first == setting.flag) known = &setting;
    }
    if (known == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown flag ", flag,
          "; known: ", absl::StrJoin(kSettings, " ", [](std::string* out, const Setting& s) {
            absl::StrAppend(out, s.flag, "=LIST");
          })));
    }
    absl::Status s = Apply(known->annotation, known->flag, parts.second, &options);
    if (!s.ok()) return s;
  }
  return options;
}

std::string CaptureRules(const CaptureOptions& options) {
  // Declaring before deleting makes the deletion succeed the first time too.
  std::string rules =
      "table inet weft_capture\n"
      "delete table inet weft_capture\n"
      "table inet weft_capture {\n"
      "  chain output {\n"
      "    type nat hook output priority -100\n";
  AppendOutput(options, &rules);
  absl::StrAppend(&rules,
                  "  }\n"
                  "  chain prerouting {\n"
                  "    type nat hook prerouting priority dstnat\n");
  AppendInput(options, &rules);
  absl::StrAppend(&rules, "  }\n");
  AppendUntracked(&rules);
  absl::StrAppend(&rules, "}\n");
  return rules;
}

}  // namespace weft::webhook
