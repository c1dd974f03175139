// What the validating webhook answers: whether an object can be used, by the same decoding and
// validation that files get. Pure.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_VALIDATE_REVIEW_H_
#define WEFT_CONTROLPLANE_WEBHOOK_VALIDATE_REVIEW_H_

#include "controlplane/webhook/admission.h"

namespace weft::webhook {

// A refusal names the object, the field and the way out. Objects that are being deleted, deletions
// and kinds that are not known here are allowed; so are dangling references, since their target may
// be applied next.
AdmissionAnswer AnswerValidate(const AdmissionRequest& request);

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_VALIDATE_REVIEW_H_
