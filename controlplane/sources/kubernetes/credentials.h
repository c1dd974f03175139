// Credentials: who weftd is to an API server, kept current: token and certificate files are read
// again when they change, exec plugins are run again when what they gave expires, and all of that
// when the server refuses us (401). What was good stays while what is new cannot be read.
//
// One loop, one thread. Small files are read on it.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_CREDENTIALS_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_CREDENTIALS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/sources/kubernetes/exec_credential.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"

namespace weft {

// A file that is read again only when it looks different.
class CachedFile {
 public:
  // "" for the path "". An error only if it was never read.
  absl::StatusOr<std::string> Get(const std::string& path);
  void Forget() { signature_.reset(); }

 private:
  using Signature = std::tuple<uint64_t, uint64_t, int64_t, int64_t>;
  std::optional<Signature> signature_;
  std::optional<std::string> text_;
};

class Credentials {
 public:
  // A plugin that is to ask somebody far away; kubectl waits for ever.
  static constexpr absl::Duration kPluginTimeout = absl::Seconds(60);
  // What expires is renewed before, so that it is still good when it arrives.
  static constexpr absl::Duration kRenewBefore = absl::Seconds(30);

  struct Current {
    std::string authorization;  // of the request's header; empty: none
    // Null for plain HTTP. The same object as long as certificates and roots are the same.
    std::shared_ptr<const ClientTlsContext> tls;
  };

  // `loop` must outlive this, and this the tasks of Get().
  Credentials(EventLoop& loop, Kubeconfig config);

  // Errors name the file or the plugin.
  Task<absl::StatusOr<Current>> Get();
  // The server said 401: nothing that is cached counts any more. False if there is nothing that
  // could change, so that asking again is of no use.
  bool OnRefused();

 private:
  Task<absl::Status> RefreshPlugin();
  Task<absl::Status> RunPlugin();
  absl::StatusOr<std::string> Authorization();
  absl::StatusOr<std::shared_ptr<const ClientTlsContext>> Tls();
  absl::StatusOr<std::string> Read(const PemSource& source, CachedFile& file);
  absl::StatusOr<std::string> Roots();

  EventLoop& loop_;
  const Kubeconfig config_;
  CachedFile ca_;
  CachedFile certificate_;
  CachedFile key_;
  CachedFile token_;
  std::string tls_made_of_;
  std::shared_ptr<const ClientTlsContext> tls_;
  std::optional<ExecCredential> plugin_;
  bool plugin_runs_ = false;
  absl::Status plugin_status_;  // of its last run
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_CREDENTIALS_H_
