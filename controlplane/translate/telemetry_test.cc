// Telemetries and mesh settings → what proxies write, through the registry, Translate, the proxy's
// compiler and its own filters and formats.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/model/log_format.h"
#include "controlplane/model/testing.h"
#include "controlplane/translate/check_telemetry.h"
#include "controlplane/translate/simulated_mesh.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

// "web" at 10.96.0.1:80 and 9000, of a pod at the address that ClientIn() has. What is logged by
// the provider "short" is a status and a path.
constexpr char kMesh[] = R"(
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.1
  selector: {app: web}
  ports: [{name: http, port: 80}, {name: tcp, port: 9000}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 80}, {name: tcp, port: 9000}]
endpoints: [{addresses: [10.244.0.200], conditions: {ready: true}}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-a, labels: {app: web, tier: front}}
status: {phase: Running, podIP: 10.244.0.200}
)";

std::string MeshConfig(const std::string& text) {
  return absl::StrCat(
      "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: weft, namespace: weft-system}\n"
      "data:\n  mesh: |\n    ",
      text, "\n");
}

std::string Short(const std::string& more = "") {
  return MeshConfig(absl::StrCat(
      "{extensionProviders: [{name: short, envoyFileAccessLog: {logFormat: {text: "
      "'%RESPONSE_CODE% %REQ(:PATH)%'}}}, {name: second, envoyFileAccessLog: {path: /log/2, "
      "logFormat: {labels: {code: '%RESPONSE_CODE%'}}}}, {name: traces, zipkin: {service: z}}]",
      more, "}"));
}

std::string Telemetry(const std::string& name, const std::string& spec,
                      const std::string& name_space = "default", const std::string& more = "") {
  return absl::StrCat("---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: ",
                      name, ", namespace: ", name_space, more, "}\nspec: ", spec, "\n");
}

ProxyView Web() { return ClientIn("default", {{"app", "web"}, {"tier", "front"}}); }

class Mesh {
 public:
  explicit Mesh(const std::string& yaml) { mesh_.Apply(kMesh + yaml); }

  std::string Log(const Served& served, bool mtls = true, uint16_t port = 80) {
    return absl::StrJoin(mesh_.ProxyFor(Web())->InboundLog(port, mtls, served), "");
  }
  std::string ClientLog(const Served& served, const ProxyView& view = Web()) {
    return absl::StrJoin(mesh_.ProxyFor(view)->OutboundLog("10.96.0.1:80", served), "");
  }
  std::string Findings() { return weft::Lines(CheckTelemetries(TranslationIndex(*mesh_.world()))); }
  SimulatedMesh& mesh() { return mesh_; }

 private:
  SimulatedMesh mesh_;
};

constexpr char kToShort[] = "{accessLogging: [{providers: [{name: short}]}]}";

TEST(Telemetry, WithoutOneNothingIsLogged) {
  EXPECT_EQ(Mesh("").Log({}), "");
  EXPECT_EQ(Mesh(Short()).Log({}), "");
  EXPECT_EQ(Mesh(Telemetry("t", "{metrics: [{providers: [{name: prometheus}]}]}")).Log({}), "");
}

TEST(Telemetry, TheBuiltinLogIsIstiosText) {
  Mesh mesh(Telemetry("t", "{accessLogging: [{providers: [{name: envoy}]}]}"));
  const std::string line = mesh.Log({.path = "/x", .status = 503});
  EXPECT_TRUE(absl::StartsWith(line, "/dev/stdout: [")) << line;
  EXPECT_TRUE(absl::StrContains(line, "] \"GET /x HTTP/1.1\" 503 - - - \"-\" 0 0 1 -")) << line;
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(mesh.Findings(), "");
}

TEST(Telemetry, LogsRequestsAndConnectionsAtBothEnds) {
  Mesh mesh(Short() + Telemetry("t", kToShort));
  EXPECT_EQ(mesh.Log({.path = "/x"}), "/dev/stdout: 200 /x\n");
  EXPECT_EQ(mesh.Log({.path = "/x"}, /*mtls=*/false), "/dev/stdout: 200 /x\n");
  EXPECT_EQ(mesh.Log({}, true, 9000), "/dev/stdout: 0 -\n");
  EXPECT_EQ(mesh.Log({}, false, 1234), "/dev/stdout: 0 -\n") << "a port that no service names";
  EXPECT_EQ(mesh.ClientLog({.path = "/x"}), "/dev/stdout: 200 /x\n");
}

TEST(Telemetry, NearerOnesOverride) {
  const std::string root = Telemetry("mesh", kToShort, "weft-system");
  const struct {
    const char* name;
    std::string yaml;
    const char* line;
  } rows[] = {
      {"the mesh's", root, "/dev/stdout: 200 /\n"},
      {"istio-system is one, too", Telemetry("mesh", kToShort, "istio-system"),
       "/dev/stdout: 200 /\n"},
      {"a namespace's provider instead",
       root + Telemetry("t", "{accessLogging: [{providers: [{name: second}]}]}"),
       "/log/2: {\"code\":200}\n"},
      {"disabled for a namespace", root + Telemetry("t", "{accessLogging: [{disabled: true}]}"),
       ""},
      {"of another namespace",
       root + Telemetry("t", "{accessLogging: [{disabled: true}]}", "other"),
       "/dev/stdout: 200 /\n"},
      {"disabled for the namespace, not for a workload",
       root + Telemetry("t", "{accessLogging: [{disabled: true}]}") +
           Telemetry("web",
                     "{selector: {matchLabels: {app: web}}, accessLogging: [{providers: [{name: "
                     "second}]}]}"),
       "/log/2: {\"code\":200}\n"},
      {"a workload that is another",
       root + Telemetry("x",
                        "{selector: {matchLabels: {app: x}}, accessLogging: [{disabled: "
                        "true}]}"),
       "/dev/stdout: 200 /\n"},
      {"a filter for the inherited provider",
       root + Telemetry("t", "{accessLogging: [{filter: {expression: 'response.code >= 400'}}]}"),
       ""},
      {"one that says nothing of logs",
       root + Telemetry("t", "{tracing: [{disableSpanReporting: true}]}"), "/dev/stdout: 200 /\n"},
      {"two providers",
       Telemetry("t", "{accessLogging: [{providers: [{name: short}, {name: second}]}]}"),
       "/log/2: {\"code\":200}\n/dev/stdout: 200 /\n"},
      {"two entries, one of them disabled",
       Telemetry("t",
                 "{accessLogging: [{providers: [{name: short}, {name: second}]}, {providers: "
                 "[{name: second}], disabled: true}]}"),
       "/dev/stdout: 200 /\n"},
      {"for targets, of which sidecars are none",
       root + Telemetry("t",
                        "{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: "
                        "g}], accessLogging: [{disabled: true}]}"),
       "/dev/stdout: 200 /\n"},
  };
  for (const auto& row : rows) EXPECT_EQ(Mesh(Short() + row.yaml).Log({}), row.line) << row.name;
}

TEST(Telemetry, TellsClientsAndServersApart) {
  const struct {
    const char* mode;
    bool server;
    bool client;
  } rows[] = {{"CLIENT", false, true}, {"SERVER", true, false}, {"CLIENT_AND_SERVER", true, true}};
  for (const auto& row : rows) {
    Mesh mesh(Short() + Telemetry("t", absl::StrCat("{accessLogging: [{match: {mode: ", row.mode,
                                                    "}, providers: [{name: short}]}]}")));
    EXPECT_EQ(mesh.Log({}) != "", row.server) << row.mode;
    EXPECT_EQ(mesh.ClientLog({}) != "", row.client) << row.mode;
  }
}

TEST(Telemetry, EmptyValuesCanBeLeftOut) {
  const auto log = [](const char* more) {
    return Mesh(MeshConfig(absl::StrCat(
                    "{extensionProviders: [{name: short, envoyFileAccessLog: {", more,
                    "logFormat: {labels: {code: '%RESPONSE_CODE%', agent: '%REQ(X-NONE)%'}}}}]}")) +
                Telemetry("t", kToShort))
        .Log({});
  };
  EXPECT_EQ(log(""), "/dev/stdout: {\"agent\":null,\"code\":200}\n");
  EXPECT_EQ(log("omitEmptyValues: true, "), "/dev/stdout: {\"code\":200}\n");
}

TEST(Telemetry, FiltersByExpression) {
  const Served ok, bad{.status = 503}, slow{.milliseconds = 1200},
      probe{.headers = {{"user-agent", "kube-probe/1.30"}}}, call{.grpc_status = 14},
      lost{.status = 404, .no_route = true}, api{.method = "POST", .path = "/v1/a?b=/v2"};
  const struct {
    const char* expression;
    Served served;
    bool logged;
    bool mtls = true;
  } rows[] = {
      {"response.code >= 400", bad, true},
      {"response.code >= 400", ok, false},
      {"!(response.code >= 400)", ok, true},
      {"response.code != 200", bad, true},
      {"response.code == 503 || response.code == 404", lost, true},
      {"response.code >= 400 && response.code < 500", bad, false},
      {"connection.mtls", ok, true, true},
      {"connection.mtls", ok, false, false},
      {"!connection.mtls && response.code >= 400", bad, true, false},
      {"!connection.mtls && response.code >= 400", bad, false, true},
      {"connection.mtls || response.code >= 400", bad, true, false},
      {"connection.mtls || response.code >= 400", ok, false, false},
      {"request.duration > duration('1s')", slow, true},
      {"request.duration > duration('1s')", ok, false},
      {"response.grpc_status == 14", call, true},
      {"response.grpc_status != 14", call, false},
      {"response.flags != 0", lost, true},
      {"response.flags != 0", ok, false},
      {"request.method == 'POST'", api, true},
      {"request.method != 'POST'", api, false},
      {"request.url_path == '/v1/a'", api, true},
      {"request.path == '/v1/a'", api, false},
      {"request.url_path.contains('v2')", api, false},
      {"request.path.contains('v2')", api, true},
      {"request.url_path.endsWith('/a')", api, true},
      {"request.host == 'web'", ok, true},
      {"request.useragent.startsWith('kube-probe')", probe, true},
      {"request.useragent.matches('probe/[0-9]')", probe, true},
      {"!has(request.useragent) || !request.useragent.startsWith('kube-probe')", probe, false},
      {"!has(request.useragent) || !request.useragent.startsWith('kube-probe')", ok, true},
      // A header that is missing is an error of CEL, which takes nothing.
      {"request.headers['x-none'] != 'a'", ok, false},
      {"!(request.headers['x-none'] == 'a')", ok, false},
      {"'x-none' in request.headers", ok, false},
      {"!('x-none' in request.headers)", ok, true},
      {"'user-agent' in request.headers", probe, true},
      {"true", ok, true},
      {"false", ok, false},
  };
  for (const auto& row : rows) {
    Mesh mesh(Short() + Telemetry("t", absl::StrCat("{accessLogging: [{providers: [{name: short}], "
                                                    "filter: {expression: \"",
                                                    row.expression, "\"}}]}")));
    EXPECT_EQ(mesh.Log(row.served, row.mtls) != "", row.logged)
        << row.expression << (row.mtls ? "" : ", in plain");
  }
}

TEST(Telemetry, AFilterThatCannotBeDecidedLeavesWhatWasThere) {
  SimulatedMesh mesh;
  mesh.Apply(kMesh + Short() + Telemetry("t", kToShort));
  const std::string said =
      mesh.Apply(Telemetry("t",
                           "{accessLogging: [{providers: [{name: short}], filter: {expression: "
                           "'source.port == 5'}}]}"));
  EXPECT_TRUE(absl::StrContains(said,
                                "Telemetry default/t: spec.accessLogging[0].filter.expression: "
                                "source.port is not supported by weft-proxy's access-log filters"))
      << said;
  EXPECT_EQ(absl::StrJoin(mesh.ProxyFor(Web())->InboundLog(80, true, {}), ""),
            "/dev/stdout: 200 /\n");
}

TEST(Telemetry, MeshSettingsSayWhereAndHow) {
  const std::string to_builtin = Telemetry("t", "{accessLogging: [{providers: [{name: envoy}]}]}");
  const struct {
    const char* name;
    std::string yaml;
    const char* line;
  } rows[] = {
      {"a file for all", MeshConfig("{accessLogFile: /log/a, accessLogFormat: '%RESPONSE_CODE%'}"),
       "/log/a: 200\n"},
      {"which a Telemetry ends",
       MeshConfig("{accessLogFile: /log/a, accessLogFormat: '%RESPONSE_CODE%'}") +
           Telemetry("t", "{accessLogging: [{disabled: true}]}"),
       ""},
      {"providers for all", Short(", defaultProviders: {accessLogging: [second]}"),
       "/log/2: {\"code\":200}\n"},
      {"a filter on those for all",
       Short(", defaultProviders: {accessLogging: [second]}") +
           Telemetry("t", "{accessLogging: [{filter: {expression: 'response.code == 404'}}]}"),
       ""},
      {"the builtin one's format",
       MeshConfig("{accessLogFormat: \"%REQ(:PATH)%\\n\"}") + to_builtin, "/dev/stdout: /\n"},
      {"and as JSON",
       MeshConfig("{accessLogEncoding: JSON, accessLogFormat: '{\"p\": \"%REQ(:PATH)%\"}'}") +
           to_builtin,
       "/dev/stdout: {\"p\":\"/\"}\n"},
      {"one declared by the builtin one's name",
       MeshConfig("{extensionProviders: [{name: envoy, envoyFileAccessLog: {path: /e, logFormat: "
                  "{text: x}}}]}") +
           to_builtin,
       "/e: x\n"},
      {"a provider that is no log",
       Short() + Telemetry("t",
                           "{accessLogging: [{providers: [{name: "
                           "traces}]}]}"),
       ""},
  };
  for (const auto& row : rows) EXPECT_EQ(Mesh(row.yaml).Log({}), row.line) << row.name;
  const std::string json = Mesh(MeshConfig("{accessLogEncoding: JSON}") + to_builtin).Log({});
  EXPECT_TRUE(absl::StrContains(json, "\"response_code\":200,")) << json;
  EXPECT_TRUE(absl::StrContains(json, "\"user_agent\":null")) << json;
}

TEST(Telemetry, WeftsConfigMapComesBeforeIstios) {
  Mesh mesh(
      "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: "
      "weft-system}\ndata: "
      "{mesh: '{accessLogFile: /istio, accessLogFormat: x}'}\n");
  EXPECT_EQ(mesh.Log({}), "/istio: x\n");
  mesh.mesh().Apply(MeshConfig("{accessLogFile: /weft, accessLogFormat: x}"));
  EXPECT_EQ(mesh.Log({}), "/weft: x\n");
}

TEST(Telemetry, TheOldestWinsAndTheOtherIsNamed) {
  Mesh mesh(Short() +
            Telemetry("young", "{accessLogging: [{disabled: true}]}", "default",
                      ", creationTimestamp: 2026-01-02T00:00:00Z") +
            Telemetry("old", kToShort, "default", ", creationTimestamp: 2026-01-01T00:00:00Z") +
            Telemetry("b", "{selector: {matchLabels: {app: web}}}", "default",
                      ", creationTimestamp: 2026-01-02T00:00:00Z") +
            Telemetry("a", "{selector: {matchLabels: {tier: front}}}", "default",
                      ", creationTimestamp: 2026-01-01T00:00:00Z") +
            Telemetry("c", "{selector: {matchLabels: {tier: back}}}"));
  EXPECT_EQ(mesh.Log({}), "/dev/stdout: 200 /\n");
  const std::string findings = mesh.Findings();
  EXPECT_TRUE(absl::StrContains(findings,
                                "Telemetry default/young: spec: has no effect: Telemetry "
                                "default/old has no selector either, and is older [IST0160]"))
      << findings;
  EXPECT_TRUE(absl::StrContains(findings,
                                "Telemetry default/b: spec.selector: has no effect on 'web-a': "
                                "Telemetry default/a selects it too, and is older [IST0159]"))
      << findings;
  EXPECT_FALSE(absl::StrContains(findings, "default/c")) << findings;
}

TEST(Telemetry, NamesProvidersThatAreNotThere) {
  Mesh mesh(Short(", defaultProviders: {accessLogging: [gone]}") +
            Telemetry("t",
                      "{accessLogging: [{providers: [{name: short}, {name: traces}, {name: "
                      "nobody}]}]}"));
  const std::string findings = mesh.Findings();
  for (const char* part :
       {"Telemetry default/t: spec.accessLogging[0].providers[1].name: 'traces' is no access log",
        "Telemetry default/t: spec.accessLogging[0].providers[2].name: 'nobody' is no access log, "
        "so nothing is written; there is envoy, second, short,",
        "ConfigMap weft-system/weft: data.mesh.defaultProviders.accessLogging[0]: 'gone'"}) {
    EXPECT_TRUE(absl::StrContains(findings, part)) << part << "\nin\n" << findings;
  }
  EXPECT_EQ(mesh.Log({}), "/dev/stdout: 200 /\n");
}

TEST(Telemetry, ClientsThatLogAlikeShareTheirResources) {
  SimulatedMesh mesh;
  mesh.Apply(kMesh + Short() + Telemetry("t", kToShort) +
             Telemetry("quiet",
                       "{selector: {matchLabels: {app: quiet}}, accessLogging: [{match: "
                       "{mode: CLIENT}, disabled: true}]}"));
  EXPECT_EQ(mesh.ScopeOf(ClientIn("default", {{"app", "a"}})),
            mesh.ScopeOf(ClientIn("default", {{"app", "b"}})));
  EXPECT_NE(mesh.ScopeOf(ClientIn("default", {{"app", "a"}})),
            mesh.ScopeOf(ClientIn("default", {{"app", "quiet"}})));
}

// A format is in every listener: one that proxies refuse would hold all of them back.
TEST(Telemetry, ProxiesKnowEveryOperatorThatIsAccepted) {
  for (const std::string& op : LogOperators()) {
    ASSERT_TRUE(CheckLogFormat(op).ok()) << op;
    Mesh mesh(MeshConfig(absl::StrCat("{accessLogFile: /a, accessLogFormat: '", op, "'}")));
    EXPECT_NE(mesh.Log({}), "") << op;
  }
}

}  // namespace
}  // namespace weft
