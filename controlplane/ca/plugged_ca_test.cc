#include "controlplane/ca/plugged_ca.h"

#include <functional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "certs/test_certificate.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using certs::MakeTestCa;
using certs::TestCa;
using certs::TestCertificateOptions;
using certs::TestKeyType;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

CaFiles FilesOf(const TestCa& signer, const TestCa& root, const std::string& between = "") {
  return {{"ca-cert.pem", signer.certificate.ToPem()},
          {"ca-key.pem", signer.key.ToPem()},
          {"root-cert.pem", root.certificate.ToPem()},
          {"cert-chain.pem", signer.certificate.ToPem() + between + root.certificate.ToPem()}};
}

class PluggedCa : public testing::Test {
 protected:
  static TestCertificateOptions Options(const std::string& name) {
    TestCertificateOptions options;
    options.common_name = name;
    options.ca = true;
    options.key_id = true;
    options.extended_key_usage = "";
    options.not_before = kNow - absl::Hours(1);
    options.not_after = kNow + absl::Hours(1);
    return options;
  }
  CaFiles Files() const { return FilesOf(signer_, root_); }

  const TestCa root_ = MakeTestCa(nullptr, "root", kNow);
  const TestCa signer_ = MakeTestCa(&root_, "signer", kNow);
};

TEST_F(PluggedCa, InIstiosForm) {
  const auto ca = ReadPluggedCa(Files(), "east", kNow);
  ASSERT_TRUE(ca.ok()) << ca.status();
  EXPECT_EQ(ca->trust_domain(), "east");
  EXPECT_EQ(ca->ChainPem(), signer_.certificate.ToPem() + root_.certificate.ToPem());
  CaFiles without_chain = Files();
  without_chain.erase("cert-chain.pem");
  EXPECT_EQ(ReadPluggedCa(without_chain, "east", kNow)->ChainPem(), ca->ChainPem());
}

TEST_F(PluggedCa, AsASecretForTls) {
  CaFiles files = {{"tls.crt", signer_.certificate.ToPem()},
                   {"tls.key", signer_.key.ToPem()},
                   {"ca.crt", root_.certificate.ToPem()}};
  const auto ca = ReadPluggedCa(files, "east", kNow);
  ASSERT_TRUE(ca.ok()) << ca.status();
  EXPECT_EQ(ca->signer().ToPem(), signer_.certificate.ToPem());
  files.merge(FilesOf(root_, root_));
  EXPECT_EQ(ReadPluggedCa(files, "east", kNow)->ChainPem(), ca->ChainPem());
}

TEST_F(PluggedCa, OverMoreThanOneIntermediateAndByARootItself) {
  const TestCa below = MakeTestCa(&signer_, "below", kNow);
  const auto deep = ReadPluggedCa(FilesOf(below, root_, signer_.certificate.ToPem()), "east", kNow);
  ASSERT_TRUE(deep.ok()) << deep.status();
  EXPECT_EQ(deep->ChainPem(),
            below.certificate.ToPem() + signer_.certificate.ToPem() + root_.certificate.ToPem());
  const auto itself = ReadPluggedCa(FilesOf(root_, root_), "east", kNow);
  ASSERT_TRUE(itself.ok()) << itself.status();
  EXPECT_EQ(itself->ChainPem(), root_.certificate.ToPem());
}

TEST_F(PluggedCa, WithRsaKeysAsIstiosSamplesHaveThem) {
  const TestCa root = MakeTestCa(nullptr, "root", kNow, TestKeyType::kRsa2048);
  const TestCa signer = MakeTestCa(&root, "signer", kNow, TestKeyType::kRsa2048);
  const auto ca = ReadPluggedCa(FilesOf(signer, root), "east", kNow);
  EXPECT_TRUE(ca.ok()) << ca.status();
}

TEST_F(PluggedCa, IsRefusedByFileAndReason) {
  struct Case {
    const char* what;
    std::function<void(CaFiles&)> spoil;
    const char* error;
  };
  const TestCa other = MakeTestCa(nullptr, "root", kNow);
  const auto put_signer = [&](CaFiles& files, const TestCertificateOptions& options) {
    files = FilesOf(MakeTestCa(&root_, options, TestKeyType::kP256), root_);
  };
  const Case cases[] = {
      {"no certificate", [](CaFiles& files) { files.erase("ca-cert.pem"); },
       "ca-cert.pem: is missing; a CA has ca-cert.pem, ca-key.pem, "},
      {"no key", [](CaFiles& files) { files.erase("ca-key.pem"); }, "ca-key.pem: is missing"},
      {"no root", [](CaFiles& files) { files.erase("root-cert.pem"); },
       "root-cert.pem: is missing"},
      {"TLS form without roots", [](CaFiles& files) { files["tls.crt"] = files["ca-cert.pem"]; },
       "tls.key: is missing"},
      {"no PEM", [](CaFiles& files) { files["ca-cert.pem"] = "x"; },
       "ca-cert.pem: no PEM certificate found"},
      {"no key in it", [](CaFiles& files) { files["ca-key.pem"] = "x"; },
       "ca-key.pem: private key (PEM)"},
      {"another key", [&](CaFiles& files) { files["ca-key.pem"] = other.key.ToPem(); },
       "ca-key.pem: is not the key of ca-cert.pem, \"CN=signer\""},
      {"no CA",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("leaf");
         options.ca = false;
         put_signer(files, options);
       },
       "ca-cert.pem: \"CN=leaf\" is not a CA"},
      {"no key identifier",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("nameless");
         options.key_id = false;
         put_signer(files, options);
       },
       "ca-cert.pem: \"CN=nameless\" has no subject key identifier"},
      {"another root", [&](CaFiles& files) { files["root-cert.pem"] = other.certificate.ToPem(); },
       "cert-chain.pem: no certificate of the \"CN=root\" that signed \"CN=root\"; it has to lead "
       "from ca-cert.pem to root-cert.pem"},
      {"a gap",
       [&](CaFiles& files) {
         const TestCa below = MakeTestCa(&signer_, "below", kNow);
         files = FilesOf(below, root_);
       },
       "cert-chain.pem: no certificate of the \"CN=signer\" that signed \"CN=below\""},
      {"a root that is none", [](CaFiles& files) { files["root-cert.pem"] = files["ca-cert.pem"]; },
       "root-cert.pem: \"CN=signer\" is no root"},
      {"two roots", [&](CaFiles& files) { files["root-cert.pem"] += other.certificate.ToPem(); },
       "root-cert.pem: holds 2 certificates"},
      {"expired",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("old");
         options.not_after = kNow;
         put_signer(files, options);
       },
       "ca-cert.pem: \"CN=old\" expired at 2027-01-15T08:00:00Z"},
      {"a root that expired",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("old root");
         options.not_after = kNow;
         const TestCa root = MakeTestCa(nullptr, options, TestKeyType::kP256);
         files = FilesOf(MakeTestCa(&root, "signer", kNow), root);
       },
       "root-cert.pem: \"CN=old root\" expired at"},
      {"not yet",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("early");
         options.not_before = kNow + absl::Seconds(1);
         put_signer(files, options);
       },
       "ca-cert.pem: \"CN=early\" is good only from 2027-01-15T08:00:01Z on"},
      {"a path that may not be as long",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("short");
         options.basic_constraints = ",pathlen:0";
         const TestCa top = MakeTestCa(&root_, options, TestKeyType::kP256);
         const TestCa below = MakeTestCa(&top, "below", kNow);
         files = FilesOf(below, root_, top.certificate.ToPem());
       },
       "path length constraint exceeded"},
      {"for servers alone",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("servers");
         options.extended_key_usage = "serverAuth";
         put_signer(files, options);
       },
       "ca-cert.pem: nobody would believe what it signs"},
      {"for another domain's names",
       [&](CaFiles& files) {
         TestCertificateOptions options = Options("elsewhere");
         options.name_constraints = "critical,permitted;URI:west";
         put_signer(files, options);
       },
       "; issue it for workloads of east"},
  };
  for (const Case& one : cases) {
    CaFiles files = Files();
    one.spoil(files);
    const absl::Status status = ReadPluggedCa(files, "east", kNow).status();
    EXPECT_TRUE(absl::StrContains(status.message(), one.error)) << one.what << ": " << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "PRIVATE")) << one.what;
  }
}

TEST(CaFilesOf, ReadsTheSecretsData) {
  const auto parsed = ParseYamlDocuments(
      absl::StrCat("data: {ca-key.pem: ", absl::Base64Escape("key"), ", other: '*'}"));
  EXPECT_EQ(*CaFilesOf((*parsed)[0]->root()), (CaFiles{{"ca-key.pem", "key"}}));
  const auto broken = ParseYamlDocuments("data: {ca-key.pem: '*'}");
  EXPECT_EQ(CaFilesOf((*broken)[0]->root()).status().message(), "ca-key.pem: is not base64");
  const auto empty = ParseYamlDocuments("kind: Secret");
  EXPECT_TRUE(CaFilesOf((*empty)[0]->root())->empty());
}

}  // namespace
}  // namespace weft
