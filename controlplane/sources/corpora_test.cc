// Istio's samples, read where they lie: all of them decode and validate, and the bookinfo mesh has
// no dangling reference.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/testing.h"
#include "controlplane/sources/directory.h"
#include "controlplane/sources/validate_directories.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

// WEFT_SHARED, or ../shared beside the checkout: the test's own source file is found through the
// link that Bazel makes of it.
fs::path Samples() {
  if (const char* shared = std::getenv("WEFT_SHARED"); shared != nullptr && *shared != '\0') {
    return fs::path(shared) / "corpora/istio/samples";
  }
  std::error_code error;
  fs::path at = fs::canonical("controlplane/sources/corpora_test.cc", error);
  for (; at.has_relative_path(); at = at.parent_path()) {
    const fs::path samples = at / "shared/corpora/istio/samples";
    if (fs::is_directory(samples, error)) return samples;
  }
  return {};
}

class Corpora : public ::testing::Test {
 protected:
  void SetUp() override {
    samples_ = Samples();
    if (!fs::is_directory(samples_)) GTEST_SKIP() << "no corpora here; set WEFT_SHARED";
  }
  // A folder with copies of some samples.
  std::string FolderOf(const std::vector<std::string>& files) {
    const fs::path folder = fs::path(::testing::TempDir()) / "corpora";
    fs::remove_all(folder);
    fs::create_directories(folder);
    for (const std::string& file : files) {
      fs::copy_file(samples_ / file, folder / fs::path(file).filename());
    }
    return folder.string();
  }

  fs::path samples_;
};

TEST_F(Corpora, EverySampleDecodesAndValidates) {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(samples_)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    std::string folder = FolderOf({});
    fs::copy_file(entry.path(), fs::path(folder) / entry.path().filename());
    const DirectoryContents contents = ReadDirectories({folder});
    EXPECT_EQ(Lines(contents.problems), "") << entry.path();
    EXPECT_FALSE(contents.objects.empty()) << entry.path();
    std::vector<ObjectDelta> deltas;
    for (const auto& [key, object] : contents.objects) deltas.push_back({key, object});
    Registry registry(std::make_shared<ClusterIdentity>(), ExportPolicy::kAll);
    const std::vector<Problem> problems = registry.Apply(deltas);
    EXPECT_FALSE(HasErrors(problems)) << Lines(problems);
  }
  EXPECT_GT(files, 20);
}

TEST_F(Corpora, BookinfoHasNothingDangling) {
  const std::string folder = FolderOf({
      "bookinfo/platform/kube/bookinfo.yaml",
      "bookinfo/networking/destination-rule-all.yaml",
      "bookinfo/networking/virtual-service-reviews-test-v2.yaml",
      "helloworld/helloworld.yaml",
      "curl/curl.yaml",
  });
  EXPECT_EQ(Lines(Validate({folder}).problems), "");
}

TEST_F(Corpora, ASubsetThatNobodyDefinesIsNamed) {
  const std::string folder = FolderOf({
      "bookinfo/platform/kube/bookinfo.yaml",
      "bookinfo/networking/virtual-service-reviews-v3.yaml",
  });
  const std::vector<Problem> problems = Validate({folder}).problems;
  EXPECT_TRUE(HasErrors(problems));
  EXPECT_TRUE(absl::StrContains(Lines(problems), "\"reviews+v3\"")) << Lines(problems);
}

TEST_F(Corpora, AServiceOfALinkedClusterMayBeReferredTo) {
  const fs::path linked = fs::path(::testing::TempDir()) / "linked";
  fs::remove_all(linked);
  fs::create_directories(linked);
  fs::copy_file(samples_ / "bookinfo/platform/kube/bookinfo.yaml", linked / "bookinfo.yaml");
  const std::string folder = FolderOf({
      "bookinfo/networking/destination-rule-all.yaml",
      "bookinfo/networking/virtual-service-reviews-test-v2.yaml",
  });
  EXPECT_TRUE(HasErrors(Validate({folder}).problems));
  EXPECT_EQ(Lines(Validate({folder}, {linked.string()}).problems), "");
}

}  // namespace
}  // namespace weft
