// ImportBook: the ServiceImport objects (multicluster.x-k8s.io) that a cluster is to have, which of
// them are there, and so what is to be written.
//
// Each service that some cluster exports has one, in the namespaces that exist here. Ours are known
// by a label; one of the same name without it is somebody else's, and stays as it is.
//
// Pure; belongs to one thread.
#ifndef WEFT_CONTROLPLANE_STATUS_IMPORT_BOOK_H_
#define WEFT_CONTROLPLANE_STATUS_IMPORT_BOOK_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/raw_object.h"
#include "controlplane/model/world.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

class ImportBook {
 public:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  using Imports = SharedMap<std::string, std::shared_ptr<const ServiceImport>>;

  // By which ours are known.
  static constexpr char kLabel[] = "app.kubernetes.io/managed-by";
  static constexpr char kManager[] = "weftd";

  // Those of the World. Before it was called once there is nothing to write.
  void OnWorld(const Imports& imports);
  // Of Namespaces and of ServiceImports.
  void OnObjects(const std::vector<ObjectDelta>& deltas);

  enum class Action { kApply, kApplyStatus, kDelete };
  struct Write {
    Action action = Action::kApply;
    Name name;
    // The whole object, for server-side apply of it or of its status; but for its apiVersion.
    // Empty for kDelete.
    std::string body;
  };
  // What is due now. What is not wanted is deleted only if that is allowed: as long as not all
  // clusters were heard, nobody knows what they export.
  std::optional<Write> Next(MonotonicTime now, bool may_delete) const;
  // It was written, or could not be: that is not done again before then.
  void OnWritten(const Write& write, MonotonicTime again);
  void OnNotWritten(const Write& write, MonotonicTime again);

  // With the version's name put in: "multicluster.x-k8s.io/v1beta1".
  static std::string WithApiVersion(const std::string& body, const std::string& api_version);

 private:
  struct There {
    bool ours = false;
    std::string spec = {};    // JSON
    std::string status = {};  // JSON
  };

  const ServiceImport* Wanted(const Name& name) const;
  std::optional<Action> Due(const Name& name) const;
  void Look(const Name& name);
  void LookIn(const std::string& name_space);

  bool world_known_ = false;
  Imports imports_;
  std::map<Name, std::shared_ptr<const ServiceImport>> by_name_;
  std::set<std::string> namespaces_;  // in which they can be made
  std::map<Name, There> there_;
  std::map<Name, Action> due_;
  std::map<std::pair<Name, Action>, MonotonicTime> not_before_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_IMPORT_BOOK_H_
