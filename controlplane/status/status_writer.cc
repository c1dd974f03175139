#include "controlplane/status/status_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr size_t kShown = 200;  // of an answer that is an error

}  // namespace

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
      co_await Sleep(loop_, kLook);
      continue;
    }
    if (!std::exchange(led, true)) book_.LookAtAll();
    if (loop_.Now() >= look_at_proxies) {
      book_.OnProxies(reports_.refusals());
      look_at_proxies = loop_.Now() + kLookAtProxies;
    }
    book_.OnLinks(reports_.links());
    std::optional<StatusBook::Write> write = book_.Next(absl::Now());
    absl::Duration pause = kLook;
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
  auto answer = co_await client_.Call(std::move(request), loop_.Now() + kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  if (status == 200) {
    book_.OnWritten(write.key, std::move(answer->body));
    backoff_ = kBackoffFirst;
    told_.clear();
    co_return kBetweenWrites;
  }
  if (status == 404) co_return kBetweenWrites;  // it went, or its kind has no status
  if (status == 409) {
    book_.OnNotWritten(write.key);
    co_return kAfterConflict;
  }
  co_return OnTrouble(write.key, answer.ok()
                                     ? absl::StrCat(status, ": ", answer->body.substr(0, kShown))
                                     : std::string(answer.status().message()));
}

absl::Duration StatusWriter::OnTrouble(const ObjectKey& key, const std::string& reason) {
  book_.OnNotWritten(key);
  if (reason != told_) {
    Log(LogLevel::kWarning, "status_not_written", {{"object", ToString(key)}, {"reason", reason}});
  }
  told_ = reason;
  const absl::Duration pause = backoff_;
  backoff_ = std::min(backoff_ * 2, kBackoffMost);
  return pause;
}

}  // namespace weft
