// KubernetesSource: a Source of the objects of an API server, by a list and a watch of each
// resource that the mesh reads.
//
// Of Secrets it reads those that the owner names, each by a list and a watch of its own.
//
// What `--registry kubernetes` names. A task for each resource does what its Reflector says, all on
// the owner's loop; bodies are cut into objects while they come. A server that is away costs
// nothing but its news: what is known stays, and is put right by the next list.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_SOURCE_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_SOURCE_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/sources/kubernetes/json_stream.h"
#include "controlplane/sources/kubernetes/reflector.h"
#include "controlplane/sources/kubernetes/resources.h"
#include "controlplane/sources/source.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class KubernetesSource final : public Source {
 public:
  // Longer than API servers themselves give a request (60 s) they do not answer.
  static constexpr absl::Duration kAnswerTimeout = absl::Seconds(70);
  // A list that stands still for so long is given up.
  static constexpr absl::Duration kListSilence = absl::Seconds(30);
  // A watch that the server does not end in time is ended by us.
  static constexpr absl::Duration kWatchGrace = absl::Seconds(30);
  // Objects of a list that are handed over at once: what is held of it at most, and how long the
  // loop's other tasks wait.
  static constexpr size_t kBatch = 500;

  struct Options {
    std::vector<WatchedResource> resources = WatchedResources();
    absl::Duration watch_silence = Reflector::kWatchSilence;
  };

  // On the loop's thread, as are the calls of `on_update`, which do not come before this returns.
  // What was there at the start comes in several updates, the last of them with `first` set.
  KubernetesSource(EventLoop& loop, Kubeconfig server, Options options, OnUpdate on_update);
  ~KubernetesSource() override;
  void FollowSecrets(const std::set<std::pair<std::string, std::string>>& names) override;
  bool SecretsAreRead() const override;
  // Since when the server has been saying nothing of use; nothing while a watch is open, which may
  // be dead for `watch_silence` before that is noticed.
  std::optional<MonotonicTime> away_since() const;
  // In which version the objects of a kind are read now, "v1"; empty while they are not.
  std::string ServedVersion(absl::string_view kind) const;
  KubernetesSource(const KubernetesSource&) = delete;
  KubernetesSource& operator=(const KubernetesSource&) = delete;

 private:
  using Response = std::unique_ptr<KubernetesResponse>;
  struct OpenWatch;
  using SecretName = std::pair<std::string, std::string>;
  // A Secret that is followed: a list and a watch of its own.
  struct Followed {
    std::unique_ptr<Reflector> reflector;
    Scope task;
  };

  Task<> Follow(Reflector& reflector);
  Task<> Discover(Reflector& reflector, Reflector::Step step);
  Task<> List(Reflector& reflector, Reflector::Step step);
  Task<> Watch(Reflector& reflector, Reflector::Step step);
  // Null if there is no good answer; the reflector knows then.
  Task<Response> Open(Reflector& reflector, const Reflector::Step& step);
  void Emit(Reflector& reflector);
  Task<> KeepSecrets();
  bool Synced() const;
  void LogNotices(Reflector& reflector);

  EventLoop& loop_;
  const Options options_;
  const OnUpdate on_update_;
  KubernetesClient client_;
  uint64_t seed_ = 0;  // of the last reflector
  MonotonicTime last_answer_;
  size_t watches_ = 0;  // open ones
  std::vector<std::unique_ptr<Reflector>> reflectors_;
  bool first_told_ = false;
  std::set<SecretName> wanted_secrets_;
  Signal secrets_changed_;
  bool secrets_told_ = true;  // that all of them are read
  std::map<SecretName, Followed> secrets_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_SOURCE_H_
