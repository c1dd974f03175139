#include "proxy/serve/request_head.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

// "00" to "ff".
constexpr std::array<char, 512> MakeHexPairs() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 512> pairs = {};
  for (size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = kDigits[i >> 4];
    pairs[2 * i + 1] = kDigits[i & 0xf];
  }
  return pairs;
}
constexpr std::array<char, 512> kHexPairs = MakeHexPairs();

char* PutHex(uint64_t number, int bytes, char* at) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8, at += 2) {
    std::memcpy(at, &kHexPairs[2 * (number >> shift & 0xff)], 2);
  }
  return at;
}

// A random UUID (RFC 9562, version 4), in its text form.
std::array<char, 36> MakeRequestId(uint64_t high, uint64_t low) {
  high = (high & 0xffffffffffff0fffULL) | 0x4000ULL;
  low = (low & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
  std::array<char, 36> id;
  char* at = PutHex(high >> 32, 4, id.data());
  *at++ = '-';
  at = PutHex(high >> 16, 2, at);
  *at++ = '-';
  at = PutHex(high, 2, at);
  *at++ = '-';
  at = PutHex(low >> 48, 2, at);
  *at++ = '-';
  PutHex(low, 6, at);
  return id;
}

void ForwardClientCertHeader(const HttpManagerConfig& config, const ClientFacts& client,
                             Headers& headers) {
  constexpr KnownHeader kXfcc = KnownHeader::kXForwardedClientCert;
  switch (config.forward_client_cert) {
    case ForwardClientCert::kAlwaysForwardOnly:
      return;
    case ForwardClientCert::kForwardOnly:
      if (client.peer_hash.empty()) headers.Remove(kXfcc);
      return;
    case ForwardClientCert::kSanitize:
      headers.Remove(kXfcc);
      return;
    case ForwardClientCert::kSanitizeSet:
      headers.Remove(kXfcc);
      break;
    case ForwardClientCert::kAppendForward:
      if (client.peer_hash.empty()) headers.Remove(kXfcc);
      break;
  }
  const std::string element = ForwardedClientCert(client, config.client_cert_details);
  if (element.empty()) return;
  if (auto held = headers.Get(kXfcc)) {
    headers.Set(kXfcc, absl::StrCat(*held, ",", element));
  } else {
    headers.Add(kXfcc, element);
  }
}

// The addresses of x-forwarded-for, the client first.
std::vector<std::string> ForwardedFor(const Headers& headers) {
  std::vector<std::string> hops;
  if (!headers.Has(KnownHeader::kXForwardedFor)) return hops;
  for (absl::string_view line : headers.GetAll("x-forwarded-for")) {
    for (absl::string_view hop : absl::StrSplit(line, ',')) {
      hop = absl::StripAsciiWhitespace(hop);
      if (!hop.empty()) hops.emplace_back(hop);
    }
  }
  return hops;
}

bool IsInternal(const HttpManagerConfig& config, absl::string_view text) {
  const absl::StatusOr<Address> address = Address::Ip(text, 0);
  // What is no IP address is a Unix socket's path, if it is the connection's own.
  if (!address.ok()) return config.internal_unix_sockets && absl::StartsWith(text, "/");
  return std::any_of(config.internal_ranges.begin(), config.internal_ranges.end(),
                     [&](const IpPrefix& range) { return range.Contains(address->ip_bytes()); });
}

bool AppendsForwardedFor(const HttpManagerConfig& config) {
  return config.use_remote_address && !config.skip_xff_append;
}

RequestOrigin OriginBehind(const std::vector<std::string>& hops, const HttpManagerConfig& config,
                           const ClientFacts& client) {
  RequestOrigin origin;
  origin.address = client.address;
  // The more hops a request has come, the less its first says about who made it.
  bool straight = hops.empty();
  const size_t trusted_hops = config.xff_trusted_hops;
  if (config.use_remote_address) {
    // Each trusted proxy before us appended the address it saw.
    if (trusted_hops > 0 && hops.size() >= trusted_hops) {
      origin.address = hops[hops.size() - trusted_hops];
      straight = hops.size() == trusted_hops;
    }
  } else if (hops.size() > trusted_hops) {
    origin.address = hops[hops.size() - 1 - trusted_hops];
    straight = hops.size() == 1 + trusted_hops;
  }
  origin.trusted = (straight && IsInternal(config, origin.address)) || !client.peer_uri.empty();
  return origin;
}

// What only trusted requests may say (row 66 of what must be withstood): it would let anyone set
// timeouts and retries, or pass for another hop.
void SanitiseByOrigin(const HttpManagerConfig& config, const ClientFacts& client,
                      Headers& headers) {
  constexpr absl::string_view kEnvoy = "x-envoy-";
  const bool says = headers.HasPrefix(kEnvoy);
  const bool edge_id = config.use_remote_address && !config.preserve_external_request_id &&
                       headers.Has(KnownHeader::kXRequestId);
  if (!says && !edge_id && !config.use_remote_address) return;
  const RequestOrigin origin = OriginOf(config, client, headers);
  if (origin.trusted) return;
  if (says) headers.RemovePrefix(kEnvoy);
  if (edge_id) headers.Remove(KnownHeader::kXRequestId);
  if (config.use_remote_address && !config.suppress_envoy_headers) {
    headers.Set("x-envoy-external-address", origin.address);
  }
}

void StripHost(const HttpManagerConfig& config, const ClientFacts& client, std::string& authority) {
  const size_t colon = authority.rfind(':');
  // "[::1]" has colons, but no port.
  if (colon != std::string::npos && authority.find(']', colon) == std::string::npos) {
    uint32_t port = 0;
    const bool number = absl::SimpleAtoi(authority.substr(colon + 1), &port);
    if (config.strip_any_host_port ||
        (config.strip_matching_host_port && number && port == client.local_port)) {
      authority.resize(colon);
    }
  }
  if (!config.strip_trailing_host_dot) return;
  const size_t end = authority.find(':');
  const size_t name = end == std::string::npos ? authority.size() : end;
  if (name > 1 && authority[name - 1] == '.') authority.erase(name - 1, 1);
}

void SetScheme(const HttpManagerConfig& config, const ClientFacts& client, RequestHead& head) {
  const char* own = client.tls ? "https" : "http";
  if (!config.scheme_to_overwrite.empty()) {
    head.scheme = config.scheme_to_overwrite;
  } else if (head.scheme.empty()) {
    head.scheme = own;
  }
  if (config.use_remote_address || !head.headers.Has(KnownHeader::kXForwardedProto)) {
    head.headers.Set(KnownHeader::kXForwardedProto, own);
  }
}

}  // namespace

std::string ForwardedClientCert(const ClientFacts& client, const ClientCertDetails& details) {
  if (client.peer_hash.empty()) return "";
  std::string element;
  if (!client.own_uri.empty()) absl::StrAppend(&element, "By=", client.own_uri, ";");
  absl::StrAppend(&element, "Hash=", client.peer_hash);
  if (details.subject) {
    absl::StrAppend(&element, ";Subject=\"",
                    absl::StrReplaceAll(client.peer_subject, {{"\"", "\\\""}}), "\"");
  }
  if (details.uri) absl::StrAppend(&element, ";URI=", client.peer_uri);
  return element;
}

RequestOrigin OriginOf(const HttpManagerConfig& config, const ClientFacts& client,
                       const Headers& headers) {
  return OriginBehind(ForwardedFor(headers), config, client);
}

RequestOrigin OriginOfPrepared(const HttpManagerConfig& config, const ClientFacts& client,
                               const Headers& headers) {
  std::vector<std::string> hops = ForwardedFor(headers);
  if (AppendsForwardedFor(config) && !hops.empty()) hops.pop_back();
  return OriginBehind(hops, config, client);
}

const char* HeadProblem(const HttpManagerConfig& config, const RequestHead& head) {
  if (head.version == HttpVersion::kHttp10 && head.authority.empty()) return "no_host";
  if (config.underscores != UnderscoreAction::kReject) return nullptr;
  for (const HeaderView header : head.headers) {
    if (absl::StrContains(header.name, '_')) return "unexpected_underscore";
  }
  return nullptr;
}

void PrepareRequestHead(const HttpManagerConfig& config, const ClientFacts& client,
                        uint64_t random_high, uint64_t random_low, RequestHead& head) {
  Headers& headers = head.headers;
  RemoveHopByHop(headers);
  if (config.underscores == UnderscoreAction::kDrop) {
    headers.RemoveIf([](const HeaderView& h) { return absl::StrContains(h.name, '_'); });
  }
  if (head.version == HttpVersion::kHttp10 && head.authority.empty()) {
    head.authority = config.default_host_for_http_10;
  }
  StripHost(config, client, head.authority);
  SanitiseByOrigin(config, client, headers);
  ForwardClientCertHeader(config, client, headers);
  if (AppendsForwardedFor(config)) {
    if (headers.Has(KnownHeader::kXForwardedFor)) {
      AppendToList("x-forwarded-for", client.address, headers);
    } else {
      headers.Add(KnownHeader::kXForwardedFor, client.address);
    }
  }
  SetScheme(config, client, head);
  if (config.append_x_forwarded_port &&
      (config.use_remote_address || !headers.Has("x-forwarded-port"))) {
    headers.Set("x-forwarded-port", absl::StrCat(client.local_port));
  }
  if (config.generate_request_id && !headers.Has(KnownHeader::kXRequestId)) {
    const std::array<char, 36> id = MakeRequestId(random_high, random_low);
    headers.Add(KnownHeader::kXRequestId, absl::string_view(id.data(), id.size()));
  }
  if (!config.via.empty()) AppendToList("via", config.via, headers);
}

void AppendToList(absl::string_view name, absl::string_view value, Headers& headers) {
  if (headers.Has(name)) {
    headers.Set(name, absl::StrCat(absl::StrJoin(headers.GetAll(name), ", "), ", ", value));
  } else {
    headers.Add(name, value);
  }
}

void ApplyAddition(const HeaderToAdd& header, Headers& headers, FormatInputs input) {
  const bool exists = headers.Has(header.name);
  if (header.action == HeaderToAdd::Action::kAddIfAbsent && exists) return;
  if (header.action == HeaderToAdd::Action::kOverwriteIfExists && !exists) return;
  std::string evaluated;
  if (!header.format.empty()) evaluated = FormatHeaderValue(header.format, input());
  const std::string& value = header.format.empty() ? header.value : evaluated;
  if (value.empty() && !header.keep_empty_value) return;
  if (header.action == HeaderToAdd::Action::kAppend) {
    headers.Add(header.name, value);
  } else {
    headers.Set(header.name, value);
  }
}

void ApplyMutations(const HeaderMutations& mutations, Headers& headers, FormatInputs input) {
  for (const std::string& name : mutations.remove) headers.Remove(name);
  for (const HeaderToAdd& header : mutations.add) ApplyAddition(header, headers, input);
}

}  // namespace weft
