// KeySetStore: the key sets that were last fetched, on disk, so that a weftd that restarts while an
// issuer is away does not lock its users out. Public keys; the folder is weftd's own.
#ifndef WEFT_CONTROLPLANE_SOURCES_KEY_SET_STORE_H_
#define WEFT_CONTROLPLANE_SOURCES_KEY_SET_STORE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft {

// By URI.
using KeySetTexts = std::map<std::string, std::shared_ptr<const std::string>>;

class KeySetStore {
 public:
  explicit KeySetStore(const std::string& data_folder);

  // None if there is no file yet. A torn or foreign file is an error, a key set in it that cannot
  // be used is left out.
  absl::StatusOr<KeySetTexts> Load() const;
  absl::Status Save(const KeySetTexts& key_sets) const;

 private:
  const std::string path_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KEY_SET_STORE_H_
