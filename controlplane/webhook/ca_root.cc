#include "controlplane/webhook/ca_root.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/webhook/inject.h"
#include "proxy/base/log.h"

namespace weft::webhook {
namespace {

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
    absl::Duration pause = WritePace::kLook;
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
  const auto answer =
      co_await client_.Call(std::move(request), loop_.Now() + WritePace::kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  if (status == 200 || status == 201) {
    book_.OnWritten(name_space, loop_.Now() + kAgain);
    Log(LogLevel::kInfo, "ca_root_written", {{"namespace", name_space}});
    co_return pace_.OnWritten();
  }
  Tell(name_space, TroubleOf(answer));
  // Something about this namespace, or this object: the others may be written.
  if (status == 404 || status == 409 || status == 422) {
    book_.OnNotWritten(name_space, loop_.Now() + kAgainAfterRefusal);
    co_return WritePace::kBetweenWrites;
  }
  co_return pace_.OnTrouble();
}

void CaRoot::Tell(const std::string& name_space, const std::string& trouble) {
  if (!pace_.IsNews(trouble)) return;
  Log(LogLevel::kWarning, "ca_root_not_written",
      {{"namespace", name_space},
       {"reason", trouble},
       {"effect", "pods that are injected there do not start"}});
}

}  // namespace weft::webhook
