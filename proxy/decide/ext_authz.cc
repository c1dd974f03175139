#include "proxy/decide/ext_authz.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proxy/http/h1_lines.h"

namespace weft {
namespace {

constexpr absl::string_view kToRemove = "x-envoy-auth-headers-to-remove";

HeaderToAdd Change(const HeaderView& field, HeaderToAdd::Action action) {
  HeaderToAdd change;
  change.name = std::string(field.name);
  change.value = std::string(field.value);
  change.action = action;
  change.keep_empty_value = true;
  return change;
}

// The first line of a name takes the place of what is there, the others join it.
HeaderToAdd Replacement(const HeaderView& field, const std::vector<HeaderToAdd>& before) {
  for (const HeaderToAdd& one : before) {
    if (absl::EqualsIgnoreCase(one.name, field.name)) {
      return Change(field, HeaderToAdd::Action::kAppend);
    }
  }
  return Change(field, HeaderToAdd::Action::kOverwriteOrAdd);
}

void AddRemovals(const Headers& headers, std::vector<std::string>& to) {
  for (const absl::string_view line : headers.GetAll(kToRemove)) {
    for (absl::string_view name : absl::StrSplit(line, ',')) {
      name = absl::StripAsciiWhitespace(name);
      if (IsFieldName(name) && !IsOfFrame(name)) to.emplace_back(name);
    }
  }
}

AuthzVerdict Allowed(const ExtAuthzConfig::Http& config, const Headers& headers) {
  AuthzVerdict verdict;
  verdict.kind = AuthzVerdict::Kind::kOk;
  for (const HeaderView& field : headers) {
    if (IsOfFrame(field.name)) continue;
    if (config.upstream.Has(field.name)) {
      verdict.request.push_back(Replacement(field, verdict.request));
    }
    if (config.upstream_append.Has(field.name)) {
      verdict.request.push_back(Change(field, HeaderToAdd::Action::kAppend));
    }
    if (config.client_on_ok.Has(field.name)) {
      verdict.response.push_back(Change(field, HeaderToAdd::Action::kAppend));
    }
  }
  AddRemovals(headers, verdict.remove);
  return verdict;
}

// What a client needs to get further is told in any case.
bool IsForClient(const ExtAuthzConfig::Http& config, absl::string_view name) {
  return !config.client.has_value() || config.client->Has(name) ||
         absl::EqualsIgnoreCase(name, "www-authenticate") ||
         absl::EqualsIgnoreCase(name, "location");
}

AuthzVerdict Denied(const ExtAuthzConfig::Http& config, int status, const Headers& headers,
                    std::string body) {
  AuthzVerdict verdict;
  verdict.kind = AuthzVerdict::Kind::kDenied;
  verdict.status = status;
  verdict.body = std::move(body);
  for (const HeaderView& field : headers) {
    if (IsOfFrame(field.name) || !IsForClient(config, field.name)) continue;
    verdict.response.push_back(Change(field, HeaderToAdd::Action::kAppend));
  }
  return verdict;
}

}  // namespace

AuthzVerdict AuthzVerdict::Error(std::string problem) {
  AuthzVerdict verdict;
  verdict.problem = std::move(problem);
  return verdict;
}

bool IsAskedAbout(const ExtAuthzConfig& config, absl::Span<const ShadowVerdict> shadows,
                  uint64_t random) {
  if (!config.enabled.Takes(random)) return false;
  if (!config.enabled_by.has_value()) return true;
  const ShadowMatch& match = *config.enabled_by;
  const std::optional<absl::string_view> value = ShadowMetadata(shadows, match.key);
  const bool matches =
      value.has_value() ? match.value.MatchesText(*value) : match.value.Matches(nullptr);
  return matches != match.invert;
}

RequestHead HttpCheck(const ExtAuthzConfig& config, const RequestHead& head,
                      const std::optional<CheckBody>& body) {
  RequestHead check;
  check.method = head.method;
  check.scheme = head.scheme;
  check.authority = head.authority;
  check.path = absl::StrCat(std::get<ExtAuthzConfig::Http>(config.service).path_prefix, head.path);
  for (const HeaderView& field : head.headers) {
    const bool told = absl::EqualsIgnoreCase(field.name, "authorization") ||
                      (config.told_headers.has_value() && config.told_headers->Has(field.name));
    if (told && !IsOfFrame(field.name)) check.headers.Add(field.name, field.value);
  }
  if (body.has_value()) check.headers.Set(kPartialBodyHeader, body->partial ? "true" : "false");
  return check;
}

AuthzVerdict HttpVerdict(const ExtAuthzConfig::Http& config, ResponseHead& answer,
                         std::string body) {
  const int status = answer.status;
  if (status < 200 || status > 499) return AuthzVerdict::Error("unusable status");
  RemoveHopByHop(answer.headers);
  return status == 200 ? Allowed(config, answer.headers)
                       : Denied(config, status, answer.headers, std::move(body));
}

bool IsOfFrame(absl::string_view name) {
  switch (IdentifyHeader(name)) {
    case KnownHeader::kConnection:
    case KnownHeader::kContentLength:
    case KnownHeader::kExpect:
    case KnownHeader::kHost:
    case KnownHeader::kKeepAlive:
    case KnownHeader::kProxyConnection:
    case KnownHeader::kTe:
    case KnownHeader::kTrailer:
    case KnownHeader::kTransferEncoding:
    case KnownHeader::kUpgrade:
      return true;
    default:
      return false;
  }
}

}  // namespace weft
