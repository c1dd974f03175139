#include "controlplane/ca/token_review.h"

#include <nlohmann/json.hpp>

#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;

Json Good() {
  return Json::parse(R"({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
      "metadata": {}, "spec": {"token": "t"}, "status": {
        "authenticated": true, "audiences": ["other", "weft-ca"],
        "user": {"username": "system:serviceaccount:default:web", "uid": "1",
                 "groups": ["system:serviceaccounts"],
                 "extra": {"authentication.kubernetes.io/pod-name": ["web-1"]}}}})");
}

absl::StatusOr<Caller> Read(const Json& review) {
  return ReadTokenReview(review.dump(), "weft-ca");
}

TEST(TokenReview, AsksForOneAudience) {
  const Json asked = Json::parse(TokenReviewOf("a.b.c", "weft-ca"));
  EXPECT_EQ(asked["kind"], "TokenReview");
  EXPECT_EQ(asked["apiVersion"], "authentication.k8s.io/v1");
  EXPECT_EQ(asked["spec"], Json::parse(R"({"token": "a.b.c", "audiences": ["weft-ca"]})"));
}

TEST(TokenReview, SaysWhoseItIs) {
  const absl::StatusOr<Caller> caller = Read(Good());
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(*caller, (Caller{"default", "web", "web-1"}));
  Json unbound = Good();
  unbound["status"]["user"].erase("extra");
  ASSERT_TRUE(Read(unbound).ok());
  EXPECT_EQ(Read(unbound)->pod, "");
}

TEST(TokenReview, Row109RefusesWhatIsNotForUsOrNoWorkloads) {
  const std::pair<const char*, const char*> changes[] = {
      {"/status/authenticated", "false"},
      {"/status/authenticated", "null"},
      {"/status/audiences", "[]"},
      {"/status/audiences", "null"},
      {"/status/audiences", R"(["weft-ca2"])"},
      {"/status/user/username", R"("admin")"},
      {"/status/user/username", R"("system:node:n1")"},
      {"/status/user/username", R"("system:serviceaccount:default")"},
      {"/status/user/username", R"("system:serviceaccount::web")"},
      {"/status/user/username", R"("system:serviceaccount:default:")"},
      {"/status/user/username", R"("system:serviceaccount:a:b:c")"},
      {"/status/user", "null"},
  };
  for (const auto& [at, value] : changes) {
    Json review = Good();
    review[Json::json_pointer(at)] = Json::parse(value);
    EXPECT_EQ(Read(review).status().code(), absl::StatusCode::kUnauthenticated)
        << at << " " << value;
  }
}

TEST(TokenReview, GivesTheServersReason) {
  Json review = Good();
  review["status"] = {{"error", "[invalid bearer token, token has expired]"}};
  EXPECT_EQ(Read(review).status().message(),
            "workload token: [invalid bearer token, token has expired]");
}

TEST(TokenReview, WhatIsNoReviewSaysNothing) {
  for (const char* text : {"", "<html>", "[]", "{}", R"({"kind": "Status", "status": "Failure"})",
                           R"({"kind": "TokenReview"})"}) {
    EXPECT_EQ(ReadTokenReview(text, "weft-ca").status().code(), absl::StatusCode::kUnavailable)
        << text;
  }
}

TEST(TokenReview, Row109PassesOnOnlyWhatATokenMayConsistOf) {
  EXPECT_TRUE(MayBeReviewed("eyJhbGciOiJSUzI1NiJ9.e30.a-b_c"));
  for (const char* text : {"", "a b", "a\nb", "a\"b", "a%b", "\xff"}) {
    EXPECT_FALSE(MayBeReviewed(text)) << text;
  }
  EXPECT_TRUE(MayBeReviewed(std::string(16 << 10, 'a')));
  EXPECT_FALSE(MayBeReviewed(std::string((16 << 10) + 1, 'a')));
}

}  // namespace
}  // namespace weft
