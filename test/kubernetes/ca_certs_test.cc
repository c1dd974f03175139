// The CA from Secret weft-system/cacerts: what pods' certificates lead to while it comes, changes,
// breaks and goes.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/istio/ca.grpc.pb.h"
#include "certs/csr.h"
#include "certs/file.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"
#include "certs/test_certificate.h"
#include "certs/trust_bundle.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using certs::MakeTestCa;
using certs::TestCa;
using Json = apiserver::Json;
using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;
using testing::AnyOf;
using testing::HasSubstr;

constexpr char kWeb[] = "spiffe://east.weft/ns/default/sa/web";

class CaCertsTest : public testing::Test {
 protected:
  CaCertsTest() {
    Put({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "weft-system"}}}});
  }

  void Put(const Json& object) { ASSERT_TRUE(cluster_.server().Put(object).ok()); }
  // With the key of another CA, if that is said.
  void PutSecret(const TestCa& signer, const TestCa& root, const TestCa* key_of = nullptr) {
    const auto encoded = [](const std::string& text) { return absl::Base64Escape(text); };
    const std::string chain = signer.certificate.ToPem() + root.certificate.ToPem();
    Put({{"apiVersion", "v1"},
         {"kind", "Secret"},
         {"metadata", {{"name", "cacerts"}, {"namespace", "weft-system"}}},
         {"data",
          {{"ca-cert.pem", encoded(signer.certificate.ToPem())},
           {"ca-key.pem", encoded((key_of == nullptr ? signer : *key_of).key.ToPem())},
           {"root-cert.pem", encoded(root.certificate.ToPem())},
           {"cert-chain.pem", encoded(chain)}}}});
  }
  void Start() {
    weftd_ = cluster_.StartWeftd();
    Connect();
  }
  // Over a connection of its own.
  void Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = IstioCertificateService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", weftd_->port()), grpc::InsecureChannelCredentials(), arguments));
  }
  // What a pod gets: leaf first, the root last.
  std::vector<certs::Certificate> Chain() {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + weftd_->Token("default", "web"));
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    IstioCertificateRequest request;
    request.set_csr(certs::MakeCsr(certs::PrivateKey::Generate(), *certs::SpiffeId::Parse(kWeb)));
    IstioCertificateResponse response;
    const grpc::Status status = stub_->CreateCertificate(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    auto chain = certs::ParseCertificates(absl::StrJoin(response.cert_chain(), ""));
    EXPECT_TRUE(chain.ok()) << chain.status();
    return chain.ok() ? *std::move(chain) : std::vector<certs::Certificate>();
  }
  static bool IsOf(const std::vector<certs::Certificate>& chain, const TestCa& signer) {
    return chain.size() == 3 && chain[1].ToPem() == signer.certificate.ToPem();
  }
  // What everybody is told to trust.
  std::string Roots() const {
    return certs::ReadFile(weftd_->data_folder() + "/root-cert.pem").value_or("");
  }
  bool IsBelieved(const std::vector<certs::Certificate>& chain) const {
    certs::TrustBundles bundles;
    EXPECT_TRUE(bundles.Set("east.weft", Roots()).ok());
    return certs::VerifyPeer(chain, bundles, absl::Now(), certs::PeerRole::kClient).ok();
  }
  bool Has(const std::string& metric) const { return absl::StrContains(weftd_->Metrics(), metric); }

  const TestCa root_ = MakeTestCa(nullptr, "root", absl::Now());
  const TestCa first_ = MakeTestCa(&root_, "first", absl::Now());
  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
  std::unique_ptr<IstioCertificateService::Stub> stub_;
};

TEST_F(CaCertsTest, SignsFromTheFirstStartAndIsTheOnlySecretRead) {
  PutSecret(first_, root_);
  Start();
  const auto chain = Chain();
  EXPECT_TRUE(IsOf(chain, first_));
  EXPECT_EQ(chain.back().ToPem(), root_.certificate.ToPem());
  EXPECT_EQ(Roots(), root_.certificate.ToPem());
  EXPECT_TRUE(IsBelieved(chain));
  EXPECT_TRUE(Has("citadel_server_root_cert_expiry_timestamp "));
  EXPECT_TRUE(Has("weft_ca_refused 0"));
  for (const auto& request : cluster_.server().requests()) {
    if (request.user != "weftd" || request.resource != "secrets") continue;
    // Those of other clusters and of link tokens have tests of their own.
    EXPECT_THAT(request.target, AnyOf(HasSubstr("istio%2FmultiCluster%3Dtrue"),
                                      HasSubstr("metadata.name%3Dweft-link-tokens"),
                                      HasSubstr("metadata.name%3Dcacerts")));
  }
}

TEST_F(CaCertsTest, ANewIntermediateSignsAtOnce) {
  PutSecret(first_, root_);
  Start();
  const auto before = Chain();
  const TestCa second = MakeTestCa(&root_, "second", absl::Now());
  PutSecret(second, root_);
  ASSERT_TRUE(Eventually([&] { return IsOf(Chain(), second); }));
  EXPECT_EQ(Roots(), root_.certificate.ToPem());
  EXPECT_TRUE(IsBelieved(before));
  EXPECT_TRUE(IsBelieved(Chain()));
}

TEST_F(CaCertsTest, ANewRootIsTrustedBeforeItSigns) {
  PutSecret(first_, root_);
  Start();
  const auto before = Chain();
  const TestCa new_root = MakeTestCa(nullptr, "new root", absl::Now());
  const TestCa second = MakeTestCa(&new_root, "second", absl::Now());
  PutSecret(second, new_root);
  const std::string both = root_.certificate.ToPem() + new_root.certificate.ToPem();
  ASSERT_TRUE(Eventually([&] { return Roots() == both; }));
  EXPECT_TRUE(IsOf(Chain(), first_));
  ASSERT_TRUE(Eventually([&] { return IsOf(Chain(), second); }));
  EXPECT_TRUE(IsBelieved(before));
  EXPECT_TRUE(IsBelieved(Chain()));
  ASSERT_TRUE(Eventually([&] { return Roots() == new_root.certificate.ToPem(); }));
  EXPECT_FALSE(IsBelieved(before));
  EXPECT_TRUE(IsBelieved(Chain()));
}

TEST_F(CaCertsTest, ABrokenOneIsNamedAndTheLastGoodOneStaysOverARestart) {
  PutSecret(first_, root_);
  Start();
  const TestCa second = MakeTestCa(&root_, "second", absl::Now());
  PutSecret(second, root_, &first_);
  const char* const kProblem =
      "Secret weft-system/cacerts: ca-key.pem: is not the key of ca-cert.pem, \"CN=second\"";
  for (const bool restarted : {false, true}) {
    if (restarted) {
      weftd_->Stop();
      weftd_->Start();
      Connect();
    }
    ASSERT_TRUE(Eventually([&] { return absl::StrContains(weftd_->Warning(), kProblem); }));
    EXPECT_TRUE(Has("weft_ca_refused 1"));
    EXPECT_TRUE(IsOf(Chain(), first_));
  }
  PutSecret(second, root_);
  ASSERT_TRUE(Eventually([&] { return IsOf(Chain(), second); }));
  EXPECT_EQ(weftd_->Warning(), "");
}

TEST_F(CaCertsTest, AFirstStartWithABrokenOneMakesNoRootOfItsOwn) {
  PutSecret(first_, root_, &root_);
  const std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/broken");
  const integration::Result started = integration::RunCommand(
      {"controlplane/weftd", "--cluster", "east", "--registry", cluster_.Registry(), "--data-dir",
       folder, "--xds-listen", "127.0.0.1:0", "--xds-plain", "127.0.0.1:0", "--peer-listen",
       "127.0.0.1:0", "--monitoring", "127.0.0.1:0", "--debug-listen", "", "--webhook-listen", ""});
  EXPECT_EQ(started.status, 69) << started.err;
  EXPECT_THAT(started.err,
              HasSubstr("load the CA: Secret weft-system/cacerts: ca-key.pem: is not the key of"));
  EXPECT_EQ(integration::ReadFile(folder + "/ca.json"), "");
}

TEST_F(CaCertsTest, TakesThePlaceOfOurOwnAndStaysWhenTheSecretIsGone) {
  Start();
  const auto own = Chain();
  PutSecret(first_, root_);
  ASSERT_TRUE(Eventually([&] { return Roots() == root_.certificate.ToPem(); }));
  EXPECT_TRUE(IsOf(Chain(), first_));
  EXPECT_FALSE(IsBelieved(own));
  cluster_.Out({"delete", "secret", "cacerts", "-n", "weft-system"});
  absl::SleepFor(absl::Seconds(1));
  EXPECT_TRUE(IsOf(Chain(), first_));
  EXPECT_EQ(Roots(), root_.certificate.ToPem());
}

}  // namespace
}  // namespace weft::test
