// Credentials: who a caller is, by bearer token or client certificate. Not thread-safe.
#ifndef WEFT_TEST_APISERVER_CREDENTIALS_H_
#define WEFT_TEST_APISERVER_CREDENTIALS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/tls/peer_policy.h"
#include "test/apiserver/request.h"

namespace weft::apiserver {

class Credentials {
 public:
  // `required`: who shows nothing is refused; otherwise such a caller may do everything too.
  explicit Credentials(bool required) : required_(required) {}

  // Lines of TOKEN,NAME,UID[,"GROUP,GROUP"], as of --token-auth-file. Replaces those of before.
  void SetTokens(absl::string_view csv);

  // A token for a service account, in the form of a JWT; only this server can tell whether it is
  // valid.
  // `id`: of this token, no other's.
  std::string Issue(const AccountToken& wanted, const std::string& id);

  // `certificate`: the verified one of the connection, or null.
  Result<User> Authenticate(absl::string_view authorization, const PeerCertificate* certificate,
                            absl::Time now) const;

  // The `status` of a TokenReview with this `spec`.
  Json Review(const Json& spec, absl::Time now) const;

 private:
  struct Token {
    User user;
    std::vector<std::string> audiences;
    absl::Time expires = absl::InfiniteFuture();
  };
  const Token* Find(absl::string_view token, absl::Time now) const;

  const bool required_;
  std::map<std::string, Token, std::less<>> given_;  // from the file
  std::map<std::string, Token, std::less<>> issued_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_CREDENTIALS_H_
