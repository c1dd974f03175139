#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/yaml_to_message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Names(const std::vector<YAML::Node>& documents) {
  std::vector<std::string> names;
  for (const YAML::Node& document : documents) names.push_back(document["name"].Scalar());
  return names;
}

TEST(YamlDocuments, SplitsAStreamAndLeavesOutEmptyOnes) {
  const struct {
    const char* text;
    size_t documents;
  } cases[] = {
      {"", 0},
      {"# only a comment\n", 0},
      {"---\n---\n", 0},
      {"a: 1", 1},
      {"---\na: 1\n---\nb: 2\n", 2},
      {"a: 1\n...\n---\nb: 2\n---\n# nothing\n", 2},
      {"%YAML 1.2\n---\na: 1\n", 1},
      {"{\"a\":{\"b\":[1,2,\"c\"]}}", 1},
      {"{\n\t\"a\": \"x\\/y\",\n\t\"b\": null\n}\n", 1},
      {"a: |\n  ---\n  not a boundary\n", 1},
  };
  for (const auto& c : cases) {
    const auto documents = ParseYamlDocuments(c.text);
    ASSERT_TRUE(documents.ok()) << c.text << "\n" << documents.status();
    EXPECT_EQ(documents->size(), c.documents) << c.text;
  }
}

TEST(YamlDocuments, NamesTheLineOfAnError) {
  const struct {
    const char* text;
    const char* line;
  } cases[] = {
      {"a: [1, 2\nb: 3\n", "line "},
      {"a: 1\n  b: 2\n", "line 2"},
      {"a: 1\n---\nb: 1\n---\nc: *nowhere\n", "line 5"},
      {"a: \"never closed\n", "line "},
      {"a: 'never closed", "line "},
  };
  for (const auto& c : cases) {
    const auto documents = ParseYamlDocuments(c.text);
    ASSERT_FALSE(documents.ok()) << c.text;
    EXPECT_THAT(std::string(documents.status().message()), HasSubstr(c.line)) << c.text;
  }
}

TEST(YamlDocuments, ABrokenDocumentDoesNotSpoilTheOthers) {
  const YamlStream stream = ParseYamlStream(
      "name: one\n"
      "---\n"
      "name: [broken\n"
      "---\n"
      "name: two\n"
      "---\n"
      "name: \"also broken\n"
      "---\n"
      "name: three\n");
  EXPECT_THAT(Names(stream.documents), ElementsAre("one", "two", "three"));
  ASSERT_EQ(stream.documents.size(), 3u);
  ASSERT_EQ(stream.errors.size(), 2u);
  EXPECT_THAT(std::string(stream.errors[0].message()), HasSubstr("line "));
  EXPECT_EQ(stream.documents[1].Mark().line + 1, 5) << "lines count from the start of the text";
  EXPECT_EQ(stream.documents[2].Mark().line + 1, 9);
}

TEST(YamlDocuments, BoundsTheSizeAndTheNesting) {
  EXPECT_FALSE(ParseYamlDocuments(std::string(kMaxYamlBytes + 1, '\n')).ok());
  EXPECT_FALSE(ParseYamlDocuments(std::string(100'000, '[')).ok());
  EXPECT_FALSE(ParseYamlDocuments(std::string(100'000, '{')).ok());
}

// (yaml-cpp never comes back from the first.)
TEST(YamlDocuments, RefusesControlCharacters) {
  for (const std::string& text :
       {std::string("a: \"x\0\ny\n", 9), std::string("a: 'x\4\ny"), std::string("a: b\x7f")}) {
    const auto documents = ParseYamlDocuments(absl::StrCat("---\nok: 1\n---\n", text));
    ASSERT_FALSE(documents.ok());
    EXPECT_TRUE(absl::StartsWith(documents.status().message(), "line 4: the character U+00"))
        << documents.status();
  }
  EXPECT_TRUE(ParseYamlDocuments("a: \"\\0ü\"\r\n").ok());
}

TEST(YamlDocuments, SurvivesBytesThatAreNoYaml) {
  for (const std::string& text :
       {std::string("\0\0\0", 3), std::string("\xff\xfe\x00", 3), std::string("a: \xc3\x28"),
        std::string("\x7f"
                    "ELF"),
        std::string("- - - -\n\t- x"), std::string("&a &b c: *d"), std::string("\"\\ud83d\""),
        std::string("? : ? :"), std::string("!!!! x")}) {
    const YamlStream stream = ParseYamlStream(text);
    for (const absl::Status& error : stream.errors) EXPECT_FALSE(error.ok());
  }
}

}  // namespace
}  // namespace weft
