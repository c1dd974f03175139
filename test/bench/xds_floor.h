// The floor of xds_bench: the least a gRPC server in C++ can do with a changed assignment.
#ifndef WEFT_TEST_BENCH_XDS_FLOOR_H_
#define WEFT_TEST_BENCH_XDS_FLOOR_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>

#include "api/envoy/discovery.grpc.pb.h"
#include "test/bench/xds_mesh.h"

namespace weft {

// Encodes the assignment once, and writes it to each stream that has asked for anything.
class FloorServer
    : public envoy::service::discovery::v3::AggregatedDiscoveryService::
          WithRawCallbackMethod_StreamAggregatedResources<
              envoy::service::discovery::v3::AggregatedDiscoveryService::Service> {
 public:
  explicit FloorServer(const BenchMesh& mesh) : mesh_(mesh) {}
  int Start();  // the port
  void ChangeEndpoint(int service, uint32_t sequence);

 private:
  class Stream;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamAggregatedResources(
      grpc::CallbackServerContext*) override;
  grpc::ByteBuffer Encode(int service, uint32_t sequence) const;

  const BenchMesh mesh_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::set<Stream*> streams_;
};

}  // namespace weft

#endif  // WEFT_TEST_BENCH_XDS_FLOOR_H_
