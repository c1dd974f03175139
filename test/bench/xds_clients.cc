// Many proxies' xDS streams on one thread: the proxy's own client, a connection each, which keeps
// nothing but the names of what it was sent.
//
//   xds_clients PORT CLIENTS SERVICES NAMESPACES sotw|delta|floor endpoints|routes
//
// prints "warm NANOSECONDS" (monotonic) when all have the assignments of all services of their
// namespace, or the routes (floor: are connected); on "report", "SEQUENCE NANOSECONDS" for each
// delivery of a change, see xds_server.cc, then for each namespace "came MESSAGES BYTES" since
// warm, and "end".
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/envoy/core.pb.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/xds/ads_client.h"
#include "test/bench/xds_mesh.h"

namespace weft {
namespace {

struct Totals {
  BenchMesh mesh;
  size_t clients = 0;
  std::string form;
  bool routes = false;
  size_t warm = 0;
  Moments deliveries;
  struct Came {
    uint64_t messages = 0;
    uint64_t bytes = 0;
  };
  std::vector<Came> came;  // since warm, by namespace

  void OneWarm() {
    if (++warm != clients) return;
    came.assign(came.size(), {});
    printf("warm %lld\n", static_cast<long long>(NowNanoseconds()));
    fflush(stdout);
  }
};

// The sequence in an assignment: the address 203.x.y.z; 0 if there is none.
uint32_t SequenceIn(const std::string& bytes) {
  const size_t at = bytes.find("203.");
  unsigned a = 0, b = 0, c = 0;
  if (at == std::string::npos || sscanf(bytes.c_str() + at, "203.%u.%u.%u", &a, &b, &c) != 3) {
    return 0;
  }
  return a << 16 | b << 8 | c;
}

class Client : public AdsObserver {
 public:
  Client(EventLoop& loop, int port, int number, Totals& totals)
      : totals_(totals),
        came_(totals.came[static_cast<size_t>(number) % totals.came.size()]),
        expected_(ExpectedBy(number, totals.mesh)),
        client_(loop, With(loop, port, number, totals), this) {
    if (totals.routes) {
      client_.Subscribe(kRouteType, Subscription::Scope::kNamed);
      client_.SetNames(kRouteType, {"80"});
    } else {
      client_.Subscribe(kClusterType, Subscription::Scope::kAll);
      client_.Subscribe(kEndpointType, Subscription::Scope::kNamed);
      if (floor()) client_.SetNames(kEndpointType, {"any"});
    }
    running_.Spawn(client_.Run());
  }

  void OnStream(const absl::Status& status) override {
    if (status.ok() && floor()) NowWarm();
  }

  absl::Status OnResources(const ResourceUpdate& update) override {
    const int64_t now = NowNanoseconds();
    ++came_.messages;
    for (const auto& resource : update.sent) came_.bytes += resource.bytes.size();
    if (update.type_url == kClusterType) {
      TakeClusters(update);
      return absl::OkStatus();
    }
    for (const auto& resource : update.sent) {
      if (const uint32_t sequence = SequenceIn(resource.bytes)) {
        totals_.deliveries.emplace_back(sequence, now);
      }
    }
    received_ += update.sent.size();
    if (totals_.routes || received_ >= expected_) NowWarm();
    return absl::OkStatus();
  }

 private:
  bool floor() const { return totals_.form == "floor"; }

  static size_t ExpectedBy(int number, const BenchMesh& mesh) {
    const int in_namespace = number % mesh.namespaces;
    return static_cast<size_t>((mesh.services - in_namespace + mesh.namespaces - 1) /
                               mesh.namespaces);
  }

  void NowWarm() {
    if (!std::exchange(warm_, true)) totals_.OneWarm();
  }

  // A client asks for endpoints of all clusters it has; they stay the same.
  void TakeClusters(const ResourceUpdate& update) {
    if (update.sent.empty()) return;
    std::vector<std::string> names;
    for (const auto& resource : update.sent) {
      if (resource.name.starts_with("outbound|")) names.push_back(resource.name);
    }
    client_.SetNames(kEndpointType, std::move(names));
  }

  static AdsClient::Options With(EventLoop& loop, int port, int number, const Totals& totals) {
    const std::string ns = BenchNamespace(number, totals.mesh);
    envoy::config::core::v3::Node node;
    node.set_id(absl::StrCat("sidecar~10.200.", number >> 8, ".", number & 255, "~p.", ns, "~", ns,
                             ".svc.cluster.local"));
    AdsClient::Options options;
    options.node = node.SerializeAsString();
    options.seed = static_cast<uint64_t>(number);
    if (totals.form == "delta") options.form = Subscription::Form::kDelta;
    options.connect = [&loop, port] { return Dial(loop, port); };
    return options;
  }
  static Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Dial(EventLoop& loop, int port) {
    ConnectOptions options;
    options.deadline = loop.Now() + absl::Seconds(10);
    auto stream = co_await Connect(loop, *Address::Ip("127.0.0.1", port), options);
    if (!stream.ok()) co_return stream.status();
    co_return std::unique_ptr<ByteStream>(*std::move(stream));
  }

  Totals& totals_;
  Totals::Came& came_;
  const size_t expected_;
  bool warm_ = false;
  size_t received_ = 0;
  AdsClient client_;
  Scope running_;
};

// Waits for the line "report" on a thread, so that the loop need not watch standard input.
void ReportWhenAsked(EventLoop& loop, const Totals& totals) {
  char line[64];
  while (fgets(line, sizeof(line), stdin) != nullptr) {
    loop.Post([&totals] {
      for (const auto& [sequence, at] : totals.deliveries) {
        printf("%u %lld\n", sequence, static_cast<long long>(at));
      }
      for (const auto& came : totals.came) {
        printf("came %llu %llu\n", static_cast<unsigned long long>(came.messages),
               static_cast<unsigned long long>(came.bytes));
      }
      printf("end\n");
      fflush(stdout);
    });
  }
  _exit(0);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 7) return 64;
  const int port = atoi(argv[1]);
  weft::Totals totals;
  totals.clients = static_cast<size_t>(atoi(argv[2]));
  totals.mesh.services = atoi(argv[3]);
  totals.mesh.namespaces = atoi(argv[4]);
  totals.came.resize(static_cast<size_t>(totals.mesh.namespaces));
  totals.form = argv[5];
  totals.routes = argv[6] == std::string("routes");
  weft::EventLoop loop;
  std::vector<std::unique_ptr<weft::Client>> clients;
  for (size_t i = 0; i < totals.clients; ++i) {
    clients.push_back(std::make_unique<weft::Client>(loop, port, static_cast<int>(i), totals));
  }
  std::thread asking([&] { weft::ReportWhenAsked(loop, totals); });
  loop.Run();
}
