#include "proxy/xds/ads_client.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_join.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "proxy/grpc/grpc_server_for_test.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

// Answers each request as the script says and keeps what it saw.
class ScriptedAds : public AggregatedDiscoveryService::Service {
 public:
  // What to answer a request with, by its text (see Text); and whether to end the stream then.
  std::map<std::string, std::vector<DiscoveryResponse>> answers;
  std::map<std::string, bool> ends;

  std::vector<std::string> seen() {
    std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }

 private:
  using Stream = grpc::ServerReaderWriter<DiscoveryResponse, DiscoveryRequest>;
  // "CDS v=1 n=a [names] node=id error=text", with what is there.
  static std::string Text(const DiscoveryRequest& request) {
    std::string text = request.type_url() == kClusterType    ? "CDS"
                       : request.type_url() == kEndpointType ? "EDS"
                                                             : request.type_url();
    absl::StrAppend(&text, " v=", request.version_info(), " n=", request.response_nonce(), " [",
                    absl::StrJoin(request.resource_names(), ","), "]");
    if (request.has_node()) absl::StrAppend(&text, " node=", request.node().id());
    if (request.has_error_detail()) {
      absl::StrAppend(&text, " error=", request.error_detail().message());
    }
    return text;
  }

  grpc::Status StreamAggregatedResources(grpc::ServerContext*, Stream* stream) override {
    Record("stream");
    DiscoveryRequest request;
    while (stream->Read(&request)) {
      const std::string text = Text(request);
      Record(text);
      for (const DiscoveryResponse& answer : answers[text]) stream->Write(answer);
      if (ends[text]) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
    }
    return grpc::Status::OK;
  }
  void Record(std::string text) {
    std::lock_guard<std::mutex> lock(mutex_);
    seen_.push_back(std::move(text));
  }

  std::mutex mutex_;
  std::vector<std::string> seen_;
};

DiscoveryResponse Clusters(std::string version, std::string nonce, std::vector<std::string> names) {
  DiscoveryResponse response;
  response.set_type_url(std::string(kClusterType));
  response.set_version_info(version);
  response.set_nonce(nonce);
  for (const std::string& name : names) {
    envoy::config::cluster::v3::Cluster cluster;
    cluster.set_name(name);
    response.add_resources()->PackFrom(cluster);
  }
  return response;
}

DiscoveryResponse Endpoints(std::string version, std::string nonce,
                            std::vector<std::string> names) {
  DiscoveryResponse response;
  response.set_type_url(std::string(kEndpointType));
  response.set_version_info(version);
  response.set_nonce(nonce);
  for (const std::string& name : names) {
    envoy::config::endpoint::v3::ClusterLoadAssignment assignment;
    assignment.set_cluster_name(name);
    response.add_resources()->PackFrom(assignment);
  }
  return response;
}

// Rejects a cluster named "bad", and asks for the endpoints of the others.
class Follower : public AdsObserver {
 public:
  AdsClient* client = nullptr;
  std::vector<std::string> log;

  absl::Status OnResources(const ResourceUpdate& update) override {
    std::vector<std::string> names;
    for (const auto& resource : update.sent) names.push_back(resource.name);
    if (absl::c_linear_search(names, "bad"))
      return absl::InvalidArgumentError("cluster 'bad': no type");
    if (update.type_url == kClusterType) client->SetNames(kEndpointType, names);
    for (const std::string& name : update.removed) names.push_back("-" + name);
    log.push_back(absl::StrCat(update.type_url == kClusterType ? "CDS " : "EDS ", update.version,
                               update.full ? " all " : " ", absl::StrJoin(names, ",")));
    return absl::OkStatus();
  }
  void OnStream(const absl::Status& status) override {
    log.push_back(status.ok() ? "open" : std::string(status.message()));
  }
};

class AdsClientTest : public testing::Test {
 protected:
  AdsClientTest() {
    AdsClient::Options options;
    options.connect = [this] { return ConnectTo(loop_, address_); };
    options.first_backoff = absl::Milliseconds(5);
    envoy::config::core::v3::Node node;
    node.set_id("me");
    options.node = node.SerializeAsString();
    client_ = std::make_unique<AdsClient>(loop_, options, &follower_);
    follower_.client = client_.get();
    client_->Subscribe(kClusterType, Subscription::Scope::kAll);
    client_->Subscribe(kEndpointType, Subscription::Scope::kNamed);
  }

  // Runs client and server until the server saw `count` things.
  std::vector<std::string> RunUntilSeen(size_t count) {
    EXPECT_TRUE(RunUntil(loop_, [&] { return ads_.seen().size() >= count; }))
        << absl::StrJoin(ads_.seen(), "\n") << "\nobserver:\n"
        << absl::StrJoin(follower_.log, "\n");
    return ads_.seen();
  }

  EventLoop loop_;
  ScriptedAds ads_;
  Follower follower_;
  Address address_;
  std::unique_ptr<AdsClient> client_;
  Scope scope_;
};

TEST_F(AdsClientTest, AcknowledgesRejectsAndComesBack) {
  ads_.answers["CDS v= n= [] node=me"] = {Clusters("1", "a", {"x", "y"})};
  ads_.answers["EDS v= n= [x,y]"] = {Endpoints("1", "b", {"x"}), Endpoints("2", "c", {"y"})};
  ads_.answers["EDS v=2 n=c [x,y]"] = {Clusters("2", "d", {"bad"})};
  ads_.ends["CDS v=1 n=d [] error=cluster 'bad': no type"] = true;
  GrpcServerForTest server({&ads_});
  address_ = server.address();
  scope_.Spawn(client_->Run());
  const std::string last = "EDS v=2 n= [x,y]";
  ASSERT_TRUE(RunUntil(loop_, [&] { return !ads_.seen().empty() && ads_.seen().back() == last; }))
      << absl::StrJoin(ads_.seen(), "\n");

  const std::vector<std::string> expected = {
      "stream",
      "CDS v= n= [] node=me",
      "CDS v=1 n=a []",
      "EDS v= n= [x,y]",
      "EDS v=1 n=b [x,y]",
      "EDS v=2 n=c [x,y]",
      "CDS v=1 n=d [] error=cluster 'bad': no type",
      "stream",
      "CDS v=1 n= [] node=me",
      last,
  };
  EXPECT_EQ(ads_.seen(), expected);
  EXPECT_EQ(client_->stats().rejected, 1u);
  EXPECT_EQ(client_->stats().accepted, 3u);
  EXPECT_EQ(client_->subscription(kClusterType)->held().size(), 2u);
  const std::vector<std::string> log = {"open",    "CDS 1 all x,y", "EDS 1 x",
                                        "EDS 2 y", "restarting",    "open"};
  EXPECT_EQ(follower_.log, log);
}

TEST_F(AdsClientTest, WaitsForAServerThatIsNotThereYet) {
  auto server = std::make_unique<GrpcServerForTest>(std::initializer_list<grpc::Service*>{&ads_});
  address_ = server->address();
  server.reset();
  scope_.Spawn(client_->Run());
  ASSERT_TRUE(RunUntil(loop_, [&] { return follower_.log.size() >= 3; }));
  EXPECT_NE(follower_.log[2].find("Connection refused"), std::string::npos) << follower_.log[2];
  const Address address = address_;
  server = std::make_unique<GrpcServerForTest>(std::initializer_list<grpc::Service*>{&ads_},
                                               address.port());
  EXPECT_EQ(RunUntilSeen(2)[1], "CDS v= n= [] node=me");
}

TEST_F(AdsClientTest, RejectsWhatTheWireAlreadyShowsToBeWrong) {
  DiscoveryResponse foreign = Clusters("1", "a", {});
  *foreign.add_resources() = Endpoints("", "", {"x"}).resources(0);
  DiscoveryResponse broken = Clusters("2", "b", {"x"});
  broken.mutable_resources(0)->set_value("\x0a\xff");
  ads_.answers["CDS v= n= [] node=me"] = {foreign};
  const std::string type_error = absl::StrCat("CDS v= n=a [] error=a resource of type ",
                                              kEndpointType, " among ", kClusterType);
  ads_.answers[type_error] = {broken};
  const std::string parse_error = absl::StrCat("CDS v= n=b [] error=a resource of type ",
                                               kClusterType, " cannot be read as protobuf");
  ads_.answers[parse_error] = {Clusters("3", "c", {"x", "x"})};
  GrpcServerForTest server({&ads_});
  address_ = server.address();
  scope_.Spawn(client_->Run());
  const std::vector<std::string> expected = {"stream", "CDS v= n= [] node=me", type_error,
                                             parse_error,
                                             "CDS v= n=c [] error=resource 'x' is there twice"};
  EXPECT_EQ(RunUntilSeen(5), expected);
}

}  // namespace
}  // namespace weft
