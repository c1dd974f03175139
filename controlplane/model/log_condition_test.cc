#include "controlplane/model/log_condition.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using Kind = LogCondition::Kind;

std::string Text(const LogCondition& condition);

std::string Each(const LogCondition& condition, const char* op) {
  return absl::StrCat(
      "(",
      absl::StrJoin(condition.parts, op,
                    [](std::string* out, const LogCondition& part) { out->append(Text(part)); }),
      ")");
}

std::string Compared(const char* what, const LogCondition& condition) {
  constexpr const char* kSigns[] = {"==", "!=", ">=", "<="};
  return absl::StrCat(what, kSigns[static_cast<int>(condition.comparison)], condition.number);
}

std::string Text(const LogCondition& condition) {
  constexpr const char* kTexts[] = {"?", "==", "^=", "$=", "*=", "~="};
  switch (condition.kind) {
    case Kind::kAlways:
      return "always";
    case Kind::kNever:
      return "never";
    case Kind::kMutualTls:
      return "mtls";
    case Kind::kNoMutualTls:
      return "plain";
    case Kind::kStatus:
      return Compared("status", condition);
    case Kind::kDuration:
      return Compared("ms", condition);
    case Kind::kGrpcStatus:
      return Compared("grpc", condition);
    case Kind::kAnyFlag:
      return "flags";
    case Kind::kHeader:
      return absl::StrCat(condition.negated ? "!" : "", condition.header,
                          kTexts[static_cast<int>(condition.text)], condition.value);
    case Kind::kAll:
      return Each(condition, " & ");
    case Kind::kAny:
      return Each(condition, " | ");
  }
  return "";
}

TEST(LogCondition, ReadsWhatFiltersCanDecide) {
  const struct {
    const char* expression;
    const char* condition;
  } rows[] = {
      {"response.code >= 400", "status>=400"},
      {"response.code > 399 ", "status>=400"},
      {"response.code<500", "status<=499"},
      {"response.code < 0", "never"},
      {"response.code == 404 || response.code==503", "(status==404 | status==503)"},
      {"400 <= response.code", "status>=400"},
      {"!(response.code >= 400)", "status<=399"},
      {"!(response.code <= 4)", "status>=5"},
      {"!(response.code >= 0)", "never"},
      {"!(response.code == 200)", "status!=200"},
      {"has(response.code)", "status>=1"},
      {"true", "always"},
      {"!true", "never"},
      {"connection.mtls", "mtls"},
      {"!connection.mtls", "plain"},
      {"connection.mtls == false", "plain"},
      {"connection.mtls != false", "mtls"},
      {"request.duration > duration('1.5s')", "ms>=1501"},
      {"request.duration <= duration(\"500ms\")", "ms<=500"},
      {"response.grpc_status == 14", "grpc==14"},
      {"response.grpc_status != 0", "grpc!=0"},
      {"response.flags != 0", "flags"},
      {"request.method == 'GET'", ":method==GET"},
      {"'GET' != request.method", "!:method==GET"},
      {"request.host.endsWith('.test')", ":authority$=.test"},
      {"request.path.startsWith('/a?b')", ":path^=/a?b"},
      {"request.url_path.startsWith('/a')", ":path^=/a"},
      {"request.url_path == '/a.b'", ":path~=\\/a\\.b(?s:\\?.*)?"},
      {"request.url_path.contains('x')", ":path~=[^?]*x(?s:.*)"},
      {"request.url_path.endsWith('x')", ":path~=[^?]*x(?s:\\?.*)?"},
      {"request.url_path.contains('?')", "never"},
      {"request.url_path.startsWith('/a?b')", "never"},
      {"request.useragent.matches('^kube-probe/')", "user-agent~=(?s:.*)(?:^kube-probe/)(?s:.*)"},
      {"request.headers['X-Debug'] == 'it\\'s'", "x-debug==it's"},
      {"request.headers.origin == 'a'", "origin==a"},
      {"'X-Debug' in request.headers", "x-debug?"},
      {"!('x-debug' in request.headers)", "!x-debug?"},
      {"has(request.referer)", "referer?"},
      // Istio's own examples.
      {"connection.mtls && request.url_path.contains('v1beta3')",
       "(mtls & :path~=[^?]*v1beta3(?s:.*))"},
      {"!has(request.useragent) || "
       "!(request.useragent.startsWith(\"Amazon-Route53-Health-Check-Service\"))",
       "(!user-agent? | !user-agent^=Amazon-Route53-Health-Check-Service)"},
      // "&&" binds closer; what is of one kind is one list; "not" goes down to the leaves.
      {"true || false && false", "(always | (never & never))"},
      {"response.code == 1 && (response.code == 2 && response.code == 3)",
       "(status==1 & status==2 & status==3)"},
      {"!(connection.mtls && (response.code == 1 || request.id == 'x'))",
       "(plain | (status!=1 & !x-request-id==x))"},
  };
  for (const auto& row : rows) {
    const auto condition = ParseLogCondition(row.expression);
    ASSERT_TRUE(condition.ok()) << row.expression << ": " << condition.status();
    EXPECT_EQ(Text(*condition), row.condition) << row.expression;
  }
}

TEST(LogCondition, NamesWhatItCannotDecide) {
  const struct {
    std::string expression;
    const char* error;
  } rows[] = {
      {"", "ends where a condition is expected"},
      {"response.code >=", "ends where a value is expected"},
      {"response.code", "a comparison of response.code"},
      {"response.code >= 400 foo", "at character 22, 'foo': expected an operator"},
      {"response.code >= '400'", "response.code is compared with a whole number"},
      {"response.code >= 4x", "expected an operator"},
      {"response.code == 99999999999", "is out of range"},
      {"response.code == 99999999999999999999999", "too large"},
      {"response.code + 1 == 5", "a comparison of response.code"},
      {"request.duration > 5", "compared with duration('1s')"},
      {"request.duration > duration('soon')", "'soon' is not a duration"},
      {"response.grpc_status > 3", "response.grpc_status > 3 is not supported"},
      {"response.flags == 0", "response.flags == 0 is not supported"},
      {"!(response.flags != 0)", "that no response flag is set is not supported"},
      {"source.address == '1.2.3.4'", "source.address is not supported"},
      {"request.time.getHours() == 3", "request.time.getHours is not supported"},
      {"response.headers['x'] == 'y'", "response.headers is not supported"},
      {"request.headers == 'x'", "request.headers is not supported"},
      {"request.headers[x] == 'y'", "a comparison with 'x' is not supported"},
      {"'x' in response.trailers", "response.trailers is not supported"},
      {"request.url_path.matches('x')", "request.url_path.matches() is not supported"},
      {"request.host.matches('(')", "is not a regular expression"},
      {"request.host.size() == 3", "request.host.size is not supported"},
      {"request.host == 5", "request.host is a text"},
      {"request.host > 'a'", "request.host is a text"},
      {"request.host == 'a", "does not end"},
      {"request.host == '\\n'", "the escape '\\n' is not supported"},
      {"connection.mtls == 'yes'", "connection.mtls is true or false"},
      {"(response.code == 1", "ends where ')' is expected"},
      {"has(response.flags)", "has(response.flags) is not supported"},
      {std::string(100, '!') + "true", "nested too deeply"},
      {std::string(100, '(') + "true" + std::string(100, ')'), "nested too deeply"},
      {std::string(5000, ' '), "longer than 4096 bytes"},
  };
  for (const auto& row : rows) {
    const auto condition = ParseLogCondition(row.expression);
    ASSERT_FALSE(condition.ok()) << row.expression;
    EXPECT_TRUE(absl::StrContains(condition.status().message(), row.error))
        << row.expression << "\nexpected: " << row.error << "\nactual:   " << condition.status();
  }
}

}  // namespace
}  // namespace weft
