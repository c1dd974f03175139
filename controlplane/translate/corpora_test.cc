// Istio's own samples, read in place and unedited.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "controlplane/model/references.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/run_sidecar.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// $WEFT_SHARED, or "shared" beside the source tree or a folder above it; empty if there is none.
fs::path Samples() {
  std::vector<fs::path> candidates;
  if (const char* shared = std::getenv("WEFT_SHARED")) candidates.push_back(shared);
  // A file of this package among the test's runfiles is a link into the source tree.
  for (fs::path at = fs::canonical("controlplane/translate/resources.h"); at.has_relative_path();
       at = at.parent_path()) {
    candidates.push_back(at / "shared");
  }
  for (const fs::path& candidate : candidates) {
    if (fs::exists(candidate / "corpora/istio/samples")) {
      return candidate / "corpora/istio/samples";
    }
  }
  return {};
}

std::string TextOf(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The services and pods of bookinfo.yaml.
WorldBuilder Bookinfo() {
  WorldBuilder builder;
  for (const char* name : {"details", "ratings", "reviews", "productpage"}) {
    builder.Service("default", name, {{"http", 9080, Protocol::kHttp}}).Pod("default", name, "v1");
  }
  builder.Pod("default", "reviews", "v2").Pod("default", "reviews", "v3");
  return builder;
}

class Corpora : public testing::Test {
 protected:
  void SetUp() override {
    samples_ = Samples();
    if (samples_.empty()) GTEST_SKIP() << "no corpora here; set WEFT_SHARED";
  }
  fs::path samples_;
};

TEST_F(Corpora, JasonGoesToV2AndAllElseToV1) {
  WorldBuilder builder = Bookinfo();
  for (const char* file : {"destination-rule-all.yaml", "virtual-service-reviews-test-v2.yaml"}) {
    absl::Status status = builder.Apply(TextOf(samples_ / "bookinfo/networking" / file));
    ASSERT_TRUE(status.ok()) << status;
  }
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  EXPECT_EQ(CheckResources(resources), std::vector<std::string>());
  auto host = HostIn(resources, "9080", "reviews:9080");
  ASSERT_EQ(host.routes_size(), 2);
  const auto& jason = host.routes(0);
  ASSERT_EQ(jason.match().headers_size(), 1);
  EXPECT_EQ(jason.match().headers(0).name(), "end-user");
  EXPECT_EQ(jason.match().headers(0).string_match().exact(), "jason");
  EXPECT_EQ(jason.route().cluster(), "outbound|9080|v2|reviews.default.svc.cluster.local");
  EXPECT_EQ(host.routes(1).route().cluster(), "outbound|9080|v1|reviews.default.svc.cluster.local");
  for (const char* version : {"v1", "v2", "v3"}) {
    auto assignment = AssignmentIn(
        resources, std::string("outbound|9080|") + version + "|reviews.default.svc.cluster.local");
    ASSERT_EQ(assignment.endpoints_size(), 1) << version;
    EXPECT_EQ(assignment.endpoints(0).lb_endpoints_size(), 1) << version;
  }
}

TEST_F(Corpora, EachFileGivesResourcesThatFitTogether) {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(samples_)) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    ++files;
    for (bool with_subsets : {false, true}) {  // without: most destinations lead nowhere
      WorldBuilder builder = Bookinfo();
      absl::Status status = builder.Apply(TextOf(entry.path()));
      ASSERT_TRUE(status.ok()) << status;
      if (with_subsets) {
        status = builder.Apply(TextOf(samples_ / "bookinfo/networking/destination-rule-all.yaml"));
        ASSERT_TRUE(status.ok()) << status;
      }
      ProxyView gateway;
      gateway.role = ProxyRole::kGateway;
      for (const ProxyView& view : {SidecarIn("default"), SidecarIn("other"), gateway}) {
        EXPECT_EQ(CheckResources(Translate(builder.world(), view)), std::vector<std::string>());
      }
    }
  }
  EXPECT_GT(files, 20);
}

TEST_F(Corpora, TheProxyTakesWhatEachFileBecomes) {
  for (const auto& entry : fs::recursive_directory_iterator(samples_)) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    WorldBuilder builder = Bookinfo();
    ASSERT_TRUE(
        builder.Apply(TextOf(samples_ / "bookinfo/networking/destination-rule-all.yaml")).ok());
    ASSERT_TRUE(builder.Apply(TextOf(entry.path())).ok());
    RunSidecar(builder.world(), SidecarIn("default"));
  }
}

TEST_F(Corpora, RoutesToBookinfosSubsetsResolve) {
  for (const auto& entry : fs::directory_iterator(samples_ / "bookinfo/networking")) {
    if (!absl::StartsWith(entry.path().filename().string(), "virtual-service-")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    WorldBuilder builder = Bookinfo();
    ASSERT_TRUE(
        builder.Apply(TextOf(samples_ / "bookinfo/networking/destination-rule-all.yaml")).ok());
    ASSERT_TRUE(builder.Apply(TextOf(entry.path())).ok());
    for (const Problem& problem : CheckReferences(builder.world())) {
      EXPECT_TRUE(absl::StrContains(problem.message, "gateway")) << ToString(problem);
    }
  }
}

}  // namespace
}  // namespace weft
