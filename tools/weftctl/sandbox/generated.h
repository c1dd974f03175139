// The folder of derived objects that weftd watches: one file an object, written atomically and only
// when its content changed.
#ifndef TOOLS_WEFTCTL_SANDBOX_GENERATED_H_
#define TOOLS_WEFTCTL_SANDBOX_GENERATED_H_

#include <map>
#include <string>

#include "absl/status/status.h"

namespace weft::sandbox {

class GeneratedFolder {
 public:
  explicit GeneratedFolder(std::string path) : path_(std::move(path)) {}

  // Makes the folder hold exactly these files: name → content.
  absl::Status Set(const std::map<std::string, std::string>& files);

 private:
  std::string path_;
  std::map<std::string, std::string> written_;
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_GENERATED_H_
