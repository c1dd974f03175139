#include "controlplane/sources/kubernetes/json_stream.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Shape = JsonStream::Shape;

// What comes of the chunks: objects and refusals, then the envelope or "(open)"; or the error.
std::string Read(Shape shape, const std::vector<absl::string_view>& chunks) {
  JsonStream stream(shape);
  std::string read;
  for (absl::string_view chunk : chunks) {
    auto objects = stream.Feed(chunk);
    if (!objects.ok()) return absl::StrCat(read, "error: ", objects.status().message());
    for (const std::string& object : *objects) absl::StrAppend(&read, object, "\n");
    for (const std::string& why : stream.TakeRefusals()) absl::StrAppend(&read, why, "\n");
  }
  return absl::StrCat(read, stream.AtEnd() ? stream.envelope() : "(open)");
}

TEST(JsonStream, CutsOutItemsAndEvents) {
  const struct {
    Shape shape;
    const char* text;
    const char* read;
  } cases[] = {
      {Shape::kList, R"({"kind":"List","items":[{"a":1},{"b":[{}]}],"metadata":{"continue":"x"}})",
       "{\"a\":1}\n{\"b\":[{}]}\n{\"kind\":\"List\",\"items\":[],\"metadata\":{\"continue\":\"x\"}"
       "}"},
      {Shape::kList, "\n{ \"items\" : [ {\"a\" : 1} ,\n {} ] }\n",
       "{\"a\" : 1}\n{}\n{ \"items\" : [] }"},
      {Shape::kList, R"({"items":[]})", R"({"items":[]})"},
      {Shape::kList, R"({"items":null,"metadata":{}})", R"({"items":null,"metadata":{}})"},
      {Shape::kList, R"({"metadata":{"items":[{"a":1}]},"items":[{"items":[{}]}]})",
       "{\"items\":[{}]}\n{\"metadata\":{\"items\":[{\"a\":1}]},\"items\":[]}"},
      {Shape::kList, R"({"x\"items":[1],"y":"\"items\":[","items":[{"z":"]}\\"}]})",
       "{\"z\":\"]}\\\\\"}\n{\"x\\\"items\":[1],\"y\":\"\\\"items\\\":[\",\"items\":[]}"},
      {Shape::kWatch, "{\"type\":\"ADDED\",\"object\":{\"a\":\"}\\\"{\"}}\n{\"type\":\"X\"}\n",
       "{\"type\":\"ADDED\",\"object\":{\"a\":\"}\\\"{\"}}\n{\"type\":\"X\"}\n"},
      {Shape::kWatch, "{}{}\r\n\r\n{}", "{}\n{}\n{}\n"},
      {Shape::kWatch, "{\"a\":", "(open)"},
      {Shape::kList, "{\"items\":[{}", "{}\n(open)"},
      {Shape::kList, "", "(open)"},
  };
  for (const auto& c : cases) EXPECT_EQ(Read(c.shape, {c.text}), c.read) << c.text;
}

TEST(JsonStream, Row94SplitAnywhere) {
  const struct {
    Shape shape;
    std::string text;
  } cases[] = {
      {Shape::kList,
       R"({"kind":"List","x":["\\\"items",1],"items" : [{"a":"\u0041\\","b":[{}]}, {}],"m":{}} )"},
      {Shape::kWatch,
       "{\"type\":\"ADDED\",\"object\":{\"a\":\"\\\\\\\"}{\"}}\n{\"type\":\"BOOKMARK\"}\n"},
  };
  for (const auto& c : cases) {
    const std::string whole = Read(c.shape, {c.text});
    EXPECT_THAT(whole, HasSubstr("}\n"));
    const absl::string_view text = c.text;
    for (size_t i = 0; i <= text.size(); ++i) {
      EXPECT_EQ(Read(c.shape, {text.substr(0, i), text.substr(i)}), whole) << i;
    }
    std::vector<absl::string_view> bytes;
    for (size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
    EXPECT_EQ(Read(c.shape, bytes), whole);
  }
}

TEST(JsonStream, Row94ALineOf100MegabytesIsLeftOutByName) {
  JsonStream stream(Shape::kWatch);
  ASSERT_TRUE(stream.Feed(R"({"type":"ADDED","object":{"metadata":{"name":"big"},"x":")").ok());
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(stream.Feed(piece).ok());
  const auto after = stream.Feed("\"}}\n{\"type\":\"DELETED\"}\n");
  ASSERT_TRUE(after.ok());
  EXPECT_THAT(*after, ElementsAre("{\"type\":\"DELETED\"}"));
  EXPECT_THAT(stream.TakeRefusals(),
              ElementsAre(AllOf(HasSubstr("an object with more than 8388608 bytes, which begins: "),
                                HasSubstr("\"name\":\"big\""))));
  EXPECT_TRUE(stream.TakeRefusals().empty());
}

TEST(JsonStream, Row94NestingOf1000IsLeftOutByName) {
  const std::string deep = absl::StrCat("{\"name\":\"deep\",\"x\":", std::string(1000, '['),
                                        std::string(1000, ']'), "}");
  const std::string refusal =
      "an object with a nesting deeper than 100 levels, which begins: {\"name\":\"deep\",\"x\":";
  EXPECT_THAT(Read(Shape::kWatch, {deep, "{}"}), HasSubstr(refusal));
  EXPECT_THAT(Read(Shape::kWatch, {deep, "{}"}), HasSubstr("{}\n"));
  EXPECT_THAT(Read(Shape::kList, {"{\"items\":[", deep, ",{\"b\":1}]}"}), HasSubstr(refusal));
  EXPECT_THAT(Read(Shape::kList, {"{\"items\":[", deep, ",{\"b\":1}]}"}), HasSubstr("{\"b\":1}"));
}

TEST(JsonStream, RefusesOtherThings) {
  const std::string padding(JsonStream::kMaxEnvelope, 'x');
  const struct {
    Shape shape;
    std::string text;
    const char* error;
  } cases[] = {
      {Shape::kWatch, "<html>", "expected an object"},
      {Shape::kWatch, "[]", "expected an object"},
      {Shape::kWatch, "\"a\"", "expected an object"},
      {Shape::kWatch, "{}]", "closes nothing"},
      {Shape::kList, "no", "expected an object"},
      {Shape::kList, "[{}]", "expected one list"},
      {Shape::kList, "{\"items\":[{}]}{}", "expected one list"},
      {Shape::kList, "{\"items\":[1]}", "expected an object"},
      {Shape::kList, "{\"items\":[[]]}", "expected an object"},
      {Shape::kList, "{\"items\":[{}}", "items that do not end"},
      {Shape::kList, absl::StrCat("{\"a\":\"", padding, "\"}"), "more than 1048576 bytes beside"},
  };
  for (const auto& c : cases) EXPECT_THAT(Read(c.shape, {c.text}), HasSubstr(c.error)) << c.error;
}

}  // namespace
}  // namespace weft
