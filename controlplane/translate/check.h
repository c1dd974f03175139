// Does every reference resolve? Asked of the config, for its authors; and of the resources, for the
// engine, which must never send a set that contradicts itself.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CHECK_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CHECK_H_

#include <string>
#include <vector>

#include "controlplane/model/world.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

struct Finding {
  enum class Severity {
    kDangling,     // leads nowhere: requests are answered with 503
    kUnsupported,  // read, and without effect so far
    kUnclear,      // cannot be told here, so it is read the stricter way
  };
  Severity severity;
  ObjectKey object;
  std::string origin;   // "routes.yaml:12"
  std::string message;  // "http[0].route[1]: host 'a' subset 'v9': no DestinationRule defines it"
};

// What VirtualServices refer to, as clients in their own namespaces see it, and which clusters
// AuthorizationPolicies name. In order of object.
std::vector<Finding> CheckConfig(const TranslationIndex& index);

// One line for each name that is used and not there, and each that is there twice where it must
// not be; empty if the resources fit together. Names may also lead to what lies `beside` them,
// which is not itself looked at; null: nothing.
std::vector<std::string> CheckResources(const Resources& resources,
                                        const Resources* beside = nullptr);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CHECK_H_
