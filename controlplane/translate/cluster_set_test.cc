// NAME.NS.svc.clusterset.local: from what clusters export to where a client's requests go.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/translate/simulated_mesh.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

// Services "web", HTTP, and "db", TCP, with a pod each.
std::string OwnServices(const std::string& annotations = "") {
  std::string yaml;
  for (const std::string name : {"web", "db"}) {
    const bool web = name == "web";
    const std::string port_name = web ? "http" : "tcp";
    const std::string port = web ? "80" : "3306";
    const std::string address = web ? "10.244.0.9" : "10.244.0.8";
    absl::StrAppend(&yaml, "---\napiVersion: v1\nkind: Service\nmetadata: {name: ", name,
                    ", namespace: shop, annotations: {", annotations,
                    "}}\nspec: {clusterIP: ", web ? "10.96.0.1" : "10.96.0.2",
                    ", ports: [{name: ", port_name, ", port: ", port, "}]}\n");
    absl::StrAppend(&yaml, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n",
                    "metadata: {name: ", name,
                    "-1, namespace: shop, labels: ", "{kubernetes.io/service-name: ", name,
                    "}}\naddressType: IPv4\nports: [{name: ", port_name, ", port: ", port,
                    "}]\nendpoints: [{addresses: [", address,
                    "], targetRef: {kind: Pod, name: ", name, "-1}}]\n");
    absl::StrAppend(&yaml, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: ", name,
                    "-1, namespace: shop, annotations: {sidecar.istio.io/status: '{}'}}\n",
                    "spec: {serviceAccountName: app, containers: [{name: app}]}\n",
                    "status: {podIP: ", address, ", phase: Running}\n");
  }
  return yaml;
}

ExportedService Exported(const std::string& name, const ServicePort& port) {
  return {"shop", name, {port}, {{{}, {}, "app", 2}}};
}
const ExportedService kWeb = Exported("web", {"http", 80, Protocol::kHttp});
const ExportedService kDb = Exported("db", {"tcp", 3306, Protocol::kTcp});

std::string Local(const std::string& name) { return name + ".shop.svc.cluster.local"; }
std::string InSet(const std::string& name) { return name + ".shop.svc.clusterset.local"; }
std::string ClusterOf(const std::string& host, int port = 80) {
  return absl::StrCat("outbound|", port, "||", host);
}

constexpr char kHere[] = "10.244.0.9:80/tlsMode-istio=1";
constexpr char kInWest[] = "172.16.0.2:15443/tlsMode-istio=2";

class ClusterSet : public ::testing::Test {
 protected:
  // As seen from another namespace.
  std::unique_ptr<SimulatedProxy> Client() { return mesh_.ProxyFor(ClientIn("default")); }

  SimulatedMesh mesh_;
};

TEST_F(ClusterSet, TheNameIsAnotherOneOfTheSameServiceWhereBothAreTheSame) {
  EXPECT_EQ(mesh_.Apply(OwnServices()), "");
  EXPECT_EQ(mesh_.WestExports({kWeb, kDb}), "");
  const auto client = Client();
  EXPECT_EQ(client->Resolve(InSet("web")), "10.96.0.1");
  for (const std::string& host : {Local("web"), InSet("web"), InSet("web") + ":80"}) {
    EXPECT_EQ(client->Request("10.96.0.1:80", host), ClusterOf(Local("web"))) << host;
  }
  EXPECT_EQ(client->Endpoints(ClusterOf(Local("web"))), absl::StrCat(kHere, " ", kInWest));
  EXPECT_EQ(client->Endpoints(ClusterOf(InSet("web"))), "no cluster");
  EXPECT_EQ(client->Connect("10.96.0.2:3306"), ClusterOf(Local("db"), 3306));
  // Short forms are the local name's.
  EXPECT_EQ(client->Resolve("web.shop"), "10.96.0.1");
  EXPECT_EQ(client->Resolve("web.shop.svc.clusterset"), "unknown");
}

TEST_F(ClusterSet, AServiceOfAnotherClusterAloneHasBothNames) {
  EXPECT_EQ(mesh_.WestExports({kWeb}), "");
  const auto client = Client();
  const std::string address = client->Resolve(InSet("web"));
  EXPECT_TRUE(absl::StartsWith(address, "240.240.")) << address;
  EXPECT_EQ(client->Resolve(Local("web")), address);
  EXPECT_EQ(client->Request(address + ":80", InSet("web")), ClusterOf(Local("web")));
  EXPECT_EQ(client->Endpoints(ClusterOf(Local("web"))), kInWest);
  EXPECT_EQ(mesh_.WestExports({}), "");
  EXPECT_EQ(Client()->Resolve(InSet("web")), "unknown");
}

TEST_F(ClusterSet, WhereTheLocalNameStaysLocalTheNameLeadsToAll) {
  EXPECT_EQ(mesh_.Apply(OwnServices("weft.io/merge-local: 'false'")), "");
  EXPECT_EQ(mesh_.WestExports({kWeb, kDb}), "");
  const auto client = Client();
  EXPECT_EQ(client->Resolve(Local("web")), "10.96.0.1");
  EXPECT_EQ(client->Request("10.96.0.1:80", Local("web")), ClusterOf(Local("web")));
  EXPECT_EQ(client->Endpoints(ClusterOf(Local("web"))), kHere);

  const std::string address = client->Resolve(InSet("web"));
  EXPECT_TRUE(absl::StartsWith(address, "240.240.")) << address;
  EXPECT_EQ(client->Request(address + ":80", InSet("web")), ClusterOf(InSet("web")));
  EXPECT_EQ(client->Endpoints(ClusterOf(InSet("web"))), absl::StrCat(kHere, " ", kInWest));
  const std::string db = client->Resolve(InSet("db"));
  EXPECT_EQ(client->Connect(db + ":3306"), ClusterOf(InSet("db"), 3306));
}

TEST_F(ClusterSet, WhatIsNotExportedHereKeepsItsNameToItself) {
  EXPECT_EQ(mesh_.Apply(OwnServices("service.cilium.io/shared: 'false'")), "");
  EXPECT_EQ(mesh_.WestExports({kWeb}), "");
  const auto client = Client();
  EXPECT_EQ(client->Endpoints(ClusterOf(Local("web"))), kHere);
  EXPECT_EQ(client->Endpoints(ClusterOf(InSet("web"))), kInWest);
  EXPECT_EQ(client->Resolve(InSet("db")), "unknown");
}

constexpr char kRoute[] = R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: canary, namespace: shop}
spec:
  hosts: [web.shop.svc.clusterset.local]
  http: [{route: [{destination: {host: canary.shop.svc.cluster.local}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: canary, namespace: shop}
spec: {clusterIP: 10.96.0.3, ports: [{name: http, port: 80}]}
)";

TEST_F(ClusterSet, AVirtualServiceForTheNameIsForThatNameAlone) {
  for (const char* annotations : {"", "weft.io/merge-local: 'false'"}) {
    EXPECT_EQ(mesh_.Apply(absl::StrCat(OwnServices(annotations), kRoute)), "");
    EXPECT_EQ(mesh_.WestExports({kWeb}), "");
    const auto client = Client();
    const std::string address = client->Resolve(InSet("web"));
    EXPECT_EQ(client->Request(address + ":80", InSet("web")), ClusterOf(Local("canary")))
        << annotations;
    EXPECT_EQ(client->Request("10.96.0.1:80", Local("web")), ClusterOf(Local("web")))
        << annotations;
  }
}

TEST_F(ClusterSet, AnExternalNameMayStandForTheName) {
  for (const char* annotations : {"", "weft.io/merge-local: 'false'"}) {
    EXPECT_EQ(mesh_.Apply(absl::StrCat(OwnServices(annotations), R"(---
apiVersion: v1
kind: Service
metadata: {name: shorter, namespace: default}
spec: {type: ExternalName, externalName: web.shop.svc.clusterset.local}
)")),
              "");
    EXPECT_EQ(mesh_.WestExports({kWeb}), "");
    const auto client = Client();
    const std::string address = client->Resolve(InSet("web"));
    EXPECT_EQ(client->Resolve("shorter"), address) << annotations;
    const std::string& host = *annotations == '\0' ? Local("web") : InSet("web");
    EXPECT_EQ(client->Request(address + ":80", "shorter"), ClusterOf(host)) << annotations;
  }
}

TEST_F(ClusterSet, ARouteMayLeadToTheName) {
  for (const char* annotations : {"", "weft.io/merge-local: 'false'"}) {
    EXPECT_EQ(mesh_.Apply(absl::StrCat(OwnServices(annotations), R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front, namespace: shop}
spec: {hosts: [front.test], http: [{route: [{destination: {host: web.shop.svc.clusterset.local}}]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: front, namespace: shop}
spec: {hosts: [front.test], addresses: [192.0.2.9], ports: [{number: 80, name: http, protocol: HTTP}],
  resolution: STATIC, endpoints: [{address: 192.0.2.8}]}
)")),
              "");
    EXPECT_EQ(mesh_.WestExports({kWeb}), "");
    const std::string& host = *annotations == '\0' ? Local("web") : InSet("web");
    EXPECT_EQ(Client()->Request("192.0.2.9:80", "front.test"), ClusterOf(host)) << annotations;
  }
}

}  // namespace
}  // namespace weft
