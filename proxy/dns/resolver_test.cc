#include "proxy/dns/resolver.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proxy/dns/name_server_for_test.h"
#include "proxy/runtime/scope.h"

namespace weft::dns {
namespace {

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() : server_(loop_) { Make(absl::Seconds(10)); }

  void Make(absl::Duration timeout, std::optional<uint32_t> mark = std::nullopt) {
    Resolver::Options options;
    options.mark = mark;
    options.servers = {server_.address()};
    options.timeout = timeout;
    resolver_ = std::make_unique<Resolver>(loop_, options);
  }

  Task<> Ask(Lookup lookup, absl::StatusOr<Resolution>* found) {
    *found = co_await resolver_->Resolve(std::move(lookup));
    loop_.Stop();
  }

  absl::StatusOr<Resolution> Resolve(Lookup lookup) {
    absl::StatusOr<Resolution> found;
    Scope scope;
    scope.Spawn(Ask(std::move(lookup), &found));
    loop_.Run();
    return found;
  }

  // "10.0.0.1,10.0.0.2", or the error.
  std::string Addresses(const std::string& name, LookupFamily family) {
    const absl::StatusOr<Resolution> found = Resolve({name, family});
    if (!found.ok()) return std::string(found.status().message());
    return absl::StrJoin(found->addresses, ",", [](std::string* out, const Address& address) {
      out->append(address.ip());
    });
  }

  EventLoop loop_;
  NameServerForTest server_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, GivesTheAddressesOfTheFamilyAskedFor) {
  server_.Set("both.test", {"10.0.0.2", "10.0.0.1", "fd00::1"});
  server_.Set("four.test", {"10.0.0.4"});
  server_.Set("six.test", {"fd00::6"});
  const struct {
    const char* name;
    LookupFamily family;
    const char* addresses;
  } cases[] = {
      {"both.test", LookupFamily::kV4Preferred, "10.0.0.2,10.0.0.1"},
      {"both.test", LookupFamily::kV4Only, "10.0.0.2,10.0.0.1"},
      {"both.test", LookupFamily::kV6Only, "fd00::1"},
      {"four.test", LookupFamily::kV4Preferred, "10.0.0.4"},
      {"six.test", LookupFamily::kV4Preferred, "fd00::6"},
  };
  for (const auto& c : cases) EXPECT_EQ(Addresses(c.name, c.family), c.addresses) << c.name;
  EXPECT_EQ(Resolve({"both.test", LookupFamily::kAll})->addresses.size(), 3u);
}

TEST_F(ResolverTest, GivesTheTtlOfTheRecords) {
  server_.Set("a.test", {"10.0.0.1"});
  server_.ttl = 77;
  EXPECT_EQ(Resolve({"a.test"})->ttl, absl::Seconds(77));
}

TEST_F(ResolverTest, KnowsTheNamesOfTheHostsFileWithoutAServer) {
  EXPECT_TRUE(absl::StrContains(Addresses("localhost", LookupFamily::kV4Only), "127.0.0.1"));
  EXPECT_TRUE(server_.asked.empty());
}

TEST_F(ResolverTest, FailuresNameTheHost) {
  server_.Set("six.test", {"fd00::6"});
  const std::string unknown = Addresses("nowhere.test", LookupFamily::kV4Preferred);
  EXPECT_EQ(unknown, "resolve 'nowhere.test': Domain name not found");
  EXPECT_TRUE(absl::StrContains(Addresses("six.test", LookupFamily::kV4Only), "'six.test'"));
  const std::string hostile[] = {"", ".", "a..b", std::string(300, 'x'), "sp ace.test", "\xff\x01"};
  for (const std::string& name : hostile) EXPECT_FALSE(Resolve({name}).ok()) << name;
}

TEST_F(ResolverTest, FindsANameThatAppearsAfterAFailure) {
  EXPECT_FALSE(Resolve({"late.test"}).ok());
  server_.Set("late.test", {"10.0.0.9"});
  EXPECT_EQ(Addresses("late.test", LookupFamily::kV4Only), "10.0.0.9");
}

TEST_F(ResolverTest, ASilentServerCostsNoMoreThanTheTimeout) {
  server_.silent = true;
  Make(absl::Milliseconds(100));
  EXPECT_EQ(Addresses("a.test", LookupFamily::kV4Preferred),
            "resolve 'a.test': no answer in 100ms");
}

TEST_F(ResolverTest, AsksAgainWhenADatagramIsLost) {
  server_.Set("a.test", {"10.0.0.1"});
  server_.silent = true;
  absl::StatusOr<Resolution> found;
  Scope scope;
  scope.Spawn(Ask({"a.test", LookupFamily::kV4Only}, &found));
  while (server_.asked[kTypeA] == 0) loop_.RunOnce(absl::Seconds(1));
  server_.silent = false;
  loop_.Run();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_GE(server_.asked[kTypeA], 2);
}

TEST_F(ResolverTest, ALookupMayBeCancelledAndTheResolverGoWithQuestionsOpen) {
  server_.silent = true;
  absl::StatusOr<Resolution> found = absl::UnknownError("");
  Scope scope;
  scope.Spawn(Ask({"a.test"}, &found));
  while (server_.asked[kTypeA] == 0) loop_.RunOnce(absl::Seconds(1));
  scope.Cancel();
  server_.silent = false;
  server_.Set("b.test", {"10.0.0.2"});
  EXPECT_EQ(Addresses("b.test", LookupFamily::kV4Only), "10.0.0.2");
  resolver_.reset();
  EXPECT_EQ(found.status().code(), absl::StatusCode::kUnknown);
}

// The SO_MARK of this process' socket that is connected to `peer`; nothing if there is none.
std::optional<uint32_t> MarkOfSocketTo(const Address& peer) {
  for (int fd = 0; fd < 256; ++fd) {
    sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) continue;
    if (!(Address::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length) == peer)) continue;
    uint32_t mark = 0;
    length = sizeof(mark);
    if (getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &length) == 0) return mark;
  }
  return std::nullopt;
}

TEST_F(ResolverTest, QuestionsCarryTheMark) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  const uint32_t mark = 1337;
  const bool may_mark = setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0;
  close(fd);
  if (!may_mark) GTEST_SKIP() << "SO_MARK needs CAP_NET_ADMIN";
  server_.silent = true;
  Make(absl::Seconds(10), mark);
  absl::StatusOr<Resolution> found;
  Scope scope;
  scope.Spawn(Ask({"a.test", LookupFamily::kV4Only}, &found));
  while (server_.asked[kTypeA] == 0) loop_.RunOnce(absl::Seconds(1));
  EXPECT_EQ(MarkOfSocketTo(server_.address()), mark);
}

TEST_F(ResolverTest, ManyLookupsAtOnce) {
  constexpr int kLookups = 100;
  std::vector<absl::StatusOr<Resolution>> found(kLookups, absl::UnknownError(""));
  Scope scope;
  for (int i = 0; i < kLookups; ++i) {
    const std::string name = absl::StrCat("n", i, ".test");
    server_.Set(name, {absl::StrCat("10.0.1.", i)});
    scope.Spawn(Ask({name}, &found[i]));
  }
  while (!scope.empty()) loop_.RunOnce(absl::Seconds(1));
  for (int i = 0; i < kLookups; ++i) {
    ASSERT_TRUE(found[i].ok()) << found[i].status();
    EXPECT_EQ(found[i]->addresses[0].ip(), absl::StrCat("10.0.1.", i));
  }
}

}  // namespace
}  // namespace weft::dns
