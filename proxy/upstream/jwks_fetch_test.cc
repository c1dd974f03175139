#include "proxy/upstream/jwks_fetch.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/test_jwt.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"

namespace weft {
namespace {

// Answers each connection with the next of `answers`, the last again and again.
class Issuer {
 public:
  explicit Issuer(EventLoop& loop) : loop_(loop) {
    auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    tasks_.Spawn(AcceptAll());
  }
  ~Issuer() { tasks_.Cancel(); }

  const Address& address() const { return listener_->address(); }

  std::vector<std::string> answers;
  std::vector<std::string> requests;
  bool silent = false;

 private:
  Task<> AcceptAll() {
    while (true) {
      std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
      tasks_.Spawn(Serve(std::move(accepted)));
    }
  }

  Task<> Serve(std::unique_ptr<TcpStream> stream) {
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
  std::unique_ptr<Listener> listener_;
  Scope tasks_;
};

std::string Ok(const std::string& body) {
  return absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", body.size(), "\r\n\r\n", body);
}

class JwksFetchTest : public ::testing::Test {
 protected:
  JwksFetchTest() : issuer_(loop_), fetch_(loop_, MakeOptions()) {
    source_.cluster = "keys";
    source_.authority = "issuer.example";
    source_.path = "/jwks?v=1";
    source_.timeout = absl::Milliseconds(500);
    source_.failed_refetch = source_.retry_base = source_.retry_max = absl::Milliseconds(5);
    source_.cache_duration = absl::Hours(1);
    auto cluster = std::make_shared<ClusterConfig>();
    auto endpoints = std::make_shared<EndpointSet>();
    endpoints->endpoints.emplace_back().address = issuer_.address();
    cluster->endpoints = endpoints;
    cluster_ = cluster;
  }

  JwksFetch::Options MakeOptions() {
    JwksFetch::Options options;
    options.find_cluster = [this](const std::string& name) {
      return name == "keys" ? cluster_ : nullptr;
    };
    options.on_keys = [this](const JwksSource&, std::shared_ptr<const certs::Jwks> keys) {
      told_.push_back(std::move(keys));
    };
    return options;
  }

  // Turns the loop until `condition`; false after 20 s.
  bool Eventually(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < end) loop_.RunOnce(absl::Milliseconds(100));
    return condition();
  }
  bool AwaitFirst() {
    fetch_.Follow({source_});
    return Eventually([&] { return !told_.empty(); });
  }

  const certs::TestJwtKey key_{"ES256"};
  EventLoop loop_;
  Issuer issuer_;
  std::shared_ptr<const ClusterConfig> cluster_;
  JwksSource source_;
  std::vector<std::shared_ptr<const certs::Jwks>> told_;
  JwksFetch fetch_;
};

TEST_F(JwksFetchTest, FetchesTheKeysOfASource) {
  issuer_.answers = {Ok(key_.KeySet())};
  ASSERT_TRUE(AwaitFirst());
  ASSERT_NE(told_[0], nullptr);
  EXPECT_EQ(told_[0]->size(), 1u);
  EXPECT_TRUE(absl::StartsWith(issuer_.requests[0], "GET /jwks?v=1 HTTP/1.1\r\n"));
  EXPECT_TRUE(
      absl::StrContains(absl::AsciiStrToLower(issuer_.requests[0]), "host: issuer.example\r\n"));
  EXPECT_EQ(fetch_.stats().fetched, 1u);
}

TEST_F(JwksFetchTest, FetchesAgainWhenTheyAreOld) {
  issuer_.answers = {Ok(key_.KeySet()), Ok(certs::TestJwtKey("EdDSA").KeySet())};
  source_.cache_duration = absl::Milliseconds(5);
  fetch_.Follow({source_});
  EXPECT_TRUE(Eventually([&] { return told_.size() >= 3; }));
}

TEST_F(JwksFetchTest, Row64AnswersThatAreNoKeysAreToldAsNone) {
  for (const std::string& answer :
       {std::string("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        std::string(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"),
        Ok("not JSON"), Ok("{}"), std::string("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut"),
        std::string("garbage\r\n\r\n"), std::string(),
        Ok(std::string(certs::Jwks::kMaxBytes + 1, ' '))}) {
    issuer_.requests.clear();
    issuer_.answers = {answer};
    told_.clear();
    fetch_.Follow({});
    ASSERT_TRUE(AwaitFirst()) << answer.substr(0, 80);
    EXPECT_EQ(told_[0], nullptr) << answer.substr(0, 80);
  }
}

TEST_F(JwksFetchTest, Row64ASilentIssuerIsToldOfInBoundedTime) {
  issuer_.silent = true;
  const absl::Time start = absl::Now();
  ASSERT_TRUE(AwaitFirst());
  EXPECT_EQ(told_[0], nullptr);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(JwksFetchTest, Row64AClusterThatIsNotThereIsToldOf) {
  source_.cluster = "none";
  source_.timeout = absl::Milliseconds(50);
  ASSERT_TRUE(AwaitFirst());
  EXPECT_EQ(told_[0], nullptr);
}

TEST_F(JwksFetchTest, RetriesWithinAnAttempt) {
  issuer_.answers = {"", "", Ok(key_.KeySet())};
  source_.retries = 2;
  ASSERT_TRUE(AwaitFirst());
  EXPECT_NE(told_[0], nullptr);
  EXPECT_EQ(issuer_.requests.size(), 3u);
}

TEST_F(JwksFetchTest, ComesBackToAnIssuerThatWasAway) {
  issuer_.answers = {"", "", "", Ok(key_.KeySet())};
  ASSERT_TRUE(AwaitFirst());
  EXPECT_EQ(told_[0], nullptr);
  ASSERT_TRUE(Eventually([&] { return told_.size() >= 2; }));
  EXPECT_NE(told_[1], nullptr);
}

TEST_F(JwksFetchTest, AFailedRefreshKeepsTheLastKeys) {
  issuer_.answers = {Ok(key_.KeySet()), ""};
  source_.cache_duration = absl::Milliseconds(5);
  fetch_.Follow({source_});
  ASSERT_TRUE(Eventually([&] { return issuer_.requests.size() >= 4; }));
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(JwksFetchTest, WaitsForACluster) {
  issuer_.answers = {Ok(key_.KeySet())};
  std::shared_ptr<const ClusterConfig> later;
  later.swap(cluster_);
  source_.timeout = absl::Seconds(10);
  fetch_.Follow({source_});
  loop_.RunOnce(absl::Milliseconds(20));
  EXPECT_TRUE(told_.empty());
  cluster_ = later;
  ASSERT_TRUE(Eventually([&] { return !told_.empty(); }));
  EXPECT_NE(told_[0], nullptr);
}

}  // namespace
}  // namespace weft
