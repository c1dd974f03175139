// Webhooks: what an API server asks weftd at /inject and /validate, answered.
//
// Place: between HttpsPort, which has the connections, and the pure functions that decide. What is
// no AdmissionReview is a 400 that says why. Nothing is kept or changed by an answer, so dry runs
// and repeated reviews are as good as any. On the loop's thread.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_WEBHOOKS_H_
#define WEFT_CONTROLPLANE_WEBHOOK_WEBHOOKS_H_

#include <functional>
#include <map>
#include <string>

#include "controlplane/debug/metrics.h"
#include "controlplane/webhook/https_port.h"
#include "controlplane/webhook/inject.h"
#include "proxy/runtime/task.h"

namespace weft::webhook {

inline constexpr char kInjectPath[] = "/inject";
inline constexpr char kValidatePath[] = "/validate";

class Webhooks {
 public:
  // As they are now, as far as can be told in a time much shorter than a webhook has.
  using NamespaceLabels =
      std::function<Task<std::map<std::string, std::string>>(std::string namespace_)>;

  // `metrics` must outlive this, and this the tasks of Answer().
  Webhooks(InjectConfig config, NamespaceLabels namespace_labels, Metrics& metrics)
      : config_(std::move(config)),
        namespace_labels_(std::move(namespace_labels)),
        metrics_(metrics) {}

  Task<HttpsReply> Answer(std::string path, std::string body);

 private:
  const InjectConfig config_;
  const NamespaceLabels namespace_labels_;
  Metrics& metrics_;
};

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_WEBHOOKS_H_
