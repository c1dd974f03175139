// Reads: get and list, and the forms in which objects are sent: whole, or as rows of a Table.
#ifndef WEFT_TEST_APISERVER_READS_H_
#define WEFT_TEST_APISERVER_READS_H_

#include <optional>
#include <string>

#include "test/apiserver/cluster.h"
#include "test/apiserver/request.h"
#include "test/apiserver/selector.h"
#include "test/apiserver/tables.h"

namespace weft::apiserver {

// Which objects of a collection.
struct Selection {
  LabelSelector labels;
  FieldSelector fields;

  bool empty() const { return labels.empty() && fields.empty(); }
  bool Matches(const Stored& object) const {
    return labels.Matches(object.labels) && fields.Matches(object);
  }
};
Result<Selection> ReadSelection(const Target& target, const Request& request);

// What the client would like best and we have: nothing if it is whole objects.
std::optional<RowObject> WantsTable(const Request& request);

// A resourceVersion that a client states; nothing for none. The error is a 400.
Result<std::optional<Version>> ReadVersion(const std::string& text);

Response GetObject(Cluster& cluster, const Target& target, const Request& request);
Response ListObjects(Cluster& cluster, const Target& target, const Request& request);

// Where a list goes on: opaque to clients. Version 0: from the present state, since the list's own
// is forgotten.
struct ContinueToken {
  Version version = 0;
  Store::Key after;

  std::string Encode() const;
  static std::optional<ContinueToken> Decode(const std::string& text);
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_READS_H_
