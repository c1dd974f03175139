#include "controlplane/status/import_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr char kKind[] = "ServiceImport";
constexpr char kGroup[] = "multicluster.x-k8s.io";

std::vector<WatchedResource> Watched() {
  return {{"", {"v1"}, "namespaces", "Namespace"},
          {kGroup, {"v1beta1", "v1alpha1"}, "serviceimports", kKind}};
}

const char* NameOf(ImportBook::Action action) {
  switch (action) {
    case ImportBook::Action::kApply:
      return "apply";
    case ImportBook::Action::kApplyStatus:
      return "apply status";
    case ImportBook::Action::kDelete:
      break;
  }
  return "delete";
}

}  // namespace

ImportWriter::ImportWriter(EventLoop& loop, KubernetesClient& client, const Leader& leader,
                           WorldNow world)
    : loop_(loop),
      client_(client),
      leader_(leader),
      world_(std::move(world)),
      started_(loop.Now()) {
  KubernetesSource::Options options;
  options.resources = Watched();
  source_ = std::make_unique<KubernetesSource>(loop_, client_.config(), std::move(options),
                                               [this](SourceUpdate update) {
                                                 book_.OnObjects(update.deltas);
                                                 listed_ |= update.first;
                                               });
  tasks_.Spawn(Run());
}

Task<> ImportWriter::Run() {
  while (true) {
    absl::Duration pause = WritePace::kLook;
    std::optional<ImportBook::Write> next = Next();
    if (next.has_value()) pause = co_await Put(*std::move(next));
    co_await Sleep(loop_, pause);
  }
}

std::optional<ImportBook::Write> ImportWriter::Next() {
  if (!listed_ || !leader_.leads() || source_->ServedVersion(kKind).empty()) return std::nullopt;
  const std::shared_ptr<const World> world = world_();
  if (world == nullptr) return std::nullopt;
  book_.OnWorld(world->imports);
  return book_.Next(loop_.Now(), /*may_delete=*/loop_.Now() >= started_ + kPatience);
}

KubernetesRequest ImportWriter::RequestFor(const ImportBook::Write& write) const {
  const std::string version = absl::StrCat(kGroup, "/", source_->ServedVersion(kKind));
  KubernetesRequest request;
  request.path = absl::StrCat("/apis/", version, "/namespaces/", write.name.first,
                              "/serviceimports/", write.name.second);
  if (write.action == ImportBook::Action::kDelete) {
    request.method = "DELETE";
    return request;
  }
  request.method = "PATCH";
  if (write.action == ImportBook::Action::kApplyStatus) absl::StrAppend(&request.path, "/status");
  absl::StrAppend(&request.path, "?fieldManager=weftd&force=true");
  request.body = ImportBook::WithApiVersion(write.body, version);
  request.content_type = "application/apply-patch+yaml";
  return request;
}

Task<absl::Duration> ImportWriter::Put(ImportBook::Write write) {
  KubernetesRequest request = RequestFor(write);
  const auto answer =
      co_await client_.Call(std::move(request), loop_.Now() + WritePace::kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  const bool gone = write.action == ImportBook::Action::kDelete && status == 404;
  if (status == 200 || status == 201 || status == 202 || gone) {
    book_.OnWritten(write, loop_.Now() + kAgain);
    if (write.action != ImportBook::Action::kApplyStatus) {
      Log(LogLevel::kInfo, "service_import_written",
          {{"object", absl::StrCat(write.name.first, "/", write.name.second)},
           {"action", NameOf(write.action)}});
    }
    co_return pace_.OnWritten();
  }
  Tell(write, TroubleOf(answer));
  // Something about this object: the others may be written.
  if (status == 404 || status == 409 || status == 422) {
    book_.OnNotWritten(write, loop_.Now() + kAgainAfterRefusal);
    co_return WritePace::kBetweenWrites;
  }
  co_return pace_.OnTrouble();
}

void ImportWriter::Tell(const ImportBook::Write& write, const std::string& trouble) {
  if (!pace_.IsNews(trouble)) return;
  Log(LogLevel::kWarning, "service_import_not_written",
      {{"object", absl::StrCat(write.name.first, "/", write.name.second)},
       {"action", NameOf(write.action)},
       {"reason", trouble}});
}

}  // namespace weft
