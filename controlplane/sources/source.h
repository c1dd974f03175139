// Source: where the objects of a cluster come from, as they are and as they change. Two kinds:
// folders of YAML (directory.h) and an API server (kubernetes/source.h).
#ifndef WEFT_CONTROLPLANE_SOURCES_SOURCE_H_
#define WEFT_CONTROLPLANE_SOURCES_SOURCE_H_

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"

namespace weft {

struct SourceUpdate {
  // All that was there at the start has been told, with this update and those before it: the
  // source is now synced. Comes once, even if there is nothing.
  bool first = false;
  std::vector<ObjectDelta> deltas;
  std::vector<Problem> problems;  // found while reading this

  // Nothing that anybody has to be told.
  bool empty() const { return !first && deltas.empty() && problems.empty(); }
};

class Source {
 public:
  // Bodies of RawObjects are the callee's. On which thread it is called, each kind says.
  using OnUpdate = std::function<void(SourceUpdate)>;

  // No call comes after it.
  virtual ~Source() = default;

  // The Secrets (namespace and name) that are needed, and no others; the whole set each time.
  // Those that a source hands over anyway, as folders do, it need not follow.
  virtual void FollowSecrets(const std::set<std::pair<std::string, std::string>>&) {}
  // Whether each of them was told once, if it is there. An update comes when that turns true.
  virtual bool SecretsAreRead() const { return true; }
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_SOURCE_H_
