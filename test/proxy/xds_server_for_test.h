// A control plane on libgrpc for tests of the running proxy: holds resources as JSON or YAML texts
// and serves them by ADS in both forms, as the protocol wants it: state of the world in full,
// deltas by what each stream holds. Keeps what clients said.
#ifndef WEFT_TEST_PROXY_XDS_SERVER_FOR_TEST_H_
#define WEFT_TEST_PROXY_XDS_SERVER_FOR_TEST_H_

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/type_urls.h"
#include "proxy/grpc/grpc_server_for_test.h"

namespace weft::test {

class XdsServerForTest : public envoy::service::discovery::v3::AggregatedDiscoveryService::Service {
 public:
  explicit XdsServerForTest(int port = 0);
  ~XdsServerForTest() override { Stop(); }

  int port() const { return port_; }
  // Ends all streams; Start() serves again, on the same port.
  void Stop();
  void Start();

  // `yaml` is the resource without its "@type".
  void Set(absl::string_view type_url, const std::string& name, const std::string& yaml);
  // A resource of these very bytes.
  void SetBytes(absl::string_view type_url, const std::string& name, std::string bytes);
  void Remove(absl::string_view type_url, const std::string& name);

  // The error_details of NACKs so far.
  std::vector<std::string> nacks() const;
  // initial_resource_versions of the last first delta request for a type: names.
  std::set<std::string> initial(absl::string_view type_url) const;
  // Requests that carried a node, and all.
  int requests_with_node() const;
  int requests() const;
  int streams() const;

 private:
  struct Held {
    std::string bytes;
    int version = 0;
  };
  using Type = std::map<std::string, Held>;
  struct Asked {
    bool all = false;
    std::set<std::string> names;
    std::map<std::string, int> sent;  // versions
    int sent_version = -1;            // state of the world: of the last response
    bool dirty = true;
  };

  template <typename Stream, typename Request, typename Response>
  grpc::Status Serve(grpc::ServerContext* context, Stream* stream);
  void Take(const envoy::service::discovery::v3::DiscoveryRequest& request,
            std::map<std::string, Asked>& asked);
  void Take(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request,
            std::map<std::string, Asked>& asked);
  bool Fill(const std::string& type_url, Asked& asked,
            envoy::service::discovery::v3::DiscoveryResponse& response);
  bool Fill(const std::string& type_url, Asked& asked,
            envoy::service::discovery::v3::DeltaDiscoveryResponse& response);

  grpc::Status StreamAggregatedResources(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<envoy::service::discovery::v3::DiscoveryResponse,
                               envoy::service::discovery::v3::DiscoveryRequest>* stream) override;
  grpc::Status DeltaAggregatedResources(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<envoy::service::discovery::v3::DeltaDiscoveryResponse,
                               envoy::service::discovery::v3::DeltaDiscoveryRequest>* stream)
      override;

  int port_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Type> types_;
  int version_ = 0;
  int nonce_ = 0;
  bool stopping_ = false;
  std::vector<std::string> nacks_;
  std::map<std::string, std::set<std::string>> initial_;
  int requests_ = 0;
  int requests_with_node_ = 0;
  int streams_ = 0;
  std::unique_ptr<GrpcServerForTest> server_;
};

}  // namespace weft::test

#endif  // WEFT_TEST_PROXY_XDS_SERVER_FOR_TEST_H_
