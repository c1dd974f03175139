// Tables: what `kubectl get` prints, made by the server as Kubernetes makes it (meta.k8s.io/v1
// Table). Pure.
#ifndef WEFT_TEST_APISERVER_TABLES_H_
#define WEFT_TEST_APISERVER_TABLES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "test/apiserver/resource.h"
#include "test/apiserver/store.h"

namespace weft::apiserver {

// What a row carries beside its cells.
enum class RowObject { kNone, kMetadata, kWhole };

class TableWriter {
 public:
  TableWriter(const Resource& resource, std::string version, RowObject object, absl::Time now);

  // {"name":…,"type":…} of each column.
  Json Columns() const;
  Json Row(const Stored& object) const;
  // A table of these rows, with a list's metadata.
  Json Table(const std::vector<StoredPtr>& objects, Json metadata) const;

 private:
  const Resource& resource_;
  const std::string version_;
  const RowObject object_;
  const absl::Time now_;
};

// The first value that a JSONPath of a CRD's column finds; null if none. Members, indices, [*] and
// [?(@.member=="value")] are understood.
Json FindPath(const Json& object, absl::string_view path);

// "5s", "3m12s", "4h", "12d": as kubectl shows ages.
std::string HumanDuration(absl::Duration duration);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_TABLES_H_
