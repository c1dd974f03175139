#include "controlplane/ca/authenticator.h"

#include <optional>

#include "certs/token.h"
#include "gtest/gtest.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr char kForeign[] = "eyJhbGciOiJSUzI1NiJ9.e30.x";  // RS256

class AuthenticatorTest : public testing::Test {
 protected:
  std::string Token(const std::string& cluster = "east", absl::Duration life = absl::Hours(1)) {
    certs::TokenClaims claims;
    claims.namespace_ = "default";
    claims.service_account = "web";
    claims.pod = "web-1";
    claims.cluster = cluster;
    claims.expiry = kNow + life;
    return *certs::SignToken(token_key_, claims);
  }
  Authenticator::Review Review() {
    return [this](std::string token) { return Answer(std::move(token)); };
  }
  Task<absl::StatusOr<Caller>> Answer(std::string token) {
    reviewed_.push_back(std::move(token));
    co_return Caller{"default", "reviewed", ""};
  }
  Authenticator::RemoteReview RemoteReview() {
    return [this](std::string cluster, std::string token) {
      return AnswerOf(std::move(cluster), std::move(token));
    };
  }
  Task<absl::StatusOr<Caller>> AnswerOf(std::string cluster, std::string token) {
    reviewed_.push_back(cluster + ": " + token);
    if (cluster == "liar") co_return Caller{"weft-system", "weftd", ""};
    if (cluster != "west") co_return absl::UnauthenticatedError("no such cluster");
    co_return Caller{"default", "of-west", ""};
  }
  absl::StatusOr<Caller> Ask(const Authenticator& authenticator, const std::string& token,
                             const std::string& cluster = "") {
    std::optional<absl::StatusOr<Caller>> caller;
    Scope tasks;
    tasks.Spawn(Run(authenticator, token, cluster, caller));
    return *caller;
  }
  static Task<> Run(const Authenticator& authenticator, std::string token, std::string cluster,
                    std::optional<absl::StatusOr<Caller>>& caller) {
    caller = co_await authenticator.Authenticate(std::move(token), std::move(cluster), kNow);
  }

  const std::string token_key_ = certs::NewTokenKey();
  std::vector<std::string> reviewed_;
};

TEST_F(AuthenticatorTest, TakesItsOwnTokens) {
  const Authenticator authenticator(token_key_, "east", nullptr);
  const absl::StatusOr<Caller> caller = Ask(authenticator, Token());
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(*caller, (Caller{"default", "web", "web-1"}));
  for (const std::string& token : {std::string(), std::string("x"), std::string(kForeign),
                                   Token() + "=", Token("west"), Token("east", -absl::Hours(1))}) {
    EXPECT_EQ(Ask(authenticator, token).status().code(), absl::StatusCode::kUnauthenticated)
        << token;
  }
}

TEST_F(AuthenticatorTest, TheHeaderSaysWhoJudges) {
  const Authenticator both(token_key_, "east", Review());
  EXPECT_EQ(Ask(both, Token())->service_account, "web");
  EXPECT_EQ(Ask(both, kForeign)->service_account, "reviewed");
  EXPECT_FALSE(Ask(both, Token("east", -absl::Hours(1))).ok());
  EXPECT_EQ(reviewed_, std::vector<std::string>{kForeign});
}

TEST_F(AuthenticatorTest, WithoutAKeyNoTokenOfItsOwnIsTaken) {
  const Authenticator reviewing("", "east", Review());
  EXPECT_EQ(Ask(reviewing, Token()).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(reviewing, kForeign)->service_account, "reviewed");
  EXPECT_EQ(reviewed_.size(), 1u);
}

TEST_F(AuthenticatorTest, TheClusterThatIsNamedJudges) {
  const Authenticator authenticator(token_key_, "east", Review(), RemoteReview());
  EXPECT_EQ(Ask(authenticator, kForeign, "east")->service_account, "reviewed");
  EXPECT_EQ(Ask(authenticator, kForeign, "west")->service_account, "of-west");
  EXPECT_EQ(Ask(authenticator, kForeign, "north").status().code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(reviewed_, (std::vector<std::string>{kForeign, std::string("west: ") + kForeign,
                                                 std::string("north: ") + kForeign}));
  EXPECT_EQ(Ask(authenticator, Token(), "east")->service_account, "web");
}

TEST_F(AuthenticatorTest, Row109NobodyElseIsShownATokenOfItsOwn) {
  const Authenticator authenticator(token_key_, "east", Review(), RemoteReview());
  for (const std::string& cluster : {std::string("west"), std::string(10000, 'w')}) {
    for (const std::string& token : {Token(), Token("west")}) {
      EXPECT_EQ(Ask(authenticator, token, cluster).status().code(),
                absl::StatusCode::kUnauthenticated);
    }
  }
  EXPECT_EQ(Ask(authenticator, kForeign, std::string(10000, 'w')).status().code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(reviewed_.empty());
}

TEST_F(AuthenticatorTest, WithoutRemoteClustersTheNameIsRefused) {
  const Authenticator alone(token_key_, "east", Review());
  const absl::Status refused = Ask(alone, kForeign, "west\n").status();
  EXPECT_EQ(refused, absl::UnauthenticatedError("workload token: cluster 'west\\n' is not known"));
  EXPECT_TRUE(reviewed_.empty());
}

TEST_F(AuthenticatorTest, Row109NobodyOfARemoteClusterIsTheControlPlane) {
  const Authenticator authenticator(token_key_, "east", Review(), RemoteReview());
  EXPECT_EQ(Ask(authenticator, kForeign, "liar").status().code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(reviewed_.size(), 1u);
}

}  // namespace
}  // namespace weft
