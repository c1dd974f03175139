#include "controlplane/ca/review_cache.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr absl::Duration kStart = absl::Hours(1);

const Caller kWeb = {"default", "web", ""};

TEST(ReviewCache, KeepsVerdictsForAShortTime) {
  ReviewCache cache;
  EXPECT_EQ(cache.Find("a", kStart), nullptr);
  cache.Put("a", kWeb, kStart);
  cache.Put("b", absl::UnauthenticatedError("no"), kStart);
  const absl::Duration last = kStart + ReviewCache::kLifetime - absl::Milliseconds(1);
  ASSERT_NE(cache.Find("a", last), nullptr);
  EXPECT_EQ(**cache.Find("a", last), kWeb);
  ASSERT_NE(cache.Find("b", last), nullptr);
  EXPECT_EQ(cache.Find("b", last)->status().message(), "no");
  EXPECT_EQ(cache.Find("a", kStart + ReviewCache::kLifetime), nullptr);
  EXPECT_EQ(cache.Find("b", kStart + ReviewCache::kLifetime), nullptr);
}

TEST(ReviewCache, KeepsNoFailures) {
  ReviewCache cache;
  cache.Put("a", absl::UnavailableError("away"), kStart);
  cache.Put("b", absl::DeadlineExceededError("slow"), kStart);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(ReviewCache, TheLastVerdictCountsForItsOwnTime) {
  ReviewCache cache;
  cache.Put("a", kWeb, kStart);
  cache.Put("a", absl::UnauthenticatedError("revoked"), kStart + absl::Seconds(6));
  cache.Put("b", kWeb, kStart + absl::Seconds(11));  // what expired goes
  ASSERT_NE(cache.Find("a", kStart + absl::Seconds(11)), nullptr);
  EXPECT_FALSE(cache.Find("a", kStart + absl::Seconds(11))->ok());
}

TEST(ReviewCache, IsBounded) {
  ReviewCache cache;
  for (size_t i = 0; i < ReviewCache::kMostEntries + 10; ++i) {
    cache.Put(absl::StrCat(i), kWeb, kStart);
  }
  EXPECT_EQ(cache.size(), ReviewCache::kMostEntries);
  EXPECT_EQ(cache.Find("9", kStart), nullptr);
  EXPECT_NE(cache.Find("10", kStart), nullptr);
  cache.Put("late", kWeb, kStart + absl::Minutes(1));
  EXPECT_EQ(cache.size(), 1u);
}

}  // namespace
}  // namespace weft
