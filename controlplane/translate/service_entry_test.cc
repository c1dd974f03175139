// ServiceEntry and WorkloadEntry, field by field: from YAML to what a proxy does with a connection.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/translate/simulated_mesh.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string Entry(const std::string& name, const std::string& spec,
                  const std::string& name_space = "default") {
  return absl::StrCat(
      "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ", name,
      ", namespace: ", name_space, "}\nspec: ", spec, "\n");
}

std::string Machine(const std::string& name, const std::string& spec,
                    const std::string& labels = "{}") {
  return absl::StrCat(
      "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: ", name,
      ", namespace: default, labels: ", labels, "}\nspec: ", spec, "\n");
}

std::string Pod(const std::string& name, const std::string& address, const std::string& rest = "") {
  return absl::StrCat("---\napiVersion: v1\nkind: Pod\nmetadata: {name: ", name,
                      ", namespace: default, labels: {app: db}, annotations: "
                      "{sidecar.istio.io/status: '{}'}}\nspec: {serviceAccountName: db, "
                      "containers: [{name: db}]}\nstatus: {podIP: ",
                      address, ", phase: Running", rest, "}\n");
}

constexpr char kPlainVirtualService[] = R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec: {hosts: [web.test], http: [{route: [{destination: {host: web.test, subset: v2}}]}]}
)";

class ServiceEntryTest : public ::testing::Test {
 protected:
  void Apply(const std::string& yaml) { EXPECT_EQ(mesh_.Apply(yaml), "") << yaml; }
  std::unique_ptr<SimulatedProxy> Proxy(const std::string& name_space = "default") {
    return mesh_.ProxyFor(ClientIn(name_space));
  }

  SimulatedMesh mesh_;
};

// What a row of a table asks of the proxy, and what it should be.
struct Row {
  const char* field;
  const char* spec;
  const char* question;  // "connect PLACE [SNI]", "request PLACE AUTHORITY", "endpoints CLUSTER"
  const char* answer;
};

std::string Ask(const SimulatedProxy& proxy, const std::string& question) {
  const size_t first = question.find(' ');
  const size_t second = question.find(' ', first + 1);
  const std::string verb = question.substr(0, first);
  const std::string what = question.substr(first + 1, second - first - 1);
  const std::string more = second == std::string::npos ? "" : question.substr(second + 1);
  if (verb == "connect") return proxy.Connect(what, more);
  if (verb == "request") return proxy.Request(what, more);
  if (verb == "endpoints") return proxy.Endpoints(what);
  return proxy.Resolve(what);
}

TEST_F(ServiceEntryTest, FieldByField) {
  const Row rows[] = {
      {"hosts",
       "{hosts: [a.test, b.test], ports: [{number: 80, name: http, protocol: HTTP}], "
       "resolution: DNS}",
       "request 192.0.2.1:80 b.test", "outbound|80||b.test"},
      {"hosts, with a port in the request",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
       "request 192.0.2.1:80 a.test:80", "outbound|80||a.test"},
      {"hosts, wildcard", "{hosts: ['*.test'], ports: [{number: 80, name: http, protocol: HTTP}]}",
       "request 192.0.2.1:80 x.test", "outbound|80||*.test"},
      {"hosts, another", "{hosts: ['*.test'], ports: [{number: 80, name: http, protocol: HTTP}]}",
       "request 192.0.2.1:80 x.example", "PassthroughCluster"},
      {"addresses, in a request",
       "{hosts: [a.test], addresses: [192.0.2.5], ports: [{number: 80, name: http, protocol: "
       "HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1}]}",
       "request 192.0.2.5:80 192.0.2.5", "outbound|80||a.test"},
      {"addresses, of TCP",
       "{hosts: [a.test], addresses: [192.0.2.5, 192.0.2.6], ports: [{number: 3306, name: db, "
       "protocol: TCP}], resolution: STATIC, endpoints: [{address: 10.1.0.1}]}",
       "connect 192.0.2.6:3306", "outbound|3306||a.test"},
      {"addresses, another",
       "{hosts: [a.test], addresses: [192.0.2.5], ports: [{number: 3306, name: db, protocol: "
       "TCP}], resolution: STATIC, endpoints: [{address: 10.1.0.1}]}",
       "connect 192.0.2.7:3306", "PassthroughCluster"},
      {"addresses, a block",
       "{hosts: [a.test], addresses: [192.0.2.0/28], ports: [{number: 3306, name: db, protocol: "
       "TCP}]}",
       "connect 192.0.2.9:3306", "outbound|3306||a.test"},
      {"addresses, outside of the block",
       "{hosts: [a.test], addresses: [192.0.2.0/28], ports: [{number: 3306, name: db, protocol: "
       "TCP}]}",
       "connect 192.0.2.99:3306", "PassthroughCluster"},
      {"addresses, in names",
       "{hosts: [a.test], addresses: [192.0.2.5, 192.0.2.6], ports: [{number: 80, name: http, "
       "protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1}]}",
       "resolve a.test", "192.0.2.5 192.0.2.6"},
      {"ports.protocol TLS",
       "{hosts: [a.test, '*.b.test'], ports: [{number: 443, name: tls, protocol: TLS}]}",
       "connect 192.0.2.1:443 x.b.test", "outbound|443||*.b.test"},
      {"ports.protocol HTTPS",
       "{hosts: [a.test], ports: [{number: 443, name: tls, protocol: HTTPS}]}",
       "connect 192.0.2.1:443 a.test", "outbound|443||a.test"},
      {"ports.protocol TLS, another name",
       "{hosts: [a.test], ports: [{number: 443, name: tls, protocol: TLS}]}",
       "connect 192.0.2.1:443 c.test", "PassthroughCluster"},
      {"ports.targetPort",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], "
       "resolution: STATIC, endpoints: [{address: 10.1.0.1}]}",
       "endpoints outbound|80||a.test", "10.1.0.1:8080=1"},
      {"ports.name, as the endpoints' port",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], "
       "resolution: STATIC, endpoints: [{address: 10.1.0.1, ports: {http: 9090}}]}",
       "endpoints outbound|80||a.test", "10.1.0.1:9090=1"},
      {"resolution NONE", "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}]}",
       "endpoints outbound|80||a.test", "original"},
      {"resolution NONE has no address of ours",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}]}", "resolve a.test",
       "unknown"},
      {"resolution DNS",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 81}], "
       "resolution: DNS}",
       "endpoints outbound|80||a.test", "192.0.2.7:81=1"},
      {"resolution DNS, endpoints",
       "{hosts: ['*.test'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, "
       "endpoints: [{address: one.example, weight: 3}, {address: 10.1.0.2}]}",
       "endpoints outbound|80||*.test", "10.1.0.2:80=1 192.0.2.7:80=3"},
      {"resolution DNS_ROUND_ROBIN",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: "
       "DNS_ROUND_ROBIN}",
       "endpoints outbound|80||a.test", "a.test:80=1"},
      {"endpoints.weight",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
       "endpoints: [{address: 10.1.0.1, weight: 5}, {address: 10.1.0.2}]}",
       "endpoints outbound|80||a.test", "10.1.0.1:80=5 10.1.0.2:80=1"},
      {"endpoints.address, a Unix socket",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
       "endpoints: [{address: 'unix:///run/a.sock'}]}",
       "endpoints outbound|80||a.test", "unix:/run/a.sock=1"},
      {"endpoints.serviceAccount",
       "{hosts: [a.test], location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: "
       "HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1, serviceAccount: a}, {address: "
       "10.1.0.2}]}",
       "endpoints outbound|80||a.test",
       "10.1.0.1:80/tlsMode-istio=1 10.1.0.2:80/tlsMode-disabled=1"},
      {"endpoints.labels, the TLS mode",
       "{hosts: [a.test], location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: "
       "HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1, labels: "
       "{security.istio.io/tlsMode: istio}}, {address: 10.1.0.2, serviceAccount: a, labels: "
       "{security.istio.io/tlsMode: disabled}}]}",
       "endpoints outbound|80||a.test",
       "10.1.0.1:80/tlsMode-istio=1 10.1.0.2:80/tlsMode-disabled=1"},
      {"location MESH_EXTERNAL",
       "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
       "endpoints: [{address: 10.1.0.1, serviceAccount: a}]}",
       "endpoints outbound|80||a.test", "10.1.0.1:80=1"},
      {"endpoints.network",
       "{hosts: [a.test], location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: "
       "HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1, network: net-west, "
       "serviceAccount: a}, {network: net-west, serviceAccount: a}]}",
       "endpoints outbound|80||a.test", "172.16.0.2:15443/tlsMode-istio=2"},
      {"endpoints.network, without gateways",
       "{hosts: [a.test], location: MESH_INTERNAL, ports: [{number: 80, name: http, protocol: "
       "HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1, network: far}]}",
       "endpoints outbound|80||a.test", "10.1.0.1:80/tlsMode-disabled=1"},
      {"exportTo",
       "{hosts: [a.test], exportTo: [prod], ports: [{number: 80, name: http, protocol: "
       "HTTP}], resolution: DNS}",
       "endpoints outbound|80||a.test", "no cluster"},
      {"exportTo, its own namespace",
       "{hosts: [a.test], exportTo: ['.'], ports: [{number: 80, name: http, protocol: HTTP}], "
       "resolution: DNS}",
       "endpoints outbound|80||a.test", "192.0.2.7:80=1"},
      {"exportTo, nobody",
       "{hosts: [a.test], exportTo: ['~'], ports: [{number: 80, name: http, protocol: HTTP}], "
       "resolution: DNS}",
       "endpoints outbound|80||a.test", "no cluster"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.field);
    SimulatedMesh mesh;
    EXPECT_EQ(mesh.Apply(Entry("a", row.spec)), "");
    EXPECT_EQ(Ask(*mesh.ProxyFor(ClientIn("default")), row.question), row.answer);
  }
}

TEST_F(ServiceEntryTest, NamesGetAddressesThatDoNotCollide) {
  Apply(Entry("a",
              "{hosts: [a.test], ports: [{number: 3306, name: db, protocol: TCP}], "
              "resolution: DNS}"));
  Apply(Entry("b",
              "{hosts: [b.test], ports: [{number: 3306, name: db, protocol: TCP}], "
              "resolution: DNS}"));
  auto proxy = Proxy();
  const std::string a = proxy->Resolve("a.test");
  const std::string b = proxy->Resolve("b.test");
  EXPECT_TRUE(absl::StartsWith(a, "240.240.")) << a;
  EXPECT_NE(a, b);
  // So TCP ports that several entries share are told apart.
  EXPECT_EQ(proxy->Connect(a + ":3306"), "outbound|3306||a.test");
  EXPECT_EQ(proxy->Connect(b + ":3306"), "outbound|3306||b.test");
  // One that a user states is not given to another.
  Apply(Entry("c", absl::StrCat("{hosts: [c.test], addresses: [", a,
                                "], ports: [{number: 3306, "
                                "name: db, protocol: TCP}], resolution: DNS}")));
  proxy = Proxy();
  EXPECT_EQ(proxy->Resolve("c.test"), a);
  EXPECT_NE(proxy->Resolve("a.test"), a);
  EXPECT_EQ(proxy->Resolve("b.test"), b);
}

TEST_F(ServiceEntryTest, OnOneAddressAndPortTlsIsToldApartByName) {
  const std::string rest =
      "], addresses: [192.0.2.5], ports: [{number: 443, name: tls, protocol: TLS}], resolution: "
      "STATIC, endpoints: [{address: 10.1.0.1}]}";
  Apply(Entry("a", "{hosts: [a.test" + rest));
  EXPECT_EQ(Proxy()->Connect("192.0.2.5:443", "any"), "outbound|443||a.test");
  Apply(Entry("b", "{hosts: [b.test" + rest));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Connect("192.0.2.5:443", "a.test"), "outbound|443||a.test");
  EXPECT_EQ(proxy->Connect("192.0.2.5:443", "b.test"), "outbound|443||b.test");
  EXPECT_EQ(proxy->Connect("192.0.2.5:443", "c.test"), "PassthroughCluster");
}

TEST_F(ServiceEntryTest, PlainHttpTlsByNameAndTcpByBlockShareAPort) {
  Apply(Entry("web", "{hosts: [web.test], ports: [{number: 443, name: http, protocol: HTTP}]}"));
  Apply(Entry("tls", "{hosts: [tls.test], ports: [{number: 443, name: tls, protocol: TLS}]}"));
  Apply(Entry("tcp",
              "{hosts: [tcp.test], addresses: [198.51.100.0/24], ports: [{number: 443, "
              "name: tcp, protocol: TCP}]}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Request("192.0.2.1:443", "web.test"), "outbound|443||web.test");
  EXPECT_EQ(proxy->Connect("192.0.2.1:443", "tls.test"), "outbound|443||tls.test");
  EXPECT_EQ(proxy->Connect("198.51.100.9:443"), "outbound|443||tcp.test");
  EXPECT_EQ(proxy->Connect("192.0.2.1:443", "other.test"), "PassthroughCluster");
}

TEST_F(ServiceEntryTest, EntriesOfOneHostInOneNamespaceAreOneService) {
  Apply(Entry("a",
              "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], "
              "resolution: STATIC, endpoints: [{address: 10.1.0.1}]}"));
  Apply(Entry("b",
              "{hosts: [a.test], ports: [{number: 81, name: http, protocol: HTTP}], "
              "resolution: STATIC, endpoints: [{address: 10.1.0.2}]}"));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Endpoints("outbound|80||a.test"), "10.1.0.1:80=1");
  EXPECT_EQ(proxy->Endpoints("outbound|81||a.test"), "10.1.0.2:81=1");
  mesh_.Apply(
      "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, "
      "deletionTimestamp: '2026-01-01T00:00:00Z'}\nspec: {}\n");
  EXPECT_EQ(Proxy()->Endpoints("outbound|80||a.test"), "no cluster");
}

TEST_F(ServiceEntryTest, OfSeveralNamespacesTheClientsOwnCounts) {
  const auto spec = [](const char* address) {
    return absl::StrCat(
        "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], "
        "resolution: STATIC, endpoints: [{address: ",
        address, "}]}");
  };
  Apply(Entry("a", spec("10.1.0.1"), "default"));
  Apply(Entry("a", spec("10.1.0.2"), "prod"));
  EXPECT_EQ(Proxy("default")->Endpoints("outbound|80||a.test"), "10.1.0.1:80=1");
  EXPECT_EQ(Proxy("prod")->Endpoints("outbound|80||a.test"), "10.1.0.2:80=1");
}

TEST_F(ServiceEntryTest, AServiceOfKubernetesCountsMore) {
  Apply(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.7, ports: "
      "[{name: http, port: 80}]}\n");
  EXPECT_EQ(mesh_.Apply(Entry("a",
                              "{hosts: [web.default.svc.cluster.local], ports: [{number: 80, "
                              "name: http, protocol: HTTP}], resolution: STATIC, endpoints: "
                              "[{address: 10.1.0.1}]}")),
            "test.yaml:2: warning: ServiceEntry default/a: spec.hosts[0]: "
            "'web.default.svc.cluster.local' is a Service's host, too; the Service counts");
  EXPECT_EQ(Proxy()->Endpoints("outbound|80||web.default.svc.cluster.local"), "");
}

TEST_F(ServiceEntryTest, IsADestinationOfVirtualServicesWithSubsetsByLabel) {
  Apply(absl::StrCat(
      Entry("web",
            "{hosts: [web.test], ports: [{number: 80, name: http, protocol: HTTP}], "
            "resolution: STATIC, endpoints: [{address: 10.1.0.1, labels: {v: one}}, "
            "{address: 10.1.0.2, labels: {v: two}}]}"),
      "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\n"
      "spec: {host: web.test, subsets: [{name: v2, labels: {v: two}}]}\n",
      kPlainVirtualService));
  auto proxy = Proxy();
  EXPECT_EQ(proxy->Request("192.0.2.1:80", "web.test"), "outbound|80|v2|web.test");
  EXPECT_EQ(proxy->Endpoints("outbound|80|v2|web.test"), "10.1.0.2:80=1");
}

TEST_F(ServiceEntryTest, NearestFirstByLocality) {
  Apply(Entry("a",
              "{hosts: [a.test], ports: [{number: 80, name: http, protocol: HTTP}], "
              "resolution: STATIC, endpoints: [{address: 10.1.0.1, locality: us/us-1}, "
              "{address: 10.1.0.2, locality: eu/eu-1/rack-7}]}"));
  ProxyView view = ClientIn("default");
  view.locality = {"eu", "eu-1"};
  const auto assignment = AssignmentIn(*mesh_.ResourcesFor(view), "outbound|80||a.test");
  ASSERT_EQ(assignment.endpoints_size(), 2);
  EXPECT_EQ(assignment.endpoints(0).priority(), 0u);
  EXPECT_EQ(assignment.endpoints(0).locality().region(), "eu");
  EXPECT_EQ(assignment.endpoints(0).locality().sub_zone(), "rack-7");
  EXPECT_EQ(assignment.endpoints(1).priority(), 1u);
}

TEST_F(ServiceEntryTest, SubjectAltNamesAreWhoMayAnswer) {
  Apply(absl::StrCat(
      Entry("in",
            "{hosts: [in.test], location: MESH_INTERNAL, subjectAltNames: "
            "['spiffe://vm.local/ns/a/sa/b'], ports: [{number: 80, name: http, protocol: "
            "HTTP}], resolution: STATIC, endpoints: [{address: 10.1.0.1, serviceAccount: "
            "m}]}"),
      Entry("out",
            "{hosts: [out.test], subjectAltNames: [real.test], ports: [{number: 443, name: "
            "tls, protocol: TLS}], resolution: DNS}"),
      "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: out}\n"
      "spec: {host: out.test, trafficPolicy: {tls: {mode: SIMPLE}}}\n"));
  const auto resources = mesh_.ResourcesFor(ClientIn("default"));
  const auto bytes = [&](const std::string& name) { return *resources->clusters.at(name); };
  EXPECT_TRUE(absl::StrContains(bytes("outbound|80||in.test"), "spiffe://vm.local/ns/a/sa/b"));
  EXPECT_TRUE(
      absl::StrContains(bytes("outbound|80||in.test"), "spiffe://east.local/ns/default/sa/m"));
  EXPECT_TRUE(absl::StrContains(bytes("outbound|443||out.test"), "real.test"));
}

TEST_F(ServiceEntryTest, SelectsMachinesAndPodsOfItsNamespace) {
  Apply(Entry("db",
              "{hosts: [db.test], location: MESH_INTERNAL, ports: [{number: 5432, name: db, "
              "protocol: TCP, targetPort: 6432}], resolution: STATIC, workloadSelector: "
              "{labels: {app: db}}}"));
  const std::string cluster = "outbound|5432||db.test";
  EXPECT_EQ(Proxy()->Endpoints(cluster), "");
  Apply(Machine("vm",
                "{address: 10.1.0.1, serviceAccount: db, ports: {db: 7432}, labels: {app: "
                "db}}"));
  Apply(Pod("db-0", "10.1.0.2"));
  Apply(Pod("db-1", "10.1.0.3", ", conditions: [{type: Ready, status: 'False'}]"));
  Apply(Machine("other", "{address: 10.1.0.4, labels: {app: web}}"));
  EXPECT_EQ(Proxy()->Endpoints(cluster),
            "10.1.0.1:7432/tlsMode-istio=1 10.1.0.2:6432/tlsMode-istio=1");
  // Labels of the object are labels, too, and what goes is gone.
  Apply(Machine("other", "{address: 10.1.0.4}", "{app: db}"));
  Apply(
      "---\napiVersion: v1\nkind: Pod\nmetadata: {name: db-0, namespace: default, "
      "deletionTimestamp: '2026-01-01T00:00:00Z'}\n");
  EXPECT_EQ(Proxy()->Endpoints(cluster),
            "10.1.0.1:7432/tlsMode-istio=1 10.1.0.4:6432/tlsMode-disabled=1");
}

TEST_F(ServiceEntryTest, MachinesAnswerForAServiceOfKubernetesThatSelectsThem) {
  Apply(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.7, "
      "selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, "
      "port: 81, targetPort: console}, {name: tcp-x, port: 82}]}\n");
  Apply(Machine("one", "{address: 10.1.0.1, labels: {app: web}, serviceAccount: web}"));
  Apply(Machine("two",
                "{address: 10.1.0.2, labels: {app: web}, ports: {http: 9080, console: "
                "9081}}"));
  auto proxy = Proxy();
  const auto endpoints = [&](int port) {
    return proxy->Endpoints(absl::StrCat("outbound|", port, "||web.default.svc.cluster.local"));
  };
  EXPECT_EQ(endpoints(80), "10.1.0.1:8080/tlsMode-istio=1 10.1.0.2:9080/tlsMode-disabled=1");
  EXPECT_EQ(endpoints(81), "10.1.0.2:9081/tlsMode-disabled=1");
  EXPECT_EQ(endpoints(82), "10.1.0.1:82/tlsMode-istio=1 10.1.0.2:82/tlsMode-disabled=1");
  Apply(Machine("one", "{address: 10.1.0.1, labels: {app: old}, serviceAccount: web}"));
  proxy = Proxy();
  EXPECT_EQ(endpoints(80), "10.1.0.2:9080/tlsMode-disabled=1");
}

TEST_F(ServiceEntryTest, AMachineIsAWorkloadWithInboundPorts) {
  Apply(Entry("db",
              "{hosts: [db.test], location: MESH_INTERNAL, ports: [{number: 80, name: http, "
              "protocol: HTTP, targetPort: 8080}], resolution: STATIC, workloadSelector: "
              "{labels: {app: db}}}"));
  Apply(Machine("vm",
                "{address: 10.244.0.200, serviceAccount: db, labels: {app: db}, locality: "
                "eu/eu-1}"));
  const Workload& workload = *mesh_.world()->workloads.at("10.244.0.200");
  EXPECT_EQ(workload.namespace_, "default");
  EXPECT_EQ(workload.name, "vm");
  EXPECT_EQ(workload.service_account, "db");
  EXPECT_EQ(workload.labels, (Labels{{"app", "db"}}));
  EXPECT_EQ(workload.locality.region, "eu");
  EXPECT_TRUE(workload.injected);
  EXPECT_EQ(Proxy()->Inbound(8080, true), "http inbound|8080||");
  // A pod at that address speaks for itself.
  Apply(Pod("db-0", "10.244.0.200"));
  EXPECT_EQ(mesh_.world()->workloads.at("10.244.0.200")->name, "db-0");
}

TEST_F(ServiceEntryTest, OfAnotherNamespaceDoesNotDecideWhatAPodsPortSpeaks) {
  Apply(Pod("db-0", "10.244.0.200"));
  const std::string spec =
      "{hosts: [x.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, "
      "endpoints: [{address: 10.244.0.200}]}";
  Apply(Entry("x", spec, "elsewhere"));
  EXPECT_EQ(Proxy()->Inbound(80, true), "InboundPassthroughCluster");
  Apply(Entry("x", spec, "default"));
  EXPECT_EQ(Proxy()->Inbound(80, true), "http inbound|80||");
}

}  // namespace
}  // namespace weft
