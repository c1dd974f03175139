#include "controlplane/federation/own_state.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

const std::pair<std::string, std::string> kA("default", "a");
const std::pair<std::string, std::string> kB("default", "b");

PeerExports Exports(const std::vector<std::string>& names, uint32_t ready = 1) {
  PeerExports exports;
  for (const std::string& name : names) {
    ExportedService service;
    service.namespace_ = "default";
    service.name = name;
    ExportedGroup group;
    group.service_account = name;
    group.ready = ready;
    service.groups = {group};
    exports[{"default", name}] = service;
  }
  return exports;
}

class OwnHistoryTest : public testing::Test {
 protected:
  std::shared_ptr<const OwnState> Next(PeerExports exports) {
    return history_.Next(self_, {}, std::move(exports));
  }

  std::shared_ptr<const ClusterIdentity> self_ = std::make_shared<ClusterIdentity>();
  OwnHistory history_;
};

TEST_F(OwnHistoryTest, SaysInWhichRevisionWhatBecameAsItIs) {
  const auto first = Next(Exports({"a", "b"}));
  EXPECT_EQ(first->revision, 1u);
  const auto second = Next(Exports({"a"}));
  EXPECT_EQ(second->revision, 2u);
  EXPECT_EQ(second->changed.at(kA), 1u);
  EXPECT_EQ(second->changed.at(kB), 2u);
  const auto third = Next(Exports({"a"}, 2));
  EXPECT_EQ(third->changed.at(kA), 3u);
  EXPECT_EQ(third->changed.at(kB), 2u);
  EXPECT_EQ(first->changed.at(kA), 1u) << "it is immutable";
}

TEST_F(OwnHistoryTest, IsTheSameStateAsLongAsNothingChanges) {
  const auto first = Next(Exports({"a"}));
  EXPECT_EQ(Next(Exports({"a"})), first);
  auto rolled = std::make_shared<ClusterIdentity>();
  rolled->roots_pem = "another root";
  EXPECT_NE(history_.Next(rolled, {}, Exports({"a"})), first);
}

TEST_F(OwnHistoryTest, ForgetsTheOlderOfManyThatWent) {
  Next({});
  std::vector<std::string> names;
  for (size_t i = 0; i < OwnHistory::kMostGone + 1; ++i) names.push_back(absl::StrCat("s", i));
  Next(Exports(names));
  std::vector<std::string> half(names.begin(), names.begin() + names.size() / 2);
  Next(Exports(half));  // the other half goes
  const auto last = Next({});
  EXPECT_EQ(last->revision, 4u);
  EXPECT_GE(last->resumable_from, 3u);
  EXPECT_LE(last->changed.size(), OwnHistory::kMostGone);
  for (const std::string& name : half) EXPECT_TRUE(last->changed.contains({"default", name}));
}

}  // namespace
}  // namespace weft
