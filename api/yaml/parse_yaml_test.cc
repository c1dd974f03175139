#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/document.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Names(const std::vector<std::shared_ptr<const YamlDocument>>& documents) {
  std::vector<std::string> names;
  for (const auto& document : documents) {
    names.emplace_back(document->root()["name"].Scalar());
  }
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
      {"\xef\xbb\xbf"
       "a: 1\n",
       1},
      {"# a comment\n%YAML 1.1\n# and another\n---\na: 1\n...\n# the end\n", 1},
      {"%TAG !e! tag:example.org,2000:\n---\n!e!x {a: 1}\n--- b\n", 2},
      {"... # ends nothing\na: 1\n", 1},
      {"~\n---\nnull\n---\n\"\"\n", 1},
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
      {"a: 1\n---\nb:\n- \"x\n\n",
       "line 6: found unexpected end of stream while scanning a quoted scalar that begins in line "
       "4"},
      {"ok: 1\nb: \"\xff\"\n", "line 2: not valid UTF-8"},
      {"a: *b\nb: &b 1", "line 1: the alias '*b' stands for nothing before it"},
      {"\n"
       R"({"a": " "typedConfig": {"b": [}})",
       "line 2: "},
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
  EXPECT_EQ(stream.documents[1]->root().line(), 5) << "lines count from the start of the text";
  EXPECT_EQ(stream.documents[2]->root().line(), 9);
}

TEST(YamlDocuments, BoundsTheSizeAndTheNesting) {
  EXPECT_FALSE(ParseYamlDocuments(std::string(kMaxYamlBytes + 1, '\n')).ok());
  EXPECT_FALSE(ParseYamlDocuments(std::string(100'000, '[')).ok());
  EXPECT_FALSE(ParseYamlDocuments(std::string(100'000, '{')).ok());
  EXPECT_FALSE(ParseYamlDocuments(absl::StrCat("a: ", std::string(10'000'000, '['))).ok());
  std::string blocks;
  for (int i = 0; i < 2000; ++i) blocks += "- ";
  EXPECT_FALSE(ParseYamlDocuments(blocks).ok());
}

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

// As a plain scalar means it: what a reader of Kubernetes' would make of it.
TEST(YamlDocuments, TellsKindsOfScalars) {
  using Kind = YamlNode::Kind;
  const struct {
    const char* text;
    Kind kind;
    const char* scalar;
  } cases[] = {
      {"a", Kind::kString, "a"},
      {"5", Kind::kNumber, "5"},
      {"'5'", Kind::kString, "5"},
      {"on", Kind::kBool, "on"},
      {"", Kind::kNull, ""},
      {"~", Kind::kNull, ""},
      {"\"\"", Kind::kString, ""},
      {"!!str", Kind::kString, ""},
      {"! 5", Kind::kString, "5"},
      {"!!str 5", Kind::kString, "5"},
      {"!!int \"5\"", Kind::kNumber, "5"},
      {"|\n  true", Kind::kString, "true"},
      {"\"\\u00fc\\0\"", Kind::kString, "\u00fc"},
      {"[]", Kind::kSequence, ""},
      {"{}", Kind::kMap, ""},
  };
  for (const auto& c : cases) {
    const auto documents = ParseYamlDocuments(absl::StrCat("- ", c.text));
    ASSERT_TRUE(documents.ok()) << c.text << ": " << documents.status();
    const YamlNode node = *documents->front()->root().begin();
    EXPECT_EQ(node.kind(), c.kind) << c.text;
    EXPECT_TRUE(absl::StartsWith(node.Scalar(), c.scalar)) << c.text;
  }
}

TEST(YamlDocuments, AnAliasIsWhatItStandsFor) {
  const auto documents = ParseYamlDocuments("a: &x {b: [&y 1, *y]}\n*y : *x\nc: d\n");
  ASSERT_TRUE(documents.ok()) << documents.status();
  const YamlNode root = documents->front()->root();
  EXPECT_EQ(root["1"]["b"].kind(), YamlNode::Kind::kSequence);
  EXPECT_EQ(root["c"].Scalar(), "d");
  std::string items;
  for (const YamlNode& item : root["a"]["b"]) items += std::string(item.Scalar());
  EXPECT_EQ(items, "11");
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
