#include "certs/spiffe_id.h"

#include "gtest/gtest.h"

namespace weft::certs {
namespace {

TEST(SpiffeId, PrintsBackWhatItParsed) {
  const std::string uri = "spiffe://east.local/ns/default/sa/book.info-v1";
  absl::StatusOr<SpiffeId> id = SpiffeId::Parse(uri);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->trust_domain, "east.local");
  EXPECT_EQ(id->namespace_, "default");
  EXPECT_EQ(id->service_account, "book.info-v1");
  EXPECT_EQ(id->ToString(), uri);
}

TEST(SpiffeId, RefusesWhateverHasASecondReading) {
  const std::string refused[] = {
      "",
      "spiffe://",
      "spiffe://td",
      "spiffe://td/ns/a/sa",
      "spiffe://td/ns/a/sa/",
      "spiffe://td/ns//sa/b",
      "spiffe://td/ns/a/sa/b/",
      "spiffe://td/ns/a/sa/b/c",
      "spiffe://td//ns/a/sa/b",
      "spiffe://td/ns/../sa/b",
      "spiffe://td/ns/a/sa/.",
      "spiffe:///ns/a/sa/b",
      "spiffe://TD/ns/a/sa/b",
      "SPIFFE://td/ns/a/sa/b",
      "spiffe://td:443/ns/a/sa/b",
      "spiffe://user@td/ns/a/sa/b",
      "spiffe://td/ns/a/sa/b?x",
      "spiffe://td/ns/a/sa/b#x",
      "spiffe://td/ns/a/sa/%62",
      "spiffe://td/sa/b/ns/a",
      "https://td/ns/a/sa/b",
      " spiffe://td/ns/a/sa/b",
      "spiffe://" + std::string(256, 'a') + "/ns/a/sa/b",
      "spiffe://td/ns/a/sa/" + std::string(2048, 'a'),
      std::string("spiffe://td/ns/a/sa/b\0.evil", 27),
  };
  for (const std::string& uri : refused) EXPECT_FALSE(SpiffeId::Parse(uri).ok()) << uri;
}

TEST(SpiffeId, EscapesForeignBytesInItsErrors) {
  const std::string message(SpiffeId::Parse("spiffe://td/\n\x01").status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace weft::certs
