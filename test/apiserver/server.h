// ApiServer: a Kubernetes API server in a thread, for tests: list, watch, writes with conflicts,
// server-side apply, CRDs, admission by webhooks, and faults on command. Real kubectl can use it;
// so can whatever reads Kubernetes.
//
//   auto server = ApiServer::Start({});
//   (*server)->Put(service);
//   (*server)->AddFault({.kind = Fault::Kind::kGoneEvent, .resource = "services"});
//
// Beside Kubernetes' paths: POST /faults adds a fault (faults.h has the form), GET lists them,
// DELETE removes all; POST /compact forgets the history.
//
// What it lacks: controllers (no pod is run or scheduled, no owner's children are collected),
// schemas of CRDs (nothing is pruned or defaulted), RBAC (who is known may do everything),
// protobuf.
//
// Thread-safe.
#ifndef WEFT_TEST_APISERVER_SERVER_H_
#define WEFT_TEST_APISERVER_SERVER_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/net/address.h"
#include "proxy/tls/tls_context.h"
#include "test/apiserver/failure.h"
#include "test/apiserver/faults.h"
#include "test/apiserver/request.h"

namespace weft::apiserver {

struct ApiServerOptions {
  std::string listen = "127.0.0.1:0";
  std::optional<TlsCertificate> tls;  // nothing: plain HTTP
  std::string client_ca_pem;          // client certificates that are believed
  std::string tokens;                 // lines of TOKEN,NAME,UID[,"GROUPS"]
  // Of webhooks: "NAMESPACE/NAME:PORT" → "HOST:PORT".
  std::map<std::string, std::string> services;
  std::vector<Json> objects;  // there from the start, CRDs before what is of them
  bool mesh_crds = true;      // Istio's kinds, the Gateway API, multi-cluster services
  absl::Duration bookmark_interval = absl::Seconds(60);
};

// What was asked, for tests that count.
struct RequestRecord {
  std::string verb;      // "list", …; "" if it was for no resource
  std::string resource;  // "services"
  std::string target;    // "/api/v1/services?limit=500"
  std::string user;
  int code = 0;
};

class ApiServer {
 public:
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(ApiServerOptions options);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  const Address& address() const;
  // "https://127.0.0.1:40000"
  std::string url() const;

  // Creates or replaces, without admission; the object as it was stored. A resourceVersion must be
  // the present one.
  Result<Json> Put(Json object);
  // `resource` as in a CRD's name: "services", "gateways.networking.istio.io".
  Result<Json> Get(const std::string& resource, const std::string& ns, const std::string& name);
  Result<bool> Delete(const std::string& resource, const std::string& ns, const std::string& name);

  // Each is in force when the call returns.
  uint64_t AddFault(Fault fault);
  void RemoveFault(uint64_t id);
  void ClearFaults();
  // Watches cannot begin, nor lists go on, from any earlier version.
  void Compact();
  void SetHistoryLimit(size_t changes);
  // A token as this server issues them, whether or not there are such an account and pod; for how
  // long, it does not judge. TokenReviews know it.
  std::string IssueToken(const AccountToken& wanted);
  // Where the webhooks' service "NAMESPACE/NAME:PORT" listens.
  void SetService(const std::string& service, const std::string& address);
  // Closes all connections, as a restart does; what is stored stays.
  void DropConnections();

  // The requests so far, in the order in which their answers began.
  std::vector<RequestRecord> requests() const;
  size_t watches() const;  // open ones

 private:
  struct Running;
  explicit ApiServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_SERVER_H_
