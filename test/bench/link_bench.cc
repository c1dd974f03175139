// A change of an endpoint on its way from one cluster to the proxies of another: two whole weftds
// in this process, a link through gateways on loopback, and one proxy's xDS client at the far end.
//
//   link_bench [SERVICES [CHANGES]]
//
// A change counts from where the file of an EndpointSlice takes its place to where the client has
// the new assignment. Each service changes once: one that flaps is held back on purpose.
#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/core.pb.h"
#include "controlplane/control_plane.h"
#include "controlplane/federation/gateway_for_test.h"
#include "controlplane/federation/peer_folder.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/xds/ads_client.h"

namespace weft {
namespace {

constexpr absl::Duration kBetweenChanges = absl::Milliseconds(53);  // at no rhythm of ours
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr double kTargetMs = 100;

// In its place at once, as editors and deployments do it.
void Place(const std::string& path, const std::string& text) {
  std::ofstream(path + ".tmp") << text;
  std::filesystem::rename(path + ".tmp", path);
}

std::string PodYaml(int number) {
  return absl::StrCat("---\napiVersion: v1\nkind: Pod\nmetadata: {name: p", number,
                      ", namespace: default, annotations: {sidecar.istio.io/status: '{}'}}\n"
                      "spec: {serviceAccountName: app}\nstatus: {podIP: 10.1.0.",
                      number, ", phase: Running}\n");
}

std::string ServiceYaml(int number) {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: s", number,
                      ", namespace: default}\nspec: {clusterIP: 10.96.", number >> 8, ".",
                      number & 255, ", ports: [{name: http, port: 80}]}\n");
}

std::string SliceYaml(int service, int pods) {
  std::string yaml = absl::StrCat(
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s", service,
      "-1, namespace: default, labels: {kubernetes.io/service-name: s", service,
      "}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints:\n");
  for (int pod = 1; pod <= pods; ++pod) {
    absl::StrAppend(&yaml, "- {addresses: [10.1.0.", pod, "], targetRef: {kind: Pod, name: p", pod,
                    "}, conditions: {ready: true}}\n");
  }
  return yaml;
}

// A weftd, and the gateway in front of it.
class Cluster {
 public:
  Cluster(EventLoop& loop, const std::string& folder, const std::string& name)
      : folder_(absl::StrCat(folder, "/", name)), gateway_(loop) {
    std::filesystem::create_directories(folder_ + "/registry");
    std::filesystem::create_directories(folder_ + "/peers");
    options_.self.cluster = name;
    options_.self.network = name + "-net";
    options_.self.trust_domain = name + ".weft";
    options_.exports = ExportPolicy::kAll;
    options_.registry_folders = {folder_ + "/registry"};
    options_.data_folder = folder_ + "/data";
    options_.peers_folder = folder_ + "/peers";
    options_.token_key = std::string(32, 'k');
    options_.gateways = {gateway_.address()};
    options_.xds = options_.xds_plain = options_.peer = options_.monitoring =
        *Address::Ip("127.0.0.1", 0);
  }

  void Write(const std::string& file, const std::string& text) const {
    Place(absl::StrCat(folder_, "/registry/", file), text);
  }

  absl::Status Start() {
    auto started = ControlPlane::Start(options_);
    if (!started.ok()) return started.status();
    weftd_ = *std::move(started);
    gateway_.LeadTo(weftd_->peer());
    return absl::OkStatus();
  }

  void LinkWith(const Cluster& other) const {
    Peer peer;
    peer.cluster = other.options_.self.cluster;
    peer.network = other.options_.self.network;
    peer.trust_domain = other.options_.self.trust_domain;
    peer.gateways = other.options_.gateways;
    peer.roots_pem = other.weftd_->roots_pem();
    Place(absl::StrCat(folder_, "/peers/", peer.cluster, ".yaml"), FormatPeer(peer));
  }

  Address xds() const { return weftd_->xds_plain(); }
  size_t passed() const { return gateway_.passed(); }

 private:
  const std::string folder_;
  GatewayForTest gateway_;
  ControlPlaneOptions options_;
  std::unique_ptr<ControlPlane> weftd_;
};

// A proxy that follows the endpoints of some services.
class Client : public AdsObserver {
 public:
  Client(EventLoop& loop, Address weftd, std::vector<std::string> clusters)
      : loop_(loop), client_(loop, With(loop, std::move(weftd)), this) {
    client_.Subscribe(kEndpointType, Subscription::Scope::kNamed);
    client_.SetNames(kEndpointType, std::move(clusters));
    running_.Spawn(client_.Run());
  }

  absl::Status OnResources(const ResourceUpdate& update) override {
    for (const auto& resource : update.sent) {
      auto& [bytes, at] = last_[resource.name];
      if (bytes == resource.bytes) continue;
      bytes = resource.bytes;
      at = loop_.Now();
    }
    return absl::OkStatus();
  }

  // When the cluster's endpoints came that it has now; none that are empty.
  MonotonicTime Last(const std::string& cluster) const {
    const auto found = last_.find(cluster);
    const bool any = found != last_.end() && absl::StrContains(found->second.bytes, "127.0.0.1");
    return any ? found->second.at : MonotonicTime();
  }

 private:
  struct Had {
    std::string bytes;
    MonotonicTime at;
  };

  static AdsClient::Options With(EventLoop& loop, Address weftd) {
    envoy::config::core::v3::Node node;
    node.set_id("sidecar~10.200.0.1~p.default~default.svc.cluster.local");
    AdsClient::Options options;
    options.node = node.SerializeAsString();
    options.form = Subscription::Form::kDelta;
    options.connect = [&loop, weftd] { return Dial(loop, weftd); };
    return options;
  }
  static Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Dial(EventLoop& loop, Address weftd) {
    ConnectOptions options;
    options.deadline = loop.Now() + absl::Seconds(10);
    auto stream = co_await Connect(loop, weftd, options);
    if (!stream.ok()) co_return stream.status();
    co_return std::unique_ptr<ByteStream>(*std::move(stream));
  }

  EventLoop& loop_;
  std::map<std::string, Had> last_;
  AdsClient client_;
  Scope running_;
};

std::string ClusterOf(int service) {
  return absl::StrCat("outbound|80||s", service, ".default.svc.cluster.local");
}

// Runs the loop until `done`; false if that takes too long.
template <typename Done>
bool RunUntil(EventLoop& loop, Done done) {
  const MonotonicTime end = loop.Now() + kPatience;
  while (!done()) {
    if (loop.Now() > end) return false;
    loop.RunOnce(absl::Milliseconds(1));
  }
  return true;
}

void RunFor(EventLoop& loop, absl::Duration time) {
  const MonotonicTime end = loop.Now() + time;
  while (loop.Now() < end) loop.RunOnce(absl::Milliseconds(1));
}

int Fail(absl::string_view why) {
  fprintf(stderr, "link_bench: %s\n", std::string(why).c_str());
  return 1;
}

int Run(const std::string& folder, int services, int changes) {
  EventLoop loop;
  Cluster east(loop, folder, "east"), west(loop, folder, "west");
  std::string objects = PodYaml(1) + PodYaml(2);
  for (int i = 0; i < services; ++i) {
    absl::StrAppend(&objects, ServiceYaml(i));
    west.Write(absl::StrCat("s", i, ".yaml"), SliceYaml(i, 1));
  }
  west.Write("objects.yaml", objects);
  for (Cluster* cluster : {&east, &west}) {
    if (const absl::Status status = cluster->Start(); !status.ok()) return Fail(status.message());
  }
  std::vector<std::string> clusters;
  for (int i = 0; i < services; ++i) clusters.push_back(ClusterOf(i));
  Client client(loop, east.xds(), clusters);

  const MonotonicTime linked = loop.Now();
  east.LinkWith(west);
  west.LinkWith(east);
  const auto all_known = [&] {
    return std::all_of(clusters.begin(), clusters.end(), [&](const std::string& cluster) {
      return client.Last(cluster) != MonotonicTime();
    });
  };
  if (!RunUntil(loop, all_known)) return Fail("the services of west did not come to east");
  printf("%-52s %8.0f ms\n",
         absl::StrCat("link made, until ", services, " services are known").c_str(),
         absl::ToDoubleMilliseconds(loop.Now() - linked));
  RunFor(loop, absl::Seconds(2));

  const size_t passed = east.passed() + west.passed();
  std::vector<double> took;
  for (int i = 0; i < changes; ++i) {
    const int service = i * 7 % services;
    const MonotonicTime changed = loop.Now();
    west.Write(absl::StrCat("s", service, ".yaml"), SliceYaml(service, 2));
    if (!RunUntil(loop, [&] { return client.Last(ClusterOf(service)) >= changed; })) {
      return Fail(absl::StrCat("change ", i, " did not arrive"));
    }
    took.push_back(absl::ToDoubleMilliseconds(client.Last(ClusterOf(service)) - changed));
    RunFor(loop, kBetweenChanges);
  }
  std::sort(took.begin(), took.end());
  const double p99 = took[std::min(took.size() - 1, took.size() * 99 / 100)];
  printf("%-52s %8.1f ms\n", "endpoint changed there, until a proxy here has it, p50",
         took[took.size() / 2]);
  printf("%-52s %8.1f ms   target <= %.0f: %s\n", "  p99", p99, kTargetMs,
         p99 <= kTargetMs ? "ok" : "MISSED");
  printf("%-52s %8zu bytes (TLS and heartbeats included)\n", "on the link, of each change",
         (east.passed() + west.passed() - passed) / static_cast<size_t>(changes));
  return 0;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) {
  int services = 1000, changes = 200;
  const bool good = argc <= 3 && (argc < 2 || absl::SimpleAtoi(argv[1], &services)) &&
                    (argc < 3 || absl::SimpleAtoi(argv[2], &changes)) && changes >= 1 &&
                    changes <= services && services % 7 != 0;
  if (!good) {
    fprintf(stderr,
            "link_bench [SERVICES [CHANGES]]: no more changes than services, of which the "
            "number is no multiple of 7\n");
    return 64;
  }
  weft::SetLogLevel(weft::LogLevel::kError);
  char pattern[] = "/tmp/weft-link-bench-XXXXXX";
  const std::string folder = mkdtemp(pattern);
  const int status = weft::Run(folder, services, changes);
  std::filesystem::remove_all(folder);
  return status;
}
