#include "controlplane/model/jwks_uri.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

constexpr size_t kMaxUri = 2048;
constexpr absl::string_view kDiscoveryPath = "/.well-known/openid-configuration";
constexpr size_t kIpv4 = 4;
constexpr size_t kIpv6 = 16;

absl::Status Bad(absl::string_view uri, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("'", uri, "' ", why));
}

std::optional<std::string> IpBytes(const std::string& host) {
  char bytes[kIpv6];
  if (::inet_pton(AF_INET, host.c_str(), bytes) == 1) return std::string(bytes, kIpv4);
  if (::inet_pton(AF_INET6, host.c_str(), bytes) == 1) return std::string(bytes, kIpv6);
  return std::nullopt;
}

// "127.1", "0x7f.0.0.1" and "2130706433" are names to us and addresses to many resolvers.
bool LooksLikeNumber(absl::string_view host) {
  host = absl::StripSuffix(host, ".");
  const size_t dot = host.rfind('.');
  const absl::string_view last = dot == absl::string_view::npos ? host : host.substr(dot + 1);
  if (absl::StartsWithIgnoreCase(last, "0x")) return true;
  return !last.empty() && std::all_of(last.begin(), last.end(), absl::ascii_isdigit);
}

bool IsOwnName(absl::string_view host) {
  host = absl::StripSuffix(host, ".");
  for (absl::string_view name : {"localhost", "ip6-localhost", "ip6-loopback"}) {
    if (absl::EqualsIgnoreCase(host, name)) return true;
  }
  return absl::EndsWithIgnoreCase(host, ".localhost") ||
         absl::EndsWithIgnoreCase(host, ".localdomain");
}

bool IsHostName(absl::string_view host) {
  host = absl::StripSuffix(host, ".");
  if (host.empty() || host.size() > 253) return false;
  for (absl::string_view label : absl::StrSplit(host, '.')) {
    if (label.empty() || label.size() > 63) return false;
    for (const char c : label) {
      if (!absl::ascii_isalnum(c) && c != '-' && c != '_') return false;
    }
  }
  return true;
}

absl::Status SetHost(absl::string_view uri, absl::string_view host, JwksUri& to) {
  to.host = std::string(host);
  if (const std::optional<std::string> bytes = IpBytes(to.host)) {
    if (!IsForbiddenJwksAddress(*bytes)) return absl::OkStatus();
    return Bad(uri, "leads to a loopback, link-local or reserved address: weftd goes to none");
  }
  if (!IsHostName(host)) return Bad(uri, "does not name a host");
  if (LooksLikeNumber(host)) {
    return Bad(uri, "names a host by a number that is no plain IP address");
  }
  if (IsOwnName(host)) return Bad(uri, "leads to weftd's own machine: weftd does not go there");
  return absl::OkStatus();
}

absl::Status SetAuthority(absl::string_view uri, absl::string_view authority, JwksUri& to) {
  if (absl::StrContains(authority, '@')) return Bad(uri, "must not hold a user or password");
  absl::string_view host = authority;
  absl::string_view port;
  if (absl::ConsumePrefix(&host, "[")) {
    const size_t end = host.find(']');
    if (end == absl::string_view::npos) return Bad(uri, "has a '[' without its ']'");
    port = host.substr(end + 1);
    host = host.substr(0, end);
    if (!absl::StrContains(host, ':')) return Bad(uri, "has something else than IPv6 in brackets");
  } else if (const size_t colon = host.find(':'); colon != absl::string_view::npos) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  to.port = to.tls ? 443 : 80;
  if (!port.empty()) {
    int number = 0;
    if (!absl::ConsumePrefix(&port, ":") || !absl::SimpleAtoi(port, &number) || number < 1 ||
        number > 65535) {
      return Bad(uri, "has a port out of range 1..65535");
    }
    to.port = static_cast<uint16_t>(number);
  }
  return SetHost(uri, host, to);
}

bool IsForbiddenIpv4(absl::string_view ip) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(ip[i]); };
  // "This host", loopback, link-local, and from multicast upwards.
  return byte(0) == 0 || byte(0) == 127 || (byte(0) == 169 && byte(1) == 254) || byte(0) >= 224;
}

}  // namespace

std::string JwksUri::authority() const {
  const std::string shown = absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host;
  return port == (tls ? 443 : 80) ? shown : absl::StrCat(shown, ":", port);
}

absl::StatusOr<JwksUri> ParseJwksUri(absl::string_view uri) {
  if (uri.size() > kMaxUri) return Bad(uri.substr(0, 64), "is longer than 2048 characters");
  if (!std::all_of(uri.begin(), uri.end(),
                   [](unsigned char c) { return absl::ascii_isgraph(c) && c != '\\'; })) {
    return Bad(uri, "must not hold spaces, backslashes or control characters");
  }
  JwksUri to;
  absl::string_view rest = uri;
  to.tls = absl::StartsWithIgnoreCase(rest, "https://");
  if (!to.tls && !absl::StartsWithIgnoreCase(rest, "http://")) {
    return Bad(uri, "must start with https:// or http://");
  }
  rest.remove_prefix(to.tls ? 8 : 7);
  rest = rest.substr(0, rest.find('#'));
  const size_t end = rest.find_first_of("/?");
  absl::Status status = SetAuthority(uri, rest.substr(0, end), to);
  if (!status.ok()) return status;
  to.path = end == absl::string_view::npos ? "/" : std::string(rest.substr(end));
  if (to.path[0] == '?') to.path.insert(0, "/");
  return to;
}

std::string DiscoveryUriOf(absl::string_view issuer) {
  return absl::StrCat(absl::StripSuffix(issuer, "/"), kDiscoveryPath);
}

bool IsDiscoveryUri(const JwksUri& uri) { return absl::EndsWith(uri.path, kDiscoveryPath); }

bool IsForbiddenJwksAddress(absl::string_view ip_bytes) {
  if (ip_bytes.size() == kIpv4) return IsForbiddenIpv4(ip_bytes);
  if (ip_bytes.size() != kIpv6) return true;
  constexpr absl::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);   // RFC 4291, 2.5.5.2
  constexpr absl::string_view kCompatible("\0\0\0\0\0\0\0\0\0\0\0\0", 12);   // :: and ::1 too
  constexpr absl::string_view kNat64("\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12);  // RFC 6052, 2.1
  for (absl::string_view prefix : {kMapped, kCompatible, kNat64}) {
    if (absl::StartsWith(ip_bytes, prefix)) return IsForbiddenIpv4(ip_bytes.substr(prefix.size()));
  }
  const auto first = static_cast<unsigned char>(ip_bytes[0]);
  const auto second = static_cast<unsigned char>(ip_bytes[1]);
  return first == 0xff || (first == 0xfe && (second & 0xc0) == 0x80);  // multicast, link-local
}

}  // namespace weft
