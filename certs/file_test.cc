#include "certs/file.h"

#include <sys/stat.h>

#include <cstdlib>

#include "gtest/gtest.h"

namespace weft::certs {
namespace {

std::string NewFolder() {
  std::string folder = testing::TempDir() + "/file_test_XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

TEST(File, IsReplacedAsAWholeWithItsMode) {
  const std::string path = NewFolder() + "/key.pem";
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(File, Row110AFailedWriteLeavesTheOldContents) {
  const std::string path = NewFolder() + "/key.pem";
  ASSERT_TRUE(WriteFileAtomically(path, "old", 0600).ok());
  ASSERT_EQ(mkdir((path + ".tmp").c_str(), 0700), 0);  // the temporary file cannot be made
  EXPECT_FALSE(WriteFileAtomically(path, "new", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "old");
}

TEST(File, MissingIsNotFound) {
  EXPECT_EQ(ReadFile(NewFolder() + "/none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft::certs
