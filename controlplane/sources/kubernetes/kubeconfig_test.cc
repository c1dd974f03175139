#include "controlplane/sources/kubernetes/kubeconfig.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string File(const std::string& cluster, const std::string& user) {
  return absl::StrCat(R"(
apiVersion: v1
kind: Config
current-context: here
preferences: {}
contexts:
- name: there
  context: {cluster: nowhere, user: nobody}
- name: here
  context: {cluster: c, user: u, namespace: default}
clusters:
- name: other
  cluster: {server: "https://other"}
- name: c
  cluster: )",
                      cluster, "\nusers:\n- name: u\n  user: ", user, "\n");
}

// All that was read, one line.
std::string Shown(const Kubeconfig& config) {
  std::string shown = config.Url();
  const auto show = [&](const char* name, const std::string& value) {
    if (!value.empty()) absl::StrAppend(&shown, " ", name, "=", value);
  };
  show("ca", config.ca.data);
  show("ca_file", config.ca.file);
  show("insecure", config.insecure ? "yes" : "");
  show("name", config.server_name);
  show("cert", config.certificate.data);
  show("cert_file", config.certificate.file);
  show("key", config.key.data);
  show("key_file", config.key.file);
  show("token", config.token);
  show("token_file", config.token_file);
  show("username", config.username);
  show("password", config.password);
  if (config.exec.has_value()) {
    show("exec", absl::StrCat(config.exec->command, " ", absl::StrJoin(config.exec->args, " ")));
    show("env", absl::StrJoin(config.exec->env, ",", absl::PairFormatter("=")));
    show("info", config.exec->provide_cluster_info ? "yes" : "");
  }
  return shown;
}

std::string Read(const std::string& text) {
  const auto config = ParseKubeconfig(text, "/etc/weft/kube.yaml");
  return config.ok() ? Shown(*config) : std::string(config.status().message());
}

TEST(Kubeconfig, ReadsTheCurrentContext) {
  const struct {
    const char* cluster;
    const char* user;
    const char* shown;
  } cases[] = {
      {"{server: 'https://10.0.0.1:6443'}", "{}", "https://10.0.0.1:6443"},
      {"{server: 'https://api.example'}", "{}", "https://api.example"},
      {"{server: 'http://127.0.0.1:8001/'}", "{}", "http://127.0.0.1:8001"},
      {"{server: 'https://[fd00::1]:6443/k8s/clusters/c-1/'}", "{}",
       "https://[fd00::1]:6443/k8s/clusters/c-1"},
      {"{server: 'https://a', certificate-authority-data: Q0E=, certificate-authority: x.crt}",
       "{}", "https://a ca=CA"},
      {"{server: 'https://a', certificate-authority: x.crt}", "{}",
       "https://a ca_file=/etc/weft/x.crt"},
      {"{server: 'https://a', certificate-authority: /x.crt, tls-server-name: kubernetes}", "{}",
       "https://a ca_file=/x.crt name=kubernetes"},
      {"{server: 'https://a', insecure-skip-tls-verify: true}", "{}", "https://a insecure=yes"},
      {"{server: 'https://a'}", "{client-certificate: c.pem, client-key: keys/k.pem}",
       "https://a cert_file=/etc/weft/c.pem key_file=/etc/weft/keys/k.pem"},
      {"{server: 'https://a'}", "{client-certificate-data: Yw==, client-key-data: aw==}",
       "https://a cert=c key=k"},
      {"{server: 'https://a'}", "{client-certificate-data: Yw==, client-key: /k}",
       "https://a cert=c key_file=/k"},
      {"{server: 'https://a'}", "{token: t}", "https://a token=t"},
      {"{server: 'https://a'}", "{tokenFile: t, token: old}",
       "https://a token=old token_file=/etc/weft/t"},
      {"{server: 'https://a'}", "{username: me, password: secret}",
       "https://a username=me password=secret"},
      {"{server: 'https://a'}",
       "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, get-token], "
       "env: [{name: A, value: '1'}], provideClusterInfo: true, interactiveMode: IfAvailable}}",
       "https://a exec=aws eks get-token env=A=1 info=yes"},
      {"{server: 'https://a'}",
       "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./bin/get, env: null}}",
       "https://a exec=/etc/weft/./bin/get "},
  };
  for (const auto& c : cases) EXPECT_EQ(Read(File(c.cluster, c.user)), c.shown);
}

TEST(Kubeconfig, NamesFileAndFieldOfWhatIsWrong) {
  const char* ok = "{server: 'https://a'}";
  const struct {
    const char* cluster;
    const char* user;
    const char* error;
  } cases[] = {
      {"{}", "{}", "clusters[c].cluster.server: is missing"},
      {"{server: api.example}", "{}",
       "clusters[c].cluster.server: expected https://HOST:PORT, found \"api.example\""},
      {"{server: 'https://'}", "{}", "clusters[c].cluster.server: names no host"},
      {"{server: 'https://a:0'}", "{}", "clusters[c].cluster.server: not a port: \"0\""},
      {"{server: 'https://a:99999'}", "{}", "clusters[c].cluster.server: not a port: \"99999\""},
      {"{server: 'https://u:p@a'}", "{}", "and nothing else, found \"https://u:p@a\""},
      {"{server: 'https://a?x'}", "{}", "and nothing else"},
      {"{server: 'https://a', proxy-url: 'http://p'}", "{}",
       "clusters[c].cluster.proxy-url: is not supported"},
      {"{server: 'https://a', insecure-skip-tls-verify: true, certificate-authority: x}", "{}",
       "clusters[c].cluster.insecure-skip-tls-verify: contradicts"},
      {"{server: 'https://a', certificate-authority-data: '*'}", "{}",
       "clusters[1].cluster.certificate-authority-data (line 15): expected bytes in base64"},
      {ok, "{client-certificate: x}", "users[u].user.client-key: is missing"},
      {ok, "{client-key: x}", "users[u].user.client-certificate: is missing"},
      {ok, "{token: t, username: u}", "users[u].user.username: contradicts the token"},
      {ok, "{auth-provider: {name: gcp}}", "users[u].user.auth-provider: 'gcp' is not supported"},
      {ok, "{as: admin}", "users[u].user.as: impersonation is not supported"},
      {ok, "{as-groups: [g]}", "users[u].user.as: impersonation is not supported"},
      {ok, "{exec: {command: x}}", "users[u].user.exec.apiVersion: unknown version ''"},
      {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}",
       "users[u].user.exec.apiVersion: unknown version 'client.authentication.k8s.io/v1alpha1'"},
      {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1}}",
       "users[u].user.exec.command: is missing"},
      {ok,
       "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}}",
       "users[u].user.exec.interactiveMode: is Always"},
      {ok, "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, env: [{name: A=B}]}}",
       "users[u].user.exec.env: not the name of a variable: \"A=B\""},
  };
  for (const auto& c : cases) {
    const std::string read = Read(File(c.cluster, c.user));
    EXPECT_THAT(read, HasSubstr("/etc/weft/kube.yaml: "));
    EXPECT_THAT(read, HasSubstr(c.error));
  }
}

TEST(Kubeconfig, NamesWhatTheContextMisses) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"kind: Config", "current-context: is missing"},
      {"kind: Config\ncurrent-context: x", "current-context: there is no context 'x'"},
      {"kind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: y}}]",
       "contexts[x].context.cluster: there is no cluster 'y'"},
      {"kind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: y, user: z}}]\n"
       "clusters: [{name: y, cluster: {server: 'https://a'}}]",
       "contexts[x].context.user: there is no user 'z'"},
      {"kind: Pod", "kind: expected Config, found 'Pod'"},
      {"a: [", "line "},
      {"", "expected one document"},
      {"clusters: 5", "clusters (line 1): expected a list"},
  };
  for (const auto& c : cases) EXPECT_THAT(Read(c.text), HasSubstr(c.error)) << c.text;
}

TEST(Kubeconfig, InAClusterIsTheServiceAccount) {
  const auto config = InClusterConfig("10.96.0.1", "443", "/sa");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(Shown(*config), "https://10.96.0.1 ca_file=/sa/ca.crt token_file=/sa/token");
  EXPECT_EQ(InClusterConfig("fd00::1", "6443")->Url(), "https://[fd00::1]:6443");
  EXPECT_THAT(InClusterConfig("", "").status().message(), HasSubstr("KUBERNETES_SERVICE_HOST"));
}

}  // namespace
}  // namespace weft
