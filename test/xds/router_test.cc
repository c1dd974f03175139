// weftd and weft-proxy as processes: an HTTPS gateway in front of a server on loopback, and curl as
// its client. They have a network of their own, so that the proxy's fixed ports are free.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/test_certificate.h"
#include "gtest/gtest.h"
#include "test/xds/proxy_process.h"
#include "test/xds/weftd.h"

namespace weft::test {
namespace {

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// Answers each request with its first line.
class Backend {
 public:
  Backend() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.9", &address.sin_addr);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(listen(listener_, 16), 0);
    serving_ = std::thread([this] { Serve(); });
  }
  ~Backend() {
    shutdown(listener_, SHUT_RDWR);
    serving_.join();
    close(listener_);
  }
  int port() const { return port_; }

 private:
  void Serve() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      std::string request;
      char buffer[4096];
      while (!absl::StrContains(request, "\r\n\r\n")) {
        const ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n <= 0) break;
        request.append(buffer, n);
      }
      const std::string line = request.substr(0, request.find('\r'));
      const std::string answer = absl::StrCat("HTTP/1.1 200 OK\r\nconnection: close\r\n",
                                              "content-length: ", line.size(), "\r\n\r\n", line);
      if (write(fd, answer.data(), answer.size()) < 0) ADD_FAILURE() << "write";
      close(fd);
    }
  }

  int listener_;
  int port_ = 0;
  std::thread serving_;
};

struct Credential {
  std::string yaml;   // a Secret of namespace edge
  std::string roots;  // a file, for curl
};

std::string Indented(const std::string& pem) {
  std::string text = "|\n";
  for (absl::string_view line : absl::StrSplit(pem, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&text, "    ", line, "\n");
  }
  return text;
}

Credential NewCredential(const std::string& name, const std::string& host) {
  static int files = 0;
  const certs::Issuer issuer = *certs::Issuer::CreateRoot("example.com", absl::Now());
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  certs::TestCertificateOptions options;
  options.dns = {host};
  options.not_before = absl::Now() - absl::Hours(1);
  options.not_after = absl::Now() + absl::Hours(1);
  Credential made;
  made.yaml =
      absl::StrCat("apiVersion: v1\nkind: Secret\nmetadata: {name: ", name,
                   ", namespace: edge}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: ",
                   Indented(certs::MakeTestCertificate(issuer, key.public_key(), options).ToPem()),
                   "  tls.key: ", Indented(key.ToPem()));
  made.roots = absl::StrCat(getenv("TEST_TMPDIR"), "/roots-", ++files, ".pem");
  WriteFile(made.roots, issuer.root().ToPem());
  return made;
}

// What curl prints, or "" if it does not get an answer that it trusts.
std::string Curl(const std::string& arguments) {
  const std::string command =
      absl::StrCat("curl -sf -m 5 --noproxy '*' ", arguments, " 2>/dev/null");
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) output.append(buffer, n);
  pclose(pipe);
  return output;
}

std::string Https(const std::string& host, const std::string& roots) {
  return Curl(absl::StrCat("--cacert ", roots, " --resolve ", host, ":8443:127.0.0.5 https://",
                           host, ":8443/hello"));
}

constexpr char kMesh[] = R"(
apiVersion: v1
kind: Service
metadata: {name: backend, namespace: shop}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: backend-1, namespace: shop, labels: {kubernetes.io/service-name: backend}}
addressType: IPv4
ports: [{name: http, port: PORT}]
endpoints: [{addresses: [127.0.0.9]}]
---
apiVersion: v1
kind: Pod
metadata: {name: gw, namespace: edge, labels: {istio: ingress, gateway.networking.k8s.io/gateway-name: gw}}
spec: {serviceAccountName: gw, containers: [{name: proxy, image: proxy}]}
status: {phase: Running, podIP: 127.0.0.5}
)";

constexpr char kGateway[] = R"(
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: shop}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 8443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, credentialName: a}}
  - {port: {number: 8443, name: b, protocol: HTTPS}, hosts: [b.example.com], tls: {mode: SIMPLE, credentialName: b}}
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: [a.example.com], tls: {httpsRedirect: true}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: ['*.example.com']
  gateways: [shop]
  http: [{route: [{destination: {host: backend}}]}]
)";

constexpr char kGatewayApi[] = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weft}
spec: {controllerName: weft.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: edge}
spec:
  gatewayClassName: weft
  listeners:
  - {name: https, port: 8443, protocol: HTTPS, hostname: c.example.com, tls: {certificateRefs: [{name: c}]}, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: backend, namespace: shop}
spec:
  parentRefs: [{name: gw, namespace: edge}]
  rules: [{backendRefs: [{name: backend, port: 80}]}]
)";

TEST(Router, ServesHttpsWithTheSecretsOfItsNamespace) {
  if (!EnterOwnNetwork()) GTEST_SKIP() << "no network namespaces here";
  const Backend backend;
  Weftd weftd;
  weftd.Write("mesh.yaml", absl::StrReplaceAll(kMesh, {{"PORT", absl::StrCat(backend.port())}}));
  const Credential first = NewCredential("a", "a.example.com");
  weftd.Write("a.yaml", first.yaml);
  weftd.Write("gateway.yaml", kGateway);
  ProxyPod pod{"gw", "edge", "gw", "127.0.0.5", "east", "east", weftd.Token("edge", "gw")};
  const ProxyProcess router(weftd, "router", pod);
  ASSERT_TRUE(Eventually([&] {
    return Https("a.example.com", first.roots) == "GET /hello HTTP/1.1";
  })) << weftd.Debug("adsz");

  // The Secret of the other server is not there: it alone is held back.
  const Credential other = NewCredential("b", "b.example.com");
  EXPECT_EQ(Https("b.example.com", other.roots), "");
  weftd.Write("b.yaml", other.yaml);
  EXPECT_TRUE(Eventually([&] { return !Https("b.example.com", other.roots).empty(); }));

  // Another certificate, of another authority: those who trust the former are refused then.
  const Credential second = NewCredential("a", "a.example.com");
  EXPECT_EQ(Https("a.example.com", second.roots), "");
  weftd.Write("a.yaml", second.yaml);
  EXPECT_TRUE(Eventually([&] { return !Https("a.example.com", second.roots).empty(); }));
  EXPECT_EQ(Https("a.example.com", first.roots), "");

  // A broken one changes nothing.
  weftd.Write("a.yaml",
              "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: edge}\ntype: "
              "kubernetes.io/tls\nstringData: {tls.crt: x, tls.key: y}\n");
  EXPECT_EQ(Curl("-o /dev/null -w '%{http_code} %{redirect_url}' --resolve "
                 "a.example.com:8080:127.0.0.5 http://a.example.com:8080/x"),
            "301 https://a.example.com:8080/x");
  EXPECT_NE(Https("a.example.com", second.roots), "");

  // The same by the Gateway API.
  const Credential third = NewCredential("c", "c.example.com");
  weftd.Write("c.yaml", third.yaml);
  weftd.Write("gateway-api.yaml", kGatewayApi);
  EXPECT_TRUE(Eventually([&] { return !Https("c.example.com", third.roots).empty(); }));
  EXPECT_NE(Https("a.example.com", second.roots), "") << "the last good form";
}

}  // namespace
}  // namespace weft::test
