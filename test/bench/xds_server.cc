// A server of discovery to be measured, with a mesh that is made up: weftd's own parts from the
// Registry to the wire, or, as the floor, nothing but a copy of one changed assignment to every
// stream.
//
//   xds_server weftd|floor SERVICES ENDPOINTS-OF-EACH
//
// prints its port; then reads lines: "change SERVICE SEQUENCE" replaces an endpoint's address by
// 203.x.y.z, which is the sequence; "report" prints "SEQUENCE NANOSECONDS" of each change, by the
// monotonic clock, and "end". A change counts from where a source hands an object over.
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>
#include <time.h>

#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/type_urls.h"
#include "controlplane/ads/ads_service.h"
#include "controlplane/federation/merge.h"
#include "controlplane/model/registry.h"
#include "controlplane/translations.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/base/log.h"
#include "proxy/runtime/event_loop.h"

namespace weft {
namespace {

using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

int64_t NowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

std::string SequenceAddress(uint32_t sequence) {
  return absl::StrCat("203.", sequence >> 16 & 255, ".", sequence >> 8 & 255, ".", sequence & 255);
}

std::string AddressOf(int service, int endpoint, int endpoints) {
  const int n = service * endpoints + endpoint;
  return absl::StrCat("10.", n >> 16 & 255, ".", n >> 8 & 255, ".", n & 255);
}

std::string SliceYaml(int service, int endpoints, uint32_t sequence) {
  std::string yaml = absl::StrCat(
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s", service,
      "-1, namespace: default, labels: {kubernetes.io/service-name: s", service,
      "}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints:\n");
  for (int i = 0; i < endpoints; ++i) {
    const bool changed = i == 0 && sequence > 0;
    absl::StrAppend(&yaml, "- {addresses: [",
                    changed ? SequenceAddress(sequence) : AddressOf(service, i, endpoints),
                    "], conditions: {ready: true}}\n");
  }
  return yaml;
}

std::string ServiceYaml(int service) {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: s", service,
                      ", namespace: default}\nspec: {clusterIP: 10.96.", service >> 8, ".",
                      service & 255, ", ports: [{name: http, port: 80}]}\n---\n");
}

std::vector<ObjectDelta> Parse(const std::string& yaml) {
  std::vector<ObjectDelta> deltas;
  for (const auto& object : ParseObjects(yaml, "bench").objects) {
    deltas.push_back({object->key, object});
  }
  return deltas;
}

class Server {
 public:
  virtual ~Server() = default;
  virtual int Start() = 0;  // the port
  virtual void Change(int service, uint32_t sequence) = 0;

  std::vector<std::pair<uint32_t, int64_t>> changes;
};

// What weftd does, but for the source and the ports.
class WeftdServer : public Server {
 public:
  WeftdServer(int services, int endpoints) : endpoints_(endpoints) {
    auto self = std::make_shared<ClusterIdentity>();
    self->cluster = "bench";
    self->trust_domain = "bench.weft";
    registry_ = std::make_unique<Registry>(self, ExportPolicy::kAll);
    for (int i = 0; i < services; ++i) {
      registry_->Apply(Parse(absl::StrCat(ServiceYaml(i), SliceYaml(i, endpoints, 0))));
    }
    ads_ = std::make_unique<AdsService>(
        loop_, metrics_, [this](const std::shared_ptr<const World>& world, const ProxyView& view) {
          return translations_.Of(world, view);
        });
    Publish();
  }
  int Start() override {
    ads_->AddTo(services_);
    port_ = *GrpcPort::Listen(loop_, *Address::Parse("127.0.0.1:0"), services_, {});
    thread_ = std::thread([this] { loop_.Run(); });
    return port_->address().port();
  }

  void Change(int service, uint32_t sequence) override {
    auto deltas =
        std::make_shared<std::vector<ObjectDelta>>(Parse(SliceYaml(service, endpoints_, sequence)));
    changes.emplace_back(sequence, NowNanoseconds());
    loop_.Post([this, deltas] {
      registry_->Apply(*deltas);
      Publish();
    });
  }

 private:
  void Publish() {
    auto world =
        std::make_shared<const World>(MergeWorld(registry_->BuildLocal(), {}, world_.get()).world);
    world_ = world;
    ads_->Publish(world);
  }

  const int endpoints_;
  EventLoop loop_;
  Metrics metrics_;
  Translations translations_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<AdsService> ads_;
  GrpcServices services_;
  std::unique_ptr<GrpcPort> port_;
  std::shared_ptr<const World> world_;
  std::thread thread_;
};

// The least a gRPC server in C++ can do: it encodes the changed assignment once, and writes it to
// each stream that has asked for anything.
class FloorServer
    : public Server,
      public AggregatedDiscoveryService::WithRawCallbackMethod_StreamAggregatedResources<
          AggregatedDiscoveryService::Service> {
 public:
  int Start() override {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    return port;
  }

  void Change(int service, uint32_t sequence) override {
    changes.emplace_back(sequence, NowNanoseconds());
    const grpc::ByteBuffer bytes = Encode(service, sequence);
    std::lock_guard<std::mutex> lock(mutex_);
    for (Stream* stream : streams_) stream->Send(bytes);
  }
  explicit FloorServer(int endpoints) : endpoints_(endpoints) {}

 private:
  class Stream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    explicit Stream(FloorServer& server) : server_(server) {
      std::lock_guard<std::mutex> lock(server_.mutex_);
      server_.streams_.insert(this);
      StartRead(&incoming_);
    }
    void Send(const grpc::ByteBuffer& bytes) {
      std::lock_guard<std::mutex> lock(mutex_);
      outgoing_.push_back(bytes);
      if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
    }
    void OnReadDone(bool ok) override {
      if (ok) return StartRead(&incoming_);
      std::lock_guard<std::mutex> lock(server_.mutex_);
      server_.streams_.erase(this);
      Finish(grpc::Status::OK);
    }
    void OnWriteDone(bool ok) override {
      std::lock_guard<std::mutex> lock(mutex_);
      outgoing_.pop_front();
      if (ok && !outgoing_.empty()) StartWrite(&outgoing_.front());
    }
    void OnDone() override { delete this; }

   private:
    FloorServer& server_;
    grpc::ByteBuffer incoming_;
    std::mutex mutex_;
    std::deque<grpc::ByteBuffer> outgoing_;
  };

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamAggregatedResources(
      grpc::CallbackServerContext*) override {
    return new Stream(*this);
  }

  grpc::ByteBuffer Encode(int service, uint32_t sequence) const {
    ClusterLoadAssignment assignment;
    assignment.set_cluster_name(
        absl::StrCat("outbound|80||s", service, ".default.svc.cluster.local"));
    auto* group = assignment.add_endpoints();
    for (int i = 0; i < endpoints_; ++i) {
      auto* address = group->add_lb_endpoints()->mutable_endpoint()->mutable_address();
      address->mutable_socket_address()->set_address(i == 0 ? SequenceAddress(sequence)
                                                            : AddressOf(service, i, endpoints_));
      address->mutable_socket_address()->set_port_value(8080);
    }
    DiscoveryResponse response;
    response.set_type_url(std::string(kEndpointType));
    response.set_version_info(absl::StrCat(sequence));
    response.set_nonce(absl::StrCat(sequence));
    response.add_resources()->PackFrom(assignment);
    const grpc::Slice slice(response.SerializeAsString());
    return grpc::ByteBuffer(&slice, 1);
  }

  const int endpoints_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::set<Stream*> streams_;
};

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  weft::SetLogLevel(weft::LogLevel::kError);
  const int services = atoi(argv[2]);
  const int endpoints = atoi(argv[3]);
  std::unique_ptr<weft::Server> server;
  if (std::string(argv[1]) == "floor") {
    server = std::make_unique<weft::FloorServer>(endpoints);
  } else {
    server = std::make_unique<weft::WeftdServer>(services, endpoints);
  }
  std::cout << server->Start() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::string verb;
    int service = 0;
    uint32_t sequence = 0;
    std::istringstream(line) >> verb >> service >> sequence;
    if (verb == "change") {
      server->Change(service, sequence);
    } else {
      for (const auto& [number, at] : server->changes) std::cout << number << " " << at << "\n";
      std::cout << "end" << std::endl;
    }
  }
  _exit(0);  // threads of gRPC and of the loop end with the process
}
