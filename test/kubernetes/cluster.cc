#include "test/kubernetes/cluster.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace weft::test {
namespace {

TlsCertificate CertificateOf(const certs::Issuer& issuer) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  TlsCertificate certificate;
  certificate.chain_pem =
      issuer.IssueForNames(key.public_key(), {"localhost"}, absl::Hours(1), absl::Now())->front();
  certificate.key_pem = key.ToPem();
  return certificate;
}

std::string NewFolder() {
  std::string pattern = absl::StrCat(getenv("TEST_TMPDIR"), "/cluster-XXXXXX");
  return mkdtemp(pattern.data());
}

}  // namespace

Cluster::Cluster(apiserver::ApiServerOptions options)
    : issuer_(*certs::Issuer::CreateRoot("kubernetes", absl::Now())), folder_(NewFolder()) {
  options.tls = CertificateOf(issuer_);
  options.tokens = "admin,alice,1,\"admins\"\nweftd,weftd,2\nweftd-2,weftd-2,3\n";
  server_ = apiserver::ApiServer::Start(std::move(options)).value();
  for (const char* token : {"admin", "weftd", "weftd-2"}) {
    std::ofstream(absl::StrCat(folder_, "/", token))
        << "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
        << "clusters: [{name: test, cluster: {server: '" << server_->url()
        << "', tls-server-name: localhost, certificate-authority-data: "
        << absl::Base64Escape(issuer_.ChainPem()) << "}}]\n"
        << "users: [{name: user, user: {token: " << token << "}}]\n"
        << "contexts: [{name: test, context: {cluster: test, user: user}}]\n";
  }
}

Cluster::~Cluster() { std::filesystem::remove_all(folder_); }

std::string Cluster::Kubeconfig(const std::string& user) const {
  return integration::ReadFile(absl::StrCat(folder_, "/", user));
}

std::string Cluster::Registry(const std::string& user) const {
  return absl::StrCat("kubernetes:", folder_, "/", user);
}

std::unique_ptr<Weftd> Cluster::StartWeftd(std::vector<std::string> flags, bool wait_until_ready,
                                           const std::string& user) {
  WeftdOptions options;
  options.registry = Registry(user);
  options.flags = std::move(flags);
  options.wait_until_ready = wait_until_ready;
  return std::make_unique<Weftd>(std::move(options));
}

void Cluster::SetWebhooks(const Weftd& weftd) {
  server_->SetService("weft-system/weftd:443", absl::StrCat("127.0.0.1:", weftd.webhook_port()));
}

integration::Result Cluster::Kubectl(std::vector<std::string> arguments, const std::string& input) {
  arguments.insert(arguments.begin(), "kubectl");
  return integration::RunCommand(
      arguments, {absl::StrCat("KUBECONFIG=", folder_, "/admin"), "HOME=" + folder_}, input);
}

std::string Cluster::Out(std::vector<std::string> arguments, const std::string& input) {
  const integration::Result result = Kubectl(std::move(arguments), input);
  EXPECT_EQ(result.status, 0) << result.err;
  return result.out;
}

std::string Cluster::Refused(std::vector<std::string> arguments, const std::string& input) {
  const integration::Result result = Kubectl(std::move(arguments), input);
  EXPECT_NE(result.status, 0) << result.out;
  return result.err;
}

void Cluster::RegisterWebhooks() {
  Out({"apply", "-f", "controlplane/webhook/configuration.yaml"});
}

}  // namespace weft::test
