#include "proxy/http/grpc.h"

#include "gtest/gtest.h"

namespace weft {
namespace {

Headers With(absl::string_view name, absl::string_view value) {
  Headers headers;
  headers.Add(name, value);
  return headers;
}

TEST(Grpc, IsToldByTheContentType) {
  struct Case {
    const char* type;
    bool grpc;
  };
  const Case kCases[] = {{"application/grpc", true},      {"application/grpc+proto", true},
                         {"Application/gRPC; a=b", true}, {"application/grpc-web", false},
                         {"application/json", false},     {"", false}};
  for (const Case& one : kCases) {
    EXPECT_EQ(IsGrpc(With("content-type", one.type)), one.grpc) << one.type;
  }
  EXPECT_FALSE(IsGrpc(Headers()));
}

TEST(Grpc, MessageHasNothingButPrintableAscii) {
  EXPECT_EQ(GrpcMessage("no healthy upstream"), "no healthy upstream");
  EXPECT_EQ(GrpcMessage("50%\n\xc3\xa9"), "50%25%0A%C3%A9");
}

TEST(Grpc, TimeoutHasAUnit) {
  EXPECT_EQ(GrpcTimeout(With("grpc-timeout", "100m")), absl::Milliseconds(100));
  EXPECT_EQ(GrpcTimeout(With("grpc-timeout", "2S")), absl::Seconds(2));
  EXPECT_EQ(GrpcTimeout(With("grpc-timeout", "99999999H")), absl::Hours(99999999));
  for (const char* bad : {"", "m", "100", "-1S", "1 S", "999999999S", "1x"}) {
    EXPECT_EQ(GrpcTimeout(With("grpc-timeout", bad)), std::nullopt) << bad;
  }
  EXPECT_EQ(GrpcTimeout(Headers()), std::nullopt);
}

TEST(Grpc, TimeoutIsWrittenInMilliseconds) {
  EXPECT_EQ(GrpcTimeoutText(absl::Milliseconds(200)), "200m");
  EXPECT_EQ(GrpcTimeoutText(absl::Microseconds(1)), "1m");
  EXPECT_EQ(GrpcTimeoutText(absl::InfiniteDuration()), "99999999m");
}

TEST(Grpc, AMessageIsFramedByItsLength) {
  const std::string framed = FramedMessage(std::string(258, 'x'));
  EXPECT_EQ(framed.substr(0, 5), std::string("\0\0\0\1\2", 5));
  EXPECT_EQ(OnlyMessage(framed), std::string(258, 'x'));
  EXPECT_EQ(OnlyMessage(FramedMessage("")), "");
  EXPECT_EQ(OnlyMessage(""), std::nullopt);
  EXPECT_EQ(OnlyMessage(framed.substr(0, 100)), std::nullopt);
  EXPECT_EQ(OnlyMessage(framed + framed), std::nullopt) << "one message, not two";
  EXPECT_EQ(OnlyMessage(std::string("\1\0\0\0\0", 5)), std::nullopt) << "compressed";
}

TEST(Grpc, StatusIsReadFromTrailers) {
  EXPECT_EQ(GrpcStatusIn(With("grpc-status", "14")), 14);
  EXPECT_EQ(GrpcStatusIn(With("grpc-status", "x")), std::nullopt);
  EXPECT_EQ(GrpcStatusIn(Headers()), std::nullopt);
}

}  // namespace
}  // namespace weft
