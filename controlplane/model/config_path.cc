#include "controlplane/model/config_path.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/gateway_api_name.h"

namespace weft {

std::string ConfigPath(const ObjectKey& key) {
  const bool of_gateway_api = IsOfGatewayApi(key);
  const std::string api = of_gateway_api ? absl::StrCat(kGatewayApiGroup, "/v1")
                                         : std::string("networking.istio.io/v1alpha3");
  const std::string kind = of_gateway_api
                               ? absl::AsciiStrToLower(key.kind.substr(0, key.kind.find('.')))
                               : std::string("virtual-service");
  return absl::StrCat("/apis/", api, "/namespaces/", key.namespace_, "/", kind, "/", key.name);
}

}  // namespace weft
