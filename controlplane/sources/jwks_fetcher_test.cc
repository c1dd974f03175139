#include "controlplane/sources/jwks_fetcher.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/jwks.h"
#include "certs/key.h"
#include "certs/test_certificate.h"
#include "certs/test_jwt.h"
#include "gtest/gtest.h"
#include "proxy/dns/name_server_for_test.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/tls/tls_context.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

constexpr char kHost[] = "keys.example";

std::string Ok(const std::string& body) {
  return absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", body.size(), "\r\n\r\n", body);
}

// Answers each connection with the next of `answers`, the last again and again.
class KeyServer {
 public:
  KeyServer(EventLoop& loop, std::shared_ptr<const ServerTlsContext> tls = nullptr)
      : loop_(loop), tls_(std::move(tls)) {
    auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    tasks_.Spawn(AcceptAll());
  }
  ~KeyServer() { tasks_.Cancel(); }

  uint16_t port() const { return listener_->address().port(); }
  std::string Uri(const std::string& host = kHost) const {
    return absl::StrCat(tls_ == nullptr ? "http://" : "https://", host, ":", port(), "/jwks?v=1");
  }

  std::vector<std::string> answers;
  std::vector<std::string> requests;
  size_t connections = 0;
  bool silent = false;

 private:
  Task<> AcceptAll() {
    while (true) {
      std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
      ++connections;
      tasks_.Spawn(Serve(std::move(accepted)));
    }
  }

  Task<> Serve(std::unique_ptr<TcpStream> accepted) {
    std::unique_ptr<ByteStream> stream = std::move(accepted);
    if (tls_ != nullptr) {
      auto secured = co_await TlsStream::Accept(loop_, std::move(stream), tls_, Buffer(), kNever);
      if (!secured.ok()) co_return;
      stream = *std::move(secured);
    }
    Buffer in;
    while (!absl::StrContains(in.view(), "\r\n\r\n")) {
      const IoResult got = stream->Read(in, Buffer::kBlockSize);
      if (got.status == IoStatus::kBlocked) {
        co_await Wait(loop_, {&stream->readable()});
      } else if (!got.ok()) {
        co_return;
      }
    }
    requests.push_back(std::string(in.view()));
    if (silent) {
      co_await Sleep(loop_, absl::Seconds(60));
      co_return;
    }
    Buffer out;
    out.Append(answers[std::min(requests.size(), answers.size()) - 1]);
    co_await WriteAll(loop_, *stream, out, kNever);
    stream->CloseWrite();
  }

  EventLoop& loop_;
  const std::shared_ptr<const ServerTlsContext> tls_;
  std::unique_ptr<Listener> listener_;
  Scope tasks_;
};

// The tests' servers are on loopback, which is not forbidden here but for one address.
bool OnlyTheSecond(absl::string_view ip) { return ip == absl::string_view("\x7f\0\0\x02", 4); }

class JwksFetcherTest : public ::testing::Test {
 protected:
  JwksFetcherTest() : names_(loop_), server_(loop_) { names_.Set(kHost, {"127.0.0.1"}); }

  JwksFetcher::Options OptionsFor(JwksFetcher::Forbidden forbidden = OnlyTheSecond) {
    JwksFetcher::Options options;
    options.dns.servers = {names_.address()};
    options.forbidden = forbidden;
    options.refresh = options.first_pause = options.longest_pause = absl::Milliseconds(5);
    options.on_keys = [this](const std::string&, const std::string& jwks) {
      told_.push_back(jwks);
    };
    return options;
  }
  void Start(JwksFetcher::Options options) { fetcher_.emplace(loop_, std::move(options)); }
  void Follow(const std::string& uri) { fetcher_->Follow({{uri, absl::Milliseconds(500)}}); }

  // Turns the loop until `condition`; false after 20 s.
  bool Eventually(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < end) loop_.RunOnce(absl::Milliseconds(100));
    return condition();
  }
  void TurnFor(absl::Duration duration) {
    const absl::Time end = absl::Now() + duration;
    while (absl::Now() < end) loop_.RunOnce(absl::Milliseconds(10));
  }

  const std::string keys_ = certs::TestJwtKey("ES256").KeySet();
  const std::string other_keys_ = certs::TestJwtKey("EdDSA").KeySet();
  EventLoop loop_;
  dns::NameServerForTest names_;
  KeyServer server_;
  std::vector<std::string> told_;
  std::optional<JwksFetcher> fetcher_;
};

TEST_F(JwksFetcherTest, FetchesTheKeysOfAUri) {
  server_.answers = {Ok(keys_)};
  Start(OptionsFor());
  Follow(server_.Uri());
  ASSERT_TRUE(Eventually([&] { return !told_.empty(); }));
  EXPECT_EQ(told_[0], keys_);
  EXPECT_TRUE(absl::StartsWith(server_.requests[0], "GET /jwks?v=1 HTTP/1.1\r\n"));
  EXPECT_TRUE(absl::StrContains(absl::AsciiStrToLower(server_.requests[0]),
                                absl::StrCat("host: ", kHost, ":", server_.port(), "\r\n")));
}

TEST_F(JwksFetcherTest, TellsChangesAndKeepsTheLastThroughFailures) {
  server_.answers = {Ok(keys_), Ok(keys_), "", Ok("{}"), "HTTP/1.1 500 x\r\n\r\n", Ok(other_keys_)};
  Start(OptionsFor());
  Follow(server_.Uri());
  ASSERT_TRUE(Eventually([&] { return told_.size() >= 2; }));
  EXPECT_EQ(told_, (std::vector<std::string>{keys_, other_keys_}));
}

TEST_F(JwksFetcherTest, FollowsOnlyWhatItIsTold) {
  server_.answers = {Ok(keys_)};
  Start(OptionsFor());
  Follow(server_.Uri());
  ASSERT_TRUE(Eventually([&] { return !told_.empty(); }));
  fetcher_->Follow({});
  TurnFor(absl::Milliseconds(20));  // what was on its way
  const size_t before = server_.connections;
  TurnFor(absl::Milliseconds(100));
  EXPECT_EQ(server_.connections, before);
}

// An issuer's own document says where its keys are.
TEST_F(JwksFetcherTest, AsksAnIssuerWhereItsKeysAre) {
  const std::string document =
      absl::StrCat(R"({"issuer":"x","jwks_uri":")", server_.Uri(), R"("})");
  server_.answers = {Ok(document), Ok(keys_)};
  Start(OptionsFor());
  Follow(DiscoveryUriOf(absl::StrCat("http://", kHost, ":", server_.port(), "/tenant/")));
  ASSERT_TRUE(Eventually([&] { return !told_.empty(); }));
  EXPECT_EQ(told_[0], keys_);
  EXPECT_TRUE(absl::StartsWith(server_.requests[0],
                               "GET /tenant/.well-known/openid-configuration HTTP/1.1\r\n"));
  EXPECT_TRUE(absl::StartsWith(server_.requests[1], "GET /jwks?v=1 HTTP/1.1\r\n"));
}

TEST_F(JwksFetcherTest, Row65ADiscoveryDocumentLeadsNowhereForbidden) {
  for (const std::string& document :
       {absl::StrCat(R"({"jwks_uri":")", server_.Uri("127.0.0.2"), R"("})"),
        absl::StrCat(R"({"jwks_uri":")", server_.Uri("localhost"), R"("})"),
        std::string(R"({"jwks_uri":7})"), std::string("{}"), std::string("[]"), keys_}) {
    server_.requests.clear();
    server_.answers = {Ok(document)};
    Start(OptionsFor());
    Follow(DiscoveryUriOf(absl::StrCat("http://", kHost, ":", server_.port())));
    ASSERT_TRUE(Eventually([&] { return server_.requests.size() >= 3; })) << document;
    for (const std::string& request : server_.requests) {
      EXPECT_TRUE(absl::StartsWith(request, "GET /.well-known/openid-configuration ")) << request;
    }
    EXPECT_TRUE(told_.empty()) << document;
  }
}

TEST_F(JwksFetcherTest, Row64AnswersThatAreNoKeysTellNothing) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        std::string("HTTP/1.1 302 Found\r\nlocation: http://keys.example/\r\ncontent-length: "
                    "0\r\n\r\n"),
        Ok("not JSON"), Ok("{}"), std::string("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut"),
        std::string("garbage\r\n\r\n"), std::string(),
        Ok(std::string(certs::Jwks::kMaxBytes + 1, ' '))}) {
    server_.requests.clear();
    server_.answers = {answer};
    Start(OptionsFor());
    Follow(server_.Uri());
    ASSERT_TRUE(Eventually([&] { return server_.requests.size() >= 3; })) << answer.substr(0, 80);
    EXPECT_TRUE(told_.empty()) << answer.substr(0, 80);
  }
}

TEST_F(JwksFetcherTest, Row64ASilentServerIsGivenUpInTime) {
  server_.silent = true;
  Start(OptionsFor());
  fetcher_->Follow({{server_.Uri(), absl::Milliseconds(30)}});
  ASSERT_TRUE(Eventually([&] { return server_.connections >= 2; })) << "it goes again";
  EXPECT_TRUE(told_.empty());
}

TEST_F(JwksFetcherTest, Row65ANameThatLeadsToLoopbackIsNotGoneTo) {
  server_.answers = {Ok(keys_)};
  Start(OptionsFor(IsForbiddenJwksAddress));
  for (const char* ip : {"127.0.0.1", "127.0.0.2"}) {
    names_.Set(kHost, {ip});
    const int asked = names_.asked[dns::kTypeA];
    Follow(server_.Uri());
    ASSERT_TRUE(Eventually([&] { return names_.asked[dns::kTypeA] >= asked + 3; }));
    fetcher_->Follow({});
  }
  EXPECT_EQ(server_.connections, 0u);
  EXPECT_TRUE(told_.empty());
}

TEST_F(JwksFetcherTest, Row65ALoopbackAddressIsNotGoneTo) {
  server_.answers = {Ok(keys_)};
  Start(OptionsFor());
  Follow(server_.Uri("127.0.0.1"));
  TurnFor(absl::Milliseconds(50));
  EXPECT_EQ(server_.connections, 0u);
}

TEST_F(JwksFetcherTest, Row65ANameThatIsBoundAnewIsJudgedAnew) {
  server_.answers = {Ok(keys_)};
  names_.ttl = 0;
  Start(OptionsFor());
  Follow(server_.Uri());
  ASSERT_TRUE(Eventually([&] { return !told_.empty(); }));
  names_.Set(kHost, {"127.0.0.2"});
  int asked = names_.asked[dns::kTypeA];
  ASSERT_TRUE(Eventually([&] { return names_.asked[dns::kTypeA] >= asked + 2; }));
  const size_t connections = server_.connections;
  asked = names_.asked[dns::kTypeA];
  ASSERT_TRUE(Eventually([&] { return names_.asked[dns::kTypeA] >= asked + 3; }));
  EXPECT_EQ(server_.connections, connections);
  // Of several addresses those that are not forbidden are gone to.
  names_.Set(kHost, {"127.0.0.2", "127.0.0.1"});
  EXPECT_TRUE(Eventually([&] { return server_.connections > connections; }));
}

TEST_F(JwksFetcherTest, VerifiesWhoAnswersByHttps) {
  const absl::Time now = absl::Now();
  const auto root = *certs::Issuer::CreateRoot("ca.example", now);
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto context = [&](const std::string& name) {
    certs::TestCertificateOptions certificate;
    certificate.dns = {name};
    certificate.not_before = now - absl::Hours(1);
    certificate.not_after = now + absl::Hours(1);
    ServerTlsOptions tls;
    tls.certificate.chain_pem =
        certs::MakeTestCertificate(root, key.public_key(), certificate).ToPem();
    tls.certificate.key_pem = key.ToPem();
    return *ServerTlsContext::Create(std::move(tls));
  };
  struct {
    const char* what;
    const char* name;
    std::string roots;
    bool believed;
  } rows[] = {
      {"its name, by a root of ours", kHost, root.root().ToPem(), true},
      {"another name", "other.example", root.root().ToPem(), false},
      {"another root", kHost, certs::Issuer::CreateRoot("x.example", now)->root().ToPem(), false},
      {"no root at all", kHost, "", false},
  };
  for (const auto& row : rows) {
    KeyServer server(loop_, context(row.name));
    server.answers = {Ok(keys_)};
    told_.clear();
    JwksFetcher::Options options = OptionsFor();
    options.roots_pem = row.roots;
    Start(std::move(options));
    Follow(server.Uri());
    if (row.believed) {
      EXPECT_TRUE(Eventually([&] { return !told_.empty(); })) << row.what;
    } else {
      TurnFor(absl::Milliseconds(200));
      EXPECT_TRUE(server.requests.empty()) << row.what;
      EXPECT_TRUE(told_.empty()) << row.what;
    }
    fetcher_.reset();
  }
}

}  // namespace
}  // namespace weft
