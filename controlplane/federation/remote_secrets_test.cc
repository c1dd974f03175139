#include "controlplane/federation/remote_secrets.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::string Kubeconfig(const std::string& host, const std::string& user = "token: secret",
                       const std::string& cluster = "insecure-skip-tls-verify: true") {
  return absl::StrCat("apiVersion: v1\nkind: Config\ncurrent-context: c\n",
                      "clusters: [{name: c, cluster: {server: 'https://", host, "', ", cluster,
                      "}}]\nusers: [{name: u, user: {", user, "}}]\n",
                      "contexts: [{name: c, context: {cluster: c, user: u}}]\n");
}

using Data = std::vector<std::pair<std::string, std::string>>;  // cluster, kubeconfig

std::string Secret(const std::string& name, const Data& data) {
  std::string yaml = absl::StrCat("apiVersion: v1\nkind: Secret\nmetadata: {name: ", name,
                                  ", namespace: weft-system}\ndata:\n");
  for (const auto& [cluster, text] : data) {
    absl::StrAppend(&yaml, "  ", cluster, ": \"", absl::Base64Escape(text), "\"\n");
  }
  return yaml;
}

std::vector<ObjectDelta> Gone(const std::string& name) {
  return {{{"Secret", "weft-system", name}, nullptr}};
}

class RemoteSecretsTest : public testing::Test {
 protected:
  std::vector<std::pair<std::string, std::string>> Servers() const {
    std::vector<std::pair<std::string, std::string>> servers;
    for (const auto& [cluster, config] : secrets_.clusters()) {
      servers.emplace_back(cluster, config.server.host);
    }
    return servers;
  }

  RemoteSecrets secrets_{"east", /*allow_local_access=*/false};
};

TEST_F(RemoteSecretsTest, FollowsAdditionsRotationsAndRemovals) {
  secrets_.Apply(Deltas(Secret("a", {{"west", Kubeconfig("w")}, {"north", Kubeconfig("n")}})));
  EXPECT_THAT(Servers(), ElementsAre(Pair("north", "n"), Pair("west", "w")));
  EXPECT_EQ(secrets_.clusters().at("west").secret, "weft-system/a");
  EXPECT_EQ(secrets_.clusters().at("west").server.token, "secret");
  secrets_.Apply(Deltas(Secret("a", {{"west", Kubeconfig("w", "token: new")}})));
  EXPECT_THAT(Servers(), ElementsAre(Pair("west", "w")));
  EXPECT_EQ(secrets_.clusters().at("west").server.token, "new");
  secrets_.Apply(Gone("a"));
  EXPECT_THAT(Servers(), IsEmpty());
  EXPECT_THAT(secrets_.problems(), IsEmpty());
}

TEST_F(RemoteSecretsTest, WhatIsBrokenKeepsItsLastGoodForm) {
  secrets_.Apply(Deltas(Secret("a", {{"west", Kubeconfig("w")}, {"north", "kind: Config"}})));
  EXPECT_THAT(Servers(), ElementsAre(Pair("west", "w")));
  EXPECT_THAT(secrets_.problems(),
              ElementsAre(Pair("Secret weft-system/a data[north]",
                               HasSubstr("kubeconfig of north: current-context: is missing"))));
  secrets_.Apply(Deltas(Secret("a", {{"west", "{"}})));
  EXPECT_THAT(Servers(), ElementsAre(Pair("west", "w")));
  EXPECT_THAT(secrets_.problems(), ElementsAre(Pair("Secret weft-system/a data[west]", _)));
  secrets_.Apply(Deltas(Secret("a", {{"west", Kubeconfig("w2")}})));
  EXPECT_THAT(Servers(), ElementsAre(Pair("west", "w2")));
  EXPECT_THAT(secrets_.problems(), IsEmpty());
}

TEST_F(RemoteSecretsTest, RefusesWhatReachesIntoWeftdsPod) {
  struct Case {
    const char* user;
    const char* cluster;
    const char* field;
  };
  constexpr char kOk[] = "insecure-skip-tls-verify: true";
  const Case cases[] = {
      {"exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}", kOk, "user.exec"},
      {"tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token", kOk, "user.tokenFile"},
      {"client-certificate: /c, client-key-data: eA==", kOk, "user.client-certificate"},
      {"client-certificate-data: eA==, client-key: k", kOk, "user.client-key"},
      {"token: t", "certificate-authority: /ca", "cluster.certificate-authority"},
  };
  RemoteSecrets allowing("east", /*allow_local_access=*/true);
  for (const Case& c : cases) {
    const std::string yaml = Secret("a", {{"west", Kubeconfig("w", c.user, c.cluster)}});
    secrets_.Apply(Deltas(yaml));
    EXPECT_THAT(Servers(), IsEmpty()) << c.field;
    EXPECT_THAT(secrets_.problems(),
                ElementsAre(Pair("Secret weft-system/a data[west]",
                                 HasSubstr(absl::StrCat(c.field, ": would ")))));
    allowing.Apply(Deltas(yaml));
    EXPECT_EQ(allowing.clusters().size(), 1u) << c.field;
    EXPECT_THAT(allowing.problems(), IsEmpty());
  }
}

TEST_F(RemoteSecretsTest, Row81AClusterIsNamedOnceAndIsNotOurs) {
  secrets_.Apply(Deltas(Secret("b", {{"west", Kubeconfig("b")}, {"east", Kubeconfig("e")}})));
  secrets_.Apply(Deltas(Secret("a", {{"west", Kubeconfig("a")}})));
  EXPECT_THAT(Servers(), ElementsAre(Pair("west", "a")));
  EXPECT_THAT(
      secrets_.problems(),
      ElementsAre(Pair("Secret weft-system/b data[east]", HasSubstr("our own cluster's name")),
                  Pair("Secret weft-system/b data[west]", HasSubstr("weft-system/a already"))));
  secrets_.Apply(Gone("a"));
  EXPECT_THAT(Servers(), ElementsAre(Pair("west", "b")));
}

TEST_F(RemoteSecretsTest, IsBounded) {
  Data data;
  for (size_t i = 0; i <= RemoteSecrets::kMostClusters; ++i) {
    data.emplace_back(absl::StrCat("c", i), Kubeconfig("h"));
  }
  secrets_.Apply(Deltas(Secret("a", data)));
  EXPECT_EQ(secrets_.clusters().size(), RemoteSecrets::kMostClusters);
  EXPECT_EQ(secrets_.problems().size(), 1u);
}

TEST_F(RemoteSecretsTest, BytesThatAreNoKubeconfig) {
  secrets_.Apply(
      Deltas("apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: "
             "weft-system}\ndata: {a: '*', b: '', c: [1], d: {x: y}}\n"));
  EXPECT_THAT(Servers(), IsEmpty());
  EXPECT_EQ(secrets_.problems().size(), 4u);
  secrets_.Apply(
      Deltas("apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: "
             "weft-system}\ndata: text\n"));
  EXPECT_THAT(secrets_.problems(), IsEmpty());
}

}  // namespace
}  // namespace weft
