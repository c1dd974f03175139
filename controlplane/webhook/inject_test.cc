#include "controlplane/webhook/inject.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "api/kubernetes/core.pb.h"

namespace weft::webhook {
namespace {

using kubernetes::Container;
using kubernetes::Pod;
using Labels = std::map<std::string, std::string>;

Pod SomePod() {
  Pod pod;
  pod.mutable_metadata()->set_name("web-1");
  pod.mutable_metadata()->set_namespace_("shop");
  (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
  pod.mutable_spec()->add_containers()->set_name("web");
  return pod;
}

InjectConfig SomeConfig() {
  InjectConfig config;
  config.cluster = "east";
  config.network = "east-net";
  config.discovery_address = "10.244.0.2:15012";
  return config;
}

const Container* Find(const google::protobuf::RepeatedPtrField<Container>& all,
                      const std::string& name) {
  for (const Container& c : all) {
    if (c.name() == name) return &c;
  }
  return nullptr;
}

struct PolicyCase {
  const char* what;
  Labels namespace_labels;
  const char* pod_label;
  const char* pod_annotation;
  bool by_default;
  bool injected;
};

TEST(InjectPolicy, IsWhatNamespaceAndPodAskFor) {
  const PolicyCase cases[] = {
      {"nothing said, default off", {}, nullptr, nullptr, false, false},
      {"nothing said, default on", {}, nullptr, nullptr, true, true},
      {"namespace enabled", {{"istio-injection", "enabled"}}, nullptr, nullptr, false, true},
      {"namespace disabled", {{"istio-injection", "disabled"}}, nullptr, nullptr, true, false},
      {"disabled wins over the pod",
       {{"istio-injection", "disabled"}},
       "true",
       nullptr,
       true,
       false},
      {"our revision", {{"istio.io/rev", "default"}}, nullptr, nullptr, false, true},
      {"another revision", {{"istio.io/rev", "canary"}}, nullptr, nullptr, true, false},
      {"pod label true", {}, "true", nullptr, false, true},
      {"pod label false", {{"istio-injection", "enabled"}}, "false", nullptr, true, false},
      {"pod annotation false", {{"istio-injection", "enabled"}}, nullptr, "false", true, false},
      {"label wins over annotation", {}, "true", "false", false, true},
  };
  for (const PolicyCase& c : cases) {
    SCOPED_TRACE(c.what);
    Pod pod = SomePod();
    auto* meta = pod.mutable_metadata();
    if (c.pod_label) (*meta->mutable_labels())["sidecar.istio.io/inject"] = c.pod_label;
    if (c.pod_annotation) {
      (*meta->mutable_annotations())["sidecar.istio.io/inject"] = c.pod_annotation;
    }
    InjectConfig config = SomeConfig();
    config.default_inject = c.by_default;
    absl::StatusOr<Pod> injected = InjectSidecar(pod, c.namespace_labels, "web", config);
    ASSERT_TRUE(injected.ok()) << injected.status();
    EXPECT_EQ(Find(injected->spec().containers(), kProxyContainer) != nullptr, c.injected);
  }
}

TEST(InjectPolicy, LeavesTheNodesNetworkAlone) {
  Pod pod = SomePod();
  pod.mutable_spec()->set_host_network(true);
  EXPECT_FALSE(*ShouldInject(pod, {{"istio-injection", "enabled"}}, SomeConfig()));
}

TEST(InjectPolicy, NeverGatesTheControlPlaneItself) {
  Pod pod = SomePod();
  pod.mutable_metadata()->set_namespace_(kControlPlaneNamespace);
  (*pod.mutable_metadata()->mutable_labels())["app"] = kControlPlaneApp;
  (*pod.mutable_metadata()->mutable_labels())["sidecar.istio.io/inject"] = "true";
  EXPECT_FALSE(*ShouldInject(pod, {{"istio-injection", "enabled"}}, SomeConfig()));
}

TEST(InjectPolicy, RefusesAnUnknownWish) {
  Pod pod = SomePod();
  (*pod.mutable_metadata()->mutable_labels())["sidecar.istio.io/inject"] = "maybe";
  absl::StatusOr<bool> inject = ShouldInject(pod, {}, SomeConfig());
  ASSERT_FALSE(inject.ok());
  EXPECT_TRUE(absl::StrContains(inject.status().message(), "shop/web-1")) << inject.status();
}

Pod Injected(const Pod& pod) {
  absl::StatusOr<Pod> injected =
      InjectSidecar(pod, {{"istio-injection", "enabled"}}, "web", SomeConfig());
  EXPECT_TRUE(injected.ok()) << injected.status();
  return *injected;
}

TEST(Inject, AddsCaptureProxyTokenAndRoot) {
  Pod pod = SomePod();
  (*pod.mutable_metadata()
        ->mutable_annotations())["traffic.sidecar.istio.io/excludeOutboundPorts"] = "3306";
  Pod injected = Injected(pod);
  const Container* init = Find(injected.spec().init_containers(), kInitContainer);
  ASSERT_NE(init, nullptr);
  ASSERT_EQ(init->command_size(), 3);
  EXPECT_EQ(init->command(2), "--exclude-outbound-ports=3306");
  EXPECT_EQ(init->security_context().capabilities().add(0), "NET_ADMIN");
  const Container* proxy = Find(injected.spec().containers(), kProxyContainer);
  ASSERT_NE(proxy, nullptr);
  EXPECT_EQ(proxy->command(1), "sidecar");
  std::map<std::string, std::string> env;
  for (const auto& e : proxy->env()) {
    env[e.name()] = e.has_value_from() ? e.value_from().field_ref().field_path() : e.value();
  }
  EXPECT_EQ(env["INSTANCE_IP"], "status.podIP");
  EXPECT_EQ(env["WEFT_CLUSTER_ID"], "east");
  EXPECT_EQ(env["WEFT_DISCOVERY_ADDRESS"], "10.244.0.2:15012");
  EXPECT_EQ(env["WEFT_LABELS"], R"({"app":"web"})");
  EXPECT_EQ(injected.spec().volumes_size(), 2);
  EXPECT_EQ(injected.spec().service_account_name(), "default");
  EXPECT_EQ(injected.metadata().annotations().count(kStatusAnnotation), 1u);
}

TEST(Inject, OfAnInjectedPodIsTheSamePod) {
  Pod once = Injected(SomePod());
  Pod twice = Injected(once);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, twice))
      << once.DebugString() << twice.DebugString();
}

TEST(Inject, ANativeSidecarIsThereBeforeThePodsOwnInitContainers) {
  Pod pod = SomePod();
  pod.mutable_spec()->add_init_containers()->set_name("migrate");
  (*pod.mutable_metadata()->mutable_annotations())["sidecar.istio.io/nativeSidecar"] = "true";
  const Pod injected = Injected(pod);
  ASSERT_EQ(injected.spec().init_containers_size(), 3);
  EXPECT_EQ(injected.spec().init_containers(0).name(), kInitContainer);
  const Container& proxy = injected.spec().init_containers(1);
  EXPECT_EQ(proxy.name(), kProxyContainer);
  EXPECT_EQ(proxy.restart_policy(), "Always");
  EXPECT_EQ(proxy.startup_probe().http_get().path(), "/healthz/ready");
  EXPECT_EQ(injected.spec().init_containers(2).name(), "migrate");
  EXPECT_EQ(injected.spec().containers_size(), 1);
  EXPECT_TRUE(IsInjectedAsStated(injected));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(injected, Injected(injected)));
}

TEST(Inject, NativeByConfigIsClassicWhereThePodSaysSo) {
  InjectConfig config = SomeConfig();
  config.native_sidecar = true;
  Pod pod = SomePod();
  const Labels enabled = {{"istio-injection", "enabled"}};
  EXPECT_EQ(InjectSidecar(pod, enabled, "web", config)->spec().init_containers_size(), 2);
  (*pod.mutable_metadata()->mutable_annotations())["sidecar.istio.io/nativeSidecar"] = "false";
  const Pod classic = *InjectSidecar(pod, enabled, "web", config);
  EXPECT_EQ(classic.spec().init_containers_size(), 1);
  EXPECT_EQ(classic.spec().containers_size(), 2);
  // What runs stays in its shape.
  pod = classic;
  pod.mutable_metadata()->mutable_annotations()->erase("sidecar.istio.io/nativeSidecar");
  EXPECT_EQ(InjectSidecar(pod, enabled, "web", config)->spec().init_containers_size(), 1);
}

TEST(Inject, IsStatedOnlyWhereEverythingIsThere) {
  EXPECT_FALSE(IsInjectedAsStated(SomePod()));
  Pod injected = Injected(SomePod());
  EXPECT_TRUE(IsInjectedAsStated(injected));
  Pod half = injected;
  half.mutable_spec()->mutable_containers()->RemoveLast();
  EXPECT_FALSE(IsInjectedAsStated(half));
  for (const char* status :
       {"", "{", "[]", "{}", R"({"containers":{}})", R"({"containers":[1]})"}) {
    (*injected.mutable_metadata()->mutable_annotations())[kStatusAnnotation] = status;
    EXPECT_FALSE(IsInjectedAsStated(injected)) << status;
  }
}

TEST(Inject, CompletesAGatewayWithoutCapture) {
  Pod pod = SomePod();
  (*pod.mutable_metadata()->mutable_annotations())["inject.istio.io/templates"] = "gateway";
  EXPECT_FALSE(InjectSidecar(pod, {{"istio-injection", "enabled"}}, "gw", SomeConfig()).ok());
  pod.mutable_spec()->mutable_containers(0)->set_name(kProxyContainer);
  Pod injected = Injected(pod);
  EXPECT_EQ(injected.spec().containers_size(), 1);
  EXPECT_EQ(injected.spec().containers(0).command(1), "gateway");
  EXPECT_EQ(injected.spec().init_containers_size(), 0);
}

TEST(Inject, NamesThePodOfABadAnnotation) {
  Pod pod = SomePod();
  (*pod.mutable_metadata()->mutable_annotations())["traffic.sidecar.istio.io/excludeInboundPorts"] =
      "http";
  absl::StatusOr<Pod> injected =
      InjectSidecar(pod, {{"istio-injection", "enabled"}}, "web", SomeConfig());
  ASSERT_FALSE(injected.ok());
  EXPECT_TRUE(absl::StrContains(injected.status().message(), "shop/web-1"));
}

}  // namespace
}  // namespace weft::webhook
