#include "controlplane/translate/check_hosts.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/delegates.h"
#include "controlplane/translate/oldest_first.h"

namespace weft {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;
using VirtualServiceConfig = TranslationIndex::VirtualServiceConfig;

bool Has(const Strings& list, absl::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool IsForMesh(const VirtualServiceConfig& config) {
  return config.spec->gateways().empty() || Has(config.spec->gateways(), "mesh");
}

bool IsForAll(const Strings& export_to) { return export_to.empty() || Has(export_to, "*"); }

// Whether there may be a client that sees both: of a namespace that one of them names, if not of
// all.
bool Overlap(const VirtualServiceConfig& a, const VirtualServiceConfig& b) {
  const Strings& of_a = a.spec->export_to();
  const Strings& of_b = b.spec->export_to();
  if (IsForAll(of_a) || IsForAll(of_b)) return true;
  const auto sees_both = [&](absl::string_view client) {
    // "." stands for the object's own namespace, which is asked for by name.
    return client != "." && IsVisible(of_a, a.key.namespace_, client) &&
           IsVisible(of_b, b.key.namespace_, client);
  };
  return sees_both(a.key.namespace_) || sees_both(b.key.namespace_) ||
         std::any_of(of_a.begin(), of_a.end(), sees_both) ||
         std::any_of(of_b.begin(), of_b.end(), sees_both);
}

Problem ConflictOf(const VirtualServiceConfig& config, int host,
                   const VirtualServiceConfig& older) {
  const bool own = older.cluster.empty() && !config.cluster.empty();
  return {Severity::kWarning,
          "IST0109",
          config.key,
          config.origin,
          absl::StrCat("spec.hosts[", host, "]"),
          absl::StrCat("\"", config.spec->hosts(host), "\" is routed by ", ToString(older.key),
                       own ? ", which is the cluster's own" : ", which is older",
                       ": move these routes there, or remove the host here")};
}

}  // namespace

std::vector<Problem> CheckHosts(const TranslationIndex& index) {
  std::vector<Problem> problems;
  std::map<std::string, std::vector<const VirtualServiceConfig*>> owners;
  for (const VirtualServiceConfig* config : OldestFirst(index.world().virtual_services)) {
    if (!IsForMesh(*config)) continue;
    for (int i = 0; i < config->spec->hosts_size(); ++i) {
      auto& older = owners[index.ResolveHost(config->spec->hosts(i), config->key.namespace_)];
      const auto rival = std::find_if(older.begin(), older.end(), [&](const auto* one) {
        return one != config && Overlap(*one, *config);
      });
      if (rival != older.end()) problems.push_back(ConflictOf(*config, i, **rival));
      older.push_back(config);
    }
  }
  return problems;
}

}  // namespace weft
