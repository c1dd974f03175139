#include "controlplane/webhook/ca_root.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/webhook/inject.h"
#include "proxy/base/log.h"

namespace weft::webhook {
namespace {

constexpr size_t kShown = 200;  // of an answer that is an error

std::vector<WatchedResource> Watched() {
  return {
      {"", {"v1"}, "namespaces", "Namespace"},
      {"", {"v1"}, "configmaps", "ConfigMap", /*needed=*/false, /*namespace_=*/"", kRootVolume}};
}

}  // namespace

CaRoot::CaRoot(EventLoop& loop, KubernetesClient& client, const Leader& leader,
               std::string roots_pem)
    : loop_(loop), client_(client), leader_(leader), book_(std::move(roots_pem)) {
  KubernetesSource::Options options;
  options.resources = Watched();
  source_ = std::make_unique<KubernetesSource>(loop_, client_.config(), std::move(options),
                                               [this](SourceUpdate update) {
                                                 book_.OnObjects(update.deltas);
                                                 listed_ |= update.first;
                                               });
  tasks_.Spawn(Run());
}

Task<> CaRoot::Run() {
  while (true) {
    absl::Duration pause = kLook;
    if (listed_ && leader_.leads()) {
      const std::optional<std::string> next = book_.Next(loop_.Now());
      if (next.has_value()) pause = co_await Write(*next);
    }
    co_await Sleep(loop_, pause);
  }
}

// One request makes it where it is missing, and mends it where it is not.
Task<absl::Duration> CaRoot::Write(std::string name_space) {
  KubernetesRequest request;
  request.method = "PATCH";
  request.path = absl::StrCat("/api/v1/namespaces/", name_space, "/configmaps/", kRootVolume,
                              "?fieldManager=weftd&force=true");
  request.body = book_.BodyFor(name_space);
  request.content_type = "application/apply-patch+yaml";
  const auto answer = co_await client_.Call(std::move(request), loop_.Now() + kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  if (status == 200 || status == 201) {
    book_.OnWritten(name_space, loop_.Now() + kAgain);
    backoff_ = kBackoffFirst;
    told_.clear();
    Log(LogLevel::kInfo, "ca_root_written", {{"namespace", name_space}});
    co_return kBetweenWrites;
  }
  Tell(name_space, answer.ok() ? absl::StrCat(status, ": ", answer->body.substr(0, kShown))
                               : std::string(answer.status().message()));
  // Something about this namespace, or this object: the others may be written.
  if (status == 404 || status == 409 || status == 422) {
    book_.OnNotWritten(name_space, loop_.Now() + kAgainAfterRefusal);
    co_return kBetweenWrites;
  }
  const absl::Duration pause = backoff_;
  backoff_ = std::min(backoff_ * 2, kBackoffMost);
  co_return pause;
}

void CaRoot::Tell(const std::string& name_space, const std::string& trouble) {
  if (trouble == told_) return;
  told_ = trouble;
  Log(LogLevel::kWarning, "ca_root_not_written",
      {{"namespace", name_space},
       {"reason", trouble},
       {"effect", "pods that are injected there do not start"}});
}

}  // namespace weft::webhook
