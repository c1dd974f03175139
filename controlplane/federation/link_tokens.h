// Tokens by which two clusters come to be linked: one makes a token, the other shows it, once.
//
// A token is text that an operator carries from one to the other: who made it, by which roots that
// cluster is to be believed, and a secret. Of the secret the issuer keeps a hash only. It is good
// for one joiner, for a while, and for few wrong guesses; who joined may say so again, since the
// answer may have been lost. Pure: times, ids and secrets are arguments.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_TOKENS_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_TOKENS_H_

#include <cstddef>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft::peer::v1 {
class LinkToken;
}  // namespace weft::peer::v1

namespace weft {

inline constexpr absl::Duration kLinkTokenLife = absl::Minutes(15);
// A token that lies about for longer is a credential that nobody thinks of.
inline constexpr absl::Duration kLongestLinkTokenLife = absl::Hours(24 * 7);
inline constexpr size_t kLinkTokenSecret = 16;  // bytes
// Valid at a time: many more than anybody links clusters in a quarter of an hour.
inline constexpr size_t kMostLinkTokens = 100;
// After as many a token is void: whoever has the right one does not mistype it.
inline constexpr int kMostWrongSecrets = 5;
// As text: room for the roots and gateways of the largest description that is taken.
inline constexpr size_t kMaxLinkToken = 512 << 10;

// "weft1." and the message in base64url without padding.
std::string EncodeLinkToken(const peer::v1::LinkToken& token);
// Foreign text; spaces around it are no matter. Whether it is still good, its issuer says.
absl::StatusOr<peer::v1::LinkToken> DecodeLinkToken(absl::string_view text);

// The tokens that one issuer made and that have not expired.
class LinkTokens {
 public:
  // From what ToJson() wrote.
  static absl::StatusOr<LinkTokens> FromJson(absl::string_view text);
  // Without those that have expired.
  std::string ToJson(absl::Time now) const;

  // ResourceExhausted if there are too many. `id` is new.
  absl::Status Add(const std::string& id, absl::string_view secret, absl::Time expires,
                   absl::Time now);
  // Until when there is one that Redeem() may take; absl::InfinitePast() if there is none.
  absl::Time ValidUntil(absl::Time now) const;
  // Whether `joiner` (anything that tells one from another) may join by it; from then on nobody
  // else may. PermissionDenied says why not; that has to be kept, too, as guesses are counted.
  absl::Status Redeem(const std::string& id, absl::string_view secret, const std::string& joiner,
                      absl::Time now);
  // Forgets the tokens of joiners that begin so: they may not come again.
  void Forget(absl::string_view joiner_prefix);

  friend bool operator==(const LinkTokens&, const LinkTokens&) = default;

 private:
  struct Token {
    std::string secret_sha256;  // in hex
    absl::Time expires;
    int wrong = 0;
    std::string joiner;  // who joined by it; empty: nobody yet

    friend bool operator==(const Token&, const Token&) = default;
  };

  std::map<std::string, Token> tokens_;  // by id
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_TOKENS_H_
