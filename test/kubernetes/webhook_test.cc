// weftd's webhooks as an API server calls them, and as whoever runs kubectl sees them.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::Fault;
using Json = nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kMutating[] = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
constexpr char kValidating[] = "validatingwebhookconfigurations.admissionregistration.k8s.io";

constexpr char kRoute[] = R"(
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{timeout: 1s, route: [{destination: {host: web}}]}]
)";

constexpr char kPod[] = R"(
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: web}}
spec:
  containers: [{name: app, image: web, volumeMounts: [{name: data, mountPath: /data}]}]
  volumes: [{name: data, emptyDir: {}}]
  tolerations: [{key: gpu, operator: Exists}]
)";

std::string PodYaml(const std::string& name) { return absl::StrReplaceAll(kPod, {{"NAME", name}}); }

class WebhookTest : public testing::Test {
 protected:
  WebhookTest() : weftd_(cluster_.StartWeftd()) {
    cluster_.SetWebhooks(*weftd_);
    AddNamespace("weft-system");
    AddNamespace("mesh", "istio-injection", "enabled");
    cluster_.RegisterWebhooks();
    EXPECT_TRUE(Eventually([&] { return HasBundles(); }));
  }

  void AddNamespace(const std::string& name, const std::string& label = "of-test",
                    const std::string& value = "yes") {
    const Json object = {{"apiVersion", "v1"},
                         {"kind", "Namespace"},
                         {"metadata", {{"name", name}, {"labels", {{label, value}}}}}};
    EXPECT_TRUE(cluster_.server().Put(object).ok());
  }

  std::vector<std::string> Bundles() {
    std::vector<std::string> bundles;
    for (const char* kind : {kMutating, kValidating}) {
      const auto object = cluster_.server().Get(kind, "", "weftd");
      if (!object.ok()) return {""};
      for (const Json& webhook : (*object)["webhooks"]) {
        bundles.push_back(webhook["clientConfig"].value("caBundle", ""));
      }
    }
    return bundles;
  }
  bool HasBundles() {
    const std::vector<std::string> bundles = Bundles();
    return bundles.size() == 4 &&
           std::all_of(bundles.begin(), bundles.end(),
                       [&](const std::string& one) { return one.size() > 100; });
  }
  std::string Containers(const std::string& ns, const std::string& pod) {
    return cluster_.Out({"get", "pod", pod, "-n", ns, "-o",
                         "jsonpath={.spec.initContainers[*].name}/{.spec.containers[*].name}"});
  }

  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
};

TEST_F(WebhookTest, KubectlIsToldWhichFieldIsWrong) {
  const std::string bad = absl::StrReplaceAll(kRoute, {{"timeout: 1s", "timeuot: 1s"}});
  EXPECT_THAT(cluster_.Refused({"apply", "-f", "-"}, bad),
              AllOf(HasSubstr("admission webhook \"validation.weft.dev\" denied the request"),
                    HasSubstr("VirtualService default/web: spec.http[0].timeuot: unknown field; "
                              "did you mean 'timeout'?")));
  EXPECT_THAT(cluster_.Refused({"get", "virtualservice", "web"}), HasSubstr("NotFound"));
  cluster_.Out({"apply", "-f", "-"}, kRoute);
  const std::string worse = absl::StrReplaceAll(kRoute, {{"timeout: 1s", "timeout: soon"}});
  EXPECT_THAT(cluster_.Refused({"apply", "-f", "-"}, worse),
              HasSubstr("VirtualService default/web: spec.http[0].timeout: "));
  EXPECT_EQ(cluster_.Out({"get", "vs", "web", "-o", "jsonpath={.spec.http[0].timeout}"}), "1s");
  EXPECT_EQ(cluster_.Out({"delete", "virtualservice", "web"}),
            "virtualservice.networking.istio.io \"web\" deleted\n");
}

TEST_F(WebhookTest, DryRunsAreJudgedToo) {
  const std::string bad = absl::StrReplaceAll(kRoute, {{"hosts: [web]", "hosts: [we b]"}});
  EXPECT_THAT(cluster_.Refused({"apply", "--dry-run=server", "-f", "-"}, bad),
              HasSubstr("VirtualService default/web: spec.hosts[0]: "));
  cluster_.Out({"apply", "--dry-run=server", "-f", "-"}, kRoute);
}

TEST_F(WebhookTest, InjectsInALabelledNamespaceAndInNoOther) {
  cluster_.Out({"create", "-n", "mesh", "-f", "-"}, PodYaml("in"));
  cluster_.Out({"create", "-f", "-"}, PodYaml("out"));
  EXPECT_EQ(Containers("mesh", "in"), "weft-init/app weft-proxy");
  EXPECT_EQ(Containers("default", "out"), "/app");
  const Json pod = Json::parse(cluster_.Out({"get", "pod", "in", "-n", "mesh", "-o", "json"}));
  EXPECT_EQ(pod["spec"]["tolerations"][0]["key"], "gpu");
  EXPECT_EQ(pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], "/data");
  EXPECT_EQ(pod["spec"]["containers"][1]["securityContext"]["runAsUser"], 1337);
  EXPECT_TRUE(pod["metadata"]["annotations"].contains("sidecar.istio.io/status"));
}

TEST_F(WebhookTest, PodsAndRevisionsHaveTheirSay) {
  AddNamespace("canary", "istio.io/rev", "canary");
  AddNamespace("rev", "istio.io/rev", "default");
  const std::string wants = absl::StrReplaceAll(
      PodYaml("p"), {{"app: web}", "app: web, sidecar.istio.io/inject: \"true\"}"}});
  const std::string refuses = absl::StrReplaceAll(
      PodYaml("q"), {{"app: web}", "app: web, sidecar.istio.io/inject: \"false\"}"}});
  cluster_.Out({"create", "-n", "rev", "-f", "-"}, PodYaml("p"));
  cluster_.Out({"create", "-n", "canary", "-f", "-"}, PodYaml("p"));
  cluster_.Out({"create", "-f", "-"}, wants);
  cluster_.Out({"create", "-n", "mesh", "-f", "-"}, refuses);
  EXPECT_EQ(Containers("rev", "p"), "weft-init/app weft-proxy");
  EXPECT_EQ(Containers("canary", "p"), "/app");
  EXPECT_EQ(Containers("default", "p"), "weft-init/app weft-proxy");
  EXPECT_EQ(Containers("mesh", "q"), "/app");
}

// Its namespace is younger than any watch event may be.
TEST_F(WebhookTest, InjectsIntoANamespaceThatIsMadeWithIt) {
  for (int i = 0; i < 3; ++i) {
    const std::string ns = absl::StrCat("new-", i);
    cluster_.Out(
        {"apply", "-f", "-"},
        absl::StrCat(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: ", ns,
            ", labels: {istio-injection: enabled}}\n---",
            absl::StrReplaceAll(PodYaml("p"), {{"name: p,", "name: p, namespace: " + ns + ","}})));
    EXPECT_EQ(Containers(ns, "p"), "weft-init/app weft-proxy");
  }
}

TEST_F(WebhookTest, NativeSidecarsWhereAPodWantsOne) {
  const std::string native = absl::StrReplaceAll(
      PodYaml("p"),
      {{"labels: {app: web}",
        "labels: {app: web}, annotations: {sidecar.istio.io/nativeSidecar: \"true\"}"},
       {"  volumes:", "  initContainers: [{name: first, image: i}]\n  volumes:"}});
  cluster_.Out({"create", "-n", "mesh", "-f", "-"}, native);
  EXPECT_EQ(Containers("mesh", "p"), "weft-init weft-proxy first/app");
}

TEST_F(WebhookTest, PutsTheBundleBackWhereSomebodyOverwritesIt) {
  const std::vector<std::string> before = Bundles();
  cluster_.Out({"patch", "validatingwebhookconfiguration", "weftd", "--type=json", "-p",
                R"([{"op":"replace","path":"/webhooks/0/clientConfig/caBundle","value":"WA=="}])"});
  EXPECT_TRUE(Eventually([&] { return Bundles() == before; }));
  cluster_.Out({"delete", "mutatingwebhookconfiguration", "weftd"});
  cluster_.RegisterWebhooks();
  EXPECT_TRUE(Eventually([&] { return Bundles() == before; }));
  cluster_.Out({"create", "-n", "mesh", "-f", "-"}, PodYaml("p"));
  EXPECT_EQ(Containers("mesh", "p"), "weft-init/app weft-proxy");
}

TEST_F(WebhookTest, LeavesConfigurationsOfOthersAlone) {
  cluster_.Out({"apply", "-f", "-"}, R"(
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: others, labels: {app: others}}
webhooks:
- name: others.test.dev
  clientConfig: {url: "https://127.0.0.1:1/x"}
  rules: [{apiGroups: [test.dev], apiVersions: [v1], operations: [CREATE], resources: [x]}]
  sideEffects: None
  admissionReviewVersions: [v1]
)");
  // What comes later has been answered, so this would have been.
  cluster_.Out({"patch", "validatingwebhookconfiguration", "weftd", "--type=json", "-p",
                R"([{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}])"});
  EXPECT_TRUE(Eventually([&] { return HasBundles(); }));
  const auto others = cluster_.server().Get(kValidating, "", "others");
  ASSERT_TRUE(others.ok());
  EXPECT_FALSE((*others)["webhooks"][0]["clientConfig"].contains("caBundle"));
}

TEST_F(WebhookTest, Row108AnswersInTimeWhileTheServerIsSlow) {
  Fault slow;
  slow.kind = Fault::Kind::kSlow;
  slow.verb = "get";
  slow.resource = "namespaces";
  slow.times = -1;
  slow.delay = absl::Seconds(30);
  cluster_.server().AddFault(slow);
  const absl::Time begun = absl::Now();
  cluster_.Out({"create", "-n", "mesh", "-f", "-"}, PodYaml("p"));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(8));
  cluster_.server().ClearFaults();
  EXPECT_EQ(Containers("mesh", "p"), "weft-init/app weft-proxy");
}

TEST_F(WebhookTest, Row108NeverGatesItsOwnPod) {
  weftd_->Stop();
  cluster_.Out({"label", "namespace", "weft-system", "istio-injection=enabled"});
  const std::string own = absl::StrReplaceAll(PodYaml("weftd"), {{"app: web", "app: weftd"}});
  EXPECT_THAT(cluster_.Refused({"create", "-n", "weft-system", "-f", "-"}, PodYaml("other")),
              HasSubstr("failed calling webhook"));
  cluster_.Out({"create", "-n", "weft-system", "-f", "-"}, own);
  EXPECT_EQ(Containers("weft-system", "weftd"), "/app");
}

}  // namespace
}  // namespace weft::test
