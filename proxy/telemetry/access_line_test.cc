#include "proxy/telemetry/access_line.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/access_log.pb.h"
#include "api/envoy/file_access_log.pb.h"
#include "api/envoy/stream_access_log.pb.h"
#include "proxy/config/compile_access_log.h"

namespace weft {
namespace {

absl::StatusOr<AccessLogConfig> Compile(const std::string& log) {
  envoy::config::accesslog::v3::AccessLog message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(log, &message)) << log;
  return CompileAccessLog(message);
}

absl::StatusOr<AccessLogConfig> CompileFile(const std::string& file,
                                            const std::string& filter = "") {
  return Compile(absl::StrCat(filter, R"( typed_config {
        [type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog] { path: "/f" )",
                              file, "} }"));
}

struct Input {
  Input() {
    record.status = 404;
    record.duration = absl::Milliseconds(12);
    record.flag = ResponseFlag::kNoRouteFound;
    record.grpc_status = 5;
    head.method = "GET";
    head.path = "/p";
    head.headers.Add("x-a", "1");
    head.headers.Add("x-q", "\"\x01\xc3\xa4");
    head.headers.Add("x-latin", "\xe4");
  }
  FormatInput Get() const {
    FormatInput input;
    input.record = &record;
    input.request = &head;
    return input;
  }
  RequestRecord record;
  RequestHead head;
};

TEST(AccessLine, TheDefaultIsALineOfTwentyTwoFields) {
  auto log = CompileFile("");
  ASSERT_TRUE(log.ok()) << log.status();
  const std::string line = AccessLine(*log, Input().Get());
  EXPECT_TRUE(absl::StartsWith(
      line, "[1970-01-01T00:00:00.000Z] \"GET /p HTTP/1.1\" 404 NR - - \"-\" 0 0 12 - \"-\""))
      << line;
  EXPECT_EQ(line.back(), '\n');
}

TEST(AccessLine, Json) {
  const struct {
    const char* format;
    const char* line;
  } cases[] = {
      {R"(fields { key: "s" value { string_value: "%RESPONSE_CODE%" } }
          fields { key: "m" value { string_value: "%REQ(:METHOD)% %REQ(none)%" } })",
       R"({"m":"GET -","s":404})"},
      {R"(fields { key: "n" value { string_value: "%REQ(none)%" } })", R"({"n":null})"},
      {R"(fields { key: "q" value { string_value: "%REQ(x-q)%" } })",
       "{\"q\":\"\\\"\\u0001\xc3\xa4\"}"},
      {R"(fields { key: "q" value { string_value: "%REQ(x-latin)%" } })", R"({"q":"\u00e4"})"},
      {R"(fields { key: "o" value { struct_value { fields { key: "k"
          value { string_value: "%DURATION%" } } } } }
          fields { key: "l" value { list_value { values { number_value: 1 }
          values { bool_value: true } } } })",
       R"({"l":[1,true],"o":{"k":12}})"},
  };
  for (const auto& c : cases) {
    auto log = CompileFile(absl::StrCat("log_format { json_format { ", c.format, " } }"));
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_EQ(AccessLine(*log, Input().Get()), absl::StrCat(c.line, "\n"));
  }
}

TEST(AccessLine, OmittedValues) {
  auto json = CompileFile(R"(log_format { omit_empty_values: true json_format {
      fields { key: "a" value { string_value: "%REQ(none)%" } }
      fields { key: "b" value { string_value: "%REQ(x-a)%" } } } })");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(AccessLine(*json, Input().Get()), "{\"b\":\"1\"}\n");
  auto text = CompileFile(R"(log_format { omit_empty_values: true
      text_format_source { inline_string: "[%REQ(none)%]\n" } })");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(AccessLine(*text, Input().Get()), "[]\n");
}

TEST(AccessLog, ErrorsNameTheField) {
  const struct {
    const char* file;
    const char* error;
  } cases[] = {
      {R"(log_format { text_format: "%BAD%" })", "log_format.text_format: 'BAD': is not"},
      {R"(log_format { text_format_source { inline_string: "%BAD%" } })",
       "log_format.text_format_source: 'BAD'"},
      {R"(format: "5%")", "format: '5%'"},
      {R"(log_format { json_format { fields { key: "k" value { string_value: "%BAD%" } } } })",
       "log_format.json_format.k: 'BAD'"},
      {R"(log_format { formatters { name: "x" } })", "log_format.formatters: is not supported"},
  };
  for (const auto& c : cases) {
    auto log = CompileFile(c.file);
    ASSERT_FALSE(log.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(log.status().message(), c.error)) << log.status();
  }
  EXPECT_TRUE(absl::StartsWith(Compile("name: 'grpc'").status().message(),
                               ": unsupported access log 'grpc'"));
}

TEST(AccessLogFilter, EachKind) {
  const struct {
    const char* filter;
    bool passes;
  } cases[] = {
      {"status_code_filter { comparison { op: GE value { default_value: 400 } } }", true},
      {"status_code_filter { comparison { op: EQ value { default_value: 200 } } }", false},
      {"status_code_filter { comparison { op: NE value { default_value: 404 } } }", false},
      {"duration_filter { comparison { op: LE value { default_value: 12 } } }", true},
      {"duration_filter { comparison { op: GE value { default_value: 13 } } }", false},
      {"not_health_check_filter {}", true},
      {"runtime_filter { percent_sampled { numerator: 0 } }", false},
      {"runtime_filter { percent_sampled { numerator: 100 } }", true},
      {"header_filter { header { name: 'x-a' string_match { exact: '1' } } }", true},
      {"header_filter { header { name: 'x-b' present_match: true } }", false},
      {"response_flag_filter { flags: 'NR' flags: 'UH' }", true},
      {"response_flag_filter { flags: 'UH' }", false},
      {"response_flag_filter {}", true},
      {"grpc_status_filter { statuses: NOT_FOUND }", true},
      {"grpc_status_filter { statuses: NOT_FOUND exclude: true }", false},
      {"and_filter { filters { not_health_check_filter {} } filters { response_flag_filter { "
       "flags: 'UH' } } }",
       false},
      {"or_filter { filters { not_health_check_filter {} } filters { response_flag_filter { "
       "flags: 'UH' } } }",
       true},
  };
  for (const auto& c : cases) {
    auto log = CompileFile("", absl::StrCat("filter { ", c.filter, " }"));
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_EQ(Passes(*log->filter, Input().Get(), 50), c.passes) << c.filter;
  }
}

TEST(AccessLogFilter, ErrorsNameTheField) {
  const struct {
    const char* filter;
    const char* error;
  } cases[] = {
      {"response_flag_filter { flags: 'XX' }",
       "filter.response_flag_filter.flags[0]: unknown flag 'XX'"},
      {"and_filter { filters { not_health_check_filter {} } }",
       "filter.and_filter.filters: must hold at least two"},
      {"traceable_filter {}", "filter: this kind of filter is not supported"},
      {"", "filter: needs one of"},
  };
  for (const auto& c : cases) {
    auto log = CompileFile("", absl::StrCat("filter { ", c.filter, " }"));
    ASSERT_FALSE(log.ok()) << c.error;
    EXPECT_TRUE(absl::StartsWith(log.status().message(), c.error)) << log.status();
  }
}

TEST(AccessLog, WhatIsKeptOfResponses) {
  auto log = CompileFile(R"(log_format { text_format: "%RESP(a?b)% %TRAILER(c)% %RESP(A)%" })");
  ASSERT_TRUE(log.ok());
  const LoggedHeaders kept = HeadersOfLogs({*log});
  EXPECT_EQ(kept.response, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(kept.response_trailers, std::vector<std::string>{"c"});
}

}  // namespace
}  // namespace weft
