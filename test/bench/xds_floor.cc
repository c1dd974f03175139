#include "test/bench/xds_floor.h"

#include <deque>

#include "absl/strings/str_cat.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/type_urls.h"

namespace weft {

using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::service::discovery::v3::DiscoveryResponse;

class FloorServer::Stream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
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

int FloorServer::Start() {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  return port;
}

void FloorServer::ChangeEndpoint(int service, uint32_t sequence) {
  const grpc::ByteBuffer bytes = Encode(service, sequence);
  std::lock_guard<std::mutex> lock(mutex_);
  for (Stream* stream : streams_) stream->Send(bytes);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* FloorServer::StreamAggregatedResources(
    grpc::CallbackServerContext*) {
  return new Stream(*this);
}

grpc::ByteBuffer FloorServer::Encode(int service, uint32_t sequence) const {
  ClusterLoadAssignment assignment;
  assignment.set_cluster_name(absl::StrCat("outbound|80||s", service, ".",
                                           BenchNamespace(service, mesh_), ".svc.cluster.local"));
  auto* group = assignment.add_endpoints();
  for (int i = 0; i < mesh_.endpoints; ++i) {
    auto* address = group->add_lb_endpoints()->mutable_endpoint()->mutable_address();
    address->mutable_socket_address()->set_address(i == 0 ? SequenceAddress(sequence)
                                                          : AddressOf(service, i, mesh_));
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

}  // namespace weft
