// Names, as a pod's resolver gets them answered.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

class Dns : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    sandbox_ = new Sandbox({"east", "west"});
    sandbox_->Write("east", "all.yaml",
                    Client("client") + Client("outsider", kNotInjected) +
                        EchoWorkload("both", "both", "v1") + ServiceOf("both", "http", 80));
    sandbox_->Write("west", "all.yaml",
                    EchoWorkload("both", "both", "v1") + ServiceOf("both", "http", 80) +
                        EchoWorkload("far", "far", "v1") + ServiceOf("far", "http", 80) +
                        EchoWorkload("raw", "raw", "v1") + ServiceOf("raw", "tcp", 9000));
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    ASSERT_TRUE(Eventually([] { return !Address("far.default.svc.cluster.local").empty(); }));
  }
  static void TearDownTestSuite() { delete std::exchange(sandbox_, nullptr); }

  static Result Dig(std::vector<std::string> arguments, const std::string& pod = "east/client") {
    arguments.insert(arguments.begin(), {"dig", "+tries=1", "+time=4"});
    return sandbox_->Exec(pod, arguments);
  }
  static std::string Address(const std::string& name) {
    std::string text = Dig({"+short", name}).out;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  static Sandbox* sandbox_;
};
Sandbox* Dns::sandbox_ = nullptr;

TEST_F(Dns, AServiceOfTheOwnClusterHasItsClusterIp) {
  EXPECT_TRUE(absl::StartsWith(Address("both.default.svc.cluster.local"), "10.96."))
      << Address("both.default.svc.cluster.local");
}

TEST_F(Dns, TheResolversSearchListFindsShortNames) {
  for (const char* name : {"both", "both.default", "both.default.svc"}) {
    const Result found = sandbox_->Exec("east/client", {"getent", "ahostsv4", name});
    EXPECT_EQ(found.status, 0) << name;
    EXPECT_TRUE(absl::StartsWith(found.out, "10.96.")) << name << ": " << found.out;
  }
}

TEST_F(Dns, AServiceOnlyInTheOtherClusterHasAVirtualAddressAndAnswers) {
  EXPECT_TRUE(absl::StartsWith(Address("far.default.svc.cluster.local"), "240.240."))
      << Address("far.default.svc.cluster.local");
  const Answer answer = sandbox_->Call("east/client", {"http://far/"});
  EXPECT_TRUE(answer.ok()) << answer.code;
  EXPECT_EQ(answer.field("cluster"), "west");
}

TEST_F(Dns, ATcpServiceOnlyInTheOtherClusterAnswersAtItsVirtualAddress) {
  const Answer answer = sandbox_->Call("east/client", {"http://raw:9000/"});
  EXPECT_TRUE(answer.ok()) << answer.code;
  EXPECT_EQ(answer.field("cluster"), "west");
}

TEST_F(Dns, APodWithoutSidecarDoesNotKnowTheOtherClustersNames) {
  EXPECT_TRUE(absl::StrContains(Dig({"far.default.svc.cluster.local"}, "east/outsider").out,
                                "status: NXDOMAIN"));
}

TEST_F(Dns, AnUnknownNameIsDeniedAtOnce) {
  for (const char* name : {"nothing.default.svc.cluster.local", "nothing.invalid"}) {
    const absl::Time start = absl::Now();
    const Result answer = Dig({name});
    EXPECT_TRUE(absl::StrContains(answer.out, "status: NXDOMAIN")) << answer.out;
    EXPECT_LT(absl::Now() - start, absl::Seconds(2)) << name;
  }
}

// Each of these asks the nameserver for the names of the search list first, from ports that the
// resolver gets again for the next.
TEST_F(Dns, AMeshNameIsNeverAskedOfTheNameserver) {
  const Result lookups = sandbox_->Exec(
      "east/client", {"sh", "-c",
                      "for i in $(seq 300); do getent ahosts far.default.svc.cluster.local "
                      ">/dev/null || echo $i; done"});
  EXPECT_EQ(lookups.out, "") << "not found, at these times";
}

TEST_F(Dns, Row105_AMeshNameWithoutThatTypeIsNoDataNotNxdomain) {
  const Result answer = Dig({"both.default.svc.cluster.local", "AAAA"});
  EXPECT_TRUE(absl::StrContains(answer.out, "status: NOERROR")) << answer.out;
  EXPECT_TRUE(absl::StrContains(answer.out, "ANSWER: 0")) << answer.out;
}

TEST_F(Dns, Row100_TcpWorksToo) {
  const Result answer = Dig({"+tcp", "+short", "both.default.svc.cluster.local"});
  EXPECT_TRUE(absl::StartsWith(answer.out, "10.96.")) << answer.out;
}

TEST_F(Dns, ANameGoneFromTheOtherClusterIsDenied) {
  sandbox_->Write("west", "late.yaml",
                  EchoWorkload("late", "late", "v1") + ServiceOf("late", "http", 80));
  EXPECT_TRUE(Eventually([] { return sandbox_->Call("east/client", {"http://late/"}).ok(); }));
  sandbox_->Write("west", "late.yaml", "");
  EXPECT_TRUE(Eventually([] {
    return absl::StrContains(Dig({"late.default.svc.cluster.local"}).out, "status: NXDOMAIN");
  }));
}

// What west exported is kept on disk: east's weftd restarts knowing it, though nobody can tell it.
TEST_F(Dns, AServiceOnlyInTheOtherClusterOutlivesBothControlPlanes) {
  absl::SleepFor(absl::Milliseconds(2500));  // it is written once a second, if something changed
  ASSERT_EQ(sandbox_->Kill("west/weftd").status, 0);
  ASSERT_EQ(sandbox_->Kill("east/weftd").status, 0);
  ASSERT_EQ(sandbox_->Restart("east/weftd").status, 0);
  for (const Answer& answer : sandbox_->Calls("east/client", 50, {"http://far/"})) {
    EXPECT_EQ(answer.field("cluster"), "west") << answer.code;
  }
  // A sidecar that starts now gets everything from the restarted one alone.
  ASSERT_EQ(sandbox_->Kill("east/client").status, 0);
  ASSERT_EQ(sandbox_->Restart("east/client").status, 0);
  EXPECT_TRUE(Eventually([] { return sandbox_->Call("east/client", {"http://far/"}).ok(); }));
  sandbox_->Heal();
}

}  // namespace
}  // namespace weft::integration
