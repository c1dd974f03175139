#include "controlplane/ads/route_origins.h"

#include <google/protobuf/any.pb.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/route.pb.h"
#include "controlplane/model/config_path.h"
#include "re2/re2.h"

namespace weft {
namespace {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;

// What comes from a proxy may name anything.
constexpr int kNoRoute = -1;

std::string OriginOf(const Route& route) {
  const auto& metadata = route.metadata().filter_metadata();
  const auto found = metadata.find(kConfigPathFilter);
  if (found == metadata.end()) return "";
  const auto field = found->second.fields().find(kConfigPathField);
  return field == found->second.fields().end() ? "" : field->second.string_value();
}

class Origins {
 public:
  explicit Origins(const EncodedResources& routes) : routes_(routes) {}

  void Add(const std::string& table, int host, int route) {
    if (!Read(table) || host < 0 || host >= table_.virtual_hosts_size()) return;
    const VirtualHost& of_host = table_.virtual_hosts(host);
    if (route >= of_host.routes_size()) return;
    if (route != kNoRoute) return Add(of_host.routes(route));
    for (const Route& each : of_host.routes()) Add(each);
  }
  const std::set<std::string>& paths() const { return paths_; }

 private:
  void Add(const Route& route) {
    const std::string origin = OriginOf(route);
    if (!origin.empty()) paths_.insert(origin);
  }

  // Into table_, if it is not there already.
  bool Read(const std::string& name) {
    if (table_.name() == name && !name.empty()) return true;
    const auto found = routes_.find(name);
    google::protobuf::Any any;
    return found != routes_.end() && any.ParseFromString(*found->second) &&
           table_.ParseFromString(any.value());
  }

  const EncodedResources& routes_;
  RouteConfiguration table_;
  std::set<std::string> paths_;
};

}  // namespace

std::string WithRouteOrigins(std::string error, const EncodedResources& routes) {
  static const RE2* const place =
      new RE2(R"('([^']*)': virtual_hosts\[(\d{1,9})\](?:\.routes\[(\d{1,9})\])?)");
  Origins origins(routes);
  re2::StringPiece rest(error);
  std::string table;
  int host = 0;
  std::string route;
  for (int i = 0; i < kMostPlaces; ++i) {
    if (!RE2::FindAndConsume(&rest, *place, &table, &host, &route)) break;
    origins.Add(table, host, route.empty() ? kNoRoute : std::stoi(route));
  }
  if (origins.paths().empty()) return error;
  return absl::StrCat(error, " (", absl::StrJoin(origins.paths(), ", "), ")");
}

}  // namespace weft
