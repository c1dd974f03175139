#include "certs/csr.h"

#include "certs/test_certificate.h"
#include "gtest/gtest.h"

namespace weft::certs {
namespace {

constexpr char kUri[] = "spiffe://east/ns/default/sa/web";

TEST(Csr, CarriesKeyAndName) {
  const PrivateKey key = PrivateKey::Generate();
  absl::StatusOr<SigningRequest> request = ParseCsr(MakeCsr(key, *SpiffeId::Parse(kUri)));
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->id.ToString(), kUri);
}

TEST(Csr, Row109RefusesAnotherKeysSignature) {
  const std::string csr = MakeTestCsr(PrivateKey::Generate(), PrivateKey::Generate(), {kUri});
  EXPECT_NE(ParseCsr(csr).status().message().find("signature"), std::string::npos);
}

TEST(Csr, Row109RefusesRsa) {
  for (int bits : {2048, 4096}) {
    EXPECT_NE(ParseCsr(MakeRsaCsr(bits, kUri)).status().message().find("P-256"), std::string::npos);
  }
}

TEST(Csr, RefusesAllButOneSpiffeName) {
  const PrivateKey key = PrivateKey::Generate();
  const std::vector<std::vector<std::string>> refused = {
      {}, {kUri, kUri}, {"https://example.com"}, {std::string(kUri) + std::string("\0x", 2)}};
  for (const std::vector<std::string>& uris : refused) {
    EXPECT_FALSE(ParseCsr(MakeTestCsr(key, key, uris)).ok());
  }
}

TEST(Csr, RefusesWhatIsNoCsr) {
  const PrivateKey key = PrivateKey::Generate();
  const std::string good = MakeTestCsr(key, key, {kUri});
  EXPECT_FALSE(ParseCsr("").ok());
  EXPECT_FALSE(ParseCsr("hello").ok());
  EXPECT_FALSE(ParseCsr(good.substr(0, good.size() / 2)).ok());
  EXPECT_FALSE(ParseCsr(key.ToPem()).ok());
  EXPECT_FALSE(ParseCsr(std::string(1 << 20, 'A')).ok());
}

}  // namespace
}  // namespace weft::certs
