// A server of discovery to be measured, with a mesh that is made up (xds_mesh.h): weftd's own parts
// from the Registry to the wire, or, as the floor, nothing but a copy of one changed assignment to
// every stream.
//
//   xds_server weftd|floor SERVICES ENDPOINTS-OF-EACH NAMESPACES
//
// prints its port; then reads lines:
//   endpoint SERVICE SEQUENCE   replaces an endpoint's address by the sequence
//   route SERVICE SEQUENCE      replaces the service's VirtualService
//   restart SERVICE SEQUENCE    ends all connections, changes an endpoint, and listens again
//   report                      "SEQUENCE NANOSECONDS" of each change, and "end"
// A change counts from where a source hands an object over.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/ads/ads_service.h"
#include "controlplane/translations.h"
#include "controlplane/transport/grpc_port.h"
#include "controlplane/world_maker.h"
#include "proxy/base/log.h"
#include "proxy/runtime/event_loop.h"
#include "test/bench/xds_floor.h"
#include "test/bench/xds_mesh.h"

namespace weft {
namespace {

std::vector<ObjectDelta> Parse(const std::string& yaml) {
  std::vector<ObjectDelta> deltas;
  for (const auto& object : ParseObjects(yaml, "bench").objects) {
    deltas.push_back({object->key, object});
  }
  return deltas;
}

// What weftd does, but for the source and the ports.
class WeftdServer {
 public:
  explicit WeftdServer(const BenchMesh& mesh) : mesh_(mesh) {
    auto self = std::make_shared<ClusterIdentity>();
    self->cluster = "bench";
    self->trust_domain = "bench.weft";
    maker_ = std::make_unique<WorldMaker>(self, ExportPolicy::kAll);
    for (int i = 0; i < mesh.services; ++i) {
      maker_->Apply(Parse(ServiceYaml(i, mesh) + SliceYaml(i, 0, mesh)));
    }
    for (int i = 0; mesh.namespaces > 1 && i < mesh.namespaces; ++i) {
      maker_->Apply(Parse(SidecarYaml(i)));
    }
    ads_ = std::make_unique<AdsService>(
        loop_, metrics_, [this](const std::shared_ptr<const World>& world, const ProxyView& view) {
          return translations_.Of(world, view);
        });
    Publish();
  }

  int Start() {
    ads_->AddTo(services_);
    Listen();
    thread_ = std::thread([this] { loop_.Run(); });
    return port_->address().port();
  }

  void Change(std::vector<ObjectDelta> deltas) {
    loop_.Post([this, deltas = std::move(deltas)] {
      maker_->Apply(deltas);
      Publish();
    });
  }

  void Restart() {
    loop_.Post([this] {
      port_.reset();
      Listen();
    });
  }

 private:
  void Listen() {
    port_ = *GrpcPort::Listen(loop_, at_, services_, {});
    at_ = port_->address();
  }
  void Publish() {
    if (const auto made = maker_->Make()) ads_->Publish(made->world);
  }

  const BenchMesh mesh_;
  EventLoop loop_;
  Metrics metrics_;
  Translations translations_;
  std::unique_ptr<WorldMaker> maker_;
  std::unique_ptr<AdsService> ads_;
  GrpcServices services_;
  Address at_ = *Address::Parse("127.0.0.1:0");
  std::unique_ptr<GrpcPort> port_;
  std::thread thread_;
};

int Run(const std::string& kind, const BenchMesh& mesh) {
  std::unique_ptr<FloorServer> floor;
  std::unique_ptr<WeftdServer> weftd;
  if (kind == "floor") {
    floor = std::make_unique<FloorServer>(mesh);
  } else {
    weftd = std::make_unique<WeftdServer>(mesh);
  }
  std::cout << (floor != nullptr ? floor->Start() : weftd->Start()) << std::endl;
  Moments changes;
  for (std::string line; std::getline(std::cin, line);) {
    std::string verb;
    int service = 0;
    uint32_t sequence = 0;
    std::istringstream(line) >> verb >> service >> sequence;
    if (verb == "report") {
      for (const auto& [number, at] : changes) std::cout << number << " " << at << "\n";
      std::cout << "end" << std::endl;
      continue;
    }
    auto deltas = Parse(verb == "route" ? VirtualServiceYaml(service, sequence, mesh)
                                        : SliceYaml(service, sequence, mesh));
    changes.emplace_back(sequence, NowNanoseconds());
    if (floor != nullptr) {
      floor->ChangeEndpoint(service, sequence);
      continue;
    }
    if (verb == "restart") weftd->Restart();
    weftd->Change(std::move(deltas));
  }
  _exit(0);  // threads of gRPC and of the loop end with the process
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  weft::SetLogLevel(weft::LogLevel::kError);
  return weft::Run(argv[1], {atoi(argv[2]), atoi(argv[3]), atoi(argv[4])});
}
