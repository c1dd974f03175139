#include "controlplane/ca/token_reviewer.h"

#include <memory>
#include <optional>
#include <vector>

#include "controlplane/ca/token_review.h"
#include "controlplane/sources/kubernetes/scripted_server_for_test.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kGood[] = R"({"kind": "TokenReview", "status": {
    "authenticated": true, "audiences": ["weft-ca"],
    "user": {"username": "system:serviceaccount:default:web"}}})";
constexpr char kDenied[] = R"({"kind": "TokenReview", "status": {"error": "expired"}})";

class TokenReviewerTest : public testing::Test {
 protected:
  TokenReviewerTest()
      : server_(std::make_unique<ScriptedServer>(loop_, [this](const ScriptedRequest& request) {
          EXPECT_EQ(request.method, "POST");
          bodies_.push_back(request.body);
          ScriptedAnswer answer;
          answer.status = status_;
          answer.body = body_;
          answer.silent = silent_;
          return answer;
        })) {
    Kubeconfig config;
    config.origin = "test";
    config.tls = false;
    config.host = "127.0.0.1";
    config.port = server_->port();
    client_ = std::make_unique<KubernetesClient>(loop_, config);
    reviewer_ = std::make_unique<TokenReviewer>(loop_, *client_, "weft-ca");
  }
  ~TokenReviewerTest() override { tasks_.Cancel(); }

  absl::StatusOr<Caller> Review(const std::string& token) {
    std::optional<absl::StatusOr<Caller>> verdict;
    tasks_.Spawn(Run(token, &verdict));
    EXPECT_TRUE(Eventually(loop_, [&] { return verdict.has_value(); }));
    return *verdict;
  }
  Task<> Run(std::string token, std::optional<absl::StatusOr<Caller>>* verdict) {
    absl::StatusOr<Caller> found = co_await reviewer_->Review(std::move(token));
    if (verdict != nullptr) *verdict = std::move(found);
  }

  EventLoop loop_;
  int status_ = 201;
  std::string body_ = kGood;
  bool silent_ = false;
  std::vector<std::string> bodies_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<KubernetesClient> client_;
  std::unique_ptr<TokenReviewer> reviewer_;
  Scope tasks_;
};

TEST_F(TokenReviewerTest, AsksOnceForAWhile) {
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<Caller> caller = Review("a.b.c");
    ASSERT_TRUE(caller.ok()) << caller.status();
    EXPECT_EQ(caller->service_account, "web");
  }
  ASSERT_EQ(bodies_.size(), 1u);
  EXPECT_EQ(bodies_[0], TokenReviewOf("a.b.c", "weft-ca"));
  EXPECT_EQ(server_->requests[0], kTokenReviewPath);
  ASSERT_TRUE(Review("a.b.d").ok());
  EXPECT_EQ(bodies_.size(), 2u);
}

TEST_F(TokenReviewerTest, KeepsADenialToo) {
  body_ = kDenied;
  EXPECT_TRUE(absl::IsUnauthenticated(Review("a.b.c").status()));
  body_ = kGood;
  EXPECT_TRUE(absl::IsUnauthenticated(Review("a.b.c").status()));
  EXPECT_EQ(bodies_.size(), 1u);
}

TEST_F(TokenReviewerTest, Row95AServerThatFailsHasSaidNothing) {
  for (const int status : {401, 403, 404, 429, 500, 503}) {
    status_ = status;
    EXPECT_TRUE(absl::IsUnavailable(Review("a.b.c").status())) << status;
  }
  status_ = 200;
  body_ = "{}";
  EXPECT_TRUE(absl::IsUnavailable(Review("a.b.c").status()));
  body_ = kGood;
  EXPECT_TRUE(Review("a.b.c").ok());
}

TEST_F(TokenReviewerTest, AServerThatIsAwayHasSaidNothing) {
  server_.reset();
  EXPECT_TRUE(absl::IsUnavailable(Review("a.b.c").status()));
}

TEST_F(TokenReviewerTest, Row109PassesOnSoManyAtOnce) {
  silent_ = true;
  for (size_t i = 0; i < TokenReviewer::kMostAtOnce; ++i) {
    tasks_.Spawn(Run(absl::StrCat("a.b.", i), nullptr));
  }
  EXPECT_TRUE(absl::IsUnavailable(Review("a.b.c").status()));
  EXPECT_TRUE(absl::IsUnauthenticated(Review("not a token").status()));
  EXPECT_TRUE(Eventually(loop_, [&] { return bodies_.size() == TokenReviewer::kMostAtOnce; }));
  tasks_.Cancel();
  silent_ = false;
  EXPECT_TRUE(Review("a.b.c").ok());
}

}  // namespace
}  // namespace weft
