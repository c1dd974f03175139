// Overlay: which object counts, when several files hold one of the same kind, namespace and name.
//
// Files lie in folders, and folders in layers: the later folder wins, within a folder the later
// path, within a file the later document. An object that is marked as deleted hides those below it.
// Pure: no disk, no clock. Not thread-safe.
#ifndef WEFT_CONTROLPLANE_SOURCES_OVERLAY_H_
#define WEFT_CONTROLPLANE_SOURCES_OVERLAY_H_

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/world.h"

namespace weft {

// A file or directory: the folder it was given in, and the path below that. The order is the one in
// which files override each other.
struct FilePlace {
  size_t folder = 0;
  std::string path;

  friend auto operator<=>(const FilePlace&, const FilePlace&) = default;
};

class Overlay {
 public:
  using Objects = std::map<ObjectKey, std::shared_ptr<const RawObject>>;

  // Replaces what the file holds. With `keep_missing`, for a file that is broken in parts, objects
  // that it held before and does not hold now stay. Returns warnings about objects that are there
  // twice in one folder.
  std::vector<Problem> SetFile(const FilePlace& file,
                               const std::vector<std::shared_ptr<const RawObject>>& objects,
                               bool keep_missing);
  void RemoveFile(const FilePlace& file);

  bool Holds(const FilePlace& file) const;  // any object
  std::vector<FilePlace> files() const;

  // What changed since the last call, one delta for each object.
  std::vector<ObjectDelta> TakeDeltas();
  // What counts now.
  const Objects& effective() const { return effective_; }

 private:
  std::shared_ptr<const RawObject> Top(const ObjectKey& key) const;

  std::map<FilePlace, Objects> files_;
  std::map<ObjectKey, std::map<FilePlace, std::shared_ptr<const RawObject>>> layers_;
  Objects effective_;
  std::set<ObjectKey> touched_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_OVERLAY_H_
