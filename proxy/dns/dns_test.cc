#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/dns/message.h"
#include "proxy/dns/name_table.h"
#include "proxy/dns/server.h"

namespace weft::dns {
namespace {

std::string EncodeName(absl::string_view name) {
  std::string out;
  size_t start = 0;
  while (start < name.size()) {
    size_t dot = name.find('.', start);
    if (dot == absl::string_view::npos) dot = name.size();
    out.push_back(static_cast<char>(dot - start));
    out.append(name.data() + start, dot - start);
    start = dot + 1;
  }
  out.push_back(0);
  return out;
}

std::string Number(uint16_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

std::string Ask(absl::string_view name, uint16_t type, const std::string& additional = "",
                uint16_t additional_count = 0) {
  return Number(0x1234) + Number(0x0100) + Number(1) + Number(0) + Number(0) +
         Number(additional_count) + EncodeName(name) + Number(type) + Number(kClassIn) + additional;
}

std::string Opt(uint16_t size, uint8_t version) {
  return std::string(1, 0) + Number(kTypeOpt) + Number(size) + std::string(1, 0) +
         std::string(1, static_cast<char>(version)) + Number(0) + Number(0);
}

uint8_t RcodeOf(absl::string_view answer) { return answer[3] & 0x0f; }
uint16_t AnswerCount(absl::string_view answer) {
  return static_cast<uint8_t>(answer[6]) << 8 | static_cast<uint8_t>(answer[7]);
}

TEST(ParseQuery, ReadsTheQuestionInLowerCase) {
  Query query;
  ASSERT_EQ(ParseQuery(Ask("HelloWorld.default", kTypeA, Opt(4096, 0), 1), &query),
            ParseResult::kQuery);
  EXPECT_EQ(query.name, "helloworld.default");
  EXPECT_EQ(query.type, kTypeA);
  EXPECT_EQ(query.udp_size, 4096);
  EXPECT_TRUE(query.recursion_desired);
}

TEST(ParseQuery, Row98And99RejectsWhatIsMalformed) {
  std::string loop = Number(1) + Number(0x0100) + Number(1) + Number(0) + Number(0) + Number(0) +
                     "\xc0\x0c" + Number(kTypeA) + Number(kClassIn);
  std::string two_questions = Ask("a.b", kTypeA);
  two_questions[5] = 2;
  const std::string long_label = std::string(64, 'x');
  std::string long_name;
  for (int i = 0; i < 5; ++i) long_name += std::string(60, 'x') + ".";
  const struct {
    const char* what;
    std::string message;
  } cases[] = {
      {"compression loop", loop},
      {"QDCOUNT 2", two_questions},
      {"label of 64", Ask(long_label, kTypeA)},
      {"name over 255", Ask(long_name, kTypeA)},
      {"cut in the name", Ask("helloworld.default", kTypeA).substr(0, 20)},
      {"cut in the type", Ask("a", kTypeA).substr(0, 16)},
      {"two OPT records", Ask("a", kTypeA, Opt(512, 0) + Opt(512, 0), 2)},
  };
  for (const auto& c : cases) {
    Query query;
    EXPECT_EQ(ParseQuery(c.message, &query), ParseResult::kMalformed) << c.what;
  }
}

TEST(ParseQuery, Row99DropsWhatHasNoHeaderOrIsAnAnswer) {
  Query query;
  EXPECT_EQ(ParseQuery("short", &query), ParseResult::kDrop);
  std::string answer = Ask("a", kTypeA);
  answer[2] |= 0x80;
  EXPECT_EQ(ParseQuery(answer, &query), ParseResult::kDrop);
}

TEST(ParseQuery, SurvivesEveryPrefix) {
  const std::string whole = Ask("helloworld.default.svc", kTypeA, Opt(1232, 0), 1);
  for (size_t i = 0; i < whole.size(); ++i) {
    Query query;
    EXPECT_NE(ParseQuery(whole.substr(0, i), &query), ParseResult::kQuery) << i;
  }
}

TEST(AddressAnswer, Row100TruncatesWhatDoesNotFit) {
  Query query;
  ASSERT_EQ(ParseQuery(Ask("many", kTypeA), &query), ParseResult::kQuery);
  std::vector<Address> addresses;
  for (int i = 0; i < 100; ++i) addresses.push_back(*Address::Ip(absl::StrCat("10.0.0.", i), 0));
  const std::string cut = AddressAnswer(query, addresses, 30, kPlainUdpSize);
  EXPECT_LE(cut.size(), kPlainUdpSize);
  EXPECT_TRUE(cut[2] & 0x02) << "TC";
  const std::string whole = AddressAnswer(query, addresses, 30, 65535);
  EXPECT_EQ(AnswerCount(whole), 100);
  EXPECT_FALSE(whole[2] & 0x02);
}

TEST(Answers, Row103NeedsIdAndQuestionToMatch) {
  Query query;
  const std::string asked = Ask("a.example", kTypeA);
  ASSERT_EQ(ParseQuery(asked, &query), ParseResult::kQuery);
  std::string answer = EmptyAnswer(query, Rcode::kNxDomain);
  EXPECT_TRUE(Answers(answer, 0x1234, query));
  EXPECT_FALSE(Answers(answer, 0x1235, query));
  EXPECT_FALSE(Answers(asked, 0x1234, query)) << "not a response";
  answer[14] ^= 1;
  EXPECT_FALSE(Answers(answer, 0x1234, query)) << "another question";
}

// A server with one mesh name, a stand-in upstream that knows one other, and a client.
class DnsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    upstream_ = *UdpSocket::Bind(loop_, *Address::Parse("127.0.0.1:0"));
    DnsServer::Options options;
    options.listen = *Address::Parse("127.0.0.1:0");
    options.upstreams = {upstream_->address()};
    // The port the kernel gives for UDP may be somebody's for TCP.
    auto server = DnsServer::Start(loop_, options);
    for (int i = 0; i < 10 && !server.ok(); ++i) server = DnsServer::Start(loop_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    auto table = std::make_shared<NameTable>();
    auto host = std::make_shared<NameTable::Host>();
    host->addresses = {*Address::Ip("10.96.0.7", 0)};
    table->hosts["helloworld.default.svc.cluster.local"] = host;
    server_->SetTable(table);
    scope_.Spawn(ServeUpstream());
  }

  Task<> ServeUpstream() {
    while (true) {
      Address from;
      std::optional<std::string> message = upstream_->Receive(&from);
      if (!message.has_value()) {
        co_await Wait(loop_, {&upstream_->readable()});
        continue;
      }
      Query query;
      EXPECT_EQ(ParseQuery(*message, &query), ParseResult::kQuery);
      upstream_->Send(EmptyAnswer(query, Rcode::kNxDomain), from);
    }
  }

  Task<> Exchange(std::string message, std::string* answer) {
    auto socket = UdpSocket::Connect(loop_, server_->address(), std::nullopt);
    (*socket)->Send(message);
    const bool notified =
        co_await Wait(loop_, {&(*socket)->readable()}, loop_.Now() + absl::Seconds(10));
    if (notified) *answer = (*socket)->Receive(nullptr).value_or("");
    loop_.Stop();
  }

  std::string Resolve(std::string message) {
    std::string answer;
    Scope scope;
    scope.Spawn(Exchange(std::move(message), &answer));
    loop_.Run();
    return answer;
  }

  EventLoop loop_;
  std::unique_ptr<UdpSocket> upstream_;
  std::unique_ptr<DnsServer> server_;
  Scope scope_;
};

TEST_F(DnsServerTest, AnswersMeshNamesItself) {
  const std::string answer = Resolve(Ask("HELLOWORLD.default.svc.cluster.local", kTypeA));
  ASSERT_GT(answer.size(), 4u);
  EXPECT_EQ(RcodeOf(answer), 0);
  EXPECT_EQ(AnswerCount(answer), 1);
  EXPECT_EQ(answer.substr(answer.size() - 4), std::string("\x0a\x60\x00\x07", 4));
  EXPECT_EQ(server_->counters().forwarded, 0u);
}

TEST_F(DnsServerTest, Row105GivesNoDataForATypeTheNameLacks) {
  const std::string answer = Resolve(Ask("helloworld.default.svc.cluster.local", kTypeAaaa));
  EXPECT_EQ(RcodeOf(answer), 0);
  EXPECT_EQ(AnswerCount(answer), 0);
}

TEST_F(DnsServerTest, ForwardsEverythingElseAndKeepsTheId) {
  const std::string answer = Resolve(Ask("example.org", kTypeA));
  EXPECT_EQ(answer.substr(0, 2), "\x12\x34");
  EXPECT_EQ(RcodeOf(answer), static_cast<uint8_t>(Rcode::kNxDomain));
  EXPECT_EQ(server_->counters().forwarded, 1u);
}

TEST_F(DnsServerTest, Row101AnswersBadVersToALaterEdns) {
  const std::string answer =
      Resolve(Ask("helloworld.default.svc.cluster.local", kTypeA, Opt(1232, 1), 1));
  // The extended rcode's upper bits stand in the OPT record's TTL.
  EXPECT_EQ(RcodeOf(answer), 0);
  EXPECT_EQ(answer[answer.size() - 6], 1);
}

TEST_F(DnsServerTest, Row102AnswersAnyMinimally) {
  const std::string answer = Resolve(Ask("helloworld.default.svc.cluster.local", kTypeAny));
  EXPECT_EQ(AnswerCount(answer), 1);
  EXPECT_NE(answer.find("RFC8482"), std::string::npos);
}

TEST_F(DnsServerTest, Row104GivesServFailInBoundedTimeWhenTheUpstreamIsDead) {
  scope_.Cancel();
  upstream_.reset();
  const std::string answer = Resolve(Ask("example.org", kTypeA));
  EXPECT_EQ(RcodeOf(answer), static_cast<uint8_t>(Rcode::kServFail));
  EXPECT_EQ(RcodeOf(Resolve(Ask("helloworld.default.svc.cluster.local", kTypeA))), 0);
}

Task<> ExchangeOverTcp(EventLoop& loop, Address server, std::string message, std::string* answer) {
  auto connected = co_await Connect(loop, server, ConnectOptions());
  TcpStream& stream = **connected;
  const std::string framed = Number(static_cast<uint16_t>(message.size())) + message;
  // Row 100: the length prefix may come a byte at a time.
  for (char byte : framed) {
    stream.Write(absl::string_view(&byte, 1));
    co_await Sleep(loop, absl::Microseconds(200));
  }
  Buffer buffer;
  while (buffer.size() < 2 + 12) {
    const IoResult got = stream.Read(buffer, Buffer::kBlockSize);
    if (got.status == IoStatus::kBlocked) co_await Wait(loop, {&stream.readable()});
    if (got.status == IoStatus::kEof || got.status == IoStatus::kError) break;
  }
  *answer = std::string(buffer.view().substr(2));
  loop.Stop();
}

TEST_F(DnsServerTest, Row100ServesTcpWithASplitLengthPrefix) {
  std::string answer;
  Scope scope;
  scope.Spawn(ExchangeOverTcp(loop_, server_->address(),
                              Ask("helloworld.default.svc.cluster.local", kTypeA), &answer));
  loop_.Run();
  EXPECT_EQ(AnswerCount(answer), 1);
}

TEST(ParseNameservers, SkipsWhatIsNone) {
  const auto servers = ParseNameservers(
      "# comment\nsearch a b\nnameserver 10.96.0.10\noptions ndots:5\nnameserver bad\n"
      "nameserver\t::1 \n");
  ASSERT_EQ(servers.size(), 2u);
  EXPECT_EQ(servers[0].ToString(), "10.96.0.10:53");
  EXPECT_EQ(servers[1].ToString(), "[::1]:53");
}

}  // namespace
}  // namespace weft::dns
