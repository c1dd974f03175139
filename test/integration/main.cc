// The main of these tests: as gtest_main's, but that a suite made of Istio's samples runs nothing
// where the samples are not there, rather than fail (WEFT_NEEDS_SAMPLES, set in defs.bzl).
#include <cstdio>
#include <cstdlib>

#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (std::getenv("WEFT_NEEDS_SAMPLES") != nullptr && weft::integration::Samples().empty()) {
    std::puts("not run: no samples of Istio's here; set WEFT_SHARED to the folder with corpora/");
    GTEST_FLAG_SET(filter, "-*");
  }
  return RUN_ALL_TESTS();
}
