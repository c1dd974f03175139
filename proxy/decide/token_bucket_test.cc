#include "proxy/decide/token_bucket.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(TokenBucket, IsFullAtFirstAndFillsByIntervals) {
  TokenBucket bucket(3, 2, absl::Seconds(1), absl::Seconds(10));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.Take(absl::Seconds(10)));
  EXPECT_FALSE(bucket.Take(absl::Seconds(10)));
  EXPECT_FALSE(bucket.Take(absl::Milliseconds(10'999)));
  EXPECT_EQ(bucket.UntilFill(absl::Milliseconds(10'999)), absl::Milliseconds(1));
  EXPECT_TRUE(bucket.Take(absl::Seconds(11)));
  EXPECT_EQ(bucket.left(), 1u);
  EXPECT_TRUE(bucket.Take(absl::Seconds(11)));
  EXPECT_FALSE(bucket.Take(absl::Seconds(11)));
}

TEST(TokenBucket, HoldsNoMoreThanItsRoom) {
  TokenBucket bucket(2, 2, absl::Seconds(1), absl::ZeroDuration());
  EXPECT_TRUE(bucket.Take(absl::Hours(1000)));
  EXPECT_TRUE(bucket.Take(absl::Hours(1000)));
  EXPECT_FALSE(bucket.Take(absl::Hours(1000)));
}

// A worker's part of one token a second, of four workers.
TEST(TokenBucket, PartsOfATokenAddUp) {
  TokenBucket bucket(1, 0.25, absl::Seconds(1), absl::ZeroDuration());
  EXPECT_TRUE(bucket.Take(absl::ZeroDuration()));
  EXPECT_FALSE(bucket.Take(absl::Seconds(3)));
  EXPECT_TRUE(bucket.Take(absl::Seconds(4)));
}

}  // namespace
}  // namespace weft
