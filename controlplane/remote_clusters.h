// RemoteClusters: other clusters whose API servers weftd reads itself, as Secrets name them
// (federation/remote_secrets.h), and what of them joins the World (federation/remote_view.h).
//
// Each has a KubernetesSource of its own, so none holds up another, or the start. A cluster counts
// once it was read whole, and then stays as it was last known while its server is away, or its new
// credentials do not work: for `expiry`, after which it is out of the World, and read from scratch.
//
// It is also the server of each that says whose a token of its workloads is: that is asked as soon
// as the cluster is named, and goes on while what is known of it is old.
//
// Needs list and watch of Secrets in weftd's namespace. Belongs to the loop's thread.
#ifndef WEFT_CONTROLPLANE_REMOTE_CLUSTERS_H_
#define WEFT_CONTROLPLANE_REMOTE_CLUSTERS_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/ca/authority.h"
#include "controlplane/ca/token_reviewer.h"
#include "controlplane/federation/exports.h"
#include "controlplane/federation/remote_secrets.h"
#include "controlplane/federation/remote_view.h"
#include "controlplane/model/world.h"
#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/sources/kubernetes/source.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

struct RemoteStatus {
  std::string cluster;
  std::string secret;
  std::string server;  // https://HOST:PORT
  bool connected = false;
  bool synced = false;  // it is in the World, be it as last known
  size_t services = 0;
  size_t gateways = 0;
};

struct RemoteClustersOptions {
  std::shared_ptr<const ClusterIdentity> self;
  Kubeconfig server;                           // of our own cluster, where the Secrets are
  absl::Duration silence = absl::Seconds(90);  // of a watch, after which it is made anew
  absl::Duration expiry = absl::Minutes(5);    // how long what was known counts
  bool allow_local_access = false;             // to kubeconfigs with commands and files
  std::string token_audience;                  // what the tokens of its workloads are meant for
  // What of their services is in the cluster set, where their own objects do not say it.
  ExportPolicy exports = ExportPolicy::kNone;
};

class RemoteClusters {
 public:
  // How often it is looked for who has been away for too long.
  static constexpr absl::Duration kLook = absl::Milliseconds(500);

  // `on_change`: states() is another one. It does not come before this returns, and must not
  // destroy this.
  RemoteClusters(EventLoop& loop, RemoteClustersOptions options, std::function<void()> on_change);
  ~RemoteClusters();
  RemoteClusters(const RemoteClusters&) = delete;
  RemoteClusters& operator=(const RemoteClusters&) = delete;

  // By cluster.
  const std::map<std::string, PeerState>& states() const { return states_; }
  std::vector<RemoteStatus> Statuses() const;
  // Whose a token is, by the cluster's own API server. Unauthenticated: it is no good, or there is
  // no such cluster. Unavailable: that cannot be said now. This must outlive the task.
  Task<absl::StatusOr<Caller>> Review(std::string cluster, std::string token);
  // Entries of Secrets that could not be used.
  size_t refused() const { return secrets_.problems().size(); }

 private:
  // By one kubeconfig.
  struct Reviews {
    Reviews(EventLoop& loop, const Kubeconfig& server, const std::string& audience)
        : client(loop, server), reviewer(loop, client, audience) {}
    KubernetesClient client;
    TokenReviewer reviewer;
  };
  struct Remote {
    std::string cluster;
    RemoteConfig config;
    bool synced = false;      // the source has told all
    MonotonicTime old_since;  // while it has not: what is known
    std::unique_ptr<RemoteView> view;
    std::unique_ptr<KubernetesSource> source;
    std::shared_ptr<Reviews> reviews;  // shared with those under way
  };

  void OnSecrets(const SourceUpdate& update);
  void TellProblems();
  bool RemoveUnnamed();
  void Follow(const std::string& cluster, const RemoteConfig& config);
  void Read(Remote& remote, MonotonicTime old_since);
  void OnUpdate(Remote& remote, const SourceUpdate& update);
  static std::optional<MonotonicTime> OldSince(const Remote& remote);
  Task<> ExpireOld();

  EventLoop& loop_;
  const RemoteClustersOptions options_;
  const std::function<void()> on_change_;
  RemoteSecrets secrets_;
  std::map<std::string, std::string> told_problems_;
  std::map<std::string, std::unique_ptr<Remote>> remotes_;  // by cluster
  std::map<std::string, PeerState> states_;
  std::unique_ptr<KubernetesSource> secrets_source_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_REMOTE_CLUSTERS_H_
