#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/nds.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

std::string CanonicalName(absl::string_view name) {
  if (absl::EndsWith(name, ".")) name.remove_suffix(1);
  return absl::AsciiStrToLower(name);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const NameTable>> CompileNameTable(
    const istio::networking::nds::v1::NameTable& from) {
  auto to = std::make_shared<NameTable>();
  for (const auto& [name, info] : from.table()) {
    auto host = std::make_shared<NameTable::Host>();
    host->name = CanonicalName(name);
    for (int i = 0; i < info.ips_size(); ++i) {
      absl::StatusOr<Address> address = Address::Ip(info.ips(i), 0);
      if (!address.ok()) {
        return Invalid(absl::StrCat("table['", name, "'].", Index("ips", i)),
                       address.status().message());
      }
      host->addresses.push_back(*address);
    }
    // A host's own name wins over what another host calls itself besides.
    to->hosts[host->name] = host;
    for (const std::string& other : info.alt_hosts()) {
      to->hosts.try_emplace(CanonicalName(other), host);
    }
  }
  return to;
}

}  // namespace weft
