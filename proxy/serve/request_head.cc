#include "proxy/serve/request_head.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace weft {
namespace {

// A random UUID (RFC 9562, version 4).
std::string MakeRequestId(uint64_t high, uint64_t low) {
  high = (high & 0xffffffffffff0fffULL) | 0x4000ULL;
  low = (low & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
  const std::string digits =
      absl::StrCat(absl::Hex(high, absl::kZeroPad16), absl::Hex(low, absl::kZeroPad16));
  const absl::string_view d = digits;
  return absl::StrCat(d.substr(0, 8), "-", d.substr(8, 4), "-", d.substr(12, 4), "-",
                      d.substr(16, 4), "-", d.substr(20));
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

void PrepareRequestHead(const HttpManagerConfig& config, const ClientFacts& client,
                        uint64_t random_high, uint64_t random_low, RequestHead& head) {
  Headers& headers = head.headers;
  RemoveHopByHop(headers);
  ForwardClientCertHeader(config, client, headers);
  if (config.use_remote_address && !config.skip_xff_append) {
    if (auto held = headers.Get(KnownHeader::kXForwardedFor)) {
      headers.Set(KnownHeader::kXForwardedFor, absl::StrCat(*held, ", ", client.address));
    } else {
      headers.Add(KnownHeader::kXForwardedFor, client.address);
    }
  }
  if (head.scheme.empty()) head.scheme = client.tls ? "https" : "http";
  if (config.use_remote_address || !headers.Has(KnownHeader::kXForwardedProto)) {
    headers.Set(KnownHeader::kXForwardedProto, client.tls ? "https" : "http");
  }
  if (config.generate_request_id && !headers.Has(KnownHeader::kXRequestId)) {
    headers.Add(KnownHeader::kXRequestId, MakeRequestId(random_high, random_low));
  }
}

void ApplyMutations(const HeaderMutations& mutations, Headers& headers) {
  for (const std::string& name : mutations.remove) headers.Remove(name);
  for (const HeaderToAdd& header : mutations.add) {
    switch (header.action) {
      case HeaderToAdd::Action::kAppend:
        headers.Add(header.name, header.value);
        break;
      case HeaderToAdd::Action::kAddIfAbsent:
        if (!headers.Has(header.name)) headers.Add(header.name, header.value);
        break;
      case HeaderToAdd::Action::kOverwriteOrAdd:
        headers.Set(header.name, header.value);
        break;
      case HeaderToAdd::Action::kOverwriteIfExists:
        if (headers.Has(header.name)) headers.Set(header.name, header.value);
        break;
    }
  }
}

}  // namespace weft
