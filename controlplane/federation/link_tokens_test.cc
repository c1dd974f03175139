#include "controlplane/federation/link_tokens.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/weft/link.pb.h"

namespace weft {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const std::string kSecret = "0123456789abcdef";
const std::string kWrong = "0123456789abcdeF";

LinkTokens WithOne() {
  LinkTokens tokens;
  EXPECT_TRUE(tokens.Add("a", kSecret, kNow + kLinkTokenLife, kNow).ok());
  return tokens;
}

bool Refuses(const absl::Status& status, absl::string_view why) {
  return absl::IsPermissionDenied(status) && absl::StrContains(status.message(), why);
}

TEST(LinkTokens, AreGoodForOneJoinerWhoMayRepeatIt) {
  LinkTokens tokens = WithOne();
  EXPECT_TRUE(tokens.Redeem("a", kSecret, "west", kNow).ok());
  EXPECT_TRUE(tokens.Redeem("a", kSecret, "west", kNow + absl::Minutes(14)).ok());
}

TEST(LinkTokens, Row109AStolenOrReusedOneIsRefused) {
  LinkTokens tokens = WithOne();
  ASSERT_TRUE(tokens.Redeem("a", kSecret, "west", kNow).ok());
  EXPECT_TRUE(Refuses(tokens.Redeem("a", kSecret, "thief", kNow), "used by another"));
  // Which has cost the rightful one nothing.
  EXPECT_TRUE(tokens.Redeem("a", kSecret, "west", kNow).ok());
}

TEST(LinkTokens, ExpireToTheSecondForWhoHasJoinedAsWell) {
  LinkTokens tokens = WithOne();
  EXPECT_TRUE(tokens.Redeem("a", kSecret, "west", kNow + kLinkTokenLife - absl::Seconds(1)).ok());
  EXPECT_EQ(tokens.ValidUntil(kNow), kNow + kLinkTokenLife);
  EXPECT_TRUE(Refuses(tokens.Redeem("a", kSecret, "west", kNow + kLinkTokenLife), "expired"));
  EXPECT_EQ(tokens.ValidUntil(kNow + kLinkTokenLife), absl::InfinitePast());
}

TEST(LinkTokens, AreVoidAfterAFewWrongSecrets) {
  LinkTokens tokens = WithOne();
  for (int i = 0; i < kMostWrongSecrets; ++i) {
    EXPECT_TRUE(Refuses(tokens.Redeem("a", i % 2 == 0 ? kWrong : "", "west", kNow), "wrong"));
  }
  EXPECT_TRUE(Refuses(tokens.Redeem("a", kSecret, "west", kNow), "void"));
  EXPECT_EQ(tokens.ValidUntil(kNow), absl::InfinitePast());
}

TEST(LinkTokens, OfAnotherIssuerAreNotKnown) {
  LinkTokens tokens = WithOne();
  EXPECT_TRUE(Refuses(tokens.Redeem("b", kSecret, "west", kNow), "not known"));
}

TEST(LinkTokens, AreBoundedAndExpiredOnesMakeRoom) {
  LinkTokens tokens;
  for (size_t i = 0; i < kMostLinkTokens; ++i) {
    ASSERT_TRUE(tokens.Add(absl::StrCat(i), kSecret, kNow + kLinkTokenLife, kNow).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(tokens.Add("more", kSecret, kNow + kLinkTokenLife, kNow)));
  const absl::Time later = kNow + kLinkTokenLife;
  EXPECT_TRUE(tokens.Add("more", kSecret, later + kLinkTokenLife, later).ok());
}

TEST(LinkTokens, SurviveTheirFileWithWhatHappenedToThemAndWithoutSecrets) {
  LinkTokens tokens = WithOne();
  ASSERT_TRUE(tokens.Add("old", kSecret, kNow + absl::Seconds(1), kNow).ok());
  ASSERT_TRUE(tokens.Add("guessed", kSecret, kNow + kLinkTokenLife, kNow).ok());
  EXPECT_FALSE(tokens.Redeem("guessed", kWrong, "west", kNow).ok());
  ASSERT_TRUE(tokens.Redeem("a", kSecret, "west", kNow).ok());
  const std::string json = tokens.ToJson(kNow + absl::Seconds(1));
  EXPECT_FALSE(absl::StrContains(json, kSecret));
  EXPECT_FALSE(absl::StrContains(json, "old"));
  auto read = LinkTokens::FromJson(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(Refuses(read->Redeem("a", kSecret, "thief", kNow), "used by another"));
  for (int i = 1; i < kMostWrongSecrets; ++i) {
    EXPECT_FALSE(read->Redeem("guessed", kWrong, "west", kNow).ok());
  }
  EXPECT_TRUE(Refuses(read->Redeem("guessed", kSecret, "west", kNow), "void"));
}

TEST(LinkTokens, Row110ATornFileIsAnError) {
  const std::string whole = WithOne().ToJson(kNow);
  for (size_t size = 0; size + 2 < whole.size(); ++size) {
    EXPECT_FALSE(LinkTokens::FromJson(whole.substr(0, size)).ok()) << size;
  }
  for (const char* text :
       {"[]", "null", "{\"a\":{}}", "{\"a\":1}",
        "{\"a\":{\"secretSha256\":1,\"expires\":1,\"wrong\":0,\"joiner\":\"\"}}"}) {
    EXPECT_FALSE(LinkTokens::FromJson(text).ok()) << text;
  }
}

// ---- As text.

peer::v1::LinkToken Token() {
  peer::v1::LinkToken token;
  token.set_id("a");
  token.set_secret(kSecret);
  token.set_expires(absl::ToUnixSeconds(kNow));
  token.mutable_issuer()->set_cluster("east");
  return token;
}

TEST(LinkTokenText, IsOneWordThatReadsBack) {
  const std::string text = EncodeLinkToken(Token());
  EXPECT_TRUE(absl::StartsWith(text, "weft1."));
  EXPECT_EQ(text.find_first_of(" =+/\n\"'$"), std::string::npos);
  const auto read = DecodeLinkToken(absl::StrCat("  ", text, "\n"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), Token().SerializeAsString());
}

TEST(LinkTokenText, WhatIsNoneIsRefusedWithAReason) {
  const std::string good = EncodeLinkToken(Token());
  peer::v1::LinkToken no_secret = Token(), no_id = Token(), no_issuer = Token();
  no_secret.set_secret("short");
  no_id.clear_id();
  no_issuer.clear_issuer();
  const struct {
    std::string text, why;
  } cases[] = {
      {"", "does not begin"},
      {"weft2." + good.substr(6), "does not begin"},
      {"weft1.", "missing"},
      {"weft1.%%%", "not whole"},
      {good.substr(0, good.size() / 2), "not whole"},
      {good.substr(0, 20) + "\n\x01" + good.substr(20), "not whole"},
      {good + std::string(kMaxLinkToken, 'A'), "too long"},
      {EncodeLinkToken(no_secret), "missing"},
      {EncodeLinkToken(no_id), "missing"},
      {EncodeLinkToken(no_issuer), "missing"},
  };
  for (const auto& c : cases) {
    const auto read = DecodeLinkToken(c.text);
    ASSERT_FALSE(read.ok()) << c.text.substr(0, 80);
    EXPECT_TRUE(absl::StrContains(read.status().message(), c.why))
        << c.text.substr(0, 80) << ": " << read.status();
  }
}

}  // namespace
}  // namespace weft
