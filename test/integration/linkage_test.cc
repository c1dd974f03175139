// BoringSSL and OpenSSL export the same names: both in one process crash it, or worse, do not.
#include <stdlib.h>

#include <string>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "test/integration/process.h"

namespace weft::integration {
namespace {

class Linkage : public ::testing::TestWithParam<const char*> {};

TEST_P(Linkage, LoadsNoOpenSsl) {
  const char* binary = getenv(GetParam());
  ASSERT_NE(binary, nullptr);
  const Result ldd = RunCommand({"ldd", binary});
  ASSERT_EQ(ldd.status, 0) << ldd.err;
  EXPECT_NE(ldd.out.find("libc.so.6"), std::string::npos) << "this is no list of libraries";
  EXPECT_EQ(ldd.out.find("not found"), std::string::npos) << ldd.out;
  for (absl::string_view line : absl::StrSplit(ldd.out, '\n')) {
    for (const char* library : {"libssl.so.3", "libcrypto.so.3", "libssl.so.1", "libcrypto.so.1"}) {
      EXPECT_EQ(line.find(library), absl::string_view::npos) << line;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Binaries, Linkage, ::testing::Values("WEFTCTL", "WEFTD", "WEFT_PROXY"),
                         [](const auto& binary) { return std::string(binary.param); });

}  // namespace
}  // namespace weft::integration
