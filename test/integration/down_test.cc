// `down` leaves nothing: no process, no namespace, no mount, no file; whatever was killed before.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "test/integration/sandbox.h"

namespace weft::integration {
namespace {

namespace fs = std::filesystem;
using Namespaces = std::set<std::string>;  // "net:[4026531840]"

constexpr char kUrl[] = "http://helloworld.default:5000/";

void AddNamespacesOf(const fs::path& process, Namespaces* all) {
  std::error_code gone;
  for (const char* folder : {"ns", "fd"}) {
    // A namespace lives as long as a process in it, or a descriptor of it.
    for (const auto& entry : fs::directory_iterator(process / folder, gone)) {
      const std::string target = fs::read_symlink(entry.path(), gone).string();
      if (absl::StrContains(target, ":[4")) all->insert(target);
    }
  }
}

Namespaces NamespacesOf(const std::vector<int>& pids) {
  Namespaces all;
  for (int pid : pids) AddNamespacesOf(absl::StrCat("/proc/", pid), &all);
  return all;
}

std::vector<int> EveryProcess() {
  std::vector<int> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    int pid;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) pids.push_back(pid);
  }
  return pids;
}

class Down : public ::testing::Test {
 protected:
  void Start() {
    Namespaces before = NamespacesOf(EveryProcess());
    mounts_before_ = ReadFile("/proc/self/mounts");
    sandbox_ = std::make_unique<Sandbox>(std::vector<std::string>{"east", "west"});
    for (const char* cluster : {"east", "west"}) {
      sandbox_->AddSample(cluster, "helloworld/helloworld.yaml");
      sandbox_->AddSample(cluster, "curl/curl.yaml");
    }
    const Result up = sandbox_->Up();
    ASSERT_EQ(up.status, 0) << up.out << up.err;
    for (const std::string& each : NamespacesOf(sandbox_->Processes())) {
      if (before.count(each) == 0) made_.insert(each);
    }
    // That the ways of looking see something.
    ASSERT_GT(sandbox_->Processes().size(), 10u);
    ASSERT_GT(made_.size(), 10u);
    ASSERT_TRUE(fs::exists(sandbox_->work() + "/weft/it"));
  }

  void ExpectNothingLeft() {
    EXPECT_TRUE(Eventually([this] { return sandbox_->Processes().empty(); }))
        << sandbox_->Processes().size() << " processes";
    EXPECT_EQ(sandbox_->Mounts(), std::vector<std::string>{});
    EXPECT_EQ(ReadFile("/proc/self/mounts"), mounts_before_);
    const Namespaces now = NamespacesOf(EveryProcess());
    for (const std::string& each : made_) EXPECT_EQ(now.count(each), 0u) << each;
    EXPECT_FALSE(fs::exists(sandbox_->work() + "/weft"));
  }

  int SupervisorPid() const {
    int pid = 0;
    const std::string file = ReadFile(sandbox_->work() + "/weft/it/supervisor.pid");
    EXPECT_TRUE(absl::SimpleAtoi(std::string(file.substr(0, file.find(' '))), &pid)) << file;
    return pid;
  }

  std::unique_ptr<Sandbox> sandbox_;
  std::string mounts_before_;
  Namespaces made_;
};

TEST_F(Down, LeavesNothingAfterTraffic) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(CountOk(sandbox_->Calls("east/curl", 10, {kUrl})), 10);
  CallsGoingOn calls(sandbox_.get(), "east/curl", {kUrl});
  ASSERT_TRUE(calls.Await(5));
  EXPECT_EQ(sandbox_->Down().status, 0);
  ExpectNothingLeft();
}

TEST_F(Down, LeavesNothingAfterAKillOfASidecarAControlPlaneAndAGateway) {
  ASSERT_NO_FATAL_FAILURE(Start());
  for (const auto& [workload, container] :
       {std::pair("helloworld-v1", "weft-proxy"), std::pair("weftd", "weftd"),
        std::pair("gateway", "weft-proxy"), std::pair("curl", "curl")}) {
    const int pid = sandbox_->ContainerPid("east", workload, container);
    ASSERT_GT(pid, 1) << workload;
    ASSERT_EQ(sandbox_->Exec("east/router", {"kill", "-9", absl::StrCat(pid)}).status, 0);
  }
  EXPECT_EQ(sandbox_->Down().status, 0);
  ExpectNothingLeft();
}

TEST_F(Down, LeavesNothingAfterAKillOfTheSupervisor) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(kill(SupervisorPid(), SIGKILL), 0);
  // Everything else is in its process namespace, and ends with it.
  EXPECT_TRUE(Eventually([this] { return sandbox_->Processes().empty(); }));
  EXPECT_EQ(sandbox_->Down().status, 0);
  ExpectNothingLeft();
}

TEST_F(Down, LeavesNothingAfterAnUpThatWasKilled) {
  sandbox_ = std::make_unique<Sandbox>(std::vector<std::string>{"east"});
  mounts_before_ = ReadFile("/proc/self/mounts");
  sandbox_->AddSample("east", "helloworld/helloworld.yaml");
  Process up(sandbox_->Command({"up", "--cluster", "east=" + sandbox_->Folder("east")}),
             sandbox_->environment(), sandbox_->work() + "/up");
  ASSERT_TRUE(Eventually([this] { return sandbox_->Processes().size() > 2; }));
  up.Kill();
  EXPECT_EQ(sandbox_->Down().status, 0);
  ExpectNothingLeft();
}

TEST(Unprivileged, AnyUserMayRunASandbox) {
  if (geteuid() != 0) GTEST_SKIP() << "all the other tests show it: none runs as root";
  std::unique_ptr<Sandbox> sandbox = Sandbox::Unprivileged({"east"});
  sandbox->AddSample("east", "helloworld/helloworld.yaml");
  sandbox->AddSample("east", "curl/curl.yaml");
  const Result up = sandbox->Up();
  ASSERT_EQ(up.status, 0) << up.out << up.err;
  for (int pid : sandbox->Processes()) {
    EXPECT_TRUE(absl::StrContains(ReadFile(absl::StrCat("/proc/", pid, "/status")),
                                  "\nUid:\t65534\t65534\t"))
        << pid;
  }
  const Answers answers = sandbox->Calls("east/curl", 20, {kUrl});
  EXPECT_EQ(CountOk(answers), 20);
  EXPECT_EQ(Tally(answers, "pod").size(), 2u);
  EXPECT_EQ(answers[0].field("client_identity"), "spiffe://east.weft/ns/default/sa/curl");
  EXPECT_EQ(sandbox->Down().status, 0);
  EXPECT_TRUE(Eventually([&] { return sandbox->Processes().empty(); }));
  EXPECT_FALSE(fs::exists(sandbox->work() + "/weft"));
}

}  // namespace
}  // namespace weft::integration
