#include "controlplane/sources/key_set_store.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "certs/test_jwt.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string NewFolder(const std::string& name) {
  const std::string folder = absl::StrCat(testing::TempDir(), "/", name, "-XXXXXX");
  std::vector<char> path(folder.begin(), folder.end());
  path.push_back('\0');
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path.data();
}

TEST(KeySetStore, KeepsWhatWasFetched) {
  const std::string folder = NewFolder("keys");
  const KeySetStore store(folder);
  ASSERT_TRUE(store.Load().ok());
  EXPECT_TRUE(store.Load()->empty());
  const std::string keys = certs::TestJwtKey("ES256").KeySet();
  ASSERT_TRUE(store.Save({{"https://a/keys", std::make_shared<const std::string>(keys)}}).ok());
  const auto loaded = KeySetStore(folder).Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ(*loaded->at("https://a/keys"), keys);
}

TEST(KeySetStore, Row110ATornFileIsNamedAndAnUnusableKeySetLeftOut) {
  const std::string folder = NewFolder("torn");
  const KeySetStore store(folder);
  const std::string path = absl::StrCat(folder, "/key_sets.json");
  ASSERT_TRUE(certs::WriteFileAtomically(path, R"({"https://a/keys": "{)", 0600).ok());
  EXPECT_NE(store.Load().status().message().find(path), absl::string_view::npos);
  ASSERT_TRUE(certs::WriteFileAtomically(path, R"({"https://a/keys": "{}", "b": 7})", 0600).ok());
  ASSERT_TRUE(store.Load().ok());
  EXPECT_TRUE(store.Load()->empty());
}

}  // namespace
}  // namespace weft
