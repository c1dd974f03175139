// A workload's RequestAuthentications as the JWT filter of its inbound listener.
//
// As in Istio, the rules of all of them count together, and a request needs no token; but one that
// is there has to be good, whoever of them is its issuer. To demand a token is
// AuthorizationPolicy's. An issuer whose keys are not known (they could not be fetched, or are not
// stated) has one key that nobody can sign with: its tokens are refused rather than overlooked.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_REQUEST_AUTHENTICATION_H_
#define WEFT_CONTROLPLANE_TRANSLATE_REQUEST_AUTHENTICATION_H_

#include <optional>
#include <string>

#include "api/envoy/http_connection_manager.pb.h"
#include "controlplane/translate/index.h"

namespace weft {

// nullopt: no rule applies.
std::optional<envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter>
JwtFilterFor(const TranslationIndex& index, const std::string& workload_namespace,
             const Labels& labels);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_REQUEST_AUTHENTICATION_H_
