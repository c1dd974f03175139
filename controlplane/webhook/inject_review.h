// What the mutating webhook answers: the sidecar for a pod that is to be created, by the same pure
// function as the sandbox's (inject.h). Pure.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_INJECT_REVIEW_H_
#define WEFT_CONTROLPLANE_WEBHOOK_INJECT_REVIEW_H_

#include <map>
#include <string>

#include "controlplane/webhook/admission.h"
#include "controlplane/webhook/inject.h"

namespace weft::webhook {

// A pod that has its sidecar already is left as it is, whatever the API server made of it since: a
// review may come twice. What is no new pod is allowed.
AdmissionAnswer AnswerInject(const AdmissionRequest& request,
                             const std::map<std::string, std::string>& namespace_labels,
                             const InjectConfig& config);

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_INJECT_REVIEW_H_
