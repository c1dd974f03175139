// AdmissionReview (admission.k8s.io/v1): what an API server asks before it stores an object, and
// what it is told.
//
// Place: what is common to the webhooks; inject_review and validate_review make the answers. Bytes
// come from whoever can reach the port: what is no review is an error, for a 4xx. Pure.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_ADMISSION_H_
#define WEFT_CONTROLPLANE_WEBHOOK_ADMISSION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/raw_object.h"

namespace weft::webhook {

struct AdmissionRequest {
  std::string uid;
  std::string operation;  // "CREATE", "UPDATE", "DELETE", "CONNECT"
  std::string group;      // of the object's kind; "" is the core
  std::string version;
  std::string kind;
  std::string subresource;  // "status"; "" is the object itself
  std::string namespace_;   // empty for cluster-scoped kinds
  std::string name;         // empty if it is still to be made of generateName
  ObjectBody object;        // as it is to be; undefined for DELETE and CONNECT
};

// InvalidArgument names the field.
absl::StatusOr<AdmissionRequest> ReadAdmissionReview(std::string body);

struct AdmissionAnswer {
  bool allowed = true;
  std::string message;                // why not
  std::vector<std::string> warnings;  // kubectl prints them, whatever the answer
  std::string patch;                  // a JSON patch (RFC 6902); empty: as it is
};
AdmissionAnswer Refuse(std::string message);

// The review that answers, as JSON text.
std::string WriteAdmissionReview(absl::string_view uid, const AdmissionAnswer& answer);

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_ADMISSION_H_
