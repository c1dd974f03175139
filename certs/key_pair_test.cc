#include "certs/key_pair.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/test_certificate.h"

namespace weft::certs {
namespace {

std::string ChainFor(const PrivateKey& key) {
  const Issuer issuer = *Issuer::CreateRoot("a.local", absl::Now());
  TestCertificateOptions options;
  options.dns = {"a.example.com"};
  options.not_before = absl::Now() - absl::Hours(1);
  options.not_after = absl::Now() + absl::Hours(1);
  return MakeTestCertificate(issuer, key.public_key(), options).ToPem();
}

TEST(KeyPair, SaysWhatIsWrong) {
  const PrivateKey key = PrivateKey::Generate();
  const std::string chain = ChainFor(key);
  struct Row {
    std::string chain;
    std::string key;
    const char* expected;
  } rows[] = {
      {chain, key.ToPem(), ""},
      {chain, PrivateKey::Generate().ToPem(), "the private key is not the certificate's"},
      {chain, "", "private key (PEM, not encrypted)"},
      {chain, key.ToPem().substr(0, 60), "private key (PEM, not encrypted)"},
      {"", key.ToPem(), "certificate"},
      {key.ToPem(), key.ToPem(), "certificate"},
      {chain.substr(0, chain.size() / 2), key.ToPem(), "certificate"},
  };
  for (const Row& row : rows) {
    const absl::Status status = CheckKeyPair(row.chain, row.key);
    EXPECT_EQ(status.ok(), *row.expected == '\0') << status;
    EXPECT_NE(std::string(status.message()).find(row.expected), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace weft::certs
