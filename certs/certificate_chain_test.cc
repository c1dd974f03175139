#include "certs/certificate_chain.h"

#include "certs/test_certificate.h"
#include "gtest/gtest.h"

namespace weft::certs {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

class CertificateChain : public testing::Test {
 protected:
  std::vector<std::string> Names(const absl::StatusOr<std::vector<Certificate>>& chain) {
    std::vector<std::string> names;
    EXPECT_TRUE(chain.ok()) << chain.status();
    if (!chain.ok()) return names;
    for (const Certificate& one : *chain) names.push_back(SubjectOf(one.x509()));
    return names;
  }

  const TestCa root_ = MakeTestCa(nullptr, "root", kNow);
  const TestCa middle_ = MakeTestCa(&root_, "middle", kNow);
  const TestCa signer_ = MakeTestCa(&middle_, "signer", kNow);
  const std::vector<std::string> all_ = {"CN=signer", "CN=middle", "CN=root"};
};

TEST_F(CertificateChain, IsPutInOrder) {
  const Certificate& root = root_.certificate;
  const Certificate& middle = middle_.certificate;
  const Certificate& signer = signer_.certificate;
  const Certificate stranger = MakeTestCa(nullptr, "stranger", kNow).certificate;
  EXPECT_EQ(Names(ChainTo(root, signer, {middle})), all_);
  EXPECT_EQ(Names(ChainTo(root, signer, {root, stranger, middle, signer, middle})), all_);
  EXPECT_EQ(Names(ChainTo(root, root, {})), std::vector<std::string>{"CN=root"});
}

TEST_F(CertificateChain, SaysWhatIsMissing) {
  const auto none = ChainTo(root_.certificate, signer_.certificate, {});
  EXPECT_EQ(none.status().message(),
            "no certificate of the \"CN=middle\" that signed \"CN=signer\"");
  // The same name is not the same key.
  const TestCa other = MakeTestCa(nullptr, "root", kNow);
  const auto wrong = ChainTo(other.certificate, signer_.certificate, {middle_.certificate});
  EXPECT_EQ(wrong.status().message(),
            "no certificate of the \"CN=root\" that signed \"CN=middle\"");
}

TEST_F(CertificateChain, TwoThatSignedEachOtherEnd) {
  TestCertificateOptions options;
  options.ca = true;
  options.common_name = "a";
  options.not_after = kNow;
  const TestCa a = MakeTestCa(nullptr, options, TestKeyType::kP256);
  options.common_name = "b";
  const TestCa b = MakeTestCa(&a, options, TestKeyType::kP256);
  const Issuer b_issuer = *Issuer::FromPem(b.certificate.ToPem(), b.key.ToPem(), "east");
  options.common_name = "a";
  const Certificate a_by_b =
      MakeTestCertificate(b_issuer, PrivateKey::FromPem(a.key.ToPem())->public_key(), options);
  EXPECT_FALSE(ChainTo(root_.certificate, a_by_b, {b.certificate, a_by_b}).ok());
}

TEST(IsCa, WhatMaySignOthers) {
  EXPECT_TRUE(IsCa(MakeTestCa(nullptr, "root", kNow).certificate));
  TestCertificateOptions options;
  options.common_name = "leaf";
  EXPECT_FALSE(IsCa(MakeTestCa(nullptr, options, TestKeyType::kP256).certificate));
}

}  // namespace
}  // namespace weft::certs
