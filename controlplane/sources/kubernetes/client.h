// KubernetesClient: requests to one API server over HTTP/1.1, on the loop.
//
// Connections are kept and used again; each watch has one of its own for as long as it lasts. A 401
// renews the credentials and asks once more. Bodies come compressed where the server likes that.
// One loop, one thread. Must outlive its responses and the tasks of its calls.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_CLIENT_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/sources/kubernetes/credentials.h"
#include "controlplane/sources/kubernetes/gunzip.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"
#include "proxy/dns/resolver.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/stream/h1_client_stream.h"

namespace weft {

class KubernetesClient;

struct KubernetesRequest {
  std::string method = "GET";
  std::string path;  // below the server's own, with the query
  std::string body;
  std::string content_type;  // of the body; "application/merge-patch+json", …
  // It changes nothing, whatever its method: it is sent once more where the server closed an idle
  // connection just then. Of GET that is known.
  bool repeatable = false;
};

// One response on its way. Read to its end, its connection is used again; else that is closed.
class KubernetesResponse {
 public:
  ~KubernetesResponse();
  KubernetesResponse(const KubernetesResponse&) = delete;
  KubernetesResponse& operator=(const KubernetesResponse&) = delete;

  int status() const { return status_; }
  // Zero where the server did not say, or gave a date.
  absl::Duration retry_after() const { return retry_after_; }

  // The next piece of the body, decompressed; empty at its end. Errors: DeadlineExceeded, or
  // Unavailable with the reason.
  Task<absl::StatusOr<std::string>> Read(MonotonicTime deadline);

 private:
  friend class KubernetesClient;
  struct Connection;
  KubernetesResponse(KubernetesClient& client, std::unique_ptr<Connection> connection);
  absl::Status ReadHead();

  KubernetesClient& client_;
  std::unique_ptr<Connection> connection_;
  int status_ = 0;
  absl::Duration retry_after_;
  std::unique_ptr<Gunzip> gunzip_;
};

class KubernetesClient {
 public:
  // A dead address must not cost the others their turn.
  static constexpr absl::Duration kDialTimeout = absl::Seconds(5);
  // What waits between two pages, or two calls, of all that is going on.
  static constexpr size_t kMostIdle = 8;
  // Of an answer that is held whole. Lists and watches are not.
  static constexpr size_t kMaxAnswer = 16 << 20;

  KubernetesClient(EventLoop& loop, Kubeconfig config);
  ~KubernetesClient();
  KubernetesClient(const KubernetesClient&) = delete;
  KubernetesClient& operator=(const KubernetesClient&) = delete;

  const Kubeconfig& config() const { return config_; }

  // Done when the response's head is there.
  Task<absl::StatusOr<std::unique_ptr<KubernetesResponse>>> Send(KubernetesRequest request,
                                                                 MonotonicTime deadline);

  struct Answer {
    int status = 0;
    absl::Duration retry_after;
    std::string body;
  };
  // The same with the whole body.
  Task<absl::StatusOr<Answer>> Call(KubernetesRequest request, MonotonicTime deadline);

 private:
  friend class KubernetesResponse;
  using Connection = KubernetesResponse::Connection;
  using Response = std::unique_ptr<KubernetesResponse>;

  Task<absl::StatusOr<Response>> SendWith(const KubernetesRequest& request,
                                          const Credentials::Current& credentials,
                                          MonotonicTime deadline);
  Task<absl::StatusOr<Response>> Exchange(const KubernetesRequest& request,
                                          const Credentials::Current& credentials,
                                          std::unique_ptr<Connection> connection,
                                          MonotonicTime deadline);
  Task<absl::StatusOr<std::unique_ptr<Connection>>> Dial(
      std::shared_ptr<const ClientTlsContext> tls, MonotonicTime deadline);
  Task<absl::StatusOr<std::unique_ptr<ByteStream>>> DialAddress(
      Address address, std::shared_ptr<const ClientTlsContext> tls, MonotonicTime deadline);
  Task<absl::StatusOr<std::vector<Address>>> Addresses();
  RequestHead HeadOf(const KubernetesRequest& request,
                     const Credentials::Current& credentials) const;
  std::unique_ptr<Connection> TakeIdle(const std::shared_ptr<const ClientTlsContext>& tls);
  void GiveBack(std::unique_ptr<Connection> connection);

  EventLoop& loop_;
  const Kubeconfig config_;
  Credentials credentials_;
  dns::Resolver resolver_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_CLIENT_H_
