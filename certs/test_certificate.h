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
  std::string extended_key_usage = "serverAuth,clientAuth";  // empty: no such extension
  absl::Time not_before;
  absl::Time not_after;
};

// A certificate for `key` signed by `issuer`.
Certificate MakeTestCertificate(const Issuer& issuer, const PublicKey& key,
                                const TestCertificateOptions& options);

// A PEM CSR with these URI SANs and no others, signed with `signer` but carrying `key`.
std::string MakeTestCsr(const PrivateKey& key, const PrivateKey& signer,
                        const std::vector<std::string>& uris);

// A PEM CSR on a fresh RSA key.
std::string MakeRsaCsr(int bits, absl::string_view uri);

}  // namespace weft::certs

#endif  // WEFT_CERTS_TEST_CERTIFICATE_H_
