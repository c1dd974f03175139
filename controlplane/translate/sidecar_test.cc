// Sidecar, field by field: what a proxy is sent, and what it does with a connection.
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "controlplane/translate/simulated_mesh.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string ServiceYaml(const std::string& name_space, const std::string& name,
                        const std::string& address, const std::string& ports) {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: ", name,
                      ", namespace: ", name_space, "}\nspec: {clusterIP: ", address,
                      ", ports: ", ports, "}\n");
}

std::string SidecarYaml(const std::string& name, const std::string& spec,
                        const std::string& name_space = "default") {
  return absl::StrCat("---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: ",
                      name, ", namespace: ", name_space, "}\nspec: ", spec, "\n");
}

std::string Cluster(const std::string& name, const std::string& name_space, int port = 80) {
  return absl::StrCat("outbound|", port, "||", name, ".", name_space, ".svc.cluster.local");
}

// web and db in "default", api in "prod", all on HTTP port 80, db on TCP port 3306.
class SidecarTest : public ::testing::Test {
 protected:
  SidecarTest() {
    const std::string http = "[{name: http, port: 80}]";
    Apply(ServiceYaml("default", "web", "10.96.0.1", http));
    Apply(ServiceYaml("default", "db", "10.96.0.2",
                      "[{name: http, port: 80}, {name: tcp, port: "
                      "3306}]"));
    Apply(ServiceYaml("prod", "api", "10.96.0.3", http));
  }

  void Apply(const std::string& yaml) { EXPECT_EQ(mesh_.Apply(yaml), "") << yaml; }
  void Delete(const std::string& name) {
    mesh_.Apply(
        absl::StrCat("---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: "
                     "{name: ",
                     name, ", deletionTimestamp: '2026-01-01T00:00:00Z'}\nspec: {}\n"));
  }
  std::unique_ptr<SimulatedProxy> Proxy(Labels labels = {}) {
    return mesh_.ProxyFor(ClientIn("default", std::move(labels)));
  }
  // "web db api": those of which the proxy is sent a cluster.
  std::string Known(const ProxyView& view) {
    const auto resources = mesh_.ResourcesFor(view);
    std::string known;
    for (const auto& [name, cluster] :
         std::map<std::string, std::string>{{"api", Cluster("api", "prod")},
                                            {"db", Cluster("db", "default")},
                                            {"web", Cluster("web", "default")}}) {
      const bool there = resources->clusters.contains(cluster);
      EXPECT_EQ(resources->endpoints.contains(cluster), there);
      if (there) absl::StrAppend(&known, known.empty() ? "" : " ", name);
    }
    return known;
  }
  std::string Known() { return Known(ClientIn("default")); }

  SimulatedMesh mesh_;
};

TEST_F(SidecarTest, EgressHosts) {
  const struct {
    const char* hosts;
    const char* known;
  } rows[] = {
      {"['*/*']", "api db web"},
      {"['./*']", "db web"},
      {"['default/*']", "db web"},
      {"['prod/*']", "api"},
      {"['prod/*', './web.default.svc.cluster.local']", "api web"},
      {"['*/db.default.svc.cluster.local']", "db"},
      {"['*/*.prod.svc.cluster.local']", "api"},
      {"['default/*.prod.svc.cluster.local']", ""},
      {"['~/*']", ""},
      {"['nowhere/*']", ""},
  };
  EXPECT_EQ(Known(), "api db web");
  for (const auto& row : rows) {
    Apply(SidecarYaml("default", absl::StrCat("{egress: [{hosts: ", row.hosts, "}]}")));
    EXPECT_EQ(Known(), row.known) << row.hosts;
    Delete("default");
  }
}

TEST_F(SidecarTest, CutsListenersRoutesAndNamesToo) {
  Apply(SidecarYaml("default", "{egress: [{hosts: ['./web.default.svc.cluster.local']}]}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Request("10.96.0.1:80", "web"), Cluster("web", "default"));
  EXPECT_EQ(proxy->Request("10.96.0.3:80", "api.prod"), "PassthroughCluster");
  EXPECT_EQ(proxy->Connect("10.96.0.2:3306"), "PassthroughCluster");
  EXPECT_EQ(proxy->Resolve("web"), "10.96.0.1");
  EXPECT_EQ(proxy->Resolve("db"), "unknown");
  const auto resources = mesh_.ResourcesFor(ClientIn("default"));
  EXPECT_FALSE(resources->listeners.contains("10.96.0.2_3306"));
  EXPECT_EQ(resources->routes.size(), 1u);
  EXPECT_EQ(resources->clusters.size(), 4u);  // web, and the three that are always there
}

TEST_F(SidecarTest, WorkloadThenNamespaceThenRoot) {
  Apply(SidecarYaml("default", "{egress: [{hosts: ['prod/*']}]}", "istio-system"));
  EXPECT_EQ(Known(), "api");
  EXPECT_EQ(Known(ClientIn("prod")), "api");
  Apply(SidecarYaml("default", "{egress: [{hosts: ['./*']}]}", "default"));
  EXPECT_EQ(Known(), "db web");
  Apply(SidecarYaml("mine",
                    "{workloadSelector: {labels: {app: web}}, egress: [{hosts: "
                    "['./db.default.svc.cluster.local']}]}"));
  EXPECT_EQ(Known(ClientIn("default", {{"app", "web"}})), "db");
  EXPECT_EQ(Known(ClientIn("default", {{"app", "other"}})), "db web");
  // "." is the client's namespace, not that of the root's Sidecar.
  Apply(SidecarYaml("default", "{egress: [{hosts: ['./*']}]}", "istio-system"));
  EXPECT_EQ(Known(ClientIn("prod")), "api");
}

TEST_F(SidecarTest, WhatItDoesNotSayIsThatOfTheNamespace) {
  Apply(SidecarYaml("default",
                    "{egress: [{hosts: ['./*']}], outboundTrafficPolicy: {mode: "
                    "REGISTRY_ONLY}}"));
  Apply(SidecarYaml("mine",
                    "{workloadSelector: {labels: {app: web}}, inboundConnectionPool: {tcp: "
                    "{maxConnections: 7}}}"));
  EXPECT_EQ(Known(ClientIn("default", {{"app", "web"}})), "db web");
  EXPECT_EQ(Proxy({{"app", "web"}})->Connect("192.0.2.1:9999"), "BlackHoleCluster");
}

TEST_F(SidecarTest, OutboundTrafficPolicy) {
  const struct {
    const char* policy;
    const char* connection;
    const char* request;
  } rows[] = {
      {"{mode: ALLOW_ANY}", "PassthroughCluster", "PassthroughCluster"},
      {"{mode: REGISTRY_ONLY}", "BlackHoleCluster", "502"},
      {"{}", "BlackHoleCluster", "502"},  // the mode's default, as Istio has it
      {"{mode: ALLOW_ANY, egressProxy: {host: api.prod.svc.cluster.local, port: {number: 80}}}",
       "outbound|80||api.prod.svc.cluster.local", "outbound|80||api.prod.svc.cluster.local"},
      {"{mode: ALLOW_ANY, egressProxy: {host: gone.prod.svc.cluster.local, port: {number: 80}}}",
       "BlackHoleCluster", "BlackHoleCluster"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.policy);
    Apply(SidecarYaml(
        "default",
        absl::StrCat("{egress: [{hosts: ['./*']}], outboundTrafficPolicy: ", row.policy, "}")));
    auto proxy = Proxy();
    EXPECT_EQ(proxy->Connect("192.0.2.1:9999"), row.connection);
    EXPECT_EQ(proxy->Request("192.0.2.1:80", "unknown.test"), row.request);
    EXPECT_EQ(proxy->Request("10.96.0.1:80", "web"), Cluster("web", "default"));
  }
}

TEST_F(SidecarTest, UnknownNamesOnAPortOfTlsFollowThePolicy) {
  Apply(
      "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: tls}\nspec: "
      "{hosts: [tls.test], ports: [{number: 443, name: tls, protocol: TLS}]}\n");
  Apply(SidecarYaml("default", "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Connect("192.0.2.1:443", "tls.test"), "outbound|443||tls.test");
  EXPECT_EQ(proxy->Connect("192.0.2.1:443", "other.test"), "BlackHoleCluster");
}

TEST_F(SidecarTest, APortIsThatOfTheListenerThatNamesIt) {
  Apply(SidecarYaml("default",
                    "{egress: [{port: {number: 80, protocol: HTTP, name: http}, hosts: "
                    "['prod/*']}, {hosts: ['./*']}]}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Request("10.96.0.3:80", "api.prod"), Cluster("api", "prod"));
  EXPECT_EQ(proxy->Request("10.96.0.1:80", "web"), "PassthroughCluster");
  EXPECT_EQ(proxy->Connect("10.96.0.2:3306"), Cluster("db", "default", 3306));
}

TEST_F(SidecarTest, ListenersThatAreBoundAndNotCaptured) {
  Apply(SidecarYaml("default",
                    "{egress: [{port: {number: 80, protocol: HTTP, name: http}, "
                    "captureMode: NONE, hosts: ['prod/*']}, {port: {number: 3306, "
                    "protocol: TCP, name: db}, bind: 127.0.0.9, hosts: ['./*']}, {hosts: "
                    "['~/*']}]}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->BoundRequest("127.0.0.1_80", "api.prod"), Cluster("api", "prod"));
  EXPECT_EQ(proxy->BoundRequest("127.0.0.1_80", "web"), "PassthroughCluster");
  EXPECT_EQ(proxy->BoundRequest("127.0.0.9_3306", ""), "tcp");
  EXPECT_EQ(proxy->Connect("10.96.0.3:80"), "PassthroughCluster");
}

TEST_F(SidecarTest, DestinationsOfRoutesAreThereThoughTheirHostsAreNot) {
  Apply(
      "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\n"
      "spec: {hosts: [web], http: [{route: [{destination: {host: api.prod.svc.cluster.local}}]}]}"
      "\n");
  Apply(SidecarYaml("default", "{egress: [{hosts: ['./web.default.svc.cluster.local']}]}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Request("10.96.0.1:80", "web"), Cluster("api", "prod"));
  EXPECT_EQ(proxy->Request("10.96.0.3:80", "api.prod"), "PassthroughCluster");
  EXPECT_EQ(proxy->Resolve("api.prod"), "unknown");
}

TEST_F(SidecarTest, IngressTakesThePlaceOfTheServicesPorts) {
  const struct {
    const char* endpoint;
    const char* dialed;
  } rows[] = {
      {"", "10.244.0.200:9080"},
      {"defaultEndpoint: '127.0.0.1:8080'", "127.0.0.1:8080"},
      {"defaultEndpoint: '0.0.0.0:8081'", "10.244.0.200:8081"},
      {"defaultEndpoint: 'unix:///run/app.sock'", "unix:/run/app.sock"},
  };
  for (const auto& row : rows) {
    Apply(SidecarYaml("default", absl::StrCat("{ingress: [{port: {number: 9080, protocol: HTTP, "
                                              "name: http}, ",
                                              row.endpoint, "}]}")));
    auto proxy = Proxy();
    EXPECT_EQ(proxy->Inbound(9080, true), "http inbound|9080||");
    EXPECT_EQ(proxy->Inbound(9080, false), "http inbound|9080||");
    EXPECT_EQ(proxy->Endpoints("inbound|9080||"), absl::StrCat(row.dialed, "=1"));
    EXPECT_EQ(proxy->Inbound(80, true), "InboundPassthroughCluster");
    EXPECT_EQ(Known(), "api db web");
  }
}

TEST_F(SidecarTest, ConnectionPoolsOfInboundPorts) {
  Apply(SidecarYaml("default",
                    "{inboundConnectionPool: {tcp: {maxConnections: 7}}, ingress: "
                    "[{port: {number: 1, protocol: TCP, name: a}}, {port: {number: 2, "
                    "protocol: TCP, name: b}, connectionPool: {tcp: {maxConnections: "
                    "8}}}]}"));
  const auto resources = mesh_.ResourcesFor(ClientIn("default"));
  const auto limit = [&](const std::string& name) {
    return ClusterIn(*resources, name).circuit_breakers().thresholds(0).max_connections().value();
  };
  EXPECT_EQ(limit("inbound|1||"), 7u);
  EXPECT_EQ(limit("inbound|2||"), 8u);
}

TEST_F(SidecarTest, OfAServiceEntrysNamespacesTheNamedOneCounts) {
  for (const char* name_space : {"default", "prod"}) {
    Apply(
        absl::StrCat("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: "
                     "{name: x, namespace: ",
                     name_space,
                     "}\nspec: {hosts: [x.test], ports: [{number: 80, name: http, protocol: "
                     "HTTP}], resolution: STATIC, endpoints: [{address: ",
                     name_space[0] == 'p' ? "10.1.0.2" : "10.1.0.1", "}]}\n"));
  }
  EXPECT_EQ(Proxy()->Endpoints("outbound|80||x.test"), "10.1.0.1:80=1");
  Apply(SidecarYaml("default", "{egress: [{hosts: ['prod/x.test']}]}"));
  EXPECT_EQ(Proxy()->Endpoints("outbound|80||x.test"), "10.1.0.2:80=1");
}

TEST_F(SidecarTest, SidecarsAlikeShareWhatTheyAreSent) {
  const std::string egress = "egress: [{hosts: ['./*']}]";
  Apply(SidecarYaml("a", "{workloadSelector: {labels: {app: a}}, " + egress + "}"));
  Apply(SidecarYaml("b",
                    "{workloadSelector: {labels: {app: b}}, ingress: [{port: {number: 1, "
                    "protocol: TCP, name: x}}], " +
                        egress + "}"));
  const ProxyView a = ClientIn("default", {{"app", "a"}});
  const ProxyView b = ClientIn("default", {{"app", "b"}});
  EXPECT_EQ(mesh_.ScopeOf(a), mesh_.ScopeOf(b));
  EXPECT_NE(mesh_.ScopeOf(a), mesh_.ScopeOf(ClientIn("default")));
  const std::string cluster = Cluster("web", "default");
  EXPECT_EQ(mesh_.ResourcesFor(a)->clusters.at(cluster),
            mesh_.ResourcesFor(b)->clusters.at(cluster))
      << "the very same bytes";
}

TEST_F(SidecarTest, AChangeOutOfScopeChangesNoByte) {
  Apply(SidecarYaml("default", "{egress: [{hosts: ['./*']}]}"));
  const auto bytes = [&](const char* name_space) {
    const auto resources = mesh_.ResourcesFor(ClientIn(name_space));
    std::map<std::string, std::string> all;
    int type = 0;
    for (const EncodedResources* encoded :
         {&resources->clusters, &resources->endpoints, &resources->listeners, &resources->routes,
          &resources->secrets, &resources->name_table}) {
      ++type;
      for (const auto& [name, one] : *encoded) all[absl::StrCat(type, name)] = *one;
    }
    return all;
  };
  const auto before = bytes("default");
  const auto others = bytes("prod");
  const std::string changes[] = {
      ServiceYaml("prod", "new", "10.96.0.9", "[{name: http, port: 8080}, {name: tcp, port: 9}]"),
      ServiceYaml("prod", "api", "10.96.0.3", "[{name: http, port: 80}, {name: http-b, port: 81}]"),
      "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: x, namespace: "
      "prod}\nspec: {hosts: [x.test], ports: [{number: 80, name: http, protocol: HTTP}], "
      "resolution: DNS}\n",
      "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: api, "
      "namespace: prod}\nspec: {host: api, trafficPolicy: {loadBalancer: {simple: RANDOM}}}\n",
      "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: api, namespace: "
      "prod, labels: {kubernetes.io/service-name: api}}\naddressType: IPv4\nports: [{name: http, "
      "port: 80}]\nendpoints: [{addresses: [10.1.0.1]}]\n",
  };
  for (const std::string& change : changes) {
    Apply(change);
    EXPECT_EQ(bytes("default"), before) << change;
  }
  EXPECT_NE(bytes("prod"), others);
}

}  // namespace
}  // namespace weft
