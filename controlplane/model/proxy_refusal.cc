#include "controlplane/model/proxy_refusal.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/config_path.h"

namespace weft {
namespace {

// Hosts as proxies know them: the name of a service in full.
std::string InFull(absl::string_view host, const std::string& name_space) {
  if (!absl::StrContains(host, "."))
    return absl::StrCat(host, ".", name_space, ".svc.cluster.local");
  return std::string(host);
}

bool IsPartOfAName(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.'; }

// Whether `text` has `name`, not as a part of a longer one.
bool Mentions(absl::string_view text, absl::string_view name) {
  for (size_t at = text.find(name); at != absl::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    const bool begins = at == 0 || !IsPartOfAName(text[at - 1]);
    if (begins && (end == text.size() || !IsPartOfAName(text[end]))) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> NamesToProxies(const ObjectKey& key, const YamlNode& spec) {
  std::vector<std::string> names;
  if (key.kind == "VirtualService") names.push_back(ConfigPath(key));
  const auto add = [&](const YamlNode& host) {
    const absl::string_view text = host.Scalar();
    if (!text.empty() && text[0] != '*') names.push_back(InFull(text, key.namespace_));
  };
  add(spec["host"]);
  for (const YamlNode host : spec["hosts"]) add(host);
  if (key.kind == "AuthorizationPolicy") {
    names.push_back(absl::StrCat("ns[", key.namespace_, "]-policy[", key.name, "]"));
  }
  return names;
}

std::vector<ProxyRefusal> RefusalsOf(const std::vector<std::string>& names,
                                     const std::vector<ProxyRefusal>& refusals) {
  std::vector<ProxyRefusal> concerned;
  std::copy_if(refusals.begin(), refusals.end(), std::back_inserter(concerned),
               [&](const ProxyRefusal& refusal) {
                 return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
                   return Mentions(refusal.text, name);
                 });
               });
  return concerned;
}

std::string QuoteOf(const std::vector<ProxyRefusal>& refusals) {
  std::string text =
      absl::StrCat(refusals.size(), refusals.size() == 1 ? " proxy refuses" : " proxies refuse",
                   " what is made of it: ");
  const size_t shown = std::min(refusals.size(), kMostProxiesQuoted);
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "; ", refusals[i].proxy, ": ", refusals[i].text);
  }
  return text;
}

}  // namespace weft
