#include "controlplane/status/status_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/base/log.h"

namespace weft {

StatusWriter::StatusWriter(EventLoop& loop, KubernetesClient& client, const Leader& leader,
                           StatusBook& book, Reports reports)
    : loop_(loop), client_(client), leader_(leader), book_(book), reports_(std::move(reports)) {
  tasks_.Spawn(Run());
}

Task<> StatusWriter::Run() {
  bool led = false;
  MonotonicTime look_at_proxies = loop_.Now();
  while (true) {
    if (!leader_.leads()) {
      led = false;
      co_await Sleep(loop_, WritePace::kLook);
      continue;
    }
    if (!std::exchange(led, true)) book_.LookAtAll();
    if (loop_.Now() >= look_at_proxies) {
      book_.OnProxies(reports_.refusals());
      look_at_proxies = loop_.Now() + kLookAtProxies;
    }
    book_.OnLinks(reports_.links());
    std::optional<StatusBook::Write> write = book_.Next(absl::Now());
    absl::Duration pause = WritePace::kLook;
    if (write.has_value()) pause = co_await Put(*std::move(write));
    co_await Sleep(loop_, pause);
  }
}

Task<absl::Duration> StatusWriter::Put(StatusBook::Write write) {
  KubernetesRequest request;
  request.method = "PATCH";
  request.path = absl::StrCat(write.path, "?fieldManager=weftd");
  request.body = std::move(write.body);
  request.content_type = "application/merge-patch+json";
  auto answer = co_await client_.Call(std::move(request), loop_.Now() + WritePace::kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  if (status == 200) {
    book_.OnWritten(write.key, std::move(answer->body));
    co_return pace_.OnWritten();
  }
  if (status == 404) co_return WritePace::kBetweenWrites;  // it went, or its kind has no status
  if (status == 409) {
    book_.OnNotWritten(write.key);
    co_return kAfterConflict;
  }
  co_return OnTrouble(write.key, TroubleOf(answer));
}

absl::Duration StatusWriter::OnTrouble(const ObjectKey& key, const std::string& reason) {
  book_.OnNotWritten(key);
  if (pace_.IsNews(reason)) {
    Log(LogLevel::kWarning, "status_not_written", {{"object", ToString(key)}, {"reason", reason}});
  }
  return pace_.OnTrouble();
}

}  // namespace weft
