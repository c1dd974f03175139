#include "proxy/admin/certificates.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "certs/certificate.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

Json Names(const certs::SubjectAltNames& from) {
  Json names = Json::array();
  for (const std::string& uri : from.uris) names.push_back({{"uri", uri}});
  for (const std::string& dns : from.dns) names.push_back({{"dns", dns}});
  return names;
}

std::string Timestamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

Json Describe(const std::string& pem, const std::string& path, absl::Time now) {
  Json list = Json::array();
  auto parsed = certs::ParseCertificates(pem);
  if (!parsed.ok()) return list;
  for (const certs::Certificate& certificate : *parsed) {
    const certs::CertificateDescription d = certs::DescribeCertificate(certificate);
    const int64_t days = absl::ToInt64Hours(d.expiration - now) / 24;
    list.push_back({{"path", path.empty() ? "<inline>" : path},
                    {"serial_number", d.serial_number},
                    {"subject_alt_names", Names(d.subject_alt_names)},
                    {"days_until_expiration", absl::StrCat(std::max<int64_t>(days, 0))},
                    {"valid_from", Timestamp(d.valid_from)},
                    {"expiration_time", Timestamp(d.expiration)}});
  }
  return list;
}

}  // namespace

std::string CertificatesJson(const std::vector<CertificatePair>& pairs, absl::Time now) {
  Json certificates = Json::array();
  for (const CertificatePair& pair : pairs) {
    Json one = {{"ca_cert", Describe(pair.ca_pem, pair.ca_path, now)},
                {"cert_chain", Describe(pair.chain_pem, pair.chain_path, now)}};
    if (!one["ca_cert"].empty() || !one["cert_chain"].empty()) {
      certificates.push_back(std::move(one));
    }
  }
  return Json{{"certificates", std::move(certificates)}}.dump(1, ' ', false,
                                                              Json::error_handler_t::replace) +
         "\n";
}

}  // namespace weft
