#include "controlplane/sources/kubernetes/source.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/document.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// Of an error's body: a Status is short.
constexpr size_t kMaxErrorBody = 64 * 1024;
// What a message shows of a body that is no Status.
constexpr size_t kShown = 200;

std::string MessageOf(const std::string& body) {
  const auto document = YamlDocument::ParseJson(body);
  if (document.ok()) {
    const std::string message((*document)->root()["message"].Scalar());
    if (!message.empty()) return message;
  }
  return body.substr(0, kShown);
}

// What came of an error's body, as much as helps.
Task<std::string> ReadError(EventLoop& loop, KubernetesResponse& response) {
  const MonotonicTime deadline = loop.Now() + KubernetesSource::kListSilence;
  std::string body;
  while (body.size() < kMaxErrorBody) {
    absl::StatusOr<std::string> piece = co_await response.Read(deadline);
    if (!piece.ok() || piece->empty()) break;
    body += *piece;
  }
  co_return body;
}

void TellRefusals(JsonStream& stream, Reflector& reflector, absl::Duration now) {
  for (std::string& why : stream.TakeRefusals()) reflector.OnRefused(std::move(why), now);
}

}  // namespace

// While it lives, the server is not away.
struct KubernetesSource::OpenWatch {
  explicit OpenWatch(KubernetesSource& of) : source(of) { ++source.watches_; }
  ~OpenWatch() {
    --source.watches_;
    source.last_answer_ = source.loop_.Now();
  }
  KubernetesSource& source;
};

KubernetesSource::KubernetesSource(EventLoop& loop, Kubeconfig server, Options options,
                                   OnUpdate on_update)
    : loop_(loop),
      options_(std::move(options)),
      on_update_(std::move(on_update)),
      client_(loop, std::move(server)),
      last_answer_(loop.Now()) {
  absl::BitGen random;
  seed_ = absl::Uniform<uint64_t>(random);
  for (const WatchedResource& resource : options_.resources) {
    reflectors_.push_back(std::make_unique<Reflector>(resource, client_.config().origin, ++seed_));
  }
  for (const auto& reflector : reflectors_) tasks_.Spawn(Follow(*reflector));
  tasks_.Spawn(KeepSecrets());
}

KubernetesSource::~KubernetesSource() = default;

std::optional<MonotonicTime> KubernetesSource::away_since() const {
  if (watches_ > 0) return std::nullopt;
  return last_answer_;
}

std::string KubernetesSource::ServedVersion(absl::string_view kind) const {
  for (const auto& reflector : reflectors_) {
    if (reflector->resource().kind == kind) return reflector->served_version();
  }
  return "";
}

// It may be called by the task of a Secret that is no longer wanted: another one ends it.
void KubernetesSource::FollowSecrets(const std::set<SecretName>& names) {
  if (names == wanted_secrets_) return;
  wanted_secrets_ = names;
  secrets_told_ = false;
  secrets_changed_.Notify();
}

bool KubernetesSource::SecretsAreRead() const {
  return std::all_of(wanted_secrets_.begin(), wanted_secrets_.end(), [&](const SecretName& name) {
    const auto found = secrets_.find(name);
    return found != secrets_.end() && found->second.reflector->synced();
  });
}

Task<> KubernetesSource::KeepSecrets() {
  std::set<SecretName> kept;
  while (true) {
    while (kept == wanted_secrets_) co_await Wait(loop_, {&secrets_changed_});
    kept = wanted_secrets_;
    std::vector<std::unique_ptr<Reflector>> gone;
    for (auto entry = secrets_.begin(); entry != secrets_.end();) {
      if (kept.contains(entry->first)) {
        ++entry;
        continue;
      }
      entry->second.task.Cancel();
      gone.push_back(std::move(entry->second.reflector));
      entry = secrets_.erase(entry);
    }
    for (const SecretName& name : kept) {
      Followed& followed = secrets_[name];
      if (followed.reflector != nullptr) continue;
      followed.reflector = std::make_unique<Reflector>(WatchedSecret(name.first, name.second),
                                                       client_.config().origin, ++seed_);
      followed.task.Spawn(Follow(*followed.reflector));
    }
    for (const auto& reflector : gone) {
      reflector->Forget();
      Emit(*reflector);
    }
  }
}

Task<> KubernetesSource::Follow(Reflector& reflector) {
  co_await Sleep(loop_, absl::ZeroDuration());
  while (true) {
    const Reflector::Step step = reflector.Next(loop_.Now());
    switch (step.kind) {
      case Reflector::Step::Kind::kWait:
        co_await Wait(loop_, {}, step.until);
        break;
      case Reflector::Step::Kind::kDiscover:
        co_await Discover(reflector, step);
        break;
      case Reflector::Step::Kind::kList:
        co_await List(reflector, step);
        break;
      case Reflector::Step::Kind::kWatch:
        co_await Watch(reflector, step);
        break;
    }
    Emit(reflector);
  }
}

Task<KubernetesSource::Response> KubernetesSource::Open(Reflector& reflector,
                                                        const Reflector::Step& step) {
  KubernetesRequest request;
  request.path = step.path;
  auto response = co_await client_.Send(std::move(request), loop_.Now() + kAnswerTimeout);
  if (!response.ok()) {
    reflector.OnBroken(response.status().message(), loop_.Now());
    co_return nullptr;
  }
  if ((*response)->status() == 200) {
    last_answer_ = loop_.Now();
    co_return *std::move(response);
  }
  const std::string body = co_await ReadError(loop_, **response);
  reflector.OnStatus((*response)->status(), (*response)->retry_after(), MessageOf(body),
                     loop_.Now());
  co_return nullptr;
}

Task<> KubernetesSource::Discover(Reflector& reflector, Reflector::Step step) {
  const Response response = co_await Open(reflector, step);
  if (response == nullptr) co_return;
  std::string body = co_await ReadError(loop_, *response);
  reflector.OnGroup(std::move(body), loop_.Now());
}

Task<> KubernetesSource::List(Reflector& reflector, Reflector::Step step) {
  const Response response = co_await Open(reflector, step);
  if (response == nullptr) co_return;
  JsonStream stream(JsonStream::Shape::kList);
  while (true) {
    absl::StatusOr<std::string> piece = co_await response->Read(loop_.Now() + kListSilence);
    if (!piece.ok()) co_return reflector.OnBroken(piece.status().message(), loop_.Now());
    if (piece->empty()) break;
    absl::StatusOr<std::vector<std::string>> items = stream.Feed(*piece);
    if (!items.ok()) co_return reflector.OnBroken(items.status().message(), loop_.Now());
    for (std::string& item : *items) reflector.OnItem(std::move(item));
    TellRefusals(stream, reflector, loop_.Now());
    if (reflector.changes() < kBatch) continue;
    Emit(reflector);
    co_await Sleep(loop_, absl::ZeroDuration());
  }
  if (!stream.AtEnd()) co_return reflector.OnBroken("a list that was cut short", loop_.Now());
  reflector.OnPageEnd(stream.envelope(), loop_.Now());
}

Task<> KubernetesSource::Watch(Reflector& reflector, Reflector::Step step) {
  const MonotonicTime end = loop_.Now() + step.duration + kWatchGrace;
  const Response response = co_await Open(reflector, step);
  if (response == nullptr) co_return;
  const OpenWatch open(*this);
  JsonStream stream(JsonStream::Shape::kWatch);
  while (true) {
    absl::StatusOr<std::string> piece =
        co_await response->Read(std::min(end, loop_.Now() + options_.watch_silence));
    if (absl::IsDeadlineExceeded(piece.status())) co_return reflector.OnSilence(loop_.Now());
    if (!piece.ok()) co_return reflector.OnBroken(piece.status().message(), loop_.Now());
    if (piece->empty()) break;
    absl::StatusOr<std::vector<std::string>> events = stream.Feed(*piece);
    if (!events.ok()) co_return reflector.OnBroken(events.status().message(), loop_.Now());
    for (std::string& event : *events) {
      if (!reflector.OnEvent(std::move(event), loop_.Now())) co_return;
    }
    TellRefusals(stream, reflector, loop_.Now());
    if (!reflector.watching()) co_return;
    Emit(reflector);
  }
  if (!stream.AtEnd()) co_return reflector.OnBroken("a watch that was cut short", loop_.Now());
  reflector.OnWatchEnd(loop_.Now());
}

bool KubernetesSource::Synced() const {
  return std::all_of(reflectors_.begin(), reflectors_.end(),
                     [](const auto& reflector) { return reflector->synced(); });
}

void KubernetesSource::Emit(Reflector& reflector) {
  LogNotices(reflector);
  SourceUpdate update;
  update.deltas = reflector.TakeDeltas();
  update.problems = reflector.TakeProblems();
  update.first = !first_told_ && Synced();
  first_told_ |= update.first;
  const bool read = !secrets_told_ && SecretsAreRead();
  secrets_told_ |= read;
  if (!update.empty() || read) on_update_(std::move(update));
}

void KubernetesSource::LogNotices(Reflector& reflector) {
  for (const Reflector::Notice& notice : reflector.TakeNotices()) {
    const std::string resource = reflector.resource().Name();
    const std::string& server = client_.config().origin;
    switch (notice.kind) {
      case Reflector::Notice::Kind::kWatching:
        Log(LogLevel::kInfo, "kubernetes_watching", {{"resource", resource}, {"server", server}});
        break;
      case Reflector::Notice::Kind::kAway:
        Log(LogLevel::kWarning, "kubernetes_away",
            {{"resource", resource}, {"server", server}, {"reason", notice.reason}});
        break;
      case Reflector::Notice::Kind::kMissing:
        Log(LogLevel::kInfo, "kubernetes_kind_missing",
            {{"resource", resource},
             {"server", server},
             {"effect", "it is read once its CustomResourceDefinition is there"}});
        break;
      case Reflector::Notice::Kind::kForbidden:
        Log(LogLevel::kError, "kubernetes_forbidden",
            {{"resource", resource},
             {"server", server},
             {"reason", notice.reason},
             {"needed", "a ClusterRole with the verbs list and watch"}});
        break;
    }
  }
}

}  // namespace weft
