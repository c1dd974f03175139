// A cluster's API server (test/apiserver) over TLS with tokens, who may use it, and the weftds that
// run against it.
#ifndef WEFT_TEST_KUBERNETES_CLUSTER_H_
#define WEFT_TEST_KUBERNETES_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "certs/issuer.h"
#include "test/apiserver/server.h"
#include "test/integration/process.h"
#include "test/xds/weftd.h"

namespace weft::test {

class Cluster {
 public:
  explicit Cluster(apiserver::ApiServerOptions options = {});
  ~Cluster();

  apiserver::ApiServer& server() { return *server_; }
  // By which it is reached, as that user.
  std::string Kubeconfig(const std::string& user = "weftd") const;
  // For --registry.
  std::string Registry(const std::string& user = "weftd") const;
  // `flags` are added to what it needs.
  // Its user there is "weftd" or "weftd-2".
  std::unique_ptr<Weftd> StartWeftd(std::vector<std::string> flags = {},
                                    bool wait_until_ready = true,
                                    const std::string& user = "weftd");
  // Where the API server finds the webhooks.
  void SetWebhooks(const Weftd& weftd);

  integration::Result Kubectl(std::vector<std::string> arguments, const std::string& input = "");
  // What it prints; it must succeed.
  std::string Out(std::vector<std::string> arguments, const std::string& input = "");
  // What it complains of; it must fail.
  std::string Refused(std::vector<std::string> arguments, const std::string& input = "");
  // Applies weftd's own webhook configurations.
  void RegisterWebhooks();

 private:
  const certs::Issuer issuer_;
  std::string folder_;
  std::unique_ptr<apiserver::ApiServer> server_;
};

}  // namespace weft::test

#endif  // WEFT_TEST_KUBERNETES_CLUSTER_H_
