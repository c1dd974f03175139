// CaRootBook: in which namespaces the ConfigMap that injected pods mount, with the roots by which a
// sidecar believes weftd, is missing or says something else.
//
// Every namespace is to have it where pods may be injected: a pod that is being created waits for
// it, and has no address yet by which the mesh would know of it. Left out are those that are on
// their way out, Kubernetes' own, and those that refuse injection.
//
// Pure; belongs to one thread.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_CA_ROOT_BOOK_H_
#define WEFT_CONTROLPLANE_WEBHOOK_CA_ROOT_BOOK_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/raw_object.h"
#include "proxy/runtime/event_loop.h"

namespace weft::webhook {

// In the ConfigMap: as what weft-proxy looks for (proxy/mesh_environment.h) in the folder that it
// is mounted as.
inline constexpr char kRootFile[] = "root-cert.pem";

class CaRootBook {
 public:
  explicit CaRootBook(std::string roots_pem) : roots_pem_(std::move(roots_pem)) {}

  // Of Namespaces and of ConfigMaps of our name.
  void OnObjects(const std::vector<ObjectDelta>& deltas);

  // A namespace whose ConfigMap is to be written now.
  std::optional<std::string> Next(MonotonicTime now) const;
  // It was written, or could not be: it is not written again before then.
  void OnWritten(const std::string& name_space, MonotonicTime again);
  void OnNotWritten(const std::string& name_space, MonotonicTime again);

  // The whole object, for server-side apply. What else there is in it stays.
  std::string BodyFor(const std::string& name_space) const;

 private:
  void Look(const std::string& name_space);

  const std::string roots_pem_;
  std::set<std::string> namespaces_;          // that are to have it
  std::map<std::string, std::string> there_;  // what it says, by namespace
  std::set<std::string> due_;
  std::map<std::string, MonotonicTime> not_before_;
};

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_CA_ROOT_BOOK_H_
