#include "test/apiserver/discovery.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weft::apiserver {
namespace {

// Versions of each group but core, the preferred one first.
std::map<std::string, std::vector<std::string>> Groups(const Catalog& catalog) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const auto& resource : catalog.All()) {
    if (resource->group.empty()) continue;
    std::vector<std::string>& versions = groups[resource->group];
    for (const std::string& version : resource->versions) {
      if (std::find(versions.begin(), versions.end(), version) != versions.end()) continue;
      // One with more versions than the first resource of its group had: stable ones stay in front.
      const bool stable =
          version.find("alpha") == std::string::npos && version.find("beta") == std::string::npos;
      versions.insert(stable ? versions.begin() : versions.end(), version);
    }
  }
  return groups;
}

Json GroupJson(const std::string& group, const std::vector<std::string>& versions) {
  Json listed = Json::array();
  for (const std::string& version : versions) {
    listed.push_back({{"groupVersion", absl::StrCat(group, "/", version)}, {"version", version}});
  }
  return {{"name", group}, {"preferredVersion", listed[0]}, {"versions", std::move(listed)}};
}

Json Described(const Resource& resource) {
  Json described = {{"name", resource.plural},
                    {"singularName", resource.singular},
                    {"namespaced", resource.namespaced},
                    {"kind", resource.kind}};
  if (!resource.stored) {
    described["verbs"] = {"create"};
    return described;
  }
  described["verbs"] = {"create", "delete", "deletecollection", "get",
                        "list",   "patch",  "update",           "watch"};
  if (!resource.short_names.empty()) described["shortNames"] = resource.short_names;
  if (!resource.categories.empty()) described["categories"] = resource.categories;
  return described;
}

// --- Protobuf's encoding: nothing here but fields of bytes.

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

std::string Field(int number, absl::string_view bytes) {
  std::string out;
  AppendVarint(static_cast<uint64_t>(number) << 3 | 2, out);
  AppendVarint(bytes.size(), out);
  absl::StrAppend(&out, bytes);
  return out;
}

// NonBodyParameter.query_parameter_sub_schema{in, name}
std::string QueryParameter(absl::string_view name) {
  const std::string query = absl::StrCat(Field(2, "query"), Field(4, name));
  return Field(1, Field(2, Field(3, query)));  // ParametersItem.parameter.non_body_parameter
}

std::string PathOf(const Resource& resource, const std::string& version) {
  return absl::StrCat(resource.group.empty() ? "/api/" : "/apis/", resource.ApiVersion(version),
                      resource.namespaced ? "/namespaces/{namespace}/" : "/", resource.plural,
                      "/{name}");
}

// NamedPathItem{name, PathItem{patch: Operation{parameters, vendor_extension}}}
std::string PathItem(const Resource& resource, const std::string& version) {
  const std::string kind = absl::StrCat("group: \"", resource.group, "\"\nkind: ", resource.kind,
                                        "\nversion: ", version, "\n");
  const std::string extension = absl::StrCat(Field(1, "x-kubernetes-group-version-kind"),
                                             Field(2, Field(2, kind)));  // NamedAny{name, Any.yaml}
  const std::string operation =
      absl::StrCat(Field(8, QueryParameter("dryRun")), Field(13, extension));
  return absl::StrCat(Field(1, PathOf(resource, version)), Field(2, Field(8, operation)));
}

}  // namespace

Json CoreVersions(absl::string_view address) {
  Json where = Json::array();
  where.push_back({{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", std::string(address)}});
  Json versions = {{"kind", "APIVersions"}, {"serverAddressByClientCIDRs", std::move(where)}};
  versions["versions"] = Json::array({"v1"});
  return versions;
}

Json GroupList(const Catalog& catalog) {
  Json groups = Json::array();
  for (const auto& [group, versions] : Groups(catalog)) {
    groups.push_back(GroupJson(group, versions));
  }
  return {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}};
}

Result<Json> OneGroup(const Catalog& catalog, absl::string_view group) {
  const auto groups = Groups(catalog);
  const auto found = groups.find(std::string(group));
  if (found == groups.end()) return NoSuchPath();
  Json json = GroupJson(found->first, found->second);
  json["kind"] = "APIGroup";
  json["apiVersion"] = "v1";
  return json;
}

Result<Json> ResourceList(const Catalog& catalog, absl::string_view group,
                          absl::string_view version) {
  Json resources = Json::array();
  for (const auto& resource : catalog.All()) {
    if (resource->group != group || !resource->Serves(version)) continue;
    resources.push_back(Described(*resource));
    if (resource->status) {
      Json status = Described(*resource);
      status["name"] = resource->plural + "/status";
      status["singularName"] = "";
      status["verbs"] = {"get", "patch", "update"};
      status.erase("shortNames");
      status.erase("categories");
      resources.push_back(std::move(status));
    }
    if (resource->Id() == "serviceaccounts") {
      resources.push_back({{"name", "serviceaccounts/token"},
                           {"singularName", ""},
                           {"namespaced", true},
                           {"group", "authentication.k8s.io"},
                           {"version", "v1"},
                           {"kind", "TokenRequest"},
                           {"verbs", Json::array({"create"})}});
    }
  }
  if (resources.empty()) return NoSuchPath();
  Json list = {{"kind", "APIResourceList"}, {"apiVersion", "v1"}};
  list["groupVersion"] = group.empty() ? std::string(version) : absl::StrCat(group, "/", version);
  list["resources"] = std::move(resources);
  return list;
}

Json ServerVersion() {
  return {{"major", "1"},          {"minor", "30"},       {"gitVersion", "v1.30.0"},
          {"gitCommit", ""},       {"gitTreeState", ""},  {"buildDate", "2024-04-17T00:00:00Z"},
          {"goVersion", "go1.22"}, {"compiler", "clang"}, {"platform", "linux/amd64"}};
}

std::string OpenApi(const Catalog& catalog) {
  std::string paths;
  for (const auto& resource : catalog.All()) {
    for (const std::string& version : resource->versions) {
      if (resource->stored) paths += Field(2, PathItem(*resource, version));
    }
  }
  const std::string info = absl::StrCat(Field(1, "Kubernetes"), Field(2, "v1.30.0"));
  return absl::StrCat(Field(1, "2.0"), Field(2, info), Field(8, paths));
}

}  // namespace weft::apiserver
