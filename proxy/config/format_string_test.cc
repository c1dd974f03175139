#include "proxy/config/format_string.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "absl/strings/match.h"

namespace weft {
namespace {

TEST(ParseFormat, PiecesAndLiterals) {
  auto format = ParseFormat("a %REQ(X-A?:path):8% 100%% %DURATION%!");
  ASSERT_TRUE(format.ok()) << format.status();
  const auto& p = format->pieces;
  ASSERT_EQ(p.size(), 5u);
  EXPECT_EQ(p[0].text, "a ");
  EXPECT_EQ(p[1].op, FormatOperator::kRequestHeader);
  EXPECT_EQ(p[1].text, "x-a");
  EXPECT_EQ(p[1].alternative, ":path");
  EXPECT_EQ(p[1].max_length, 8u);
  EXPECT_EQ(p[2].text, " 100% ");
  EXPECT_EQ(p[3].op, FormatOperator::kDuration);
  EXPECT_EQ(p[4].text, "!");
}

TEST(ParseFormat, WhatIsKnownNowIsALiteral) {
  setenv("WEFT_FORMAT_TEST", "here", 1);
  auto format = ParseFormat("%ENVIRONMENT(WEFT_FORMAT_TEST)%-%HOSTNAME%");
  ASSERT_TRUE(format.ok()) << format.status();
  ASSERT_NE(format->literal(), nullptr);
  EXPECT_TRUE(absl::StartsWith(*format->literal(), "here-"));
}

TEST(ParseFormat, AStartTimeMayHoldPerCentSigns) {
  auto format = ParseFormat("%START_TIME(%Y/%m %3f)% x");
  ASSERT_TRUE(format.ok()) << format.status();
  ASSERT_EQ(format->pieces.size(), 2u);
  EXPECT_EQ(format->pieces[0].text, "%Y/%m %3f");
}

TEST(ParseFormat, KnowsEveryOperatorOfTheDocumentation) {
  for (const char* text :
       {"%TRAILER(x)%", "%RESP(x?y):3%", "%PROTOCOL%", "%RESPONSE_FLAGS%", "%UPSTREAM_REMOTE_PORT%",
        "%DOWNSTREAM_PEER_SUBJECT%", "%GRPC_STATUS(SNAKE_STRING)%", "%VIRTUAL_CLUSTER_NAME%",
        "%DYNAMIC_METADATA(a:b)%", "%CONNECTION_ID%", "%STREAM_ID%",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"}) {
    EXPECT_TRUE(ParseFormat(text).ok()) << text << ": " << ParseFormat(text).status();
  }
}

TEST(ParseFormat, Errors) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"%NOPE%", "'NOPE': is not a command operator"},
      {"50%", "'50%': a command operator ends with '%'"},
      {"%REQ%", "'REQ': needs a header name"},
      {"%REQ(a?b?c)%", "needs one header name"},
      {"%REQ(x):y%", "a length must follow"},
      {"%REQ(x", "a command operator ends with '%'"},
      {"%PROTOCOL(x)%", "takes no argument"},
      {"%ENVIRONMENT%", "needs the name of a variable"},
  };
  for (const auto& c : cases) {
    auto format = ParseFormat(c.text);
    ASSERT_FALSE(format.ok()) << c.text;
    EXPECT_TRUE(absl::StrContains(format.status().message(), c.error)) << format.status();
  }
}

}  // namespace
}  // namespace weft
