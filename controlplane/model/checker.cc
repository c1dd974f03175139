#include "controlplane/model/checker.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "re2/re2.h"

namespace weft {
namespace {

bool IsLabel(absl::string_view label) {
  if (label.empty() || label.size() > 63) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
}

bool IsHostName(absl::string_view host) {
  if (host.empty() || host.size() > 255) return false;
  if (absl::EndsWith(host, ".")) host.remove_suffix(1);
  for (absl::string_view label : absl::StrSplit(host, '.')) {
    if (!IsLabel(label)) return false;
  }
  return true;
}

// RFC 9110 section 5.6.2.
bool IsToken(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-.^_`|~", absl::string_view(&c, 1));
  });
}

}  // namespace

bool IsIp(const std::string& text) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

Checker::In::In(Checker& check, absl::string_view field)
    : check_(check), length_(check.path_.size()) {
  absl::StrAppend(&check_.path_, length_ == 0 ? "" : ".", field);
}

Checker::In::In(Checker& check, absl::string_view list, size_t index)
    : check_(check), length_(check.path_.size()) {
  absl::StrAppend(&check_.path_, length_ == 0 ? "" : ".", list, "[", index, "]");
}

void Checker::Add(Severity severity, absl::string_view field, std::string message) {
  std::string path = path_;
  if (!field.empty()) absl::StrAppend(&path, path.empty() || field[0] == '[' ? "" : ".", field);
  problems_.push_back(
      {severity, "", object_.key, object_.origin, std::move(path), std::move(message)});
}

void Checker::Error(absl::string_view field, std::string message) {
  Add(Severity::kError, field, std::move(message));
}

void Checker::Warning(absl::string_view field, std::string message) {
  Add(Severity::kWarning, field, std::move(message));
}

void Checker::Info(absl::string_view field, std::string message) {
  Add(Severity::kInfo, field, std::move(message));
}

void Checker::RequiredPort(absl::string_view field, int64_t port) {
  if (port < 1 || port > 65535) Error(field, absl::StrCat(port, " is out of range 1..65535"));
}

void Checker::Port(absl::string_view field, int64_t port) {
  if (port != 0) RequiredPort(field, port);
}

void Checker::Range(absl::string_view field, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    Error(field, absl::StrCat(value, " is out of range ", low, "..", high));
  }
}

void Checker::NotNegative(absl::string_view field, int64_t value) {
  if (value < 0) Error(field, absl::StrCat(value, " is negative"));
}

void Checker::Duration(absl::string_view field, absl::string_view text) {
  if (text.empty()) return;
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration == absl::InfiniteDuration()) {
    return Error(field,
                 absl::StrCat("not a duration: '", text, "'; write '1.5s', '500ms' or '1m'"));
  }
  if (duration < absl::ZeroDuration()) {
    return Error(field, absl::StrCat("'", text, "' is negative"));
  }
  if (duration % absl::Milliseconds(1) != absl::ZeroDuration()) {
    Error(field, absl::StrCat("'", text, "' is finer than a millisecond"));
  }
}

void Checker::Regex(absl::string_view field, const std::string& regex) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 compiled(regex, options);
  if (!compiled.ok()) {
    Error(field, absl::StrCat("not a regular expression of RE2: ", compiled.error()));
  }
}

void Checker::Label(absl::string_view field, absl::string_view name) {
  // Host names may have underscores in practice; names of objects may not.
  if (!IsLabel(name) || absl::StrContains(name, "_")) {
    Error(field, absl::StrCat("'", name,
                              "' is not a name: expected at most 63 letters, digits "
                              "and '-'"));
  }
}

void Checker::Host(absl::string_view field, absl::string_view host, bool wildcard) {
  if (host.empty()) return Error(field, "is missing");
  if (absl::StartsWith(host, "*")) {
    if (!wildcard) return Error(field, absl::StrCat("'", host, "' must not be a wildcard"));
    if (host == "*") return;
    if (!absl::StartsWith(host, "*.")) {
      return Error(field, absl::StrCat("'", host,
                                       "': '*' must be the whole first label, as in "
                                       "'*.example.com'"));
    }
    host.remove_prefix(2);
  }
  if (!IsHostName(host) && !IsIp(std::string(host))) {
    Error(field, absl::StrCat("'", host, "' is not a host name"));
  }
}

void Checker::HeaderName(absl::string_view field, absl::string_view name) {
  if (absl::StartsWith(name, ":")) name.remove_prefix(1);  // ":authority" and the like
  if (!IsToken(name)) Error(field, absl::StrCat("'", name, "' is not the name of a header"));
}

void Checker::Ip(absl::string_view field, const std::string& address) {
  if (!address.empty() && !IsIp(address)) {
    Error(field, absl::StrCat("'", address, "' is not an IP address"));
  }
}

void Checker::ExportToName(size_t index, const std::string& name) {
  if (name == "." || name == "*" || name == "~" || IsLabel(name)) return;
  Error(absl::StrCat("exportTo[", index, "]"),
        absl::StrCat("'", name, "' is neither '.', '*', '~' nor a namespace"));
}

void Checker::SelectorLabel(absl::string_view field, const std::string& key,
                            const std::string& value) {
  if (key.empty()) Error(field, "a label without a key");
  if (absl::StrContains(key, "*") || absl::StrContains(value, "*")) {
    Error(field, absl::StrCat("'", key, ": ", value, "': wildcards do not select labels"));
  }
}

}  // namespace weft
