// DirectorySource: a Source of Kubernetes objects from folders of YAML.
//
// What `--registry dir:A,B` names: a FolderWatch with a thread of its own, which hands over the
// differences.
#ifndef WEFT_CONTROLPLANE_SOURCES_DIRECTORY_H_
#define WEFT_CONTROLPLANE_SOURCES_DIRECTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/model/problem.h"
#include "controlplane/sources/folder_watch.h"
#include "controlplane/sources/overlay.h"
#include "controlplane/sources/source.h"

namespace weft {

class DirectorySource final : public Source {
 public:
  // `on_update` is called on the source's thread, in order; usually it posts to an EventLoop. Its
  // first call has `first` set. Later folders override earlier ones. A folder that is missing is a problem, not a failure: it
  // is taken up once it appears. Fails only for want of descriptors.
  static absl::StatusOr<std::unique_ptr<DirectorySource>> Start(std::vector<std::string> folders,
                                                                OnUpdate on_update);
  // Waits for the thread.
  ~DirectorySource() override;
  DirectorySource(const DirectorySource&) = delete;
  DirectorySource& operator=(const DirectorySource&) = delete;

 private:
  class Watcher;
  explicit DirectorySource(std::unique_ptr<Watcher> watcher);

  std::unique_ptr<Watcher> watcher_;
};

// The same folders read once: for --validate, and for tools.
struct DirectoryContents {
  Overlay::Objects objects;
  std::vector<Problem> problems;
};
DirectoryContents ReadDirectories(const std::vector<std::string>& folders);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_DIRECTORY_H_
