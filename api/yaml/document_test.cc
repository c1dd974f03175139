#include "api/yaml/document.h"

#include <string>

#include "api/istio/networking.pb.h"
#include "api/kubernetes/core.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::istio::networking::v1alpha3::DestinationRule;
using ::istio::networking::v1alpha3::VirtualService;
using ::testing::HasSubstr;

// As the parser saw it, in one spelling.
std::string Print(YamlNode value) {
  switch (value.kind()) {
    case YamlNode::Kind::kUndefined:
      return "undefined";
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kString:
      return "'" + std::string(value.Scalar()) + "'";
    case YamlNode::Kind::kNumber:
    case YamlNode::Kind::kBool:
      return std::string(value.Scalar());
    case YamlNode::Kind::kSequence:
    case YamlNode::Kind::kMap:
      break;
  }
  std::string text;
  for (const YamlItem& item : value) {
    if (!text.empty()) text += ",";
    text +=
        value.IsMap() ? std::string(item.first.Scalar()) + ":" + Print(item.second) : Print(item);
  }
  return value.IsMap() ? "{" + text + "}" : "[" + text + "]";
}

std::string Parsed(const std::string& text) {
  const auto document = YamlDocument::ParseJson(text);
  return document.ok() ? Print((*document)->root()) : std::string(document.status().message());
}

TEST(ParseJson, ReadsWhatIsJson) {
  const struct {
    const char* text;
    const char* value;
  } cases[] = {
      {R"({})", "{}"},
      {R"( [ ] )", "[]"},
      {R"({"a":1,"b":[true,false,null,"x"],"c":{"d":{}}})",
       "{a:1,b:[true,false,null,'x'],c:{d:{}}}"},
      {"[0,-0,1.5,-2e3,4E+05,6e-7]", "[0,-0,1.5,-2e3,4E+05,6e-7]"},
      {"\t\r\n[\n1 ,\t2 ]\n", "[1,2]"},
      {R"("\"\\\/\b\f\n\r\t")", "'\"\\/\b\f\n\r\t'"},
      {R"("\u0041\u00e4\u20AC\ud83d\ude00")", "'A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'"},
      {R"("\ud83dx\ude00")", "'\xef\xbf\xbdx\xef\xbf\xbd'"},
      {R"("\ud83d\u0041")",
       "'\xef\xbf\xbd"
       "A'"},
      {R"({"a\n":"b"})", "{a\n:'b'}"},
      {R"({"a":1,"a":2})", "{a:1,a:2}"},
  };
  for (const auto& c : cases) EXPECT_EQ(Parsed(c.text), c.value) << c.text;
}

TEST(ParseJson, RefusesWhatIsNot) {
  for (const char* text :
       {"",       " ",       "{",         "[",           "]",      "{]",    "[}",
        "[1,]",   "{,}",     "{\"a\"}",   "{\"a\":}",    "{a:1}",  "{1:2}", "[1 2]",
        "1 2",    "[] []",   "tru",       "nulll",       "True",   "01",    "-",
        "1.",     ".5",      "1e",        "+1",          "0x1",    "NaN",   "\"",
        "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "'a'",   "// x"}) {
    EXPECT_THAT(Parsed(text), HasSubstr("not valid JSON: byte ")) << text;
  }
}

// Every prefix of a text ends in an error, never beyond its end (row 94).
TEST(ParseJson, RefusesEveryPrefix) {
  const std::string text = R"({"a":[1.5e3,"\ud83d\ude00\n",true,null,{"b":false}]})";
  EXPECT_EQ(Parsed(text), "{a:[1.5e3,'\xf0\x9f\x98\x80\n',true,null,{b:false}]}");
  for (size_t i = 0; i < text.size(); ++i) {
    EXPECT_THAT(Parsed(text.substr(0, i)), HasSubstr("not valid JSON")) << i;
  }
}

TEST(ParseJson, Row94NestingIsBounded) {
  const auto nested = [](int depth) {
    return std::string(depth, '[') + "1" + std::string(depth, ']');
  };
  EXPECT_EQ(Parsed(nested(100)), nested(100));
  EXPECT_EQ(Parsed(nested(101)), "nested deeper than 100 levels");
  EXPECT_EQ(Parsed(std::string(1'000'000, '[')), "nested deeper than 100 levels");
}

TEST(YamlNode, FindsMembers) {
  const auto document = YamlDocument::ParseJson(R"({"a":{"b":"c"},"l":[1],"a":2})");
  ASSERT_TRUE(document.ok());
  const YamlNode root = (*document)->root();
  EXPECT_EQ(root["a"]["b"].Scalar(), "c");
  EXPECT_FALSE(root["x"].IsDefined());
  EXPECT_FALSE(root["x"]["y"].IsDefined());
  EXPECT_FALSE(root["l"]["y"].IsDefined());
  EXPECT_EQ(root["l"].Scalar(), "");
}

// The same text by both ways gives the same message, or the same error but for the line.
TEST(ParseJson, ReadsAsYamlDoes) {
  const char* texts[] = {
      R"({"hosts":["a"],"http":[{"name":"n","timeout":"5s","match":[{"port":80,"ignoreUriCase":true,
          "uri":{"prefix":"/"},"headers":{"x":{"exact":"1"}}}],
          "route":[{"destination":{"host":"b","port":{"number":1e3}},"weight":"7"}]}]})",
      R"({"http":[{"corsPolicy":{"unmatchedPreflights":"ignore"}}],"gateways":null})",
      R"({"http":[{"route":[{"weigth":1}]}]})",
      R"({"hosts":"a"})",
      R"({"hosts":["a"],"hosts":["b"]})",
      R"({"http":[{"timeout":5}]})",
      R"({"http":[{"name":true}]})",
      R"({"http":[null]})",
      R"({"http":{"retries":{}}})",
      R"({"http":[{"match":[{"uri":{"exact":"a","prefix":"b"}}]}]})",
      R"({"http":[{"match":[{"port":-1}]}]})",
      R"({"http":[{"match":[{"port":1.5}]}]})",
      R"({"http":[{"match":[{"ignoreUriCase":"true"}]}]})",
      R"({"http":[{"corsPolicy":{"unmatchedPreflights":17}}]})",
      R"([])",
  };
  for (const std::string text : texts) {
    VirtualService by_yaml;
    VirtualService by_json;
    const auto yaml = ParseYamlDocuments(text);
    ASSERT_TRUE(yaml.ok()) << yaml.status();
    std::string yaml_error(
        YamlToMessage((*yaml)[0]->root(), UnknownFields::kReject, &by_yaml).message());
    const auto document = YamlDocument::ParseJson(text);
    ASSERT_TRUE(document.ok()) << document.status();
    const std::string json_error(
        YamlToMessage((*document)->root(), UnknownFields::kReject, &by_json).message());
    for (const char* line : {" (line 1)", "line 1: "}) {
      if (const size_t at = yaml_error.find(line); at != std::string::npos) {
        yaml_error.erase(at, std::string(line).size());
      }
    }
    EXPECT_EQ(json_error, yaml_error) << text;
    EXPECT_EQ(MessageToJson(by_json, false), MessageToJson(by_yaml, false)) << text;
  }
}

TEST(ParseJson, TellsStringsFromNumbers) {
  const auto read = [](const char* text) {
    kubernetes::Service service;
    const auto document = YamlDocument::ParseJson(text);
    const absl::Status status =
        YamlToMessage((*document)->root(), UnknownFields::kSkip, &service, "");
    return status.ok() ? MessageToJson(service, false) : std::string(status.message());
  };
  EXPECT_EQ(read(R"({"metadata":{"labels":{"version":"1"}}})"),
            R"({"metadata":{"labels":{"version":"1"}}})");
  EXPECT_EQ(read(R"({"metadata":{"labels":{"on":"true"}}})"),
            R"({"metadata":{"labels":{"on":"true"}}})");
  EXPECT_EQ(read(R"({"spec":{"ports":[{"targetPort":80},{"targetPort":"80"}]}})"),
            R"({"spec":{"ports":[{"targetPort":80},{"targetPort":"80"}]}})");
  EXPECT_EQ(read(R"({"metadata":{"name":5}})"),
            "metadata.name: expected a string, got number 5; quote it");
}

TEST(ParseJson, RefusesInvalidUtf8) {
  DestinationRule rule;
  const auto document = YamlDocument::ParseJson("{\"host\":\"\xff\"}");
  EXPECT_EQ(YamlToMessage((*document)->root(), UnknownFields::kReject, &rule, "spec").message(),
            "spec.host: not valid UTF-8");
}

}  // namespace
}  // namespace weft
