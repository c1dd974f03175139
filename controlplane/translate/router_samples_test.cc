// Istio's samples of gateways, read in place and unedited: a router serves them as they say.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controlplane/translate/run_router.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

fs::path Samples() {
  std::vector<fs::path> candidates;
  if (const char* shared = std::getenv("WEFT_SHARED")) candidates.push_back(shared);
  for (fs::path at = fs::canonical("controlplane/translate/resources.h"); at.has_relative_path();
       at = at.parent_path()) {
    candidates.push_back(at / "shared");
  }
  for (const fs::path& candidate : candidates) {
    if (fs::exists(candidate / "corpora/istio/samples")) return candidate / "corpora/istio/samples";
  }
  return {};
}

std::string TextOf(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return absl::StrCat("---\n", text.str());
}

// The pod that the samples' `selector` means, and their services.
constexpr char kIngress[] = R"(---
apiVersion: v1
kind: Pod
metadata: {name: g, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {serviceAccountName: g, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.244.0.77}
)";

std::string ServiceOf(const char* name, int port, const char* name_space = "default") {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: ", name,
                      ", namespace: ", name_space,
                      "}\nspec: {clusterIP: 10.96.2.1, ports: [{name: "
                      "http, port: ",
                      port, "}]}\n");
}

TEST(RouterSamples, RouteAsTheySay) {
  const fs::path samples = Samples();
  if (samples.empty()) GTEST_SKIP() << "no corpora here; set WEFT_SHARED";
  struct Row {
    const char* file;
    std::string service;
    uint16_t port;
    const char* path;
    const char* expected;
  } rows[] = {
      {"bookinfo/networking/bookinfo-gateway.yaml", ServiceOf("productpage", 9080), 8080,
       "/productpage", "cluster=outbound|9080||productpage.default.svc.cluster.local"},
      {"bookinfo/networking/bookinfo-gateway.yaml", ServiceOf("productpage", 9080), 8080,
       "/static/x.css", "cluster=outbound|9080||productpage.default.svc.cluster.local"},
      {"bookinfo/networking/bookinfo-gateway.yaml", ServiceOf("productpage", 9080), 8080,
       "/api/v1/products/0", "cluster=outbound|9080||productpage.default.svc.cluster.local"},
      {"bookinfo/networking/bookinfo-gateway.yaml", ServiceOf("productpage", 9080), 8080, "/other",
       "404"},
      {"bookinfo/networking/certmanager-gateway.yaml",
       ServiceOf("cert-manager-resolver", 8089, "istio-system"), 80,
       "/.well-known/acme-challenge/a",
       "cluster=outbound|8089||cert-manager-resolver.istio-system.svc.cluster.local"},
      {"httpbin/httpbin-gateway.yaml", ServiceOf("httpbin", 8000), 80, "/anything",
       "cluster=outbound|8000||httpbin.default.svc.cluster.local"},
      {"helloworld/helloworld-gateway.yaml", ServiceOf("helloworld", 5000), 80, "/hello",
       "cluster=outbound|5000||helloworld.default.svc.cluster.local"},
      {"helloworld/helloworld-gateway.yaml", ServiceOf("helloworld", 5000), 80, "/hello2", "404"},
  };
  for (const Row& row : rows) {
    Edge edge;
    EXPECT_EQ(edge.Apply(kIngress + row.service + TextOf(samples / row.file)), "") << row.file;
    const std::string outcome =
        edge.RouterAt("10.244.0.77")->RequestAt(row.port, {"any", row.path});
    EXPECT_TRUE(absl::StrContains(outcome, row.expected)) << row.file << row.path << outcome;
  }
}

}  // namespace
}  // namespace weft
