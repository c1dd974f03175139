#include "controlplane/ca/ca_source.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/file.h"
#include "controlplane/model/decode.h"
#include "controlplane/sources/kubernetes/resources.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr char kSecretName[] = "cacerts";

absl::StatusOr<CaFiles> ReadFolder(const std::string& folder) {
  CaFiles files;
  for (const char* name : kCaFileNames) {
    absl::StatusOr<std::string> text = certs::ReadFile(absl::StrCat(folder, "/", name));
    if (absl::IsNotFound(text.status())) continue;
    if (!text.ok()) return text.status();
    files[name] = *std::move(text);
  }
  return files;
}

}  // namespace

CaSource::CaSource(EventLoop& loop, std::string origin, std::string trust_domain)
    : loop_(loop), origin_(std::move(origin)), trust_domain_(std::move(trust_domain)) {}

CaSource::~CaSource() = default;

std::unique_ptr<CaSource> CaSource::OfSecret(EventLoop& loop, Kubeconfig server,
                                             absl::Duration silence, std::string trust_domain) {
  const std::string name_space(kMeshConfigNamespace);
  std::unique_ptr<CaSource> made(new CaSource(
      loop, absl::StrCat("Secret ", name_space, "/", kSecretName), std::move(trust_domain)));
  KubernetesSource::Options options;
  options.resources = {WatchedSecret(name_space, kSecretName)};
  options.watch_silence = silence;
  CaSource* source = made.get();
  made->source_ = std::make_unique<KubernetesSource>(
      loop, std::move(server), std::move(options),
      [source](const SourceUpdate& update) { source->OnSecret(update); });
  made->tasks_.Spawn(made->FollowDates());
  return made;
}

std::unique_ptr<CaSource> CaSource::OfFolder(EventLoop& loop, std::string folder,
                                             std::string trust_domain) {
  std::unique_ptr<CaSource> made(
      new CaSource(loop, absl::StrCat("folder ", folder), std::move(trust_domain)));
  absl::StatusOr<CaFiles> files = ReadFolder(folder);
  made->Take(files);
  made->tasks_.Spawn(made->FollowFolder(std::move(folder), std::move(files)));
  made->tasks_.Spawn(made->FollowDates());
  return made;
}

void CaSource::OnSecret(const SourceUpdate& update) {
  for (const ObjectDelta& delta : update.deltas) {
    if (delta.object != nullptr) {
      Take(CaFilesOf(delta.object->body.node));
    } else if (there_) {
      Leave();
    }
  }
  read_ |= update.first;
}

void CaSource::Leave() {
  there_ = false;
  ca_.reset();
  SetProblem(absl::OkStatus());
  Log(LogLevel::kWarning, "ca_source_gone",
      {{"origin", origin_},
       {"effect",
        "its CA stays in force until `weftctl ca rotate root` makes one of weftd's own"}});
  on_change_();
}

void CaSource::Take(absl::StatusOr<CaFiles> files) {
  read_ = there_ = true;
  files_ = std::move(files);
  absl::StatusOr<certs::Issuer> ca =
      files_.ok() ? ReadPluggedCa(*files_, trust_domain_, absl::Now()) : files_.status();
  SetProblem(ca.status());
  if (ca.ok() && (ca_ == nullptr || ca_->ChainPem() != ca->ChainPem())) {
    ca_ = std::make_shared<const certs::Issuer>(*std::move(ca));
  }
  on_change_();
}

void CaSource::SetProblem(const absl::Status& status) {
  std::string problem = status.ok() ? "" : absl::StrCat(origin_, ": ", status.message());
  if (problem == problem_) return;
  problem_ = std::move(problem);
  if (problem_.empty()) return;
  Log(LogLevel::kError, "ca_refused",
      {{"reason", problem_}, {"effect", "the last good one stays in force"}});
}

Task<> CaSource::FollowFolder(std::string folder, absl::StatusOr<CaFiles> last) {
  while (true) {
    co_await Sleep(loop_, kLook);
    absl::StatusOr<CaFiles> files = ReadFolder(folder);
    if (files == last && files != files_) Take(files);
    last = std::move(files);
  }
}

Task<> CaSource::FollowDates() {
  while (true) {
    co_await Sleep(loop_, kDates);
    if (there_) Take(files_);
  }
}

}  // namespace weft
