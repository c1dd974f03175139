#include "certs/spiffe_id.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft::certs {
namespace {

constexpr absl::string_view kScheme = "spiffe://";
constexpr size_t kMaxUri = 2048;         // SPIFFE-ID section 2.3
constexpr size_t kMaxTrustDomain = 255;  // SPIFFE-ID section 2.1

bool IsTrustDomainChar(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '-' || c == '_';
}

bool IsSegmentChar(char c) { return IsTrustDomainChar(c) || absl::ascii_isupper(c); }

bool IsSegment(absl::string_view s) {
  return !s.empty() && s != "." && s != ".." && std::all_of(s.begin(), s.end(), IsSegmentChar);
}

absl::Status Refused(absl::string_view uri, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("SPIFFE ID \"", absl::CHexEscape(uri.substr(0, 256)), "\": ", why));
}

}  // namespace

absl::Status CheckTrustDomain(absl::string_view trust_domain) {
  if (!trust_domain.empty() && trust_domain.size() <= kMaxTrustDomain &&
      std::all_of(trust_domain.begin(), trust_domain.end(), IsTrustDomainChar)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("trust domain \"", absl::CHexEscape(trust_domain.substr(0, 256)),
                   "\": must be 1 to 255 of a-z, 0-9, dot, dash, underscore"));
}

absl::StatusOr<SpiffeId> SpiffeId::Parse(absl::string_view uri) {
  if (uri.size() > kMaxUri) return Refused(uri, "longer than 2048 bytes");
  absl::string_view rest = uri;
  if (!absl::ConsumePrefix(&rest, kScheme)) return Refused(uri, "does not start with spiffe://");
  const std::vector<absl::string_view> parts = absl::StrSplit(rest, '/');
  if (parts.size() != 5 || parts[1] != "ns" || parts[3] != "sa") {
    return Refused(uri, "not of the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT");
  }
  if (absl::Status status = CheckTrustDomain(parts[0]); !status.ok()) {
    return Refused(uri, status.message());
  }
  if (!IsSegment(parts[2])) return Refused(uri, "bad namespace");
  if (!IsSegment(parts[4])) return Refused(uri, "bad service account");
  SpiffeId id;
  id.trust_domain = std::string(parts[0]);
  id.namespace_ = std::string(parts[2]);
  id.service_account = std::string(parts[4]);
  return id;
}

std::string SpiffeId::ToString() const {
  return absl::StrCat(kScheme, trust_domain, "/ns/", namespace_, "/sa/", service_account);
}

std::string TrustDomainUri(absl::string_view trust_domain) {
  return absl::StrCat(kScheme, trust_domain);
}

}  // namespace weft::certs
