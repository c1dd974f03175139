#include "proxy/base/log.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Log, QuotesValuesThatWouldNotReadBackAsOneWord) {
  struct Case {
    std::string value;
    std::string written;
  };
  const Case cases[] = {
      {"west", "v=west"},
      {"10.0.0.1:15443", "v=10.0.0.1:15443"},
      {"", "v=\"\""},
      {"two words", "v=\"two words\""},
      {"a=b", "v=\"a=b\""},
      {"say \"hi\"", "v=\"say \\\"hi\\\"\""},
      {"back\\slash", "v=\"back\\\\slash\""},
  };
  for (const Case& c : cases) EXPECT_EQ(FormatLogLine("e", {{"v", c.value}}), "e " + c.written);
}

TEST(Log, StaysOneLineWhateverThePeerSent) {
  EXPECT_EQ(FormatLogLine("e", {{"v", "a\nb"}, {"w", std::string("\x1b[0m\0", 5)}}),
            "e v=\"a\\nb\" w=\"\\x1b[0m\\x00\"");
}

TEST(Log, LevelsFilter) {
  SetLogLevel(LogLevel::kWarning);
  EXPECT_FALSE(IsLogged(LogLevel::kInfo));
  EXPECT_TRUE(IsLogged(LogLevel::kError));
  SetLogLevel(LogLevel::kInfo);
  EXPECT_TRUE(IsLogged(LogLevel::kInfo));
  EXPECT_EQ(ParseLogLevel("warn"), LogLevel::kWarning);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
}

}  // namespace
}  // namespace weft
