// Configuration across clusters, between whole control planes: three of them on loopback, each
// linked with the others by the files that an operator would write.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/type_urls.h"
#include "controlplane/control_plane.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kLong = absl::Seconds(20);

// ---- Objects.

std::string ServiceYaml(const std::string& name) {
  return absl::StrCat("apiVersion: v1\nkind: Service\nmetadata: {name: ", name,
                      ", namespace: shop}\nspec: {clusterIP: 10.96.0.10, "
                      "ports: [{name: http, port: 80}]}\n");
}

// The annotations, but for their common prefix: "to: west, pause: 2s".
std::string Marked(const std::string& mark) {
  return mark.empty()
             ? ""
             : absl::StrCat(", annotations: {weft.io/distribute-",
                            absl::StrReplaceAll(mark, {{"; ", ", weft.io/distribute-"}}), "}");
}

std::string RouteYaml(const std::string& mark, const std::string& to) {
  return absl::StrCat(
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
      "metadata: {name: web, namespace: shop",
      Marked(mark), "}\nspec: {hosts: [web], http: [{route: [{destination: {host: ", to,
      "}}]}]}\n");
}

std::string PolicyYaml(const std::string& mark, const std::string& action = "DENY",
                       const std::string& namespace_ = "shop") {
  return absl::StrCat(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: web, namespace: ",
      namespace_, Marked(mark), "}\nspec: {action: ", action, ", rules: [{}]}\n");
}

// ---- A cluster.

// The body of a page.
std::string Get(const Address& address, const std::string& path) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string answer;
  if (connect(fd, address.get(), address.length()) == 0) {
    const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
    (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    char bytes[4096];
    ssize_t size;
    while ((size = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
      answer.append(bytes, static_cast<size_t>(size));
    }
  }
  close(fd);
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

class Cluster {
 public:
  explicit Cluster(const std::string& name) : name_(name) {
    std::string pattern = absl::StrCat(getenv("TEST_TMPDIR"), "/", name, "-XXXXXX");
    folder_ = mkdtemp(pattern.data());
    for (const char* part : {"/registry", "/links", "/data"}) {
      std::filesystem::create_directory(folder_ + part);
    }
    options_.self.cluster = name;
    options_.self.network = name + "-net";
    options_.self.mesh_id = "test";
    options_.self.trust_domain = name + ".weft";
    options_.exports = ExportPolicy::kNone;
    options_.registry_folders = {folder_ + "/registry"};
    options_.data_folder = folder_ + "/data";
    options_.peers_folder = folder_ + "/links";
    options_.token_key = std::string(32, 'k');
    options_.xds = options_.xds_plain = options_.peer = options_.monitoring = options_.debug =
        *Address::Ip("127.0.0.1", 0);
    Write("service.yaml", ServiceYaml("web"));
  }

  void Start() {
    auto started = ControlPlane::Start(options_);
    ASSERT_TRUE(started.ok()) << started.status();
    weftd_ = *std::move(started);
    options_.peer = weftd_->peer();  // where others know it, over restarts
  }
  void Stop() { weftd_.reset(); }

  void Write(const std::string& file, const std::string& text) const {
    Replace("/registry/", file, text);
  }
  void Remove(const std::string& file) const {
    std::filesystem::remove(absl::StrCat(folder_, "/registry/", file));
  }
  // No gateway stands in front of a weftd here: what a peer dials is the peer port itself.
  void LinkWith(const Cluster& other, const std::string& accept) const {
    Replace("/links/", other.name_ + ".yaml",
            absl::StrCat("cluster: ", other.name_, "\nnetwork: ", other.name_,
                         "-net\ntrustDomain: ", other.name_, ".weft\ngateways: [\"",
                         other.options_.peer.ToString(), "\"]\n", accept, "\nroots: |\n  ",
                         absl::StrReplaceAll(other.weftd_->roots_pem(), {{"\n", "\n  "}}), "\n"));
  }
  void Unlink(const Cluster& other) const {
    std::filesystem::remove(absl::StrCat(folder_, "/links/", other.name_, ".yaml"));
  }

  // Reason and message, of what is distributed.
  std::string Distributed(const std::string& object) const {
    const Json page = Page();
    for (const Json& one : page.at("distributed")) {
      if (one["object"] == object) {
        return absl::StrCat(one["reason"].get<std::string>(), " ",
                            one["message"].get<std::string>());
      }
    }
    return "nothing";
  }
  // "state revision", of what `cluster` distributes.
  std::string Received(const Cluster& cluster, const std::string& object) const {
    const Json page = Page();
    for (const Json& one : page.at("received")) {
      if (one["object"] == object && one["cluster"] == cluster.name_) {
        return absl::StrCat(one["state"].get<std::string>(), " ",
                            one["revision"].get<std::string>());
      }
    }
    return "nothing";
  }
  Address xds() const { return weftd_->xds_plain(); }

 private:
  // An empty one while there is none.
  Json Page() const {
    Json page = Json::parse(Get(weftd_->debug(), "/debug/distributionz"), nullptr,
                            /*allow_exceptions=*/false);
    if (!page.is_object()) page = {{"distributed", Json::array()}, {"received", Json::array()}};
    return page;
  }
  void Replace(const std::string& part, const std::string& file, const std::string& text) const {
    const std::string temporary = absl::StrCat(folder_, part, ".", file, ".tmp");
    std::ofstream(temporary) << text;
    ASSERT_EQ(rename(temporary.c_str(), absl::StrCat(folder_, part, file).c_str()), 0);
  }

  const std::string name_;
  std::string folder_;
  ControlPlaneOptions options_;
  std::unique_ptr<ControlPlane> weftd_;
};

// A proxy of a cluster, which refuses the first clusters that it is sent.
class RefusingProxy {
 public:
  RefusingProxy(const Cluster& cluster, const std::string& why)
      : stub_(envoy::service::discovery::v3::AggregatedDiscoveryService::NewStub(
            grpc::CreateChannel(cluster.xds().ToString(), grpc::InsecureChannelCredentials()))) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream_ = stub_->StreamAggregatedResources(&context_);
    envoy::service::discovery::v3::DiscoveryRequest request;
    request.mutable_node()->set_id("sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local");
    request.set_type_url(std::string(kClusterType));
    stream_->Write(request);
    envoy::service::discovery::v3::DiscoveryResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    request.set_response_nonce(response.nonce());
    request.mutable_error_detail()->set_message(why);
    stream_->Write(request);
  }
  ~RefusingProxy() { context_.TryCancel(); }

 private:
  std::unique_ptr<envoy::service::discovery::v3::AggregatedDiscoveryService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<envoy::service::discovery::v3::DiscoveryRequest,
                                           envoy::service::discovery::v3::DiscoveryResponse>>
      stream_;
};

constexpr char kPolicy[] = "AuthorizationPolicy shop/web";
constexpr char kRoute[] = "VirtualService shop/web";

class ConfigDistributionTest : public testing::Test {
 protected:
  void SetUp() override {
    for (Cluster* cluster : {&east_, &north_, &west_}) cluster->Start();
    for (Cluster* cluster : {&east_, &north_, &west_}) {
      for (const Cluster* other : {&east_, &north_, &west_}) {
        if (other != cluster) cluster->LinkWith(*other, "acceptConfig: [shop]");
      }
    }
  }
  // The text, once it begins so.
  static std::string Await(const std::function<std::string()>& text, const std::string& begins) {
    const absl::Time end = absl::Now() + kLong;
    std::string last;
    while (absl::Now() < end) {
      last = text();
      if (absl::StartsWith(last, begins)) return last;
      absl::SleepFor(absl::Milliseconds(20));
    }
    ADD_FAILURE() << "expected " << begins << ", last was " << last;
    return last;
  }
  static std::string AwaitDistributed(const Cluster& origin, const char* object,
                                      const std::string& begins) {
    return Await([&] { return origin.Distributed(object); }, begins);
  }
  static std::string AwaitReceived(const Cluster& at, const Cluster& from, const char* object,
                                   const std::string& begins) {
    return Await([&] { return at.Received(from, object); }, begins);
  }

  Cluster east_{"east"};
  Cluster north_{"north"};
  Cluster west_{"west"};
};

TEST_F(ConfigDistributionTest, GoesToTheCanaryFirstAndThenToAll) {
  east_.Write("policy.yaml", PolicyYaml("to: '*'; order: west; pause: 2s"));
  const absl::Time before = absl::Now();
  const std::string at_west = AwaitReceived(west_, east_, kPolicy, "applied ");
  EXPECT_EQ(north_.Received(east_, kPolicy), "nothing");
  AwaitDistributed(east_, kPolicy, "InProgress wave 1 of 2: north: waits for its turn; west: has");
  EXPECT_EQ(AwaitReceived(north_, east_, kPolicy, "applied "), at_west);
  EXPECT_GE(absl::Now() - before, absl::Seconds(2));
  AwaitDistributed(east_, kPolicy, "Distributed north: has revision");

  // The next form goes the same way; what is not marked any more goes at once.
  east_.Write("policy.yaml", PolicyYaml("to: '*'; order: west; pause: 2s", "ALLOW"));
  Await([&] { return west_.Received(east_, kPolicy) != at_west ? "other" : ""; }, "other");
  EXPECT_EQ(north_.Received(east_, kPolicy), at_west);
  east_.Write("policy.yaml", PolicyYaml(""));
  AwaitReceived(west_, east_, kPolicy, "nothing");
  AwaitReceived(north_, east_, kPolicy, "nothing");
}

// West has no service that the new route leads to.
TEST_F(ConfigDistributionTest, WhatOneClusterRejectsIsTakenBackFromTheOthers) {
  for (const Cluster* cluster : {&east_, &north_}) {
    cluster->Write("other.yaml", ServiceYaml("other"));
  }
  const std::string mark = "to: '*'; order: north; pause: 2s";
  east_.Write("route.yaml", RouteYaml(mark, "web"));
  AwaitDistributed(east_, kRoute, "Distributed");
  const std::string good = north_.Received(east_, kRoute);
  east_.Write("route.yaml", RouteYaml(mark, "other"));
  Await([&] { return north_.Received(east_, kRoute) != good ? "other" : ""; }, "other");
  const std::string said = AwaitDistributed(east_, kRoute, "RolledBack");
  EXPECT_TRUE(absl::StrContains(said, "west: spec.http[0].route[0].destination.host")) << said;
  AwaitReceived(north_, east_, kRoute, good);
  AwaitReceived(west_, east_, kRoute, good);

  // Nor is it tried again after a restart.
  east_.Stop();
  east_.Start();
  AwaitDistributed(east_, kRoute, "RolledBack");
  EXPECT_EQ(north_.Received(east_, kRoute), good);

  // Mended, it goes on.
  west_.Write("other.yaml", ServiceYaml("other"));
  east_.Write("route.yaml", RouteYaml(mark, "other.shop.svc.cluster.local"));
  AwaitDistributed(east_, kRoute, "Distributed");
}

TEST_F(ConfigDistributionTest, WhatProxiesRefuseIsTakenBack) {
  const RefusingProxy proxy(west_, "policy 'ns[shop]-policy[web]': not today");
  east_.Write("policy.yaml", PolicyYaml("to: west, north; order: west; pause: 10s"));
  const std::string said = AwaitDistributed(east_, kPolicy, "RolledBack");
  EXPECT_TRUE(absl::StrContains(said, "not today")) << said;
  AwaitReceived(west_, east_, kPolicy, "nothing");
  EXPECT_EQ(north_.Received(east_, kPolicy), "nothing");
}

TEST_F(ConfigDistributionTest, OnlyWhatIsAcceptedIsTaken) {
  constexpr char kBank[] = "AuthorizationPolicy bank/web";
  constexpr char kMesh[] = "AuthorizationPolicy weft-system/web";
  east_.Write("bank.yaml", PolicyYaml("to: north; pause: 2s", "DENY", "bank"));
  east_.Write("mesh.yaml", PolicyYaml("to: north; pause: 2s", "DENY", "weft-system"));
  AwaitDistributed(east_, kBank, "NotAccepted north: not accepted: acceptConfig of the link");
  EXPECT_TRUE(absl::StartsWith(north_.Received(east_, kBank), "not accepted"));
  EXPECT_EQ(east_.Distributed(kMesh), "nothing");
  // As soon as it is accepted it is there, and as soon as not, it is not.
  north_.LinkWith(east_, "acceptConfig: [\"*\"]");
  AwaitReceived(north_, east_, kBank, "applied");
  AwaitDistributed(east_, kBank, "Distributed");
  north_.LinkWith(east_, "");
  AwaitReceived(north_, east_, kBank, "not accepted");
}

TEST_F(ConfigDistributionTest, OneOfSeveralCountsAndTheOthersAreTold) {
  east_.Write("policy.yaml", PolicyYaml("to: north; pause: 2s"));
  AwaitReceived(north_, east_, kPolicy, "applied");
  west_.Write("policy.yaml", PolicyYaml("to: north; pause: 2s"));
  AwaitReceived(north_, west_, kPolicy, "conflict");
  const std::string said = AwaitDistributed(west_, kPolicy, "Conflict");
  EXPECT_TRUE(absl::StrContains(said, "cluster east distributes an older object")) << said;
  north_.Write("policy.yaml", PolicyYaml(""));
  AwaitReceived(north_, east_, kPolicy, "conflict");
  AwaitDistributed(east_, kPolicy, "Conflict north: conflict: the cluster has an object");
  north_.Remove("policy.yaml");
  AwaitReceived(north_, east_, kPolicy, "applied");
  east_.Remove("policy.yaml");
  AwaitReceived(north_, west_, kPolicy, "applied");
}

TEST_F(ConfigDistributionTest, StaysWhileItsOwnerIsAwayAndGoesWithTheLink) {
  east_.Write("policy.yaml", PolicyYaml("to: '*'; pause: 2s"));
  const std::string applied = AwaitReceived(north_, east_, kPolicy, "applied");
  AwaitReceived(west_, east_, kPolicy, "applied");
  absl::SleepFor(absl::Seconds(2));  // snapshots are saved once a second
  east_.Stop();
  north_.Stop();
  north_.Start();
  AwaitReceived(north_, east_, kPolicy, applied);
  EXPECT_EQ(west_.Received(east_, kPolicy), applied);
  north_.Unlink(east_);
  AwaitReceived(north_, east_, kPolicy, "nothing");
}

}  // namespace
}  // namespace weft
