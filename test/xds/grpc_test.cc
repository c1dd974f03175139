// gRPC's own xDS clients against weftd alone: "xds:///" reaches a service, follows its weights and
// header routes, goes elsewhere when endpoints go, and reports its load.
#include <sys/stat.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "test/xds/weftd.h"

namespace weft::test {
namespace {

constexpr char kRoutes[] = R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter, namespace: default}
spec: {host: greeter, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: greeter, namespace: default}
spec:
  hosts: [greeter]
  http:
  - match: [{headers: {x-version: {exact: two}}}]
    route: [{destination: {host: greeter, subset: v2}}]
  - route:
    - {destination: {host: greeter, subset: v1}, weight: 80}
    - {destination: {host: greeter, subset: v2}, weight: 20}
)";

// "v1:80 v2:20" by who.
std::map<std::string, int> Counts(const std::string& answer) {
  std::map<std::string, int> counts;
  for (absl::string_view part : absl::StrSplit(answer, ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> who = absl::StrSplit(part, ':');
    (void)absl::SimpleAtoi(who.second, &counts[who.first]);
  }
  return counts;
}

// Where grpc-js lies installed, or "".
std::string GrpcJs() {
  const char* given = getenv("WEFT_GRPC_JS");
  std::vector<std::string> places = {given == nullptr ? "" : given};
  // The link of a source file leads to the tree, and to what `npm ci` put there.
  char* real = realpath("test/grpc-js/client.js", nullptr);
  if (real != nullptr) places.push_back(std::string(real).substr(0, std::string(real).rfind('/')));
  free(real);
  for (const std::string& place : places) {
    struct stat status;
    if (!place.empty() && stat((place + "/node_modules/@grpc/grpc-js-xds").c_str(), &status) == 0) {
      return place;
    }
  }
  return "";
}

enum class Library { kCpp, kJs };

class GrpcXds : public testing::TestWithParam<Library> {
 protected:
  void SetUp() override {
    if (GetParam() == Library::kJs && GrpcJs().empty()) {
      GTEST_SKIP() << "grpc-js is not installed: npm ci in test/grpc-js";
    }
    weftd_ = std::make_unique<Weftd>();
  }

  LineProcess& Client() {
    if (client_ != nullptr) return *client_;
    const bool js = GetParam() == Library::kJs;
    const std::string target = absl::StrCat("xds:///greeter.default.svc.cluster.local:", port_);
    const std::vector<std::string> argv =
        js ? std::vector<std::string>{"node", GrpcJs() + "/client.js", target}
           : std::vector<std::string>{"test/xds/grpc_client", target};
    client_ = std::make_unique<LineProcess>(
        argv, std::vector<std::string>{"GRPC_XDS_BOOTSTRAP=" +
                                       WriteGrpcBootstrap(*weftd_, js ? "js" : "cpp")});
    return *client_;
  }
  // Asks until the answer is this.
  bool Comes(const std::string& line, const std::string& answer) {
    std::string last;
    const bool came = Eventually([&] { return (last = Client().Ask(line)) == answer; });
    EXPECT_TRUE(came) << "last: " << last;
    return came;
  }
  void WriteGreeter(const std::map<std::string, std::string>& pods) {
    weftd_->Write("greeter.yaml", ServiceYaml("greeter", port_, pods));
  }

  const int port_ = FreePort();
  std::unique_ptr<Weftd> weftd_;
  NamedServer one_{"v1", "127.0.0.2", port_};
  NamedServer two_{"v2", "127.0.0.3", port_};
  std::unique_ptr<LineProcess> client_;
};

INSTANTIATE_TEST_SUITE_P(All, GrpcXds, testing::Values(Library::kCpp, Library::kJs),
                         [](const auto& info) {
                           return std::string(info.param == Library::kCpp ? "Cpp" : "Js");
                         });

TEST_P(GrpcXds, FollowsPodsWeightsAndHeadersAndReportsLoad) {
  WriteGreeter({{"127.0.0.2", "v1"}});
  ASSERT_TRUE(Comes("5", "v1:5"));

  // Pods come and go, and it follows without a failed call.
  WriteGreeter({{"127.0.0.3", "v2"}});
  ASSERT_TRUE(Comes("10", "v2:10"));

  WriteGreeter({{"127.0.0.2", "v1"}, {"127.0.0.3", "v2"}});
  weftd_->Write("routes.yaml", kRoutes);
  ASSERT_TRUE(Eventually([&] {
    const auto counts = Counts(Client().Ask("20"));
    return counts.contains("v1") && counts.contains("v2");
  }));
  ASSERT_TRUE(Comes("20 x-version two", "v2:20"));
  const auto counts = Counts(Client().Ask("300"));
  ASSERT_EQ(counts.size(), 2u) << "no call failed";
  EXPECT_GT(counts.at("v1"), 200);
  EXPECT_GT(counts.at("v2"), 30);

  // It says how many: by cluster, at its interval.
  ASSERT_TRUE(Eventually([&] {
    Client().Ask("1");
    return absl::StrContains(
        weftd_->Metrics(),
        absl::StrCat("weft_xds_client_requests_total{cluster=\"outbound|", port_,
                     "|v2|greeter.default.svc.cluster.local\",result=\"success\"}"));
  })) << weftd_->Metrics();
  const std::string clients = weftd_->Debug("adsz");
  EXPECT_TRUE(absl::StrContains(clients, "\"role\": \"grpc\"")) << clients;
  EXPECT_TRUE(absl::StrContains(weftd_->Metrics(), "pilot_xds 1")) << weftd_->Metrics();
  EXPECT_FALSE(absl::StrContains(weftd_->Metrics(), "pilot_total_xds_rejects 1"));
}

TEST_P(GrpcXds, KeepsWhatItKnowsWhileWeftdIsAway) {
  WriteGreeter({{"127.0.0.2", "v1"}});
  ASSERT_TRUE(Comes("5", "v1:5"));
  weftd_->Stop();
  EXPECT_EQ(Client().Ask("5"), "v1:5");
  WriteGreeter({{"127.0.0.3", "v2"}});
  weftd_->Start();
  ASSERT_TRUE(Comes("5", "v2:5"));
}

}  // namespace
}  // namespace weft::test
