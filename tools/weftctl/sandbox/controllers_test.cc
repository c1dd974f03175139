#include "tools/weftctl/sandbox/controllers.h"

#include <gtest/gtest.h>

namespace weft::sandbox {
namespace {

using kubernetes::Deployment;
using kubernetes::EndpointSlice;
using kubernetes::Pod;
using kubernetes::Service;

Deployment Web(int replicas) {
  Deployment deployment;
  deployment.mutable_metadata()->set_name("web");
  deployment.mutable_metadata()->set_namespace_("default");
  deployment.mutable_spec()->set_replicas(replicas);
  auto* labels =
      deployment.mutable_spec()->mutable_template_()->mutable_metadata()->mutable_labels();
  (*labels)["app"] = "web";
  (*labels)["version"] = "v1";
  return deployment;
}

TEST(PlanReplicas, CreatesWhatIsMissing) {
  EXPECT_EQ(PlanReplicas(Web(3), {}).create, 3);
  Deployment unsaid = Web(1);
  unsaid.mutable_spec()->clear_replicas();
  EXPECT_EQ(PlanReplicas(unsaid, {}).create, 1);
  EXPECT_EQ(PlanReplicas(Web(0), {}).create, 0);
  EXPECT_EQ(PlanReplicas(Web(-1), {}).create, 0);
  EXPECT_EQ(PlanReplicas(Web(1 << 30), {}).create, kMaxReplicas);
}

TEST(PlanReplicas, LeavesDeadPodsAsTheyAre) {
  std::string hash = TemplateHash(Web(2));
  ReplicaPlan plan = PlanReplicas(Web(2), {{"a", hash, false}, {"b", hash, false}});
  EXPECT_EQ(plan.create, 0);
  EXPECT_TRUE(plan.remove.empty());
}

TEST(PlanReplicas, ScalesDownFromThoseNotReady) {
  std::string hash = TemplateHash(Web(1));
  ReplicaPlan plan = PlanReplicas(Web(1), {{"a", hash, false}, {"b", hash, true}});
  EXPECT_EQ(plan.remove, std::vector<std::string>{"a"});
}

TEST(PlanReplicas, KeepsOldPodsUntilTheNewAreReady) {
  Deployment deployment = Web(1);
  std::string hash = TemplateHash(deployment);
  ReplicaPlan plan = PlanReplicas(deployment, {{"old", "x", true}});
  EXPECT_EQ(plan.create, 1);
  EXPECT_TRUE(plan.remove.empty());
  plan = PlanReplicas(deployment, {{"old", "x", true}, {"new", hash, false}});
  EXPECT_TRUE(plan.remove.empty());
  plan = PlanReplicas(deployment, {{"old", "x", true}, {"new", hash, true}});
  EXPECT_EQ(plan.remove, std::vector<std::string>{"old"});
}

TEST(TemplateHash, ChangesWithTheTemplateOnly) {
  EXPECT_EQ(TemplateHash(Web(1)), TemplateHash(Web(5)));
  Deployment changed = Web(1);
  changed.mutable_spec()->mutable_template_()->mutable_spec()->add_containers()->set_image("new");
  EXPECT_NE(TemplateHash(Web(1)), TemplateHash(changed));
}

TEST(PodOfDeployment, IsNamedAfterItAndFitsAHostName) {
  Deployment deployment = Web(1);
  Pod pod = PodOfDeployment(deployment, 12345);
  EXPECT_EQ(pod.metadata().name().rfind("web-" + TemplateHash(deployment) + "-", 0), 0u);
  EXPECT_EQ(pod.metadata().labels().at("version"), "v1");
  deployment.mutable_metadata()->set_name(std::string(200, 'a'));
  EXPECT_LE(PodOfDeployment(deployment, ~0ull).metadata().name().size(), 63u);
}

Pod WebPod(const std::string& name, const std::string& ip, bool ready) {
  Pod pod;
  pod.mutable_metadata()->set_name(name);
  pod.mutable_metadata()->set_namespace_("default");
  (*pod.mutable_metadata()->mutable_labels())["app"] = "web";
  auto* port = pod.mutable_spec()->add_containers()->add_ports();
  port->set_name("http");
  port->set_container_port(8080);
  pod.mutable_status()->set_pod_ip(ip);
  auto* condition = pod.mutable_status()->add_conditions();
  condition->set_type("Ready");
  condition->set_status(ready ? "True" : "False");
  return pod;
}

Service WebService() {
  Service service;
  service.mutable_metadata()->set_name("web");
  service.mutable_metadata()->set_namespace_("default");
  service.mutable_spec()->set_cluster_ip("10.96.0.21");
  (*service.mutable_spec()->mutable_selector())["app"] = "web";
  auto* port = service.mutable_spec()->add_ports();
  port->set_name("http");
  port->set_port(80);
  port->mutable_target_port()->set_string_value("http");
  return service;
}

TEST(SliceOfService, HoldsTheSelectedPodsAndTheirReadiness) {
  Pod ready = WebPod("a", "10.244.0.11", true);
  Pod dead = WebPod("b", "10.244.0.12", false);
  Pod other = WebPod("c", "10.244.0.13", true);
  (*other.mutable_metadata()->mutable_labels())["app"] = "db";
  Pod elsewhere = WebPod("d", "10.244.0.14", true);
  elsewhere.mutable_metadata()->set_namespace_("shop");
  EndpointSlice slice = SliceOfService(WebService(), "IPv4", {&ready, &dead, &other, &elsewhere});
  ASSERT_EQ(slice.endpoints_size(), 2);
  EXPECT_TRUE(slice.endpoints(0).conditions().ready());
  EXPECT_FALSE(slice.endpoints(1).conditions().ready());
  ASSERT_EQ(slice.ports_size(), 1);
  EXPECT_EQ(slice.ports(0).port(), 8080);
  EXPECT_EQ(slice.metadata().labels().at("kubernetes.io/service-name"), "web");
}

TEST(SliceOfService, ResolvesTargetPorts) {
  struct Case {
    std::string target;  // empty: none; digits as a number
    int port;            // 0: left out
  };
  Pod pod = WebPod("a", "10.244.0.11", true);
  for (const Case& c : {Case{"", 80}, Case{"http", 8080}, Case{"9090", 9090}, Case{"nope", 0}}) {
    Service service = WebService();
    auto* port = service.mutable_spec()->mutable_ports(0);
    port->clear_target_port();
    if (!c.target.empty()) port->mutable_target_port()->set_string_value(c.target);
    EndpointSlice slice = SliceOfService(service, "IPv4", {&pod});
    ASSERT_EQ(slice.ports_size(), c.port == 0 ? 0 : 1) << c.target;
    if (c.port != 0) EXPECT_EQ(slice.ports(0).port(), c.port) << c.target;
  }
}

TEST(SliceOfService, HoldsTheAddressesOfItsFamily) {
  Pod both = WebPod("web-1", "10.244.0.11", true);
  both.mutable_status()->add_pod_ips()->set_ip("10.244.0.11");
  both.mutable_status()->add_pod_ips()->set_ip("fd00:10:244::b");
  const Pod v4 = WebPod("web-2", "10.244.0.12", true);
  Service service = WebService();
  service.mutable_spec()->add_cluster_ips("10.96.0.21");
  service.mutable_spec()->add_cluster_ips("fd00:10:96::15");
  const EndpointSlice slice = SliceOfService(service, "IPv6", {&both, &v4});
  EXPECT_EQ(slice.metadata().name(), "web-ipv6");
  EXPECT_EQ(slice.address_type(), "IPv6");
  ASSERT_EQ(slice.endpoints_size(), 1);
  EXPECT_EQ(slice.endpoints(0).addresses(0), "fd00:10:244::b");
  const std::vector<ServicePort> routes = RoutesOfService(service, slice);
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_EQ(routes[0].cluster_ip, "fd00:10:96::15");
}

TEST(IpFamiliesOf, AreWhatTheServiceAsksFor) {
  using Families = std::vector<std::string>;
  Service service = WebService();
  EXPECT_EQ(IpFamiliesOf(service, true), Families({"IPv4"}));
  service.mutable_spec()->set_ip_family_policy("PreferDualStack");
  EXPECT_EQ(IpFamiliesOf(service, true), Families({"IPv4", "IPv6"}));
  service.mutable_spec()->add_ip_families("IPv6");
  EXPECT_EQ(IpFamiliesOf(service, true), Families({"IPv6", "IPv4"}));
  service.mutable_spec()->set_ip_family_policy("SingleStack");
  EXPECT_EQ(IpFamiliesOf(service, true), Families({"IPv6"}));
  EXPECT_EQ(IpFamiliesOf(service, false), Families({"IPv4"}));
}

TEST(RoutesOfService, LeadToReadyPodsOnly) {
  Pod ready = WebPod("a", "10.244.0.11", true);
  Pod dead = WebPod("b", "10.244.0.12", false);
  Service service = WebService();
  std::vector<ServicePort> routes =
      RoutesOfService(service, SliceOfService(service, "IPv4", {&ready, &dead}));
  ASSERT_EQ(routes.size(), 1u);
  ASSERT_EQ(routes[0].backends.size(), 1u);
  EXPECT_EQ(routes[0].backends[0].ip, "10.244.0.11");
  EXPECT_EQ(routes[0].backends[0].port, 8080);
  service.mutable_spec()->set_cluster_ip("None");
  EXPECT_TRUE(RoutesOfService(service, SliceOfService(service, "IPv4", {&ready})).empty());
}

}  // namespace
}  // namespace weft::sandbox
