#include "tools/weftctl/sandbox/echo.h"

#include <gtest/gtest.h>

namespace weft::sandbox {
namespace {

TEST(ClientIdentity, IsTheUriOfTheNearestHop) {
  struct Case {
    const char* header;
    const char* identity;
  };
  const Case cases[] = {
      {"", ""},
      {"By=spiffe://a/b", ""},
      {"URI=spiffe://east.weft/ns/default/sa/curl", "spiffe://east.weft/ns/default/sa/curl"},
      {"By=spiffe://w/b;Hash=12;Subject=\"CN=x,O=\\\"y;URI=no\";URI=spiffe://e/c", "spiffe://e/c"},
      {"URI=spiffe://far/x,By=spiffe://b;URI=spiffe://near/y", "spiffe://near/y"},
      {"URI=spiffe://far/x,By=spiffe://b", ""},
  };
  for (const Case& c : cases) EXPECT_EQ(ClientIdentity(c.header), c.identity) << c.header;
}

}  // namespace
}  // namespace weft::sandbox
