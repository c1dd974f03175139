#include "controlplane/webhook/webhooks.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/webhook/admission.h"
#include "controlplane/webhook/inject_review.h"
#include "controlplane/webhook/validate_review.h"

namespace weft::webhook {
namespace {

HttpsReply Refusal(int status, std::string why) {
  HttpsReply reply;
  reply.status = status;
  reply.body = absl::StrCat(why, "\n");
  return reply;
}

Metrics::Injection ResultOf(const AdmissionAnswer& answer) {
  if (!answer.allowed) return Metrics::Injection::kFailed;
  return answer.patch.empty() ? Metrics::Injection::kSkipped : Metrics::Injection::kDone;
}

}  // namespace

Task<HttpsReply> Webhooks::Answer(std::string path, std::string body) {
  const bool inject = path == kInjectPath;
  if (!inject && path != kValidatePath) {
    co_return Refusal(404,
                      absl::StrCat("not found; there are ", kInjectPath, " and ", kValidatePath));
  }
  const auto request = ReadAdmissionReview(std::move(body));
  if (!request.ok()) {
    co_return Refusal(400, absl::StrCat("no AdmissionReview: ", request.status().message()));
  }
  AdmissionAnswer answer;
  if (inject) {
    const std::map<std::string, std::string> labels =
        co_await namespace_labels_(request->namespace_);
    answer = AnswerInject(*request, labels, config_);
    metrics_.Injected(ResultOf(answer));
  } else {
    answer = AnswerValidate(*request);
    metrics_.Validated(answer.allowed);
  }
  HttpsReply reply;
  reply.content_type = "application/json";
  reply.body = WriteAdmissionReview(request->uid, answer);
  co_return reply;
}

}  // namespace weft::webhook
