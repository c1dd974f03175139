// Gateways and the VirtualServices bound to them, from YAML through Registry and Translate to what
// a router decides.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/envoy/type_urls.h"
#include "certs/issuer.h"
#include "certs/test_certificate.h"
#include "controlplane/translate/run_router.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kReviews[] = "outbound|9080||reviews.shop.svc.cluster.local";
constexpr char kRatings[] = "outbound|9080||ratings.shop.svc.cluster.local";
constexpr char kDb[] = "outbound|3306||db.shop.svc.cluster.local";

std::string Expanded(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"$reviews", kReviews},
             {"$ratings", kRatings},
             {"$db", kDb},
             {"@reviews", "route: [{destination: {host: reviews, port: {number: 9080}}}]"},
             {"@ratings", "route: [{destination: {host: ratings, port: {number: 9080}}}]"},
             {"@db", "route: [{destination: {host: db, port: {number: 3306}}}]"}});
}

std::string GatewayOf(const std::string& name, const std::string& servers,
                      const std::string& more = "") {
  return absl::StrCat(
      "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: ", name,
      ", namespace: shop}\nspec: {", more.empty() ? "selector: {istio: ingress}" : more,
      ", servers: [", servers, "]}\n");
}

// In namespace shop.
std::string RoutesOf(const std::string& name, const std::string& spec,
                     const std::string& name_space = "shop") {
  return absl::StrCat(
      "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ", name,
      ", namespace: ", name_space, "}\nspec: {", Expanded(spec), "}\n");
}

std::string Http(const std::string& hosts, const std::string& more = "") {
  return absl::StrCat("{port: {number: 80, name: http, protocol: HTTP}, hosts: [", hosts, "]", more,
                      "}");
}
std::string Https(const std::string& name, const std::string& hosts, const std::string& tls) {
  return absl::StrCat("{port: {number: 443, name: ", name, ", protocol: HTTPS}, hosts: [", hosts,
                      "], tls: {", tls, "}}");
}

testing::AssertionResult Says(const std::string& actual, const std::string& expected) {
  const std::string words = absl::StrCat(" ", Expanded(expected), " ");
  if (absl::StrContains(absl::StrCat(" ", actual, " "), words)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no '" << words << "' in: " << actual;
}

// ---- HTTP.

TEST(Router, ServesHostsThatServerAndVirtualServiceShare) {
  // Each row: hosts of the server and of the VirtualService, and what becomes of a request.
  struct Row {
    const char* server;
    const char* routes;
    const char* authority;
    bool served;
  } rows[] = {
      {"'*'", "'*'", "anything", true},
      {"'*'", "a.example.com", "a.example.com", true},
      {"'*'", "a.example.com", "b.example.com", false},
      {"'*'", "a.example.com", "a.example.com:8080", true},
      {"a.example.com", "'*'", "a.example.com", true},
      {"a.example.com", "'*'", "b.example.com", false},
      {"'*.example.com'", "a.example.com", "a.example.com", true},
      {"'*.example.com'", "'*.com'", "b.example.com", true},
      {"'*.example.com'", "'*.com'", "b.other.com", false},
      {"'*.example.com'", "a.other.com", "a.other.com", false},
      {"shop/a.example.com", "a.example.com", "a.example.com", true},
      {"./a.example.com", "a.example.com", "a.example.com", true},
      {"'*/a.example.com'", "a.example.com", "a.example.com", true},
      {"other/a.example.com", "a.example.com", "a.example.com", false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(absl::StrCat(row.server, " ", row.routes, " ", row.authority));
    Edge edge;
    EXPECT_EQ(edge.Apply(GatewayOf("g", Http(row.server)) +
                         RoutesOf("v", absl::StrCat("hosts: [", row.routes,
                                                    "], gateways: [g], http: [{@reviews}]"))),
              "");
    const std::string outcome = edge.Router()->RequestAt(8080, {row.authority});
    if (row.served) {
      EXPECT_TRUE(Says(outcome, "cluster=$reviews"));
    } else {
      EXPECT_EQ(outcome == "404" || absl::StrContains(outcome, "direct=404"), true) << outcome;
    }
  }
}

TEST(Router, FieldsOfAVirtualServiceHoldThere) {
  struct Row {
    const char* http;
    Request request;
    const char* expected;
  } rows[] = {
      {"[{match: [{uri: {prefix: /r}}], @ratings}, {@reviews}]", {"a.b", "/r"}, "cluster=$ratings"},
      {"[{match: [{uri: {prefix: /r}}], @ratings}, {@reviews}]", {"a.b", "/x"}, "cluster=$reviews"},
      {"[{match: [{gateways: [g]}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$ratings"},
      {"[{match: [{gateways: [shop/g]}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$ratings"},
      {"[{match: [{gateways: [mesh]}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$reviews"},
      {"[{match: [{gateways: [h]}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$reviews"},
      // The port is the one that the Gateway states.
      {"[{match: [{port: 80}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$ratings"},
      {"[{match: [{port: 8080}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$reviews"},
      {"[{match: [{sourceLabels: {istio: ingress}}], @ratings}, {@reviews}]",
       {"a.b"},
       "cluster=$ratings"},
      {"[{match: [{sourceNamespace: shop}], @ratings}, {@reviews}]", {"a.b"}, "cluster=$reviews"},
      {"[{timeout: 5s, @reviews}]", {"a.b"}, "timeout=5s"},
      {"[{redirect: {authority: b}}]", {"a.b"}, "redirect=301"},
      {"[{rewrite: {uri: /x}, @reviews}]", {"a.b"}, "prefix_rewrite=/x"},
      {"[{directResponse: {status: 418}}]", {"a.b"}, "direct=418"},
      {"[{fault: {abort: {httpStatus: 503, percentage: {value: 50}}}, @reviews}]",
       {"a.b"},
       "abort=50%*503"},
      {"[{headers: {request: {set: {x-a: b}}}, @reviews}]", {"a.b"}, "request.set.x-a=b"},
      {"[{mirrors: [{destination: {host: ratings, port: {number: 9080}}}], @reviews}]",
       {"a.b"},
       "mirror=100%*$ratings"},
      {"[{corsPolicy: {allowOrigins: [{exact: 'http://o'}]}, @reviews}]",
       {"a.b"},
       "origin=http://o"},
      {"[{route: [{destination: {host: reviews}, weight: 80}, {destination: {host: ratings}, "
       "weight: 20}]}]",
       {"a.b"},
       "clusters=80*$reviews,20*$ratings"},
  };
  for (const Row& row : rows) {
    Edge edge;
    const std::string said = edge.Apply(
        GatewayOf("g", Http("'*'")) + GatewayOf("h", Http("'*'"), "selector: {other: one}") +
        RoutesOf("v", absl::StrCat("hosts: ['a.b'], gateways: [g], http: ", row.http)));
    EXPECT_EQ(said, "") << row.http;
    EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, row.request), row.expected)) << row.http;
  }
}

TEST(Router, VirtualServicesOfOneHostAreTriedInTurnTheCatchAllLast) {
  Edge edge;
  EXPECT_EQ(edge.Apply(GatewayOf("g", Http("'*'")) +
                       RoutesOf("a", "hosts: [h.example.com], gateways: [g], http: [{@reviews}]") +
                       RoutesOf("b",
                                "hosts: [h.example.com], gateways: [g], http: [{match: [{uri: "
                                "{prefix: /r}}], @ratings}]")),
            "");
  const auto router = edge.Router();
  EXPECT_TRUE(Says(router->RequestAt(8080, {"h.example.com", "/r"}), "cluster=$ratings"));
  EXPECT_TRUE(Says(router->RequestAt(8080, {"h.example.com", "/"}), "cluster=$reviews"));
}

TEST(Router, IsSelectedByLabelsInAnyNamespace) {
  for (const auto& [selector, selected] :
       std::vector<std::pair<const char*, bool>>{{"selector: {istio: ingress}", true},
                                                 {"selector: {istio: other}", false},
                                                 {"selector: {istio: ingress, app: x}", false},
                                                 {"selector: {}", true}}) {
    Edge edge;
    edge.Apply(GatewayOf("g", Http("'*'"), selector) +
               RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
    EXPECT_EQ(edge.Router()->RequestAt(8080, {"a"}) != "closed", selected) << selector;
  }
}

TEST(Router, GatewaysAndMeshMayShareAVirtualService) {
  Edge edge;
  EXPECT_EQ(edge.Apply(GatewayOf("g", Http("'*'")) +
                       RoutesOf("v",
                                "hosts: [reviews], gateways: [g, mesh], http: [{match: "
                                "[{gateways: [mesh]}], @ratings}, {@reviews}]")),
            "");
  EXPECT_TRUE(
      Says(edge.Router()->RequestAt(8080, {"reviews.shop.svc.cluster.local"}), "cluster=$reviews"));
  EXPECT_TRUE(Says(edge.Sidecar("shop")->Outcome(9080, {"reviews"}), "cluster=$ratings"));
}

TEST(Router, ExportToHidesAVirtualServiceFromIt) {
  for (const auto& [to, served] : std::vector<std::pair<const char*, bool>>{
           {"'.'", false}, {"'*'", true}, {"edge", true}, {"other", false}}) {
    Edge edge;
    edge.Apply(GatewayOf("g", Http("'*'")) +
               RoutesOf("v", absl::StrCat("hosts: [a.b], gateways: [g], exportTo: [", to,
                                          "], http: [{@reviews}]")));
    EXPECT_EQ(absl::StrContains(edge.Router()->RequestAt(8080, {"a.b"}), kReviews), served) << to;
  }
}

TEST(Router, IsToldOfNothingButWhatItsRoutesLeadTo) {
  Edge edge;
  edge.Apply(GatewayOf("g", Http("'*'")) +
             RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
  const auto resources = edge.mesh().ResourcesFor(edge.view());
  std::vector<std::string> names;
  for (const auto& [name, bytes] : resources->clusters) names.push_back(name);
  EXPECT_EQ(absl::StrJoin(names, " "),
            absl::StrCat("BlackHoleCluster PassthroughCluster ", kReviews));
  EXPECT_EQ(resources->name_table.size(), 0u);
}

TEST(Router, HttpsRedirectSendsPlainRequestsToHttps) {
  Edge edge;
  EXPECT_EQ(edge.Apply(GatewayOf("g", Http("a.example.com", ", tls: {httpsRedirect: true}") + ", " +
                                          absl::StrReplaceAll(Http("b.example.com"),
                                                              {{"name: http", "name: b"}})) +
                       RoutesOf("v",
                                "hosts: ['*.example.com'], gateways: [g], http: [{match: "
                                "[{uri: {prefix: /r}}], @reviews}]")),
            "");
  const auto router = edge.Router();
  EXPECT_TRUE(Says(router->RequestAt(8080, {"a.example.com", "/r"}), "require_tls"));
  EXPECT_TRUE(Says(router->RequestAt(8080, {"a.example.com", "/other"}), "require_tls"));
  EXPECT_FALSE(absl::StrContains(router->RequestAt(8080, {"b.example.com", "/r"}), "require_tls"));
}

// ---- Ports.

TEST(Router, ListensWhereTheServiceInFrontLeadsTo) {
  Edge edge;
  edge.Apply(GatewayOf("g", Http("'*'") +
                                ", {port: {number: 9999, name: x, protocol: HTTP}, hosts: ['*']}") +
             RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
  const auto router = edge.Router();
  EXPECT_TRUE(Says(router->RequestAt(8080, {"a"}), "cluster=$reviews"));
  EXPECT_EQ(router->RequestAt(80, {"a"}), "closed");
  EXPECT_TRUE(Says(router->RequestAt(9999, {"a"}), "cluster=$reviews")) << "no Service has it";
  const auto resources = edge.mesh().ResourcesFor(edge.view());
  EXPECT_TRUE(resources->listeners.contains("0.0.0.0_8080"));
  EXPECT_TRUE(resources->routes.contains("http.8080"));
  EXPECT_TRUE(resources->routes.contains("http.9999"));
}

TEST(Router, ProtocolsThatAreHttp) {
  for (const char* protocol : {"HTTP", "HTTP2", "GRPC", "GRPC-WEB"}) {
    Edge edge;
    edge.Apply(GatewayOf("g", absl::StrCat("{port: {number: 80, name: p, protocol: ", protocol,
                                           "}, hosts: ['*']}")) +
               RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
    EXPECT_TRUE(Says(edge.Router()->RequestAt(8080, {"a"}), "cluster=$reviews")) << protocol;
  }
}

TEST(Router, BindIsAListenerOfItsOwn) {
  Edge edge;
  edge.Apply(GatewayOf("g", Http("'*'", ", bind: 127.0.0.1")) +
             RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
  const auto resources = edge.mesh().ResourcesFor(edge.view());
  EXPECT_EQ(ListenerIn(*resources, "127.0.0.1_8080").address().socket_address().address(),
            "127.0.0.1");
  EXPECT_TRUE(resources->routes.contains("http.8080.127.0.0.1"));
}

TEST(Router, TcpGoesWhereTheFirstRouteThatHoldsSays) {
  struct Row {
    const char* tcp;
    const char* expected;
  } rows[] = {
      {"[{@db}]", "cluster=$db"},
      {"[{match: [{port: 3306}], @db}]", "cluster=$db"},
      {"[{match: [{port: 1}], @reviews}, {@db}]", "cluster=$db"},
      {"[{match: [{gateways: [mesh]}], @reviews}, {@db}]", "cluster=$db"},
      {"[{route: [{destination: {host: db}, weight: 90}, {destination: {host: reviews}, weight: "
       "10}]}]",
       "clusters=90*$db,10*$reviews"},
      {"[{match: [{port: 1}], @reviews}]", "closed"},
  };
  for (const Row& row : rows) {
    Edge edge;
    EXPECT_EQ(edge.Apply(
                  GatewayOf("g", "{port: {number: 3306, name: tcp, protocol: TCP}, hosts: ['*']}") +
                  RoutesOf("v", absl::StrCat("hosts: ['*'], gateways: [g], tcp: ", row.tcp))),
              "");
    EXPECT_TRUE(Says(edge.Router()->ConnectionAt(13306), row.expected)) << row.tcp;
  }
}

// ---- TLS.

TEST(Router, TlsPassesThroughByServerName) {
  Edge edge;
  EXPECT_EQ(
      edge.Apply(GatewayOf("g",
                           "{port: {number: 443, name: tls, protocol: TLS}, hosts: "
                           "['*.example.com'], tls: {mode: PASSTHROUGH}}") +
                 RoutesOf("v",
                          "hosts: ['*.example.com'], gateways: [g], tls: [{match: [{sniHosts: "
                          "[a.example.com]}], @db}, {match: [{port: 443, sniHosts: "
                          "['*.example.com']}], @reviews}]")),
      "");
  const auto router = edge.Router();
  EXPECT_TRUE(Says(router->ConnectionAt(8443, "a.example.com"), "cluster=$db"));
  EXPECT_TRUE(Says(router->ConnectionAt(8443, "b.example.com"), "cluster=$reviews"));
  EXPECT_EQ(router->ConnectionAt(8443, "a.other.com"), "closed");
  EXPECT_EQ(router->ConnectionAt(8443), "closed");
}

TEST(Router, TlsEndsAtServersByName) {
  Edge edge;
  EXPECT_EQ(
      edge.Apply(
          SecretYaml("edge", "a") + SecretYaml("edge", "b") +
          GatewayOf("g", Https("a", "a.example.com", "mode: SIMPLE, credentialName: a") + ", " +
                             Https("b", "'*.example.com'", "mode: SIMPLE, credentialName: b")) +
          RoutesOf("va", "hosts: [a.example.com], gateways: [g], http: [{@reviews}]") +
          RoutesOf("vb", "hosts: [b.example.com], gateways: [g], http: [{@ratings}]")),
      "");
  const auto router = edge.Router();
  EXPECT_TRUE(
      Says(router->RequestAt(8443, {"a.example.com"}, "a.example.com"), "cluster=$reviews"));
  EXPECT_TRUE(
      Says(router->RequestAt(8443, {"b.example.com"}, "b.example.com"), "cluster=$ratings"));
  EXPECT_EQ(router->RequestAt(8443, {"b.example.com"}, "c.other.com"), "closed");
  EXPECT_EQ(router->RequestAt(8443, {"a.example.com"}), "closed") << "in plain";
  const auto resources = edge.mesh().ResourcesFor(edge.view());
  EXPECT_TRUE(resources->routes.contains("https.443.a.g.shop"));
  EXPECT_TRUE(resources->secrets.contains("kubernetes://a"));
}

TEST(Router, TlsThatEndsMayCarryBytes) {
  Edge edge;
  EXPECT_EQ(edge.Apply(SecretYaml("edge", "a") +
                       GatewayOf("g",
                                 "{port: {number: 443, name: tls, protocol: TLS}, hosts: "
                                 "[db.example.com], tls: {mode: SIMPLE, credentialName: a}}") +
                       RoutesOf("v", "hosts: [db.example.com], gateways: [g], tcp: [{@db}]")),
            "");
  EXPECT_TRUE(Says(edge.Router()->ConnectionAt(8443, "db.example.com"), "cluster=$db"));
}

// The TLS context of the one server, in protobuf's text.
// `files`: it names such as the simulated proxy does not have.
std::string ContextWith(const std::string& tls, bool files = false) {
  Edge edge;
  const std::string said = edge.Apply(
      SecretYaml("edge", "a") + SecretYaml("edge", "b") + SecretYaml("edge", "c", "c-roots") +
      RootsYaml("edge", "a-cacert") + GatewayOf("g", Https("s", "'*'", tls)) +
      RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
  EXPECT_EQ(said, "") << tls;
  if (!files) edge.Router();  // the proxy takes it
  const auto listener = ListenerIn(*edge.mesh().ResourcesFor(edge.view()), "0.0.0.0_8443");
  envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext context;
  EXPECT_TRUE(listener.filter_chains(0).transport_socket().typed_config().UnpackTo(&context));
  return context.ShortDebugString();
}

TEST(Router, FieldsOfTls) {
  struct Row {
    const char* tls;
    const char* expected;
  } rows[] = {
      {"mode: SIMPLE, credentialName: a",
       "tls_certificate_sds_secret_configs { name: \"kubernetes://a\""},
      {"mode: SIMPLE, credentialNames: [a, b]", "name: \"kubernetes://b\""},
      {"mode: SIMPLE, credentialName: a", "alpn_protocols: \"h2\" alpn_protocols: \"http/1.1\""},
      {"mode: MUTUAL, credentialName: a",
       "validation_context_sds_secret_config { name: \"kubernetes://a-cacert\""},
      {"mode: MUTUAL, credentialName: c",
       "validation_context_sds_secret_config { name: \"kubernetes://c-cacert\""},
      {"mode: MUTUAL, credentialName: a", "require_client_certificate { value: true }"},
      {"mode: OPTIONAL_MUTUAL, credentialName: a", "require_client_certificate { }"},
      {"mode: MUTUAL, credentialName: a, caCertCredentialName: c", "kubernetes://c-cacert"},
      {"mode: MUTUAL, credentialName: a, subjectAltNames: ['spiffe://x/ns/a/sa/b']",
       "match_typed_subject_alt_names { san_type: URI matcher { exact: \"spiffe://x/ns/a/sa/b\""},
      {"mode: MUTUAL, credentialName: a, subjectAltNames: [c.example.com]",
       "match_typed_subject_alt_names { san_type: DNS matcher { exact: \"c.example.com\""},
      {"mode: ISTIO_MUTUAL", "tls_certificate_sds_secret_configs { name: \"default\""},
      {"mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_3",
       "tls_minimum_protocol_version: TLSv1_3"},
      {"mode: SIMPLE, credentialName: a", "tls_minimum_protocol_version: TLSv1_2"},
      {"mode: SIMPLE, credentialName: a, maxProtocolVersion: TLSV1_2",
       "tls_maximum_protocol_version: TLSv1_2"},
      {"mode: SIMPLE, credentialName: a, cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]",
       "cipher_suites: \"ECDHE-ECDSA-AES128-GCM-SHA256\""},
      {"mode: MUTUAL, credentialName: a, verifyCertificateHash: "
       "['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']",
       "verify_certificate_hash: \"aaaa"},
      {"mode: MUTUAL, credentialName: a, verifyCertificateSpki: "
       "['MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=']",
       "verify_certificate_spki: \"MDEy"},
      {"mode: SIMPLE, serverCertificate: /etc/cert.pem, privateKey: /etc/key.pem",
       "certificate_chain { filename: \"/etc/cert.pem\" } private_key { filename: "
       "\"/etc/key.pem\""},
      {"mode: MUTUAL, serverCertificate: /etc/cert.pem, privateKey: /etc/key.pem, "
       "caCertificates: /etc/ca.pem",
       "trusted_ca { filename: \"/etc/ca.pem\""},
      {"mode: SIMPLE, tlsCertificates: [{serverCertificate: /etc/cert.pem, privateKey: "
       "/etc/key.pem}]",
       "certificate_chain { filename: \"/etc/cert.pem\""},
  };
  for (const Row& row : rows) {
    EXPECT_TRUE(absl::StrContains(ContextWith(row.tls), row.expected)) << row.tls << "\n"
                                                                       << ContextWith(row.tls);
  }
  EXPECT_TRUE(absl::StrContains(
      ContextWith("mode: MUTUAL, serverCertificate: /etc/cert.pem, privateKey: /etc/key.pem, "
                  "caCertificates: /etc/ca.pem, caCrl: /etc/crl.pem",
                  /*files=*/true),
      "crl { filename: \"/etc/crl.pem\""));
}

TEST(Router, AutoPassthroughSendsMeshTlsByItsServerName) {
  Edge edge;
  edge.Apply(GatewayOf("g",
                       "{port: {number: 443, name: tls, protocol: TLS}, hosts: ['*.local'], "
                       "tls: {mode: AUTO_PASSTHROUGH}}"));
  const auto router = edge.Router();
  EXPECT_NE(router->ConnectionAt(8443, "outbound_.9080_._.reviews.shop.svc.cluster.local", "istio"),
            "closed");
  EXPECT_EQ(router->ConnectionAt(8443, "outbound_.9080_._.reviews.shop.svc.cluster.local"),
            "closed");
  EXPECT_NE(router->Places("outbound_.9080_._.reviews.shop.svc.cluster.local"), "no cluster");
}

// ---- What does not fit, or is not there.

TEST(Router, OfServersThatConflictTheOldestCounts) {
  struct Row {
    const char* first;
    const char* second;
    const char* expected;
  } rows[] = {
      {"{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}",
       "{port: {number: 80, name: a, protocol: TCP}, hosts: ['*']}",
       "Gateway shop/young: spec.servers[0].port: port 8080 carries plain HTTP for Gateway "
       "shop/aged, which is older, and not TCP"},
      {"{port: {number: 80, name: a, protocol: TCP}, hosts: ['*']}",
       "{port: {number: 80, name: a, protocol: TCP}, hosts: ['*']}",
       "Gateway shop/young: spec.servers[0].port: port 8080 is that of Gateway shop/aged"},
      {"{port: {number: 443, name: a, protocol: TLS}, hosts: [a.b], tls: {}}",
       "{port: {number: 443, name: a, protocol: TLS}, hosts: [c.d, a.b], tls: {}}",
       "Gateway shop/young: spec.servers[0].hosts: 'a.b' on port 8443 is that of Gateway "
       "shop/aged"},
      {"{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}",
       "{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}", ""},
      {"{port: {number: 443, name: a, protocol: TLS}, hosts: [a.b], tls: {}}",
       "{port: {number: 443, name: a, protocol: TLS}, hosts: [c.d], tls: {}}", ""},
      {"{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}",
       "{port: {number: 80, name: a, protocol: TCP}, hosts: ['*'], bind: 127.0.0.1}", ""},
  };
  for (const Row& row : rows) {
    Edge edge;
    const std::string said =
        edge.Apply(GatewayOf("aged", row.first) + GatewayOf("young", row.second));
    EXPECT_EQ(said.empty(), *row.expected == '\0') << said;
    EXPECT_TRUE(absl::StrContains(said, row.expected)) << said;
    edge.Router();
  }
}

TEST(Router, AServerWhoseSecretIsMissingIsHeldBackAndOthersServe) {
  Edge edge;
  const std::string gateway =
      GatewayOf("g", Https("a", "a.example.com", "mode: SIMPLE, credentialName: a") + ", " +
                         Https("b", "b.example.com", "mode: SIMPLE, credentialName: b")) +
      RoutesOf("v", "hosts: ['*.example.com'], gateways: [g], http: [{@reviews}]");
  EXPECT_TRUE(absl::StrContains(
      edge.Apply(SecretYaml("edge", "b") + gateway),
      "Gateway shop/g: spec.servers[0].tls.credentialName: Secret edge/a is not there"));
  EXPECT_EQ(edge.Router()->RequestAt(8443, {"a.example.com"}, "a.example.com"), "closed");
  EXPECT_TRUE(
      Says(edge.Router()->RequestAt(8443, {"b.example.com"}, "b.example.com"), "cluster=$reviews"));
  EXPECT_EQ(edge.Apply(SecretYaml("edge", "a")), "");
  EXPECT_TRUE(
      Says(edge.Router()->RequestAt(8443, {"a.example.com"}, "a.example.com"), "cluster=$reviews"));
}

TEST(Router, ABrokenSecretKeepsItsLastGoodForm) {
  Edge edge;
  EXPECT_EQ(edge.Apply(SecretYaml("edge", "a") +
                       GatewayOf("g", Https("a", "'*'", "mode: SIMPLE, credentialName: a")) +
                       RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]")),
            "");
  const auto before = *edge.mesh().ResourcesFor(edge.view())->secrets.at("kubernetes://a");
  const std::string said = edge.Apply(
      "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: edge}\ntype: "
      "kubernetes.io/tls\nstringData: {tls.crt: nonsense, tls.key: nonsense}\n");
  EXPECT_TRUE(absl::StrContains(said, "Secret edge/a: data[tls.crt]")) << said;
  EXPECT_EQ(*edge.mesh().ResourcesFor(edge.view())->secrets.at("kubernetes://a"), before);
  edge.Apply(SecretYaml("edge", "a"));
  EXPECT_NE(*edge.mesh().ResourcesFor(edge.view())->secrets.at("kubernetes://a"), before);
}

TEST(Router, ARotatedSecretChangesNothingButItself) {
  Edge edge;
  edge.Apply(SecretYaml("edge", "a") +
             GatewayOf("g", Https("a", "'*'", "mode: SIMPLE, credentialName: a")) +
             RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
  const auto before = edge.mesh().ResourcesFor(edge.view());
  const auto sidecar = edge.mesh().ResourcesFor(ClientIn("shop"));
  edge.Apply(SecretYaml("edge", "a"));
  const auto after = edge.mesh().ResourcesFor(edge.view());
  EXPECT_NE(*before->secrets.at("kubernetes://a"), *after->secrets.at("kubernetes://a"));
  EXPECT_TRUE(before->listeners == after->listeners);
  EXPECT_TRUE(before->clusters == after->clusters);
  EXPECT_TRUE(before->routes == after->routes);
  EXPECT_EQ(sidecar, edge.mesh().ResourcesFor(ClientIn("shop")));
}

TEST(Router, KeysGoToRoutersOfTheNamespaceThatProveWhoTheyAre) {
  Edge edge;
  edge.Apply(SecretYaml("edge", "a") + SecretYaml("edge", "unnamed") + SecretYaml("shop", "a") +
             GatewayOf("g", Https("a", "'*'", "mode: SIMPLE, credentialName: a")) +
             RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]"));
  const auto has_keys = [&](const ProxyView& view) {
    for (const auto& [name, bytes] : edge.mesh().ResourcesFor(view)->secrets) {
      if (absl::StrContains(*bytes, "PRIVATE KEY")) return true;
    }
    return false;
  };
  EXPECT_TRUE(has_keys(edge.view()));
  EXPECT_FALSE(edge.mesh().ResourcesFor(edge.view())->secrets.contains("kubernetes://unnamed"));
  ProxyView unproven = edge.view();
  unproven.identified = false;
  EXPECT_FALSE(has_keys(unproven));
  ProxyView elsewhere = edge.view();
  elsewhere.namespace_ = "other";
  EXPECT_FALSE(has_keys(elsewhere));
  ProxyView sidecar = edge.view();
  sidecar.role = ProxyRole::kSidecar;
  EXPECT_FALSE(has_keys(sidecar));
  std::vector<std::string> named;
  for (const auto& [name_space, name] : edge.mesh().SecretsNamed()) {
    named.push_back(absl::StrCat(name_space, "/", name));
  }
  EXPECT_EQ(absl::StrJoin(named, " "), "edge/a");
}

TEST(Router, CredentialsOfADestinationRule) {
  const std::string entry = R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: shop}
spec: {hosts: [out.example.com], ports: [{number: 443, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]}
)";
  const auto rule = [](const std::string& tls) {
    return absl::StrCat(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: "
        "{name: out, namespace: shop}\nspec: {host: out.example.com, trafficPolicy: "
        "{tls: {",
        tls, "}}}\n");
  };
  const std::string routes =
      GatewayOf("g", Http("'*'")) +
      RoutesOf("v",
               "hosts: ['*'], gateways: [g], http: [{route: [{destination: {host: "
               "out.example.com}}]}]");
  constexpr char kOut[] = "outbound|443||out.example.com";
  Edge edge;
  edge.Apply(entry + routes + rule("mode: MUTUAL, credentialName: client") +
             SecretYaml("edge", "client", "client-roots"));
  const auto context = [&](const ProxyView& view) {
    envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext tls;
    EXPECT_TRUE(ClusterIn(*edge.mesh().ResourcesFor(view), kOut)
                    .transport_socket()
                    .typed_config()
                    .UnpackTo(&tls));
    return tls.ShortDebugString();
  };
  edge.Router();
  EXPECT_TRUE(absl::StrContains(context(edge.view()), "kubernetes://client\""));
  EXPECT_TRUE(absl::StrContains(context(edge.view()), "kubernetes://client-cacert\""));
  EXPECT_TRUE(absl::StrContains(context(ClientIn("shop")), "spiffe://invalid"))
      << "a sidecar has no credentials, and must not do without";
  const std::string said = edge.Apply(
      "---\napiVersion: v1\nkind: Secret\nmetadata: {name: client, namespace: edge, "
      "deletionTimestamp: now}\n");
  EXPECT_TRUE(absl::StrContains(said,
                                "DestinationRule shop/out: "
                                "spec.trafficPolicy.tls.credentialName: "
                                "outbound|443||out.example.com: Secret edge/client"))
      << said;
  EXPECT_TRUE(absl::StrContains(context(edge.view()), "spiffe://invalid"));
  edge.Router();
}

// As in Istio, for the workloads that the rule's workloadSelector selects.
TEST(Router, CredentialsOfASidecar) {
  constexpr char kEntry[] = R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: shop}
spec: {hosts: [out.example.com], ports: [{number: 443, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: out, namespace: shop}
spec:
  host: out.example.com
  workloadSelector: {matchLabels: {app: reviews}}
  trafficPolicy: {tls: {mode: MUTUAL, credentialName: client}}
)";
  Edge edge;
  const std::string said = edge.Apply(kEntry);
  EXPECT_TRUE(absl::StrContains(said,
                                "DestinationRule shop/out: spec.trafficPolicy.tls.credentialName: "
                                "outbound|443||out.example.com: Secret shop/client"))
      << said;
  EXPECT_EQ(edge.mesh().SecretsNamed(),
            (std::set<SecretName>{{"shop", "client"}, {"shop", "client-cacert"}}));
  EXPECT_EQ(edge.Apply(SecretYaml("shop", "client", "client-roots")), "");

  const auto view_of = [](const std::string& app, bool identified) {
    ProxyView view = ClientIn("shop");
    view.labels = {{"app", app}};
    view.identified = identified;
    return view;
  };
  const struct {
    const char* app;
    bool identified;
    bool gets;
  } rows[] = {{"reviews", true, true}, {"reviews", false, false}, {"ratings", true, false}};
  for (const auto& row : rows) {
    const auto resources = edge.mesh().ResourcesFor(view_of(row.app, row.identified));
    EXPECT_EQ(resources->secrets.contains("kubernetes://client"), row.gets) << row.app;
    envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext tls;
    const auto cluster = ClusterIn(*resources, "outbound|443||out.example.com");
    cluster.transport_socket().typed_config().UnpackTo(&tls);
    EXPECT_EQ(absl::StrContains(tls.ShortDebugString(), "kubernetes://client-cacert\""), row.gets)
        << row.app;
  }
}

TEST(Router, PoliciesThatAreForItHoldThere) {
  const std::string target = "{group: gateway.networking.k8s.io, kind: Gateway, name: ";
  const struct {
    const char* name;
    std::string whom;
    const char* name_space;
    bool holds;
  } rows[] = {
      {"all of its namespace", "", "edge", true},
      {"a selector", "selector: {matchLabels: {istio: ingress}}, ", "edge", true},
      {"another selector", "selector: {matchLabels: {istio: egress}}, ", "edge", false},
      {"targets", "targetRefs: [" + target + "other}, " + target + "gw}], ", "edge", true},
      {"the older field", "targetRef: " + target + "gw}, ", "edge", true},
      {"another Gateway", "targetRefs: [" + target + "other}], ", "edge", false},
      {"a Service", "targetRefs: [{kind: Service, name: gw}], ", "edge", false},
      {"Istio's Gateway", "targetRefs: [{group: networking.istio.io, kind: Gateway, name: gw}], ",
       "edge", false},
      {"a Gateway of another namespace", "targetRefs: [" + target + "gw}], ", "shop", false},
      {"a Gateway of the root namespace", "targetRefs: [" + target + "gw}], ", "weft-system",
       false},
  };
  for (const auto& row : rows) {
    Edge edge;
    edge.Apply(GatewayOf("g", Http("'*'")) +
               RoutesOf("v", "hosts: ['*'], gateways: [g], http: [{@reviews}]") +
               absl::StrCat("---\napiVersion: security.istio.io/v1\nkind: "
                            "AuthorizationPolicy\nmetadata: {name: p, namespace: ",
                            row.name_space, "}\nspec: {", row.whom,
                            "action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}\n"));
    const auto listener = ListenerIn(*edge.mesh().ResourcesFor(edge.view()), "0.0.0.0_8080");
    EXPECT_EQ(absl::StrContains(listener.SerializeAsString(), "envoy.filters.http.rbac"), row.holds)
        << row.name;
    edge.Router();
  }
}

}  // namespace
}  // namespace weft
