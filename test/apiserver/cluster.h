// Cluster: the kinds and the objects of one cluster, and the rules by which objects come, change
// and go: namespaces must exist, versions must match, finalizers hold, a CRD brings a kind.
//
// A write has two halves, since admission webhooks are asked in between, which takes time: Prepare…
// makes the object as it would be stored, Commit… stores it if nothing changed meanwhile.
//
// Not thread-safe: belongs to the server's loop.
#ifndef WEFT_TEST_APISERVER_CLUSTER_H_
#define WEFT_TEST_APISERVER_CLUSTER_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/random/random.h"
#include "proxy/runtime/event_loop.h"
#include "test/apiserver/resource.h"
#include "test/apiserver/store.h"

namespace weft::apiserver {

class Cluster {
 public:
  // With the namespaces that every cluster has, and with MeshCrds() if asked for.
  explicit Cluster(bool mesh_crds);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  Catalog& catalog() { return catalog_; }
  Store& store() { return store_; }

  Result<StoredPtr> Get(const Resource& resource, const std::string& ns, const std::string& name);

  Result<Json> PrepareNew(const Resource& resource, const std::string& ns, Json object);
  Result<StoredPtr> CommitNew(const Resource& resource, Json object);

  // `object` is what is wanted in place of `before`; a resourceVersion in it must be that of
  // `before`. `status_only`: a request to the subresource.
  Result<Json> PrepareChange(const Resource& resource, const Json& before, Json object,
                             bool status_only);
  // A conflict if it is no longer `before`.
  Result<StoredPtr> CommitChange(const Resource& resource, const Stored& before, Json object);

  // Removes it, or marks it where finalizers hold it. `uid`: "" or what it must be.
  struct Deletion {
    StoredPtr object;
    bool gone = false;
  };
  Result<Deletion> Delete(const Resource& resource, const std::string& ns, const std::string& name,
                          const std::string& uid = "");

  // Creates the object or replaces it, without admission; for loading and for tests.
  Result<StoredPtr> Put(Json object);

  // Wakes whoever follows a resource. `signal` must be removed before it goes.
  void Follow(const std::string& resource, Signal* signal);
  void Unfollow(const std::string& resource, Signal* signal);
  void WakeAll();

  std::string NewUid();

 private:
  std::optional<Failure> CheckNamespace(const Resource& resource, const std::string& ns,
                                        const std::string& name);
  void Remove(const Resource& resource, const std::string& ns, const std::string& name);
  void EmptyNamespace(const std::string& ns);
  void FinishNamespace(const std::string& ns);
  void UninstallCrd(const std::string& name);
  void Changed(const Resource& resource, const StoredPtr& now);
  std::string NewAddress();
  std::string NewSuffix();

  Catalog catalog_;
  Store store_;
  absl::BitGen random_;
  uint32_t addresses_ = 0;
  std::multimap<std::string, Signal*> followers_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_CLUSTER_H_
