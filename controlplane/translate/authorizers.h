// External authorizers: the services that CUSTOM policies leave their decision to, by the names
// that the mesh config gives them.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZERS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZERS_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/translate/index.h"

namespace weft {

// Borrowed from the index.
struct Authorizer {
  const MeshSettings::Provider* provider = nullptr;
  const Service* service = nullptr;
  uint16_t port = 0;
};

// NotFound says why nobody can be asked, as the reader of a policy is told.
absl::StatusOr<Authorizer> FindAuthorizer(const TranslationIndex& index, const std::string& name);

// The names that a workload's CUSTOM policies have; those on trial ask nobody.
std::set<std::string> AuthorizersNamed(const TranslationIndex& index,
                                       const std::string& workload_namespace, const Labels& labels);

// The one that a workload's requests are asked about: Istio has one for each workload. Of several
// names it is NotFound.
absl::StatusOr<Authorizer> AuthorizerOf(const TranslationIndex& index,
                                        const std::set<std::string>& names);

// Annotated `istio.io/dry-run: "true"`: it is only counted.
bool IsOnTrial(const TranslationIndex::AuthorizationPolicyConfig& config);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZERS_H_
