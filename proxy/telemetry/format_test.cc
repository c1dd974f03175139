#include "proxy/telemetry/format.h"

#include <gtest/gtest.h>

#include <string>

namespace weft {
namespace {

struct Fixture {
  Fixture() {
    record.start_time = absl::FromUnixMillis(1'700'000'000'123);
    record.path = "/asked";
    record.status = 503;
    record.grpc_status = 14;
    record.flag = ResponseFlag::kUpstreamOverflow;
    record.AddFlag(ResponseFlag::kDelayInjected);
    record.details = "no healthy upstream";
    record.bytes_received = 5;
    record.bytes_sent = 7;
    record.duration = absl::Milliseconds(30);
    record.request_received = absl::Milliseconds(2);
    record.upstream_time = absl::Milliseconds(20);
    record.attempts = 2;
    record.upstream_host = "10.0.0.1:80";
    record.upstream_cluster = "c";
    record.route_name = "r";
    record.virtual_host = "v";
    record.connection_id = 9;
    record.downstream_local = "[::1]:8080";
    record.downstream_remote = "10.1.2.3:4567";
    record.server_name = "a.example";
    record.peer_uri = "spiffe://d/ns/n/sa/s";
    record.response_trailers.Add("grpc-status", "14");
    head.method = "GET";
    head.scheme = "http";
    head.authority = "host";
    head.path = "/rewritten?q=1";
    head.headers.Add("X-Id", "abc");
    head.headers.Add("x-id", "def");
    head.headers.Add("x-evil", "a\"b\nc");
    response.Add("server", "up");
  }

  std::string Text(const std::string& format, absl::string_view missing = "-") {
    auto parsed = ParseFormat(format);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    std::string text;
    FormatInput input;
    input.record = &record;
    input.request = &head;
    input.response = &response;
    AppendText(*parsed, input, missing, text);
    return text;
  }

  RequestRecord record;
  RequestHead head;
  Headers response;
};

TEST(Format, EveryOperator) {
  const struct {
    const char* format;
    const char* text;
  } cases[] = {
      {"%START_TIME%", "2023-11-14T22:13:20.123Z"},
      {"%START_TIME(%Y/%m/%d %s.%3f)%", "2023/11/14 1700000000.123"},
      {"%START_TIME(%f)%", "123000000"},
      {"%REQ(x-id)%", "abc,def"},
      {"%REQ(x-id):5%", "abc,d"},
      {"%REQ(x-none?x-id)%", "abc,def"},
      {"%REQ(x-none)%", "-"},
      {"%REQ(:method)% %REQ(:authority)% %REQ(:scheme)%", "GET host http"},
      {"%REQ(:path)%", "/rewritten?q=1"},
      {"%REQ(x-envoy-original-path?:path)%", "/asked"},
      {"%REQ(X-Evil)%", "a\\\"b\\nc"},
      {"%RESP(Server)% %RESP(:status)%", "up 503"},
      {"%TRAILER(grpc-status)%", "14"},
      {"%PROTOCOL%", "HTTP/1.1"},
      {"%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%", "503 no_healthy_upstream"},
      {"%RESPONSE_FLAGS%", "UO,DI"},
      {"%RESPONSE_FLAGS_LONG%", "UpstreamOverflow,DelayInjected"},
      {"%BYTES_RECEIVED% %BYTES_SENT%", "5 7"},
      {"%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION%", "30 2 -"},
      {"%RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "20 10"},
      {"%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%",
       "Unavailable UNAVAILABLE 14"},
      {"%ROUTE_NAME% %VIRTUAL_HOST_NAME%", "r v"},
      {"%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS%", "10.0.0.1:80 c -"},
      {"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "10.0.0.1 80"},
      {"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"},
      {"%CONNECTION_ID%", "9"},
      {"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%:%DOWNSTREAM_REMOTE_PORT%", "10.1.2.3:4567"},
      {"%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%", "::1 8080"},
      {"%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "10.1.2.3:4567"},
      {"%REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_URI_SAN%", "a.example spiffe://d/ns/n/sa/s"},
      {"%DOWNSTREAM_TLS_VERSION% %DYNAMIC_METADATA(a)%", "- -"},
  };
  for (const auto& c : cases) EXPECT_EQ(Fixture().Text(c.format), c.text) << c.format;
}

TEST(Format, WhatIsMissingMayBeLeftOut) { EXPECT_EQ(Fixture().Text("[%REQ(x-none)%]", ""), "[]"); }

// A name of bytes that would end the line, or the field.
TEST(Format, Row46ServerNameCannotForgeALine) {
  Fixture f;
  f.record.server_name = "a\"\r\n[forged] \x01\xff";
  EXPECT_EQ(f.Text("\"%REQUESTED_SERVER_NAME%\""), "\"a\\\"\\r\\n[forged] \\x01\\xff\"");
}

TEST(Format, HeaderValuesHoldNoControlCharacters) {
  Fixture f;
  auto format = ParseFormat("<%REQ(x-evil)%|%REQ(none)%>");
  FormatInput input;
  input.record = &f.record;
  input.request = &f.head;
  EXPECT_EQ(FormatHeaderValue(*format, input), "<a\\\"b\\nc|>");
}

TEST(Format, WithoutARequestThereAreNoHeaders) {
  RequestRecord record;
  FormatInput input;
  input.record = &record;
  std::string text;
  AppendText(*ParseFormat("%REQ(:path)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS%"), input, "-",
             text);
  EXPECT_EQ(text, "- - 0 -");
}

}  // namespace
}  // namespace weft
