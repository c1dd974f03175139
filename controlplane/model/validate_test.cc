#include "controlplane/model/validate.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "certs/test_jwt.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string ProblemsOf(const std::string& yaml) {
  const ParsedObjects parsed = ParseObjects(yaml, "test.yaml");
  if (!parsed.problems.empty() || parsed.objects.size() != 1) return Lines(parsed.problems);
  const absl::StatusOr<Object> object = Decode(*parsed.objects[0]);
  if (!object.ok()) return std::string(object.status().message());
  return Lines(Validate(*object));
}

std::string ObjectOf(const std::string& version, const std::string& kind, const std::string& spec) {
  return absl::StrCat("apiVersion: ", version, "\nkind: ", kind,
                      "\nmetadata: {name: x}\nspec: ", spec, "\n");
}

struct Row {
  const char* spec;
  const char* expected;  // a part of what is said; "" means nothing is
};

void ExpectRows(const std::string& version, const std::string& kind, std::vector<Row> rows) {
  for (const Row& row : rows) {
    const std::string problems = ProblemsOf(ObjectOf(version, kind, row.spec));
    if (*row.expected == '\0') {
      EXPECT_EQ(problems, "") << row.spec;
    } else {
      EXPECT_TRUE(absl::StrContains(problems, row.expected))
          << row.spec << "\nexpected: " << row.expected << "\nactual:   " << problems;
    }
  }
}

TEST(Validate, NamesFileObjectAndField) {
  EXPECT_EQ(
      ProblemsOf("\n\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
                 "metadata: {name: reviews}\nspec: {hosts: [r], http: [{route: [{destination: "
                 "{host: r, port: {number: 70000}}}]}]}\n"),
      "test.yaml:3: VirtualService default/reviews: spec.http[0].route[0].destination.port.number: "
      "70000 is out of range 1..65535");
}

TEST(Validate, VirtualServiceRoutes) {
  // @ stands for a route that is fine.
  std::vector<Row> rows = {
      {"{hosts: [r], http: [{@}]}", ""},
      {"{hosts: [r], http: [{rout: []}]}", "spec.http[0].rout"},
      {"{http: [{@}]}", ""},  // for others to delegate to
      {"{tcp: [{@}]}", "spec.hosts: is missing"},
      {"{hosts: [r, r], http: [{@}]}", "spec.hosts[1]: 'r' is there twice"},
      {"{hosts: ['*'], http: [{@}]}", "spec.hosts[0]: '*' is for gateways only"},
      {"{hosts: ['*'], gateways: [g], http: [{@}]}", ""},
      {"{hosts: ['a*.com'], http: [{@}]}", "spec.hosts[0]: 'a*.com' is not a host name"},
      {"{hosts: [r]}", "spec: has no route"},
      {"{hosts: [r], http: [{}]}", "spec.http[0]: does nothing"},
      {"{hosts: [r], http: [{@, redirect: {uri: /a}}]}", "cannot have both redirect and route"},
      {"{hosts: [r], http: [{redirect: {uri: /a}, rewrite: {uri: /b}}]}",
       "cannot have both redirect and rewrite"},
      {"{hosts: [r], http: [{directResponse: {status: 200}, @}]}",
       "cannot have both directResponse and route"},
      {"{hosts: [r], http: [{directResponse: {status: 700}}]}",
       "spec.http[0].directResponse.status: 700 is out of range 200..599"},
      {"{hosts: [r], http: [{redirect: {redirectCode: 200}}]}", "redirect.redirectCode: 200"},
      {"{hosts: [r], http: [{redirect: {}}]}", "redirect: says nothing"},
      {"{hosts: [r], http: [{redirect: {scheme: ftp}}]}", "'ftp' is neither http nor https"},
      {"{hosts: [r], http: [{@, rewrite: {}}]}", "rewrite: says nothing"},
      {"{hosts: [r], http: [{@, timeout: 5}]}", "spec.http[0].timeout"},
      {"{hosts: [r], http: [{@, timeout: '5'}]}", "spec.http[0].timeout: not a duration: '5'"},
      {"{hosts: [r], http: [{@, timeout: -1s}]}", "'-1s' is negative"},
      {"{hosts: [r], http: [{@, timeout: inf}]}", "not a duration: 'inf'"},
      {"{hosts: [r], http: [{@, timeout: 10us}]}", "finer than a millisecond"},
      {"{hosts: [r], http: [{@, timeout: 1h30m}]}", ""},
      {"{hosts: [r], http: [{@, timeout: 0s}]}", ""},
      {"{hosts: [r], http: [{@, retries: {attempts: -1}}]}", "retries.attempts: -1 is negative"},
      {"{hosts: [r], http: [{@, retries: {attempts: 0, retryOn: 5xx}}]}", "switches retries off"},
      {"{hosts: [r], http: [{@, retries: {attempts: 3, retryOn: '5xx,reset,503'}}]}", ""},
      {"{hosts: [r], http: [{@, retries: {attempts: 3, retryOn: 'often'}}]}",
       "retries.retryOn: 'often' is not a condition"},
      {"{hosts: [r], http: [{@, retries: {attempts: 3, retryOn: '5xx,'}}]}", "'' is not a cond"},
      {"{hosts: [r], http: [{match: [{uri: {regex: '(a'}}], @}]}",
       "spec.http[0].match[0].uri.regex: not a regular expression of RE2"},
      {"{hosts: [r], http: [{match: [{headers: {'a b': {exact: c}}}], @}]}",
       "spec.http[0].match[0].headers.[a b]: 'a b' is not the name of a header"},
      {"{hosts: [r], http: [{match: [{uri: {exact: a, prefix: b}}], @}]}", "conflicts with"},
      {"{hosts: [r], http: [{match: [{port: 65536}], @}]}", "match[0].port: 65536 is out of range"},
      {"{hosts: [r], http: [{@}, {match: [{uri: {prefix: /a}}], @}]}",
       "spec.http[1]: is never reached: http[0] before it matches every request"},
      {"{hosts: [r], http: [{route: [{destination: {host: a}, weight: -1}]}]}",
       "spec.http[0].route[0].weight: -1 is negative"},
      {"{hosts: [r], http: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]}",
       "the weights add up to 0"},
      {"{hosts: [r], http: [{route: [{destination: {host: a}, weight: 80}, {destination: {host: "
       "b}, weight: 20}]}]}",
       ""},
      {"{hosts: [r], http: [{route: [{destination: {host: '*.a'}}]}]}", "must not be a wildcard"},
      {"{hosts: [r], http: [{route: [{destination: {}}]}]}", "destination.host: is missing"},
      {"{hosts: [r], http: [{route: [{destination: {host: a, subset: v_1}}]}]}",
       "destination.subset: 'v_1' is not a name"},
      {"{hosts: [r], http: [{route: [{destination: {host: a, port: {number: 0}}}]}]}",
       "destination.port.number: 0 is out of range"},
      {"{hosts: [r], http: [{@, fault: {abort: {httpStatus: 500, percentage: {value: 101}}}}]}",
       "fault.abort.percentage.value: 101 is out of range"},
      {"{hosts: [r], http: [{@, fault: {delay: {exponentialDelay: 1s}}}]}",
       "fault.delay.exponentialDelay: is not supported; use fixedDelay"},
      {"{hosts: [r], http: [{@, fault: {delay: {fixedDelay: 1s}}}]}",
       "fault.delay.percentage: is missing: no request is delayed"},
      {"{hosts: [r], http: [{@, fault: {abort: {http2Error: X}}}]}",
       "fault.abort.http2Error: is not supported"},
      {"{hosts: [r], http: [{@, fault: {abort: {grpcStatus: NONE}}}]}",
       "fault.abort.grpcStatus: 'NONE' is no status of gRPC"},
      {"{hosts: [r], http: [{@, fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: "
       "1}}}}]}",
       ""},
      {"{hosts: [r], http: [{@, corsPolicy: {allowOrigins: [{}]}}]}",
       "corsPolicy.allowOrigins[0]: needs one of"},
      {"{hosts: [r], http: [{@, corsPolicy: {allowHeaders: ['a b']}}]}", "corsPolicy.allowHeaders"},
      {"{hosts: [r], http: [{@, headers: {request: {add: {host: a}}}}]}",
       "headers.request.add: 'host' cannot be changed by a route; use request.set"},
      {"{hosts: [r], http: [{@, headers: {request: {set: {host: a}}}}]}", ""},
      {"{hosts: [r], http: [{@, headers: {request: {set: {':path': a}}}}]}",
       "headers.request.set: ':path' cannot be changed"},
      {"{hosts: [r], http: [{@, headers: {response: {remove: [Content-Length]}}}]}",
       "'Content-Length' cannot be changed"},
      {"{hosts: [r], http: [{@, headers: {request: {set: {a: 100%}}}}]}",
       "a '%' that opens no operator is written '%%'"},
      {"{hosts: [r], http: [{@, headers: {request: {set: {a: '%REQ(x-b?c):9%, 1%%'}}}}]}", ""},
      {"{hosts: [r], http: [{@, rewrite: {uriRegexRewrite: {match: a, rewrite: '\\2'}}}]}",
       "uriRegexRewrite.rewrite"},
      {"{hosts: [r], http: [{@, match: [{headers: {x: {regex: '*'}}}]}]}", ""},
      {"{hosts: [r], http: [{@, match: [{statPrefix: a}]}]}", "match[0].statPrefix: has no effect"},
      {"{hosts: [r], http: [{@, retries: {attempts: 1, retryIgnorePreviousHosts: false}}]}",
       "retryIgnorePreviousHosts: false has no effect"},
      {"{hosts: [r], http: [{@, retries: {attempts: 1, retryRemoteLocalities: true}}]}",
       "retryRemoteLocalities: is how it always is"},
      {"{hosts: [r], http: [{@, mirror: {host: a}, mirrorPercent: 101}]}",
       "mirrorPercent: 101 is out of range"},
      {"{hosts: [r], http: [{delegate: {name: a}}]}", ""},
      {"{hosts: [r], http: [{delegate: {}}]}", "delegate.name: is missing"},
      {"{hosts: [r], http: [{@, delegate: {name: a}}]}", "cannot have both delegate and route"},
      {"{http: [{delegate: {name: a}}]}", "http[0].delegate: a delegate cannot delegate"},
      {"{gateways: [g], http: [{@}]}", "spec.gateways: a delegate is bound by its root"},
      {"{http: [{@}], tcp: [{@}]}", "spec.tcp: a delegate has http routes only"},
      {"{hosts: [r], tcp: [{match: [{destinationSubnets: [10.0.0.0/40]}], @}]}",
       "tcp[0].match[0].destinationSubnets[0]: '10.0.0.0/40' is neither"},
      {"{hosts: [r], tcp: [{match: [{sourceSubnet: 10.0.0.0/8}], @}]}",
       "sourceSubnet: is not supported"},
      {"{hosts: [r], tls: [{match: [{sniHosts: [other]}], @}]}",
       "tls[0].match[0].sniHosts[0]: 'other' is none of the hosts"},
      {"{hosts: ['*.r'], tls: [{match: [{sniHosts: [a.r]}], @}]}", ""},
      {"{hosts: [r], tcp: [{}]}", "spec.tcp[0].route: is missing"},
      {"{hosts: [r], tls: [{match: [{port: 443}], @}]}", "spec.tls[0].match[0].sniHosts"},
      {"{hosts: [r], exportTo: [a/b], http: [{@}]}", "spec.exportTo[0]: 'a/b'"},
  };
  for (const Row& row : rows) {
    const std::string spec =
        absl::StrReplaceAll(row.spec, {{"@", "route: [{destination: {host: a}}]"}});
    ExpectRows("networking.istio.io/v1beta1", "VirtualService", {{spec.c_str(), row.expected}});
  }
}

TEST(Validate, DestinationRule) {
  ExpectRows(
      "networking.istio.io/v1alpha3", "DestinationRule",
      {
          {"{host: r, subsets: [{name: v1, labels: {version: v1}}]}", ""},
          {"{subsets: []}", "spec.host: is missing"},
          {"{host: r, subsets: [{name: v1}, {name: v1}]}",
           "spec.subsets[1].name: 'v1' is there twice"},
          {"{host: r, subsets: [{labels: {a: b}}]}", "spec.subsets[0].name: is missing"},
          {"{host: r, subsets: [{name: 'v|1'}]}", "'v|1' is not a name"},
          {"{host: r, subsets: [{name: v1, lables: {}}]}", "did you mean 'labels'"},
          {"{host: r, trafficPolicy: {tls: {mode: ISTIO_MUTAL}}}", "ISTIO_MUTAL"},
          {"{host: r, trafficPolicy: {tls: {mode: MUTUAL}}}",
           "spec.trafficPolicy.tls.clientCertificate: is missing for MUTUAL"},
          {"{host: r, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, privateKey: k}}}", "tls.mode"},
          {"{host: r, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}", ""},
          {"{host: r, trafficPolicy: {loadBalancer: {consistentHash: {}}}}",
           "loadBalancer.consistentHash: one of"},
          {"{host: r, trafficPolicy: {connectionPool: {tcp: {connectTimeout: soon}}}}",
           "connectionPool.tcp.connectTimeout: not a duration: 'soon'"},
          {"{host: r, trafficPolicy: {connectionPool: {tcp: {maxConnections: -5}}}}",
           "-5 is negative"},
          {"{host: r, trafficPolicy: {outlierDetection: {maxEjectionPercent: 120}}}",
           "120 is out of range 0..100"},
          {"{host: r, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}}",
           "spec.trafficPolicy.tls.credentialName: is for gateways"},
          {"{host: r, trafficPolicy: {tls: {mode: MUTUAL, credentialName: c}}}",
           "spec.trafficPolicy.tls.credentialName: is for gateways"},
          {"{host: r, trafficPolicy: {tls: {mode: SIMPLE, credentialName: a/b}}}",
           "credentialName: 'a/b' is not the name of a Secret"},
          {"{host: r, trafficPolicy: {tls: {mode: DISABLE, credentialName: c}}}",
           "credentialName: is for the modes SIMPLE and MUTUAL"},
          {"{host: r, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c, caCertificates: f}}}",
           "credentialName: cannot be used together with files"},
          {"{host: r, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}",
           "tls.insecureSkipVerify: anybody may answer"},
          {"{host: r, trafficPolicy: {tunnel: {targetHost: a, targetPort: 1}}}",
           "spec.trafficPolicy.tunnel: is not supported"},
          {"{host: r, trafficPolicy: {retryBudget: {percent: 101}}}",
           "retryBudget.percent: 101 is out of range"},
          {"{host: r, trafficPolicy: {retryBudget: {budgetInterval: 1s}}}",
           "retryBudget.budgetInterval: has no effect"},
          {"{host: r, trafficPolicy: {proxyProtocol: {version: V2}}}",
           "proxyProtocol: connections to HTTP ports are shared"},
          {"{host: r, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: "
           "{tableSize: 250}}}}}",
           "maglev.tableSize: 250 is not a prime"},
          {"{host: r, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, ringHash: "
           "{minimumRingSize: 9000000}}}}}",
           "ringHash.minimumRingSize: must be at most"},
          {"{host: r, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: ''}}}}",
           "consistentHash.httpHeaderName"},
          {"{host: r, trafficPolicy: {loadBalancer: {warmup: {}}}}", "warmup.duration: is missing"},
          {"{host: r, trafficPolicy: {loadBalancer: {warmup: {duration: 1s, aggression: 0.5}}}}",
           "warmup.aggression: must be at least 1"},
          {"{host: r, trafficPolicy: {loadBalancer: {simple: RANDOM, warmup: {duration: 1s}}}}",
           "warmup: has effect with LEAST_REQUEST and ROUND_ROBIN only"},
          {"{host: r, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true}}}}",
           "zoneAwareLbSetting: has no effect"},
          {"{host: r, trafficPolicy: {loadBalancer: {localityLbSetting: {failoverPriority: "
           "[topology.kubernetes.io/region], failover: [{from: a, to: b}]}}}}",
           "'failover' and a region in 'failoverPriority' contradict each other"},
          {"{host: r, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: "
           "a/b/c/d, to: {a: 100}}]}}}}",
           "distribute[0].from: 'a/b/c/d' is not a locality"},
          {"{host: r, trafficPolicy: {loadBalancer: {localityLbSetting: {failoverPriority: "
           "['=v']}}}}",
           "failoverPriority[0]: names no label"},
          {"{host: r, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}}",
           "connectionPool.tcp.connectTimeout: must be above 0"},
          {"{host: r, trafficPolicy: {connectionPool: {tcp: {maxConnectionDuration: 1h}}}}",
           "tcp.maxConnectionDuration: bounds connections of TCP ports"},
          {"{host: r, trafficPolicy: {connectionPool: {http: {useClientProtocol: true, "
           "h2UpgradePolicy: UPGRADE}}}}",
           "http.useClientProtocol: cannot be used together"},
          {"{host: r, trafficPolicy: {outlierDetection: {interval: 0s}}}",
           "outlierDetection.interval: must be above 0"},
          {"{host: r, trafficPolicy: {outlierDetection: {consecutiveErrors: 5}}}",
           "consecutiveErrors: has no effect"},
          {"{host: r, trafficPolicy: {outlierDetection: {consecutiveLocalOriginFailures: 5}}}",
           "has no effect without splitExternalLocalOriginErrors"},
          {"{host: r, trafficPolicy: {outlierDetection: {outlierDetectionHttpErrorCodes: "
           "['429']}}}",
           "outlierDetectionHttpErrorCodes: has no effect"},
          {"{host: r, trafficPolicy: {portLevelSettings: [{tls: {mode: SIMPLE}}]}}",
           "portLevelSettings[0].port.number: 0 is out of range"},
      });
}

TEST(Validate, Gateway) {
  ExpectRows(
      "networking.istio.io/v1", "Gateway",
      {
          {"{selector: {istio: g}, servers: [{port: {number: 80, name: http, protocol: "
           "HTTP}, hosts: ['*']}]}",
           ""},
          {"{selector: {istio: g}}", "spec.servers: is missing"},
          {"{servers: [{port: {number: 0, name: a, protocol: HTTP}, hosts: [a]}]}",
           "spec.servers[0].port.number: 0 is out of range"},
          {"{servers: [{port: {number: 80, name: a, protocol: HTP}, hosts: [a]}]}",
           "'HTP' is not a protocol"},
          {"{servers: [{port: {number: 80, name: a, protocol: HTTP}}]}", "hosts: is missing"},
          {"{servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a]}]}",
           "spec.servers[0].tls: is missing for protocol HTTPS"},
          {"{servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [n/a], tls: "
           "{mode: SIMPLE}}]}",
           "serverCertificate: is missing"},
      });
  // @ stands for a port of HTTPS.
  const std::pair<std::string, const char*> tls[] = {
      {"{mode: SIMPLE, credentialName: c}", ""},
      {"{mode: SIMPLE, credentialName: a/b}", "tls.credentialName: 'a/b' is not the name of a Sec"},
      {"{mode: SIMPLE, credentialNames: [a, b/c]}", "tls.credentialNames[1]: 'b/c'"},
      {"{mode: MUTUAL, credentialName: c, caCertCredentialName: a/b}",
       "caCertCredentialName: 'a/b'"},
      {"{mode: SIMPLE, serverCertificate: f}", "tls.privateKey: is missing"},
      {"{mode: SIMPLE, tlsCertificates: [{serverCertificate: f}]}",
       "tls.tlsCertificates[0].privateKey: is missing"},
      {"{mode: MUTUAL, serverCertificate: f, privateKey: g}", "tls.caCertificates: is missing"},
      {"{mode: SIMPLE, credentialName: c, subjectAltNames: [a]}", "tls.subjectAltNames: names cl"},
      {"{mode: SIMPLE, credentialName: c, minProtocolVersion: TLSV1_0}",
       "warning: Gateway default/x: spec.servers[0].tls.minProtocolVersion: TLS before 1.2"},
      {"{mode: SIMPLE, credentialName: c, maxProtocolVersion: TLSV1_1}",
       "tls.maxProtocolVersion: TLS before 1.2"},
      {"{mode: SIMPLE, credentialName: c, minProtocolVersion: TLSV1_3, maxProtocolVersion: "
       "TLSV1_2}",
       "tls.maxProtocolVersion: is below"},
      {"{mode: SIMPLE, credentialName: c, cipherSuites: [AES128-SHA, RC4]}",
       "tls.cipherSuites[1]: 'RC4' is none"},
      {"{mode: SIMPLE, credentialName: c, httpsRedirect: true}",
       "tls.httpsRedirect: has no effect"},
      {"{mode: SIMPLES, credentialName: c}", "tls.mode"},
  };
  for (const auto& [field, expected] : tls) {
    const std::string spec =
        "{servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a], tls: " + field +
        "}]}";
    ExpectRows("networking.istio.io/v1", "Gateway", {{spec.c_str(), expected}});
  }
  const std::pair<std::string, const char*> servers[] = {
      {"bind: 127.0.0.1", ""},
      {"bind: 'unix:///run/x'", ""},
      {"bind: localhost", "spec.servers[0].bind: 'localhost' is neither"},
      {"defaultEndpoint: '127.0.0.1:80'", "spec.servers[0].defaultEndpoint: has no effect"},
      {"tls: {httpsRedirect: true}", ""},
      {"tls: {mode: SIMPLE, credentialName: c}", "spec.servers[0].tls: a port of protocol HTTP"},
  };
  for (const auto& [field, expected] : servers) {
    const std::string spec =
        "{servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [a], " + field + "}]}";
    ExpectRows("networking.istio.io/v1", "Gateway", {{spec.c_str(), expected}});
  }
}

TEST(Validate, KubernetesGateway) {
  constexpr char kVersion[] = "gateway.networking.k8s.io/v1";
  ExpectRows(kVersion, "GatewayClass",
             {{"{controllerName: a/b}", ""},
              {"{}", "spec.controllerName: is missing"},
              {"{controllerName: a/b, controlerName: c}", "controlerName"}});
  ExpectRows(
      kVersion, "Gateway",
      {{"{gatewayClassName: c, listeners: [{name: a, port: 80, protocol: HTTP}]}", ""},
       {"{listeners: [{name: a, port: 80, protocol: HTTP}]}", "gatewayClassName: is missing"},
       {"{gatewayClassName: c}", "spec.listeners: is missing"}});
  const std::pair<std::string, const char*> listeners[] = {
      {"{port: 80, protocol: HTTP}", "spec.listeners[0].name: is missing"},
      {"{name: a, port: 0, protocol: HTTP}", "spec.listeners[0].port: 0 is out of range"},
      {"{name: a, port: 80}", "spec.listeners[0].protocol: is missing"},
      {"{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}",
       "spec.listeners[1].name: 'a' is there twice"},
      {"{name: a, port: 80, protocol: HTTP, hostname: 'a b'}", "hostname: 'a b' is not a host"},
      {"{name: a, port: 80, protocol: HTTP, hostname: 1.2.3.4}", "hostname: must not be an IP"},
      {"{name: a, port: 80, protocol: HTTP, tls: {}}", "tls: is for the protocols HTTPS and TLS"},
      {"{name: a, port: 443, protocol: HTTPS}", "tls: is missing for protocol HTTPS"},
      {"{name: a, port: 443, protocol: HTTPS, tls: {}}", "tls.certificateRefs: is missing"},
      {"{name: a, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}",
       "tls.mode: HTTPS is term"},
      {"{name: a, port: 443, protocol: TLS, tls: {mode: Passthrough}}", ""},
      {"{name: a, port: 443, protocol: TLS, tls: {mode: Pass}}",
       "tls.mode: 'Pass' is none of Terminate, Passthrough"},
      {"{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{}]}}",
       "tls.certificateRefs[0].name: is missing"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Everywhere}}}",
       "allowedRoutes.namespaces.from: 'Everywhere' is none of"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}}",
       "allowedRoutes.namespaces.selector: is missing"},
      {"{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{group: a}]}}",
       "allowedRoutes.kinds[0].kind: is missing"},
  };
  for (const auto& [listener, expected] : listeners) {
    const std::string spec = "{gatewayClassName: c, listeners: [" + listener + "]}";
    ExpectRows(kVersion, "Gateway", {{spec.c_str(), expected}});
  }
}

TEST(Validate, KubernetesRoutes) {
  constexpr char kVersion[] = "gateway.networking.k8s.io/v1";
  const std::string backend = "backendRefs: [{name: b, port: 80}]";
  const auto filter = [&](const std::string& text) {
    return "filters: [" + text + "], " + backend;
  };
  const std::pair<std::string, const char*> rules[] = {
      {backend, ""},
      {"backendRefs: [{port: 80}]", "spec.rules[0].backendRefs[0].name: is missing"},
      {"backendRefs: [{name: b}]", "spec.rules[0].backendRefs[0].port: is missing"},
      {"backendRefs: [{name: b, port: 80, weight: -1}]", "backendRefs[0].weight: -1 is out of"},
      {"backendRefs: [{name: b, port: 80, filters: [{type: RequestMirror, requestMirror: "
       "{backendRef: {name: c, port: 80}}}]}]",
       "backendRefs[0].filters[0].type: of a single backend, only"},
      {"matches: [{path: {type: Glob, value: /}}], " + backend, "path.type: 'Glob' is none of"},
      {"matches: [{path: {value: a}}], " + backend, "path.value: 'a' does not start with '/'"},
      {"matches: [{path: {value: /a//b}}], " + backend, "path.value: '//' is in no path"},
      {"matches: [{path: {type: RegularExpression, value: '('}}], " + backend, "path.value: not a"},
      {"matches: [{headers: [{name: 'a b', value: c}]}], " + backend,
       "matches[0].headers[0].name: 'a b' is not the name"},
      {"matches: [{headers: [{name: a}]}], " + backend, "matches[0].headers[0].value: is missing"},
      {"matches: [{queryParams: [{value: a}]}], " + backend, "queryParams[0].name: is missing"},
      {"matches: [{method: get}], " + backend, "matches[0].method: 'get' is none of"},
      {filter("{}"), "filters[0].type: is missing"},
      {filter("{type: Rewrite}"), "filters[0].type: 'Rewrite' is none of"},
      {filter("{type: ExtensionRef, extensionRef: {group: a, kind: b, name: c}}"),
       "filters[0].extensionRef: no kind of extension"},
      {filter("{type: URLRewrite}"), "filters[0].urlRewrite: is missing"},
      {filter("{type: URLRewrite, urlRewrite: {}, requestRedirect: {}}"),
       "filters[0].requestRedirect: is for filters of the type RequestRedirect"},
      {filter("{type: URLRewrite, urlRewrite: {}}, {type: URLRewrite, urlRewrite: {}}"),
       "filters[1].type: URLRewrite is there twice"},
      {filter("{type: RequestRedirect, requestRedirect: {}}"), "backendRefs: has no effect beside"},
      {"filters: [{type: RequestRedirect, requestRedirect: {statusCode: 200}}]",
       "requestRedirect.statusCode: 200 is none of"},
      {"filters: [{type: RequestRedirect, requestRedirect: {scheme: ftp}}]",
       "requestRedirect.scheme: 'ftp'"},
      {"filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: "
       "{}}]",
       "filters: RequestRedirect and URLRewrite exclude each other"},
      {filter("{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}}"),
       "urlRewrite.path.replaceFullPath: is missing"},
      {"matches: [{path: {type: Exact, value: /a}}], " +
           filter("{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, "
                  "replacePrefixMatch: /b}}}"),
       "filters: ReplacePrefixMatch needs matches"},
      {filter("{type: RequestMirror, requestMirror: {backendRef: {name: c}}}"),
       "requestMirror.backendRef.port: is missing"},
      {filter(
           "{type: RequestMirror, requestMirror: {backendRef: {name: c, port: 1}, percent: 101}}"),
       "requestMirror.percent: 101 is out of range"},
      {filter("{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: 'a b'}]}}"),
       "requestHeaderModifier.set[0].name: 'a b'"},
      {"timeouts: {request: 5}, " + backend, "timeouts.request (line 4): expected a string"},
      {"timeouts: {request: soon}, " + backend, "timeouts.request"},
      {"timeouts: {request: 1s, backendRequest: 2s}, " + backend,
       "timeouts.backendRequest: is longer"},
      {"retry: {codes: [200]}, " + backend, "retry.codes[0]: 200 is out of range"},
      {"sessionPersistence: {}, " + backend, "sessionPersistence"},
  };
  for (const auto& [rule, expected] : rules) {
    const std::string spec = "{parentRefs: [{name: g}], rules: [{" + rule + "}]}";
    ExpectRows(kVersion, "HTTPRoute", {{spec.c_str(), expected}});
  }
  ExpectRows(kVersion, "HTTPRoute",
             {{"{parentRefs: [{}]}", "spec.parentRefs[0].name: is missing"},
              {"{hostnames: ['*']}", "spec.hostnames[0]: leave hostnames out"},
              {"{hostnames: [1.2.3.4]}", "spec.hostnames[0]: must not be an IP address"}});
  ExpectRows(kVersion, "GRPCRoute",
             {{"{rules: [{matches: [{method: {service: a, method: b}}]}]}", ""},
              {"{rules: [{matches: [{method: {}}]}]}", "matches[0].method: needs 'service' or"},
              {"{rules: [{matches: [{method: {service: a/b}}]}]}", "method.service: must not have"},
              {"{rules: [{filters: [{type: URLRewrite, urlRewrite: {}}]}]}",
               "filters[0].type: 'URLRewrite' is none of"}});
  for (const char* kind : {"TLSRoute", "TCPRoute"}) {
    ExpectRows("gateway.networking.k8s.io/v1alpha2", kind,
               {{"{rules: [{backendRefs: [{name: b, port: 80}]}]}", ""},
                {"{}", "spec.rules: is missing"},
                {"{rules: [{}]}", "spec.rules[0].backendRefs: is missing"}});
  }
  ExpectRows("gateway.networking.k8s.io/v1beta1", "ReferenceGrant",
             {{"{from: [{group: a, kind: B, namespace: c}], to: [{group: '', kind: D}]}", ""},
              {"{from: [{group: a, kind: B}], to: [{kind: D}]}", "from[0].namespace: is missing"},
              {"{from: [{kind: B, namespace: c}]}", "spec.to: is missing"}});
}

TEST(Validate, SecretsForTls) {
  const auto secret = [](const std::string& rest) {
    return ProblemsOf("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n" + rest);
  };
  struct SecretRow {
    const char* rest;
    const char* expected;
  } rows[] = {
      {"type: Opaque\nstringData: {password: a}", ""},
      {"type: Opaque\nstringData: {key: of something else}", ""},
      {"type: helm.sh/release.v1\nstringData: {tls.crt: a, tls.key: b}", ""},
      {"type: kubernetes.io/tls\nstringData: {}", "Secret default/x: data[tls.crt]: is missing"},
      {"type: kubernetes.io/tls\nstringData: {tls.crt: a}", "data[tls.key]: is missing"},
      {"type: kubernetes.io/tls\nstringData: {tls.crt: a, tls.key: b}", "data[tls.crt]: "},
      {"stringData: {cert: a, key: b}", "data[cert]: "},
      {"stringData: {cacert: a}", "data[cacert]: "},
  };
  for (const SecretRow& row : rows) {
    const std::string said = secret(row.rest);
    if (*row.expected == '\0') {
      EXPECT_EQ(said, "") << row.rest;
    } else {
      EXPECT_TRUE(absl::StrContains(said, row.expected)) << row.rest << "\n" << said;
    }
  }
}

TEST(Validate, ServiceEntry) {
  // @ stands for a port that is fine.
  const std::vector<Row> rows = {
      {"{hosts: [a.test], ports: [@], resolution: DNS}", ""},
      {"{hosts: ['*.a.test'], ports: [@]}", ""},
      {"{ports: [@]}", "spec.hosts: is missing"},
      {"{hosts: ['*'], ports: [@]}", "spec.hosts[0]: '*' would be every host"},
      {"{hosts: ['a*.test'], ports: [@]}", "spec.hosts[0]: 'a*.test' is not a host name"},
      {"{hosts: [a, a], ports: [@]}", "spec.hosts[1]: 'a' is there twice"},
      {"{hosts: ['*.test'], ports: [@], resolution: DNS}", "spec.hosts[0]: '*.test' cannot be res"},
      {"{hosts: ['*.test'], ports: [@], resolution: DNS, endpoints: [{address: a.test}]}", ""},
      {"{hosts: [a], ports: [@], addresses: [10.0.0.1, 10.0.0.0/8, 'fd00::/8']}", ""},
      {"{hosts: [a], ports: [@], addresses: [10.0.0.0/33]}", "spec.addresses[0]: '10.0.0.0/33' is"},
      {"{hosts: [a], ports: [@], addresses: [10.0.0.0/8], resolution: DNS}",
       "spec.addresses[0]: '10.0.0.0/8': a block of addresses goes with resolution NONE or STATIC"},
      {"{hosts: [a]}", "warning: ServiceEntry default/x: spec.ports: is missing"},
      {"{hosts: [a], ports: [{number: 0, name: a, protocol: HTTP}]}", "spec.ports[0].number: 0 is"},
      {"{hosts: [a], ports: [{number: 1, protocol: HTTP}]}", "spec.ports[0].name: is missing"},
      {"{hosts: [a], ports: [@, @]}", "spec.ports[1].number: 80 is there twice"},
      {"{hosts: [a], ports: [@, {number: 81, name: http, protocol: HTTP}]}",
       "spec.ports[1].name: 'http' is there twice"},
      {"{hosts: [a], ports: [{number: 1, name: a, protocol: HTP}]}",
       "spec.ports[0].protocol: 'HTP' is not a protocol"},
      {"{hosts: [a], ports: [{number: 1, name: a, protocol: HTTP, targetPort: 70000}]}",
       "spec.ports[0].targetPort: 70000 is out of range"},
      {"{hosts: [a], ports: [{number: 1, name: a, protocol: HTTP, targetPort: 2}]}",
       "spec.ports[0].targetPort: has no effect with resolution NONE"},
      {"{hosts: [a], ports: [{number: 1, name: a, protocol: TCP}]}", "without 'addresses', every"},
      {"{hosts: [a], ports: [@], resolution: DYNAMIC_DNS}", "spec.resolution: DYNAMIC_DNS is not"},
      {"{hosts: [a], ports: [@], endpoints: [{address: 10.0.0.1}]}",
       "spec.endpoints: cannot be used with resolution NONE"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: b.test}]}",
       "spec.endpoints[0].address: 'b.test' is not an IP address"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{}]}",
       "spec.endpoints[0].address: is missing"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{network: far}]}", ""},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: 'unix:///a'}]}", ""},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: 'unix://a'}]}",
       "spec.endpoints[0].address: 'unix://a' is not an absolute path"},
      {"{hosts: [a], ports: [@], resolution: DNS, endpoints: [{address: 'unix:///a'}]}",
       "spec.endpoints[0].address: a Unix socket goes with resolution STATIC only"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {web: "
       "1}}]}",
       "spec.endpoints[0].ports[web]: the entry has no port of the name 'web'"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {http: "
       "70000}}]}",
       "spec.endpoints[0].ports[http]: 70000 is out of range"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: 10.0.0.1, locality: "
       "a/b/c/d}]}",
       "spec.endpoints[0].locality: 'a/b/c/d' is not of the form"},
      {"{hosts: [a], ports: [@], resolution: STATIC, endpoints: [{address: 10.0.0.1, "
       "serviceAccount: ns/a}]}",
       "spec.endpoints[0].serviceAccount: 'ns/a' is not a name"},
      {"{hosts: [a], ports: [@], resolution: DNS_ROUND_ROBIN, endpoints: [{address: a}, {address: "
       "b}]}",
       "spec.endpoints: resolution DNS_ROUND_ROBIN takes one"},
      {"{hosts: [a], ports: [@], resolution: STATIC, workloadSelector: {labels: {a: b}}, "
       "endpoints: "
       "[{address: 10.0.0.1}]}",
       "spec.workloadSelector: cannot stand together with 'endpoints'"},
      {"{hosts: [a], ports: [@], workloadSelector: {labels: {a: b}}}",
       "spec.workloadSelector: has no effect with resolution NONE"},
      {"{hosts: [a], ports: [@], resolution: STATIC, workloadSelector: {labels: {a: '*'}}}",
       "wildcards do not select labels"},
      {"{hosts: [a], ports: [@], exportTo: [a/b]}", "spec.exportTo[0]: 'a/b'"},
      {"{hosts: [a], ports: [@], subjectAltNames: ['']}", "spec.subjectAltNames[0]: is empty"},
      {"{hosts: [a], ports: [@], locaton: MESH_INTERNAL}", "did you mean 'location'"},
  };
  for (const Row& row : rows) {
    const std::string spec =
        absl::StrReplaceAll(row.spec, {{"@", "{number: 80, name: http, protocol: HTTP}"}});
    ExpectRows("networking.istio.io/v1", "ServiceEntry", {{spec.c_str(), row.expected}});
  }
}

TEST(Validate, WorkloadEntry) {
  ExpectRows("networking.istio.io/v1beta1", "WorkloadEntry",
             {
                 {"{address: 10.0.0.1, ports: {http: 80}, labels: {app: a}, weight: 2}", ""},
                 {"{address: vm.test}", ""},
                 {"{network: far}", ""},
                 {"{ports: {http: 80}}", "spec.address: is missing"},
                 {"{address: 'a b'}", "spec.address: 'a b' is not a host name"},
                 {"{address: 10.0.0.1, ports: {http: 0}}", "spec.ports[http]: 0 is out of range"},
                 {"{address: 'unix:///a', ports: {http: 1}}", "spec.ports: a Unix socket has no"},
                 {"{address: 10.0.0.1, locality: 'a//b'}", "spec.locality: 'a//b' is not of the"},
                 {"{address: 10.0.0.1, labels: {a: '*'}}", "wildcards do not select labels"},
                 {"{address: 10.0.0.1, wieght: 1}", "did you mean 'weight'"},
             });
}

TEST(Validate, WorkloadGroup) {
  ExpectRows(
      "networking.istio.io/v1", "WorkloadGroup",
      {
          {"{metadata: {labels: {app: a}}, template: {serviceAccount: a, ports: {http: 80}}}", ""},
          {"{metadata: {labels: {app: a}}}", "spec.template: is missing"},
          {"{template: {address: 10.0.0.1}}", "spec.template.address: has no effect"},
          {"{template: {ports: {http: 70000}}}", "spec.template.ports[http]: 70000 is out of"},
          {"{template: {}, probe: {}}", "spec.probe: one of httpGet, tcpSocket, exec and grpc"},
          {"{template: {}, probe: {httpGet: {port: 80, path: /h}}}", ""},
          {"{template: {}, probe: {httpGet: {path: /h}}}", "spec.probe.httpGet.port: 0 is out of"},
          {"{template: {}, probe: {httpGet: {port: 80, scheme: ftp}}}",
           "'ftp' is neither HTTP nor"},
          {"{template: {}, probe: {tcpSocket: {port: 0}}}", "spec.probe.tcpSocket.port: 0 is out"},
          {"{template: {}, probe: {grpc: {port: 0}}}", "spec.probe.grpc.port: 0 is out of range"},
          {"{template: {}, probe: {exec: {}}}", "spec.probe.exec.command: is missing"},
          {"{template: {}, probe: {periodSeconds: -1, exec: {command: [a]}}}",
           "spec.probe.periodSeconds: -1 is negative"},
          {"{template: {}, probe: {initialDelaySeconds: -1, exec: {command: [a]}}}",
           "spec.probe.initialDelaySeconds: -1 is negative"},
          {"{template: {}, probe: {timeoutSeconds: -1, exec: {command: [a]}}}",
           "spec.probe.timeoutSeconds: -1 is negative"},
          {"{template: {}, probe: {successThreshold: -1, exec: {command: [a]}}}",
           "spec.probe.successThreshold: -1 is negative"},
          {"{template: {}, probe: {failureThreshold: -1, exec: {command: [a]}}}",
           "spec.probe.failureThreshold: -1 is negative"},
          {"{template: {}, probe: {httpGet: {port: 80, httpHeaders: [{name: 'a b', value: c}]}}}",
           "spec.probe.httpGet.httpHeaders[0].name: 'a b'"},
      });
}

TEST(Validate, Sidecar) {
  const std::vector<Row> rows = {
      {"{egress: [{hosts: ['./*', 'prod/api.test', '*/*.test', '~/*']}]}", ""},
      {"{workloadSelector: {labels: {a: b}}}", "spec: says nothing"},
      {"{workloadSelector: {labels: {a: '*'}}, egress: [{hosts: ['./*']}]}",
       "wildcards do not select labels"},
      {"{egress: [{}]}", "spec.egress[0].hosts: is missing; '~/*' says"},
      {"{egress: [{hosts: [api.test]}]}", "spec.egress[0].hosts[0]: 'api.test' is not of the form"},
      {"{egress: [{hosts: ['./a*']}]}", "spec.egress[0].hosts[0]: 'a*'"},
      {"{egress: [{hosts: ['a.b/*']}]}", "spec.egress[0].hosts[0]: 'a.b' is not a name"},
      {"{egress: [{@, hosts: ['./*']}, {hosts: ['./*']}]}", ""},
      {"{egress: [{hosts: ['./*']}, {@, hosts: ['./*']}]}",
       "spec.egress[0].port: is missing; only"},
      {"{egress: [{@, hosts: ['./*']}, {@, hosts: ['./*']}]}",
       "spec.egress[1].port.number: 80 is there twice"},
      {"{egress: [{port: {number: 0, protocol: HTTP}, hosts: ['./*']}]}",
       "spec.egress[0].port.number: 0 is out of range"},
      {"{egress: [{port: {number: 1, protocol: HTP}, hosts: ['./*']}]}",
       "spec.egress[0].port.protocol: 'HTP' is not a protocol"},
      {"{egress: [{@, bind: 'unix:///a', hosts: ['./*']}]}",
       "spec.egress[0].bind: 'unix:///a' is not an IP address"},
      {"{egress: [{bind: 127.0.0.1, hosts: ['./*']}]}", "spec.egress[0].bind: needs a port"},
      {"{egress: [{captureMode: NONE, hosts: ['./*']}]}", "spec.egress[0].captureMode: NONE needs"},
      {"{ingress: [{@, defaultEndpoint: '127.0.0.1:8080'}]}", ""},
      {"{ingress: [{@, defaultEndpoint: '10.0.0.1:8080'}]}",
       "spec.ingress[0].defaultEndpoint: '10.0.0.1:8080' is none of"},
      {"{ingress: [{@, defaultEndpoint: '127.0.0.1:0'}]}", "spec.ingress[0].defaultEndpoint: '127"},
      {"{ingress: [{@, defaultEndpoint: 'unix://a'}]}", "spec.ingress[0].defaultEndpoint: 'unix:"},
      {"{ingress: [{}]}", "spec.ingress[0].port: is missing"},
      {"{ingress: [{@}, {@}]}", "spec.ingress[1].port.number: 80 is there twice"},
      {"{ingress: [{@, tls: {mode: SIMPLE}}]}", "spec.ingress[0].tls: has no effect"},
      {"{ingress: [{@, bind: 10.0.0.1}]}", "spec.ingress[0].bind: has no effect"},
      {"{ingress: [{@, captureMode: NONE}]}", "spec.ingress[0].captureMode: has no effect"},
      {"{ingress: [{@, connectionPool: {tcp: {maxConnections: -1}}}]}",
       "spec.ingress[0].connectionPool.tcp.maxConnections: -1 is negative"},
      {"{inboundConnectionPool: {tcp: {maxConnections: -1}}}",
       "spec.inboundConnectionPool.tcp.maxConnections: -1 is negative"},
      {"{outboundTrafficPolicy: {mode: ANY}}", "ALLOW_ANY"},
      {"{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {}}}",
       "spec.outboundTrafficPolicy.egressProxy.host: is missing"},
      {"{outboundTrafficPolicy: {egressProxy: {host: a}}}",
       "spec.outboundTrafficPolicy.egressProxy: goes with mode ALLOW_ANY only"},
  };
  for (const Row& row : rows) {
    const std::string spec =
        absl::StrReplaceAll(row.spec, {{"@", "port: {number: 80, name: http, protocol: HTTP}"}});
    ExpectRows("networking.istio.io/v1", "Sidecar", {{spec.c_str(), row.expected}});
  }
}

TEST(Validate, PeerAuthentication) {
  ExpectRows("security.istio.io/v1", "PeerAuthentication",
             {
                 {"{mtls: {mode: STRICT}}", ""},
                 {"{mtls: {mode: STRIKT}}", "STRICT"},
                 {"{portLevelMtls: {80: {mode: DISABLE}}}", "needs a selector"},
                 {"{selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: DISABLE}}}", ""},
                 {"{selector: {matchLabels: {a: b}}, portLevelMtls: {70000: {mode: DISABLE}}}",
                  "70000 is out of range"},
             });
}

TEST(Validate, Service) {
  ExpectRows(
      "v1", "Service",
      {
          {"{ports: [{port: 80}], whatever: 1}", ""},
          {"{ports: [{port: 70000}]}", "spec.ports[0].port: 70000 is out of range"},
          {"{ports: [{port: 80}, {port: 81}]}", "name: is missing, but needed"},
          {"{ports: [{port: 80, name: a}, {port: 80, name: b}]}", "80 is there twice"},
          {"{ports: [{port: 53, name: a}, {port: 53, name: b, protocol: UDP}]}", ""},
          {"{clusterIP: 10.0.0.999, ports: [{port: 80}]}", "is not an IP address"},
          {"{clusterIP: None}", ""},
          {"{clusterIP: None, clusterIPs: [None]}", ""},
          {"{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'fd00::1'], ports: [{port: 80}]}", ""},
          {"{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, fd00], ports: [{port: 80}]}",
           "spec.clusterIPs[1]: 'fd00' is not an IP address"},
          {"{}", "spec.ports: is missing"},
          {"{type: ExternalName, externalName: a.b}", ""},
          {"{type: ExternalName}", "spec.externalName: is missing"},
          {"{ports: 80}", "ports"},
      });
}

TEST(Validate, EndpointSlice) {
  const auto slice = [](const std::string& rest) {
    return ProblemsOf(
        absl::StrCat("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                     "metadata: {name: x, labels: {kubernetes.io/service-name: x}}\n",
                     rest));
  };
  EXPECT_EQ(slice("addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\n"
                  "ports: [{name: http, port: 80}]"),
            "");
  EXPECT_TRUE(absl::StrContains(slice("addressType: IPv4\nendpoints: [{addresses: [here]}]"),
                                "endpoints[0].addresses: 'here' is not an IP address"));
  EXPECT_TRUE(absl::StrContains(slice("addressType: IPv4\nendpoints: [{}]"), "is missing"));
  EXPECT_TRUE(absl::StrContains(slice("addressType: IPv4\nports: [{port: 99999}]"), "99999"));
}

TEST(Decode, RefusesAnUnknownVersionAndFieldsBesideTheSpec) {
  EXPECT_TRUE(absl::StrContains(ProblemsOf(ObjectOf("networking.istio.io/v9", "Gateway", "{}")),
                                "apiVersion: unknown version 'networking.istio.io/v9'"));
  EXPECT_TRUE(absl::StrContains(
      ProblemsOf(ObjectOf("security.istio.io/v1", "PeerAuthentication", "{}\nmtls: {}")),
      "mtls (line 5): unknown field"));
}

TEST(Decode, TellsAnotherGroupsKindApart) {
  const ParsedObjects parsed =
      ParseObjects(ObjectOf("gateway.networking.k8s.io/v1", "Gateway", "{}"), "test.yaml");
  ASSERT_EQ(parsed.objects.size(), 1u);
  EXPECT_EQ(parsed.objects[0]->key.kind, "Gateway.gateway.networking.k8s.io");
  EXPECT_EQ(KindOf(parsed.objects[0]->key), Kind::kKubernetesGateway);
}

TEST(ParseObjects, UnpacksListsAndNamesWhatIsNoObject) {
  const ParsedObjects parsed = ParseObjects(
      "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n"
      "- {apiVersion: v1, kind: Service, metadata: {name: b, namespace: n}}\n"
      "---\napiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: c}}]\n"
      "---\njust text\n---\nkind: Service\n---\napiVersion: v1\nkind: Service\nmetadata: {name: "
      "A}\n",
      "t.yaml");
  ASSERT_EQ(parsed.objects.size(), 3u);
  EXPECT_EQ(ToString(parsed.objects[1]->key), "Service n/b");
  EXPECT_EQ(ToString(parsed.objects[2]->key), "Service default/c");
  EXPECT_EQ(Lines(parsed.problems),
            "t.yaml:11: not an object: expected a mapping with 'kind'\n"
            "t.yaml:13: Service: 'apiVersion' is missing\n"
            "t.yaml:15: Service default/A: metadata.name: not a valid name: expected lower case "
            "letters, digits, '-' and '.'");
}

TEST(Validate, AuthorizationPolicy) {
  const auto rule = [](const std::string& text) { return "{rules: [{" + text + "}]}"; };
  const auto source = [&](const std::string& text) {
    return rule("from: [{source: {" + text + "}}]");
  };
  const auto operation = [&](const std::string& text) {
    return rule("to: [{operation: {" + text + "}}]");
  };
  const auto when = [&](const std::string& text) { return rule("when: [{" + text + "}]"); };
  const std::pair<std::string, const char*> rows[] = {
      {"{}", ""},
      {"{rules: [{}]}", ""},
      {"{action: DENY, rules: [{}]}", ""},
      {"{action: DENY}", "spec.rules: DENY without rules never applies"},
      {"{action: CUSTOM, provider: {name: x}}", "spec.rules: CUSTOM without rules"},
      {"{action: AUDIT, rules: [{}]}", ""},
      {"{action: REFUSE}", "spec.action"},
      {"{action: CUSTOM, rules: [{}]}", "spec.provider.name: is missing for CUSTOM"},
      {"{action: CUSTOM, provider: {name: x}, rules: [{}]}", ""},
      {"{provider: {name: x}}", "spec.provider: is for the action CUSTOM only"},
      {"{selector: {matchLabels: {app: 'a*'}}}", "spec.selector.matchLabels"},
      {"{selector: {matchLabels: {a: b}}, targetRef: {kind: Service, name: s}}",
       "spec.targetRef: cannot be used together with 'selector'"},
      {"{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]}", ""},
      {"{targetRefs: [{kind: Service, name: s}]}",
       "warning: AuthorizationPolicy default/x: spec.targetRefs[0].kind: 'Service' selects no "
       "proxy: a target is a Gateway"},
      {"{targetRef: {group: gateway.networking.k8s.io, kind: Gateway}}",
       "spec.targetRef.name: is missing"},
      {"{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g, namespace: a}]}",
       "spec.targetRefs[0].namespace: is not taken"},
      {rule("from: [{}]"), "spec.rules[0].from[0].source: says nothing"},
      {rule("to: [{}]"), "spec.rules[0].to[0].operation: says nothing"},
      {rule("form: []"), "spec.rules[0].form"},
      {source("principals: ['']"), "spec.rules[0].from[0].source.principals[0]: is empty"},
      {source("principals: [a, 'b*c']"), "source.principals[1]: 'b*c': '*' is a wildcard alone"},
      {source("principals: ['*a*']"), "source.principals[0]: '*a*'"},
      {source("principals: ['*', '*/sa/a', 'td/ns/*']"), ""},
      {source("principals: ['spiffe://td/ns/a/sa/b']"), "is written without its 'spiffe://'"},
      {source("notPrincipals: ['a**']"), "source.notPrincipals[0]"},
      {source("requestPrincipals: ['a*b']"), "source.requestPrincipals[0]"},
      {source("notRequestPrincipals: ['']"), "source.notRequestPrincipals[0]: is empty"},
      {source("namespaces: ['a*b']"), ""},
      {source("notNamespaces: ['']"), "source.notNamespaces[0]: is empty"},
      {source("serviceAccounts: ['a*']"), "serviceAccounts[0]: 'a*': wildcards are not allowed"},
      {source("serviceAccounts: [a/b/c]"), "is neither NAME nor NAMESPACE/NAME"},
      {source("notServiceAccounts: [/b]"), "source.notServiceAccounts[0]: '/b'"},
      {source("serviceAccounts: [a], namespaces: [b]"),
       "source.serviceAccounts: cannot be used together with 'principals' or 'namespaces'"},
      {source("trustDomains: ['a*b']"), "source.trustDomains[0]"},
      {source("notTrustDomains: ['']"), "source.notTrustDomains[0]"},
      {source("clusters: ['']"), "source.clusters[0]: is empty"},
      {source("notClusters: ['a*b']"), "source.notClusters[0]"},
      {source("ipBlocks: [10.0.0.0/8, 1.2.3.4, '::1/128']"), ""},
      {source("ipBlocks: [10.0.0.0/33]"),
       "source.ipBlocks[0]: '10.0.0.0/33': the length is out of range 0..32"},
      {source("notIpBlocks: [10.0.0]"), "source.notIpBlocks[0]: '10.0.0' is neither an IP nor"},
      {source("remoteIpBlocks: ['::/129']"), "source.remoteIpBlocks[0]"},
      {source("notRemoteIpBlocks: [x]"), "source.notRemoteIpBlocks[0]"},
      {operation("hosts: ['a*b']"), "spec.rules[0].to[0].operation.hosts[0]"},
      {operation("notHosts: ['']"), "operation.notHosts[0]: is empty"},
      {operation("ports: [http]"), "operation.ports[0]: 'http' is not a port"},
      {operation("notPorts: ['70000']"), "operation.notPorts[0]: 70000 is out of range"},
      {operation("methods: ['']"), "operation.methods[0]"},
      {operation("notMethods: ['']"), "operation.notMethods[0]"},
      {operation("paths: ['/a/{*}/b/{**}', '/{**}/', '/a*', '/{a}']"), ""},
      {operation("paths: ['/foo/{*}.txt']"), "operation.paths[0]: '/foo/{*}.txt': '{*}.txt' is"},
      {operation("paths: ['/*/baz/{*}']"), "operation.paths[0]"},
      {operation("notPaths: ['/{**}/foo/{*}']"),
       "operation.notPaths[0]: '/{**}/foo/{*}': '{**}' must be the last operator"},
      {when("values: [a]"), "spec.rules[0].when[0].key: is missing"},
      {when("key: source.nam, values: [a]"), "when[0].key: 'source.nam' is not known; there is"},
      {when("key: source.ip"), "spec.rules[0].when[0]: needs 'values' or 'notValues'"},
      {when("key: source.ip, values: [x]"), "when[0].values[0]: 'x' is neither an IP"},
      {when("key: destination.port, notValues: [x]"), "when[0].notValues[0]: 'x' is not a port"},
      {when("key: 'request.headers[a b]', values: [a]"), "'a b' is not the name of a header"},
      {when("key: 'request.headers', values: [a]"), "'request.headers' is not known"},
      {when("key: 'request.auth.claims[a][b]', values: [a]"), ""},
      {when("key: 'request.auth.claims[a]b]', values: [a]"), "does not name a claim"},
      {when("key: 'experimental.envoy.filters.network.mysql_proxy[db]', values: [a]"),
       "weft-proxy has no metadata of such a filter"},
  };
  for (const auto& [spec, expected] : rows) {
    ExpectRows("security.istio.io/v1", "AuthorizationPolicy", {{spec.c_str(), expected}});
  }
}

TEST(Validate, RequestAuthentication) {
  const std::string key = certs::TestJwtKey("ES256").KeySet();
  const auto rule = [](const std::string& text) {
    return "{jwtRules: [{issuer: a, jwksUri: 'https://a/keys', " + text + "}]}";
  };
  const std::pair<std::string, const char*> rows[] = {
      {"{}", ""},
      {"{jwtRules: [{issuer: a, jwks: '" + key + "'}]}", ""},
      {rule("audiences: [b], fromHeaders: [{name: x, prefix: 'B '}], fromParams: [t], "
            "fromCookies: [c], outputPayloadToHeader: x-p, forwardOriginalToken: true, timeout: "
            "3s, spaceDelimitedClaims: [s], outputClaimToHeaders: [{header: h, claim: c.d}]"),
       ""},
      {"{jwtRules: [{jwks: '" + key + "'}]}", "spec.jwtRules[0].issuer: is missing"},
      {"{jwtRules: [{issuer: a}]}",
       "warning: RequestAuthentication default/x: spec.jwtRules[0]: has neither 'jwks' nor "
       "'jwksUri', and the issuer is not asked for its keys: 'a/.well-known/openid-configuration' "
       "must start with https:// or http://. Its tokens are refused"},
      {"{jwtRules: [{issuer: 'https://accounts.example.com'}]}", ""},
      {"{jwtRules: [{issuer: 'https://localhost'}]}", "leads to weftd's own machine"},
      {"{jwtRules: [{issuer: a, jwks: '{}'}]}", "spec.jwtRules[0].jwks: key set: not a JSON"},
      {rule("jwks: '" + key + "'"), "spec.jwtRules[0].jwks: cannot be used together"},
      {"{jwtRules: [{issuer: a, jwksUri: 'ftp://a/keys'}]}",
       "spec.jwtRules[0].jwksUri: 'ftp://a/keys' must start with https:// or http://"},
      {"{jwtRules: [{issuer: a, jwksUri: 'http://169.254.169.254/keys'}]}",
       "spec.jwtRules[0].jwksUri: 'http://169.254.169.254/keys' leads to a loopback, link-local"},
      {rule("audiences: ['']"), "spec.jwtRules[0].audiences[0]: is empty"},
      {rule("fromHeaders: [{prefix: x}]"), "spec.jwtRules[0].fromHeaders[0].name: is missing"},
      {rule("fromHeaders: [{name: 'a b'}]"), "'a b' is not the name of a header"},
      {rule("fromParams: ['']"), "spec.jwtRules[0].fromParams[0]: is empty"},
      {rule("fromCookies: ['']"), "spec.jwtRules[0].fromCookies[0]: is empty"},
      {rule("spaceDelimitedClaims: ['']"), "spec.jwtRules[0].spaceDelimitedClaims[0]: is empty"},
      {rule("outputPayloadToHeader: host"), "outputPayloadToHeader: 'host' cannot be set"},
      {rule("outputClaimToHeaders: [{header: ':path', claim: c}]"), "':path' cannot be set"},
      {rule("outputClaimToHeaders: [{header: h}]"), "outputClaimToHeaders[0].claim: is missing"},
      {rule("outputClaimToHeaders: [{claim: c}]"), "outputClaimToHeaders[0].header: is missing"},
      {rule("outputClaimToHeaders: [{header: h, claim: a}, {header: H, claim: b}]"),
       "spec.jwtRules[0].outputClaimToHeaders[1].header: 'H' is there twice"},
      {rule("timeout: 0s"), "spec.jwtRules[0].timeout: must be above 0"},
      {rule("timeout: 5"), "spec.jwtRules[0].timeout"},
      {rule("issuerr: a"), "issuerr"},
      {"{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: s}]}",
       "spec.targetRefs: cannot be used together with 'selector'"},
  };
  for (const auto& [spec, expected] : rows) {
    ExpectRows("security.istio.io/v1", "RequestAuthentication", {{spec.c_str(), expected}});
  }
}

TEST(Validate, Telemetry) {
  const auto log = [](const std::string& text) { return "{accessLogging: [{" + text + "}]}"; };
  const auto metric = [](const std::string& text) {
    return "{metrics: [{overrides: [{" + text + "}]}]}";
  };
  const auto trace = [](const std::string& text) { return "{tracing: [{" + text + "}]}"; };
  const std::pair<std::string, const char*> rows[] = {
      {"{}", ""},
      {log("providers: [{name: envoy}], match: {mode: SERVER}, filter: {expression: "
           "'response.code >= 400'}"),
       ""},
      {log("disabled: true"), ""},
      {log("providers: [{}]"), "spec.accessLogging[0].providers[0].name: is missing"},
      {log("match: {mode: BOTH}"), "spec.accessLogging[0].match.mode"},
      {log("filter: {}"), "spec.accessLogging[0].filter.expression: is missing"},
      {log("filter: {expression: 'response.code >'}"),
       "spec.accessLogging[0].filter.expression: ends where a value is expected"},
      {log("disabled: true, filter: {expression: 'true'}"),
       "warning: Telemetry default/x: spec.accessLogging[0].filter: has no effect"},
      {log("provider: envoy"), "did you mean 'providers'"},
      {"{metrics: [{providers: [{name: prometheus}]}]}", ""},
      {"{metrics: [{reportingInterval: 5s}]}",
       "warning: Telemetry default/x: spec.metrics[0].reportingInterval: has no effect"},
      {"{metrics: [{reportingInterval: 5}]}", "spec.metrics[0].reportingInterval"},
      {metric("match: {metric: REQUEST_COUNT, mode: CLIENT}, disabled: true"),
       "warning: Telemetry default/x: spec.metrics[0].overrides[0].disabled: has no effect"},
      {metric("match: {metric: REQUESTS}"), "spec.metrics[0].overrides[0].match.metric"},
      {metric("match: {customMetric: ''}"), "match.customMetric: is empty"},
      {metric("tagOverrides: {a: {value: b}}"),
       "warning: Telemetry default/x: spec.metrics[0].overrides[0].tagOverrides: has no effect"},
      {metric("tagOverrides: {a: {}}"), "tagOverrides[a].value: is missing for UPSERT"},
      {metric("tagOverrides: {a: {operation: REMOVE, value: b}}"),
       "tagOverrides[a].value: cannot be used together with REMOVE"},
      {trace("disableSpanReporting: true"), ""},
      {trace("randomSamplingPercentage: 5"),
       "warning: Telemetry default/x: spec.tracing[0].randomSamplingPercentage: has no effect: "
       "weft-proxy reports no spans"},
      {trace("randomSamplingPercentage: 101"), "101 is out of range 0..100"},
      {trace("providers: [{name: a}, {name: b}]"), "spec.tracing[0].providers: takes one"},
      {trace("customTags: {a: {literal: {value: b}}}"),
       "warning: Telemetry default/x: spec.tracing[0].customTags: has no effect"},
      {trace("customTags: {a: {formatter: {}}}"), "customTags[a].formatter.value: is missing"},
      {trace("customTags: {a: {header: {name: b, defaultValue: c}}}"),
       "spec.tracing[0].customTags: has no effect"},
      {trace("enableIstioTags: true"), "spec.tracing[0].enableIstioTags: has no effect"},
      {trace("customTags: {a: {}}"), "spec.tracing[0].customTags[a]: needs one of"},
      {trace("customTags: {a: {header: {}}}"), "customTags[a].header.name: is missing"},
      {trace("customTags: {a: {environment: {}}}"), "customTags[a].environment.name: is missing"},
      {trace("useRequestIdForTraceSampling: true"), "useRequestIdForTraceSampling: has no effect"},
      {"{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Gateway, name: g}]}",
       "spec.targetRefs: cannot be used together with 'selector'"},
  };
  for (const auto& [spec, expected] : rows) {
    ExpectRows("telemetry.istio.io/v1", "Telemetry", {{spec.c_str(), expected}});
  }
  ExpectRows("telemetry.istio.io/v1alpha1", "Telemetry", {{"{}", ""}});
}

TEST(Validate, MeshConfig) {
  const auto of = [](const std::string& data) {
    return ProblemsOf(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: weft, namespace: "
        "weft-system}\n" +
        data);
  };
  const auto http = [](const std::string& text) {
    return "{extensionProviders: [{name: a, envoyExtAuthzHttp: {" + text + "}}]}";
  };
  const auto log = [](const std::string& text) {
    return "{extensionProviders: [{name: a, envoyFileAccessLog: {" + text + "}}]}";
  };
  const std::pair<std::string, const char*> rows[] = {
      {"{}", ""},
      {"", ""},
      {"5", "data.mesh"},
      {"{accesLogFile: /x}",
       "data.mesh.accesLogFile (line 1): unknown field; did you mean "
       "'accessLogFile'"},
      {"{trustDomain: x}",
       "warning: ConfigMap weft-system/weft: data.mesh.trustDomain: is Istio's and has no effect"},
      {"{defaultConfig: {discoveryAddress: a}}", "data.mesh.defaultConfig: is Istio's"},
      {"{accessLogFile: x}", "data.mesh.accessLogFile: 'x' is not a path"},
      {"{accessLogFormat: '%RESPONSE_CODE%'}", ""},
      {"{accessLogFormat: '%RESPONS_CODE%'}",
       "data.mesh.accessLogFormat: '%RESPONS_CODE%': is no "
       "command operator that weft-proxy knows"},
      {"{accessLogFormat: '50%'}", "a per cent sign is written %%"},
      {"{accessLogFormat: '%REQ%'}", "'%REQ%': needs the name of a header"},
      {"{accessLogFormat: '%PROTOCOL(x)%'}", "'%PROTOCOL(x)%': takes no argument"},
      {"{accessLogFormat: '%REQ(x):0%'}", "only a length"},
      {"{accessLogEncoding: JSON, accessLogFormat: x}", "is not one object of JSON"},
      {"{accessLogEncoding: JSON, accessLogFormat: '{\"a\": {\"b\": [\"%X%\"]}}'}",
       "data.mesh.accessLogFormat.a.b[0]: '%X%': is no command operator"},
      {"{defaultProviders: {tracing: [z], metrics: [p]}}",
       "data.mesh.defaultProviders.tracing: has no effect"},
      {"{extensionProviders: [{name: a}]}",
       "data.mesh.extensionProviders[0]: says nothing of what"},
      {"{extensionProviders: [{name: a, zipkin: {service: z}}]}",
       "warning: ConfigMap weft-system/weft: data.mesh.extensionProviders[0]: 'a': weft-proxy has "
       "no use"},
      {"{extensionProviders: [{name: a, envoyFileAccessLog: {}}, {name: a, envoyFileAccessLog: "
       "{}}]}",
       "data.mesh.extensionProviders[1].name: 'a' is there twice"},
      {"{extensionProviders: [{envoyFileAccessLog: {}}]}", "[0].name: is missing"},
      {log("path: a"), "envoyFileAccessLog.path: 'a' is not a path"},
      {log("logFormat: {text: '%X%'}"), "envoyFileAccessLog.logFormat.text: '%X%'"},
      {log("logFormat: {labels: {a: '%X%'}}"), "envoyFileAccessLog.logFormat.labels.a: '%X%'"},
      {http("service: a.default.svc.cluster.local, port: 80"), ""},
      {http("service: ns/a.default.svc.cluster.local, port: 80, timeout: 1s, pathPrefix: /check, "
            "failOpen: true, statusOnError: '503', includeRequestHeadersInCheck: [a, 'x-*', '*-y'],"
            " includeAdditionalHeadersInCheck: {x: y}, includeRequestBodyInCheck: "
            "{maxRequestBytes: 1024, allowPartialMessage: true}, headersToUpstreamOnAllow: [b], "
            "headersToDownstreamOnDeny: [c], headersToDownstreamOnAllow: [d]"),
       ""},
      {http("port: 80"), "envoyExtAuthzHttp.service: is missing"},
      {http("service: '*.test', port: 80"), "envoyExtAuthzHttp.service: '*.test' must not be"},
      {http("service: a"), "envoyExtAuthzHttp.port: 0 is out of range"},
      {http("service: a, port: 80, timeout: 0s"), "timeout: must be above 0"},
      {http("service: a, port: 80, timeout: soon"), "timeout: not a duration"},
      {http("service: a, port: 80, statusOnError: x"), "statusOnError: 'x' is not a status"},
      {http("service: a, port: 80, pathPrefix: x"), "pathPrefix: 'x' does not begin with '/'"},
      {http("service: a, port: 80, includeAdditionalHeadersInCheck: {Host: y}"),
       "includeAdditionalHeadersInCheck[Host]: 'Host' cannot be set"},
      {http("service: a, port: 80, includeRequestBodyInCheck: {}"),
       "includeRequestBodyInCheck.maxRequestBytes: 0 is out of range"},
      {http("service: a, port: 80, headersToUpstreamOnAllow: ['a b']"),
       "headersToUpstreamOnAllow[0]: 'a b' is not the name of a header"},
      {"{extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a, port: 70000}}]}",
       "envoyExtAuthzGrpc.port: 70000 is out of range"},
  };
  for (const auto& [mesh, expected] : rows) {
    const std::string problems = of("data:\n  mesh: |\n    " + mesh + "\n");
    if (*expected == '\0') {
      EXPECT_EQ(problems, "") << mesh;
    } else {
      EXPECT_TRUE(absl::StrContains(problems, expected))
          << mesh << "\nexpected: " << expected << "\nactual:   " << problems;
    }
  }
  EXPECT_EQ(of("data: {other: x}\n"),
            "data.mesh: is missing; it holds the mesh-wide settings as YAML text");
  EXPECT_TRUE(absl::StrContains(of("data: {mesh: '{a: '}\n"), "data.mesh: "));
}

}  // namespace
}  // namespace weft
