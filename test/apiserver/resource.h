// Resource: one kind of object that is served, and Catalog: all of them. Discovery, OpenAPI, the
// tables of kubectl and the meaning of a path are made from these.
//
// A Catalog changes while the server runs: CRDs come and go. Not thread-safe.
#ifndef WEFT_TEST_APISERVER_RESOURCE_H_
#define WEFT_TEST_APISERVER_RESOURCE_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "test/apiserver/failure.h"

namespace weft::apiserver {

struct Column {
  std::string name;
  std::string type = "string";  // "integer", "date", …, as in CRDs
  std::string path;             // JSONPath; "" for those of built-in kinds, which tables.cc makes
  int priority = 0;             // above 0: only with -o wide
};

struct Resource {
  std::string group;                  // "" for core
  std::vector<std::string> versions;  // the preferred one first
  std::string plural;
  std::string kind;
  std::string singular;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  bool namespaced = true;
  bool status = false;                                 // has the subresource
  bool stored = true;                                  // false: answered at once, as TokenReview
  bool custom = false;                                 // of a CRD
  std::map<std::string, std::vector<Column>> columns;  // of a CRD, by version

  // "virtualservices.networking.istio.io", "services": the key of its objects, and a CRD's name.
  std::string Id() const { return group.empty() ? plural : plural + "." + group; }
  std::string ApiVersion(absl::string_view version) const;
  bool Serves(absl::string_view version) const;
  Subject Named(absl::string_view name) const;
};

class Catalog {
 public:
  Catalog();  // the built-in kinds

  // Null if there is none, or it is hidden.
  std::shared_ptr<const Resource> Find(absl::string_view group, absl::string_view version,
                                       absl::string_view plural) const;
  std::shared_ptr<const Resource> FindKind(absl::string_view api_version,
                                           absl::string_view kind) const;
  // Hidden ones too.
  std::shared_ptr<const Resource> FindById(absl::string_view id) const;

  void Set(Resource resource);
  void Remove(const std::string& id);
  // As if it were not installed, while its objects stay.
  void Hide(const std::set<std::string>& ids) { hidden_ = ids; }

  // Without the hidden ones, by group and plural.
  std::vector<std::shared_ptr<const Resource>> All() const;

 private:
  std::map<std::string, std::shared_ptr<const Resource>> resources_;  // by Id()
  std::set<std::string> hidden_;
};

// What a CustomResourceDefinition describes. InvalidArgument in the words of a Failure.
Result<Resource> ResourceOfCrd(const Json& crd);

// The CRDs that a mesh's cluster has: Istio's kinds, the Gateway API, multi-cluster services.
std::vector<Json> MeshCrds();

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_RESOURCE_H_
