// RawObject: a Kubernetes object as a source found it, before its kind is looked at.
//
// Every source (folders, an API server) emits ObjectDeltas of these; the Registry decodes them.
// Pure values.
#ifndef WEFT_CONTROLPLANE_MODEL_RAW_OBJECT_H_
#define WEFT_CONTROLPLANE_MODEL_RAW_OBJECT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/yaml/document.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/world.h"

namespace weft {

// A place in a document that it keeps.
struct ObjectBody {
  std::shared_ptr<const YamlDocument> document;
  YamlNode node;
};

struct RawObject {
  // The kind is plain for the groups that the mesh knows; else it is told apart by its group, as
  // kubectl does: "Gateway.gateway.networking.k8s.io".
  ObjectKey key;
  std::string api_version;
  std::string origin;    // "routes.yaml:12"
  bool deleted = false;  // metadata.deletionTimestamp is set: counts as absent
  ObjectBody body;       // the whole object, a mapping
};

struct ObjectDelta {
  ObjectKey key;
  std::shared_ptr<const RawObject> object;  // null: there is none any more
};

// All objects of a stream of YAML documents or of JSON text; `kind: List` is unpacked. `name` names
// the text in origins. A broken document or object is an error and does not spoil the others.
struct ParsedObjects {
  std::vector<std::shared_ptr<const RawObject>> objects;
  std::vector<Problem> problems;  // errors only
};
ParsedObjects ParseObjects(absl::string_view text, absl::string_view name);

// One object as an API server sends it. Items of its typed lists ("ServiceList") leave out
// apiVersion and kind: `api_version` and `kind` stand in. `origin` names the server. An error has
// the object's name where that could be read.
struct ParsedObject {
  std::shared_ptr<const RawObject> object;  // null: see `problem`
  std::string resource_version;
  Problem problem;
};
ParsedObject ReadJsonObject(ObjectBody body, absl::string_view api_version, absl::string_view kind,
                            absl::string_view origin);

// How the model names a kind: see RawObject::key. `group` is "" for Kubernetes' core.
std::string KindName(absl::string_view group, absl::string_view kind);

// Kinds that live outside namespaces.
bool IsClusterScoped(absl::string_view kind);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_RAW_OBJECT_H_
