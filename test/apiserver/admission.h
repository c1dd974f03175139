// Admission: asks the webhooks that are registered for a write whether it may be, and how it is to
// be changed (AdmissionReview v1). Which webhooks, what they are asked, and what their answer means
// are pure functions; Admission carries the calls.
#ifndef WEFT_TEST_APISERVER_ADMISSION_H_
#define WEFT_TEST_APISERVER_ADMISSION_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/runtime/task.h"
#include "test/apiserver/cluster.h"
#include "test/apiserver/request.h"

namespace weft::apiserver {

struct WebhookCall;

// A write that is to be admitted.
struct Attempt {
  std::string operation;  // "CREATE", "UPDATE", "DELETE"
  Target target;
  User user;
  bool dry_run = false;
  Json object;  // null for DELETE
  Json old;     // null for CREATE
};

struct Webhook {
  std::string name;
  std::string version;  // of the kind, in which it is asked
  std::string url;      // "https://…", or "" for a service:
  std::string service_namespace, service_name, service_path;
  int service_port = 443;
  std::string ca_pem;
  absl::Duration timeout;
  bool ignore_failure = false;
};

// Those of `configuration` that are to be asked, in their order. `namespace_labels`: of the
// object's namespace.
std::vector<Webhook> MatchingWebhooks(const Json& configuration, const Attempt& attempt,
                                      const Labels& namespace_labels);

Json AdmissionReviewOf(const Attempt& attempt, const Webhook& webhook, const std::string& uid);

struct Verdict {
  Json patch;  // a JSON patch, or null
  std::vector<std::string> warnings;
  std::optional<Failure> refusal;
};
// nullopt, with `wrong` filled: not an answer to what was asked.
std::optional<Verdict> ReadVerdict(const std::string& answer, const std::string& webhook,
                                   const std::string& uid, std::string& wrong);

class Admission {
 public:
  // `services`: where the service "NAMESPACE/NAME:PORT" listens, as "HOST:PORT".
  Admission(EventLoop& loop, Cluster& cluster, std::map<std::string, std::string> services)
      : loop_(loop), cluster_(cluster), services_(std::move(services)) {}

  void SetService(const std::string& service, const std::string& address) {
    services_[service] = address;
  }

  // The object as mutating webhooks leave it, once the validating ones agree. `warnings` outlives
  // the task.
  Task<Result<Json>> Admit(Attempt attempt, std::vector<std::string>* warnings);

 private:
  std::vector<Webhook> Find(const char* configurations, const Attempt& attempt);
  Labels NamespaceLabels(const Attempt& attempt);
  Task<Result<Verdict>> Ask(Webhook webhook, const Attempt* attempt);
  absl::StatusOr<WebhookCall> CallOf(const Webhook& webhook) const;

  EventLoop& loop_;
  Cluster& cluster_;
  std::map<std::string, std::string> services_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_ADMISSION_H_
