// Many proxies' xDS streams on one thread: the proxy's own client, a connection each, which keeps
// nothing but the names of what it was sent.
//
//   xds_clients PORT CLIENTS SERVICES sotw|delta|floor
//
// prints "warm NANOSECONDS" (monotonic) when all have the assignments of all services (floor: are
// connected); on "report", "SEQUENCE NANOSECONDS" for each delivery of a change, see xds_server.cc,
// then "bytes N" of all that came since warm, and "end".
#include <time.h>
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

namespace weft {
namespace {

int64_t NowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

struct Totals {
  size_t clients = 0;
  size_t services = 0;
  size_t warm = 0;
  std::vector<std::pair<uint32_t, int64_t>> deliveries;
  uint64_t bytes = 0;

  void OneWarm() {
    if (++warm != clients) return;
    bytes = 0;
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
  Client(EventLoop& loop, int port, int number, const std::string& form, Totals& totals)
      : totals_(totals),
        floor_(form == "floor"),
        client_(loop, With(loop, port, number, form), this) {
    client_.Subscribe(kClusterType, Subscription::Scope::kAll);
    client_.Subscribe(kEndpointType, Subscription::Scope::kNamed);
    if (floor_) client_.SetNames(kEndpointType, {"any"});
    running_.Spawn(client_.Run());
  }

  void OnStream(const absl::Status& status) override {
    if (!status.ok()) fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    if (status.ok() && floor_ && !warm_) {
      warm_ = true;
      totals_.OneWarm();
    }
  }

  absl::Status OnResources(const ResourceUpdate& update) override {
    const int64_t now = NowNanoseconds();
    for (const auto& resource : update.sent) totals_.bytes += resource.bytes.size();
    if (update.type_url == kClusterType) {
      std::vector<std::string> names;
      for (const auto& resource : update.sent) {
        if (resource.name.starts_with("outbound|")) names.push_back(resource.name);
      }
      client_.SetNames(kEndpointType, std::move(names));
      return absl::OkStatus();
    }
    for (const auto& resource : update.sent) {
      if (const uint32_t sequence = SequenceIn(resource.bytes)) {
        totals_.deliveries.emplace_back(sequence, now);
      }
    }
    assignments_ += update.sent.size();
    if (!warm_ && assignments_ >= totals_.services) {
      warm_ = true;
      totals_.OneWarm();
    }
    return absl::OkStatus();
  }

 private:
  static AdsClient::Options With(EventLoop& loop, int port, int number, const std::string& form) {
    envoy::config::core::v3::Node node;
    node.set_id(absl::StrCat("sidecar~10.200.", number >> 8, ".", number & 255,
                             "~p.default~default.svc.cluster.local"));
    AdsClient::Options options;
    options.node = node.SerializeAsString();
    if (form == "delta") options.form = Subscription::Form::kDelta;
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
  const bool floor_;
  bool warm_ = false;
  size_t assignments_ = 0;
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
      printf("bytes %llu\nend\n", static_cast<unsigned long long>(totals.bytes));
      fflush(stdout);
    });
  }
  _exit(0);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  const int port = atoi(argv[1]);
  weft::Totals totals;
  totals.clients = static_cast<size_t>(atoi(argv[2]));
  totals.services = static_cast<size_t>(atoi(argv[3]));
  weft::EventLoop loop;
  std::vector<std::unique_ptr<weft::Client>> clients;
  for (size_t i = 0; i < totals.clients; ++i) {
    clients.push_back(
        std::make_unique<weft::Client>(loop, port, static_cast<int>(i), argv[4], totals));
  }
  std::thread asking([&] { weft::ReportWhenAsked(loop, totals); });
  loop.Run();
}
