// Certificates as an attacker or a careless CA would make them, for tests: every field that the
// verifier looks at can be wrong, while the signature is right.
#ifndef WEFT_CERTS_TEST_CERTIFICATE_H_
#define WEFT_CERTS_TEST_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certs/certificate.h"
#include "certs/issuer.h"
#include "certs/key.h"

namespace weft::certs {

struct TestCertificateOptions {
  std::vector<std::string> uris;
  std::vector<std::string> dns;
  std::string common_name;
  bool ca = false;
  std::string basic_constraints;  // after CA:TRUE: ",pathlen:0"
  std::string name_constraints;   // "permitted;URI:other.example"; empty: no such extension
  bool key_id = false;            // a subject key identifier
  std::string extended_key_usage = "serverAuth,clientAuth";  // empty: no such extension
  absl::Time not_before;
  absl::Time not_after;
};

// A certificate for `key` signed by `issuer`.
Certificate MakeTestCertificate(const Issuer& issuer, const PublicKey& key,
                                const TestCertificateOptions& options);

// A CA as operators make one by themselves.
struct TestCa {
  Certificate certificate;
  SigningKey key;
};
enum class TestKeyType { kP256, kRsa2048 };

// Signed by `issuer`; null: a root. It lives for `validity` around `now`, and names no trust
// domain.
TestCa MakeTestCa(const TestCa* issuer, absl::string_view common_name, absl::Time now,
                  TestKeyType type = TestKeyType::kP256,
                  absl::Duration validity = absl::Hours(1000));
// With all that may be wrong.
TestCa MakeTestCa(const TestCa* issuer, const TestCertificateOptions& options, TestKeyType type);

// A PEM CSR with these URI SANs and no others, signed with `signer` but carrying `key`.
std::string MakeTestCsr(const PrivateKey& key, const PrivateKey& signer,
                        const std::vector<std::string>& uris);

// A PEM CSR on a fresh RSA key.
std::string MakeRsaCsr(int bits, absl::string_view uri);

}  // namespace weft::certs

#endif  // WEFT_CERTS_TEST_CERTIFICATE_H_
