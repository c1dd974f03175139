#include "controlplane/ca/ca_source.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/time/clock.h"
#include "certs/file.h"
#include "certs/test_certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using certs::MakeTestCa;
using certs::TestCa;
using testing::HasSubstr;

class CaFolderTest : public testing::Test {
 protected:
  CaFolderTest() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }

  void Write(const std::string& file, const std::string& text) {
    ASSERT_TRUE(certs::WriteFileAtomically(folder_ + "/" + file, text, 0600).ok());
  }
  void WriteCa(const TestCa& signer) {
    Write("ca-cert.pem", signer.certificate.ToPem());
    Write("ca-key.pem", signer.key.ToPem());
    Write("root-cert.pem", root_.certificate.ToPem());
  }
  void Start() { source_ = CaSource::OfFolder(loop_, folder_, "east"); }
  std::string Signer() const { return source_->ca() ? source_->ca()->signer().ToPem() : ""; }
  bool Comes(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (absl::Now() < end && !condition()) loop_.RunOnce(absl::Milliseconds(20));
    return condition();
  }

  const TestCa root_ = MakeTestCa(nullptr, "root", absl::Now());
  const TestCa first_ = MakeTestCa(&root_, "first", absl::Now());
  const TestCa second_ = MakeTestCa(&root_, "second", absl::Now());
  std::string folder_ = testing::TempDir() + "/ca_source_test_XXXXXX";
  EventLoop loop_;
  std::unique_ptr<CaSource> source_;
};

TEST_F(CaFolderTest, IsReadAtOnceAndFollowed) {
  WriteCa(first_);
  Start();
  EXPECT_TRUE(source_->read());
  EXPECT_TRUE(source_->there());
  EXPECT_EQ(source_->origin(), "folder " + folder_);
  EXPECT_EQ(Signer(), first_.certificate.ToPem());
  std::string told;
  source_->OnChange([&] { told = Signer(); });
  WriteCa(second_);
  EXPECT_TRUE(Comes([&] { return told == second_.certificate.ToPem(); }));
}

TEST_F(CaFolderTest, KeepsTheLastGoodOneAndNamesWhatIsBroken) {
  WriteCa(first_);
  Start();
  Write("ca-key.pem", second_.key.ToPem());
  ASSERT_TRUE(Comes([&] { return !source_->problem().empty(); }));
  EXPECT_THAT(source_->problem(),
              HasSubstr("folder " + folder_ + ": ca-key.pem: is not the key of ca-cert.pem"));
  EXPECT_EQ(Signer(), first_.certificate.ToPem());
  Write("ca-cert.pem", second_.certificate.ToPem());
  EXPECT_TRUE(Comes([&] { return source_->problem().empty(); }));
  EXPECT_EQ(Signer(), second_.certificate.ToPem());
}

TEST_F(CaFolderTest, OneThatIsEmptyIsAProblem) {
  Start();
  EXPECT_TRUE(source_->there());
  EXPECT_EQ(source_->ca(), nullptr);
  EXPECT_THAT(source_->problem(), HasSubstr("ca-cert.pem: is missing"));
}

}  // namespace
}  // namespace weft
