// MetadataMatch: what is asked of the claims of a verified token (Envoy: of dynamic metadata).
// Immutable once compiled; any thread. Evaluation is pure.
//
// Two names are known: "envoy.filters.http.jwt_authn", under which the JWT filter puts payloads
// (and headers) by the key its config gives them; and Istio's older "istio_authn", which is
// answered from the same tokens. Metadata of other filters is refused when compiling: a rule about
// something that never comes would silently never apply.
#ifndef WEFT_PROXY_CONFIG_METADATA_MATCH_H_
#define WEFT_PROXY_CONFIG_METADATA_MATCH_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proxy/config/matchers.h"

namespace weft {

struct ValueMatch {
  enum class Kind { kNull, kNumber, kNumberRange, kString, kBool, kPresent, kListHas, kOr };
  Kind kind = Kind::kPresent;
  double start = 0;  // kNumber: the number; kNumberRange: [start, end)
  double end = 0;
  bool flag = true;  // kBool: the value; kPresent: whether it has to be there
  StringMatch string;
  std::vector<ValueMatch> of;  // kListHas: one; kOr: the alternatives

  // Null: the value is not there.
  bool Matches(const nlohmann::json* value) const;
  // The same for a text that is not part of a JSON value.
  bool MatchesText(absl::string_view text) const;
};

struct MetadataMatch {
  enum class Source {
    kJwt,             // path[0] is the key that the JWT filter was told
    kIstioClaims,     // "request.auth.claims": as Istio has it, a text is a list of words
    kIstioPrincipal,  // "request.auth.principal": issuer/subject
    kIstioAudiences,  // "request.auth.audiences"
    kIstioPresenter,  // "request.auth.presenter"
    kIstioPeer,       // "source.principal": the peer's identity without its scheme
  };
  Source source = Source::kJwt;
  std::vector<std::string> path;  // of kJwt with its key, of kIstioClaims without it
  ValueMatch value;
  bool invert = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_METADATA_MATCH_H_
