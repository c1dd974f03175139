// The rules of each kind; what Validate() picks from.
#ifndef WEFT_CONTROLPLANE_MODEL_VALIDATE_RULES_H_
#define WEFT_CONTROLPLANE_MODEL_VALIDATE_RULES_H_

#include "controlplane/model/checker.h"

namespace istio::networking::v1alpha3 {
class DestinationRule;
class Gateway;
class VirtualService;
}  // namespace istio::networking::v1alpha3
namespace istio::security::v1beta1 {
class AuthorizationPolicy;
class PeerAuthentication;
class RequestAuthentication;
}  // namespace istio::security::v1beta1
namespace weft::kubernetes {
class EndpointSlice;
class Pod;
class Service;
}  // namespace weft::kubernetes

namespace weft {

void CheckVirtualService(const istio::networking::v1alpha3::VirtualService& spec, Checker& check);
void CheckDestinationRule(const istio::networking::v1alpha3::DestinationRule& spec, Checker& check);
void CheckGateway(const istio::networking::v1alpha3::Gateway& spec, Checker& check);
void CheckPeerAuthentication(const istio::security::v1beta1::PeerAuthentication& spec,
                             Checker& check);
void CheckAuthorizationPolicy(const istio::security::v1beta1::AuthorizationPolicy& spec,
                              Checker& check);
void CheckRequestAuthentication(const istio::security::v1beta1::RequestAuthentication& spec,
                                Checker& check);
void CheckService(const kubernetes::Service& service, Checker& check);
void CheckEndpointSlice(const kubernetes::EndpointSlice& slice, Checker& check);
void CheckPod(const kubernetes::Pod& pod, Checker& check);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_VALIDATE_RULES_H_
