#include "controlplane/model/delegates.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::HTTPMatchRequest;
using networking::HTTPRoute;
using networking::StringMatch;
using networking::VirtualService;

constexpr char kNotFound[] = "IST0101";  // istioctl analyze: ReferencedResourceNotFound

bool IsSet(const StringMatch& match) {
  return match.match_type_case() != StringMatch::MATCH_TYPE_NOT_SET;
}

// Whether what fits `narrow` fits `wide` too, as far as that can be told: of regular expressions
// only that they are the same.
bool Within(const StringMatch& wide, const StringMatch& narrow) {
  if (!IsSet(wide) || !IsSet(narrow)) return true;
  if (wide.has_regex() || narrow.has_regex()) {
    return wide.has_regex() && narrow.has_regex() && wide.regex() == narrow.regex();
  }
  if (wide.has_exact()) return narrow.has_exact() && narrow.exact() == wide.exact();
  return absl::StartsWith(narrow.has_exact() ? narrow.exact() : narrow.prefix(), wide.prefix());
}

template <typename Map>
bool AllWithin(const Map& wide, const Map& narrow) {
  return std::all_of(narrow.begin(), narrow.end(), [&](const auto& one) {
    const auto above = wide.find(one.first);
    return above == wide.end() || Within(above->second, one.second);
  });
}

bool GatewaysWithin(const HTTPMatchRequest& root, const HTTPMatchRequest& leaf) {
  if (root.gateways().empty()) return true;
  return std::all_of(leaf.gateways().begin(), leaf.gateways().end(), [&](const std::string& name) {
    const auto& known = root.gateways();
    return std::find(known.begin(), known.end(), name) != known.end();
  });
}

bool LabelsAgree(const HTTPMatchRequest& root, const HTTPMatchRequest& leaf) {
  return std::all_of(leaf.source_labels().begin(), leaf.source_labels().end(),
                     [&](const auto& label) {
                       const auto above = root.source_labels().find(label.first);
                       return above == root.source_labels().end() || above->second == label.second;
                     });
}

// Whether the delegate's condition can be put below the root's.
bool FitsBelow(const HTTPMatchRequest& root, const HTTPMatchRequest& leaf) {
  const bool same_case =
      !IsSet(root.uri()) || !IsSet(leaf.uri()) || root.ignore_uri_case() == leaf.ignore_uri_case();
  const bool same_port = root.port() == 0 || leaf.port() == 0 || root.port() == leaf.port();
  const bool same_namespace = root.source_namespace().empty() || leaf.source_namespace().empty() ||
                              root.source_namespace() == leaf.source_namespace();
  return same_case && same_port && same_namespace && Within(root.uri(), leaf.uri()) &&
         Within(root.scheme(), leaf.scheme()) && Within(root.method(), leaf.method()) &&
         Within(root.authority(), leaf.authority()) && AllWithin(root.headers(), leaf.headers()) &&
         AllWithin(root.without_headers(), leaf.without_headers()) &&
         AllWithin(root.query_params(), leaf.query_params()) && LabelsAgree(root, leaf) &&
         GatewaysWithin(root, leaf);
}

std::string JoinNames(const std::string& root, const std::string& leaf) {
  if (root.empty() || leaf.empty()) return absl::StrCat(root, leaf);
  return absl::StrCat(root, "-", leaf);
}

// Both conditions at once; where both speak of one thing, the delegate's is the narrower one.
HTTPMatchRequest Both(const HTTPMatchRequest& root, const HTTPMatchRequest& leaf) {
  HTTPMatchRequest both = leaf;
  both.set_name(JoinNames(root.name(), leaf.name()));
  if (!IsSet(leaf.uri()) && IsSet(root.uri())) {
    *both.mutable_uri() = root.uri();
    both.set_ignore_uri_case(root.ignore_uri_case());
  }
  if (!IsSet(leaf.scheme()) && root.has_scheme()) *both.mutable_scheme() = root.scheme();
  if (!IsSet(leaf.method()) && root.has_method()) *both.mutable_method() = root.method();
  if (!IsSet(leaf.authority()) && root.has_authority()) {
    *both.mutable_authority() = root.authority();
  }
  both.mutable_headers()->insert(root.headers().begin(), root.headers().end());
  both.mutable_without_headers()->insert(root.without_headers().begin(),
                                         root.without_headers().end());
  both.mutable_query_params()->insert(root.query_params().begin(), root.query_params().end());
  both.mutable_source_labels()->insert(root.source_labels().begin(), root.source_labels().end());
  if (leaf.port() == 0) both.set_port(root.port());
  if (leaf.gateways().empty()) *both.mutable_gateways() = root.gateways();
  if (leaf.source_namespace().empty()) both.set_source_namespace(root.source_namespace());
  if (leaf.stat_prefix().empty()) both.set_stat_prefix(root.stat_prefix());
  return both;
}

// Sets `to` to every condition of the delegate below each of the root's that it fits below. False
// if one fits below none.
bool MergeMatches(const HTTPRoute& root, const HTTPRoute& leaf, HTTPRoute& to) {
  to.clear_match();
  if (root.match().empty() || leaf.match().empty()) {
    *to.mutable_match() = root.match().empty() ? leaf.match() : root.match();
    return true;
  }
  for (const HTTPMatchRequest& narrow : leaf.match()) {
    const int before = to.match_size();
    for (const HTTPMatchRequest& wide : root.match()) {
      if (FitsBelow(wide, narrow)) *to.add_match() = Both(wide, narrow);
    }
    if (to.match_size() == before) return false;
  }
  return true;
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
// What the delegate's route leaves open is as the root's says.
void FillFrom(const HTTPRoute& root, HTTPRoute& to) {
  to.set_name(JoinNames(root.name(), to.name()));
  if (!to.has_rewrite() && root.has_rewrite()) *to.mutable_rewrite() = root.rewrite();
  if (to.timeout().empty()) to.set_timeout(root.timeout());
  if (!to.has_retries() && root.has_retries()) *to.mutable_retries() = root.retries();
  if (!to.has_fault() && root.has_fault()) *to.mutable_fault() = root.fault();
  if (!to.has_mirror() && to.mirrors().empty()) {
    if (root.has_mirror()) *to.mutable_mirror() = root.mirror();
    *to.mutable_mirrors() = root.mirrors();
  }
  if (!to.has_mirror_percent() && !to.has_mirror_percentage()) {
    if (root.has_mirror_percent()) to.set_mirror_percent(root.mirror_percent());
    if (root.has_mirror_percentage()) {
      *to.mutable_mirror_percentage() = root.mirror_percentage();
    }
  }
  if (!to.has_cors_policy() && root.has_cors_policy())
    *to.mutable_cors_policy() = root.cors_policy();
  if (!to.has_headers() && root.has_headers()) *to.mutable_headers() = root.headers();
}
#pragma clang diagnostic pop

class Delegation {
 public:
  explicit Delegation(const Configs<VirtualService>& all) : all_(all) {}

  MergedVirtualServices Run() && {
    for (const auto& [name, config] : all_) {
      if (config.spec->hosts().empty()) continue;  // one that is delegated to
      to_.merged.emplace(name, Merged(config));
    }
    return std::move(to_);
  }

 private:
  Config<VirtualService> Merged(const Config<VirtualService>& root) {
    const auto& http = root.spec->http();
    const bool any = std::any_of(http.begin(), http.end(),
                                 [](const HTTPRoute& route) { return route.has_delegate(); });
    if (!any) return root;
    auto spec = std::make_shared<VirtualService>(*root.spec);
    spec->clear_http();
    for (int i = 0; i < http.size(); ++i) {
      if (http.Get(i).has_delegate()) {
        AddDelegated(root, i, *spec);
      } else {
        *spec->add_http() = http.Get(i);
      }
    }
    Config<VirtualService> merged = root;
    merged.spec = std::move(spec);
    return merged;
  }

  void AddDelegated(const Config<VirtualService>& root, int index, VirtualService& to) {
    const HTTPRoute& route = root.spec->http(index);
    const std::string path = absl::StrCat("spec.http[", index, "].delegate");
    const Config<VirtualService>* delegate = Find(root, route.delegate(), path);
    if (delegate == nullptr) return;
    for (int i = 0; i < delegate->spec->http_size(); ++i) {
      HTTPRoute merged = delegate->spec->http(i);
      if (merged.has_delegate()) {
        Add(Severity::kError, root, path,
            absl::StrCat(ToString(delegate->key), " delegates too, by its http[", i,
                         "]; one level is all there is"));
        continue;
      }
      if (!MergeMatches(route, delegate->spec->http(i), merged)) {
        Add(Severity::kWarning, root, path,
            absl::StrCat("the match of http[", i, "] of ", ToString(delegate->key),
                         " is not within that of the root: this route has no effect"));
        continue;
      }
      FillFrom(route, merged);
      *to.add_http() = std::move(merged);
    }
  }

  const Config<VirtualService>* Find(const Config<VirtualService>& root,
                                     const networking::Delegate& delegate,
                                     const std::string& path) {
    const auto name = NameOf(delegate, root.key.namespace_);
    const std::string text = absl::StrCat(name.first, "/", name.second);
    const auto found = all_.find(name);
    // What is not exported to the root's namespace is not there for it.
    if (found == all_.end() ||
        !IsVisible(found->second.spec->export_to(), name.first, root.key.namespace_)) {
      Add(Severity::kError, root, path,
          absl::StrCat("Referenced virtualservice not found: \"", text, "\""), kNotFound);
      return nullptr;
    }
    if (!found->second.spec->hosts().empty()) {
      Add(Severity::kError, root, path,
          absl::StrCat("'", text, "' has hosts, so it is no delegate; remove its hosts"));
      return nullptr;
    }
    return &found->second;
  }

  void Add(Severity severity, const Config<VirtualService>& root, const std::string& path,
           std::string message, const char* code = "") {
    to_.problems.push_back({severity, code, root.key, root.origin, path, std::move(message)});
  }

  const Configs<VirtualService>& all_;
  MergedVirtualServices to_;
};

}  // namespace

std::pair<std::string, std::string> NameOf(const networking::Delegate& delegate,
                                           const std::string& root_namespace) {
  return {delegate.namespace_().empty() ? root_namespace : delegate.namespace_(), delegate.name()};
}

MergedVirtualServices WithDelegates(const Configs<VirtualService>& virtual_services) {
  return Delegation(virtual_services).Run();
}

}  // namespace weft
