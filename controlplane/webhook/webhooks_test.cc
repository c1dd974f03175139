// The webhooks on a real port, by raw bytes over real TLS: what is refused, how, and what is bound.
#include "controlplane/webhook/webhooks.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/tls/tls_stream.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;
using Labels = std::map<std::string, std::string>;
using testing::HasSubstr;

TlsCertificate CertificateOf(const certs::Issuer& issuer, const std::vector<std::string>& names) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  TlsCertificate certificate;
  certificate.chain_pem =
      issuer.IssueForNames(key.public_key(), names, absl::Hours(1), absl::Now())->front();
  certificate.key_pem = key.ToPem();
  return certificate;
}

std::string Post(const std::string& path, const std::string& body) {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n",
                      "content-length: ", body.size(), "\r\n\r\n", body);
}

std::string PodReview() {
  return R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-7",
    "kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"shop","operation":"CREATE",
    "object":{"metadata":{"name":"web"},"spec":{"containers":[{"name":"web"}]}}}})";
}

// One connection, as a client has it.
struct Client {
  std::unique_ptr<TlsStream> stream;
  Buffer in;
  H1Decoder decoder{H1Decoder::Role::kResponses};
  int code = 0;  // 0: there was no answer
  std::string body;
  bool sent_all = false;
  bool done = false;
};

class WebhooksTest : public testing::Test {
 protected:
  WebhooksTest()
      : issuer_(*certs::Issuer::CreateRoot("east", absl::Now())),
        webhooks_(
            Config(), [this](std::string) { return LabelsNow(); }, metrics_) {
    auto port = HttpsPort::Listen(loop_, Address::Parse("127.0.0.1:0").value(),
                                  ContextOf({"weftd.weft-system.svc"}),
                                  [this](std::string path, std::string body) {
                                    return webhooks_.Answer(std::move(path), std::move(body));
                                  });
    port_ = *std::move(port);
    port_->Start();
  }

  static InjectConfig Config() {
    InjectConfig config;
    config.cluster = "east";
    return config;
  }

  std::shared_ptr<const ServerTlsContext> ContextOf(const std::vector<std::string>& names) {
    ServerTlsOptions options;
    options.certificate = CertificateOf(issuer_, names);
    return ServerTlsContext::Create(std::move(options)).value();
  }

  Task<Labels> LabelsNow() {
    Labels labels = {{"istio-injection", "enabled"}};
    co_return labels;
  }

  Task<> Dial(Client& client, std::string server_name) {
    ClientTlsOptions options;
    options.server_trust.ca_pem = issuer_.root().ToPem();
    options.server_trust.verify_host = server_name;
    options.sni = server_name;
    const auto context = ClientTlsContext::Create(std::move(options)).value();
    ConnectOptions connect;
    connect.deadline = loop_.Now() + absl::Seconds(10);
    auto tcp = co_await Connect(loop_, port_->address(), connect);
    if (!tcp.ok()) co_return;
    auto stream = co_await TlsStream::Connect(loop_, *std::move(tcp), context, connect.deadline);
    if (stream.ok()) client.stream = *std::move(stream);
  }

  Task<> Open(std::unique_ptr<TcpStream>& to) {
    ConnectOptions options;
    options.deadline = loop_.Now() + absl::Seconds(10);
    auto tcp = co_await Connect(loop_, port_->address(), options);
    if (tcp.ok()) to = *std::move(tcp);
  }

  Task<> Exchange(Client& client, std::string request) {
    client.done = false;
    client.code = 0;
    client.body.clear();
    if (client.stream == nullptr) co_await Dial(client, "weftd.weft-system.svc");
    if (client.stream != nullptr) {
      Buffer out;
      out.Append(request);
      const MonotonicTime deadline = loop_.Now() + absl::Seconds(10);
      client.sent_all = co_await WriteAll(loop_, *client.stream, out, deadline);
      co_await ReadAnswer(client, deadline);
    }
    client.done = true;
  }

  Task<> ReadAnswer(Client& client, MonotonicTime deadline) {
    client.decoder.NextMessage();
    client.decoder.ExpectResponse("POST");
    while (true) {
      switch (client.decoder.Next(client.in)) {
        case H1Decoder::Event::kHead:
          client.code = client.decoder.response().status;
          break;
        case H1Decoder::Event::kBody: {
          const size_t size = client.decoder.body_size();
          client.body.append(client.in.data(), size);
          client.in.Consume(size);
          client.decoder.BodyTaken(size);
          break;
        }
        case H1Decoder::Event::kEnd:
        case H1Decoder::Event::kClosed:
        case H1Decoder::Event::kError:
          co_return;
        case H1Decoder::Event::kNeedMore: {
          const IoResult got = client.stream->Read(client.in, Buffer::kBlockSize);
          if (got.status == IoStatus::kEof) client.decoder.OnEof();
          if (got.status == IoStatus::kError) co_return;
          if (got.status != IoStatus::kBlocked) break;
          const bool notified = co_await Wait(loop_, {&client.stream->readable()}, deadline);
          if (!notified) co_return;
        }
      }
    }
  }

  void Run(const std::function<bool()>& until) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!until() && absl::Now() < deadline) loop_.RunOnce(absl::Milliseconds(20));
  }

  // On a connection of its own.
  Client Ask(std::string request) {
    Client client;
    Scope scope;
    scope.Spawn(Exchange(client, std::move(request)));
    Run([&] { return client.done; });
    return client;
  }

  Json Answered(const Client& client) {
    EXPECT_EQ(client.code, 200) << client.body;
    return Json::parse(client.body, nullptr, false)["response"];
  }

  EventLoop loop_;
  const certs::Issuer issuer_;
  Metrics metrics_;
  Webhooks webhooks_;
  std::unique_ptr<HttpsPort> port_;
};

TEST_F(WebhooksTest, AnswersByPathAndKeepsTheConnection) {
  Client client;
  Scope scope;
  for (int i = 0; i < 3; ++i) {
    scope.Spawn(Exchange(client, Post("/inject?timeout=10s", PodReview())));
    Run([&] { return client.done; });
    EXPECT_EQ(Answered(client)["uid"], "u-7");
    EXPECT_EQ(Answered(client)["patchType"], "JSONPatch");
  }
  scope.Spawn(Exchange(client, Post("/validate", PodReview())));
  Run([&] { return client.done; });
  EXPECT_EQ(Answered(client)["allowed"], true);
  EXPECT_FALSE(Answered(client).contains("patch"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("sidecar_injection_success_total 3"));
  EXPECT_THAT(metrics_.Text(), HasSubstr("galley_validation_passed 1"));
}

TEST_F(WebhooksTest, Row107ARetryIsAnsweredTheSame) {
  const Client first = Ask(Post("/inject", PodReview()));
  const Client again = Ask(Post("/inject", PodReview()));
  EXPECT_EQ(first.code, 200);
  EXPECT_EQ(first.body, again.body);
}

TEST_F(WebhooksTest, Row106WhatIsNoReviewIsRefused) {
  const std::string head = "POST /inject HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n";
  const struct {
    const char* what;
    std::string request;
    int code;
  } cases[] = {
      {"no JSON", Post("/inject", "hello"), 400},
      {"no body", Post("/validate", ""), 400},
      {"another version", Post("/inject", R"({"kind":"AdmissionReview","apiVersion":"v2"})"), 400},
      {"no uid",
       Post("/validate", R"({"kind":"AdmissionReview",)"
                         R"("apiVersion":"admission.k8s.io/v1","request":{}})"),
       400},
      {"nested deep", Post("/inject", std::string(100000, '[')), 400},
      {"another path", Post("/mutate", PodReview()), 404},
      {"GET", "GET /inject HTTP/1.1\r\nhost: w\r\n\r\n", 405},
      {"another type", "POST /inject HTTP/1.1\r\nhost: w\r\ncontent-length: 2\r\n\r\n{}", 415},
      {"too large, as stated",
       absl::StrCat(head, "content-length: ", HttpsPort::kMaxBody + 1, "\r\n\r\n"), 413},
      {"too large, in chunks",
       absl::StrCat(head, "transfer-encoding: chunked\r\n\r\n900000\r\n",
                    std::string(0x900000, ' ')),
       413},
      {"an endless length", absl::StrCat(head, "content-length: 99999999999999999999\r\n\r\n"),
       400},
      {"two lengths",
       absl::StrCat(head, "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"), 400},
      {"an upgrade", absl::StrCat(head, "connection: upgrade\r\nupgrade: x\r\n\r\n"), 400},
      {"a large head", absl::StrCat(head, "x: ", std::string(70000, 'x'), "\r\n\r\n"), 431},
      {"no HTTP", "\x16\x03\x01 hello\r\n\r\n", 400},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Ask(c.request).code, c.code) << c.what;
    EXPECT_EQ(Ask(Post("/inject", PodReview())).code, 200) << "after " << c.what;
  }
}

TEST_F(WebhooksTest, ServesARenewedCertificateFromThenOn) {
  Client before;
  Scope scope;
  scope.Spawn(Exchange(before, Post("/inject", PodReview())));
  Run([&] { return before.done; });
  port_->SetTls(ContextOf({"another.name"}));
  EXPECT_EQ(Ask(Post("/inject", PodReview())).code, 0);  // not the name it was dialed by
  scope.Spawn(Exchange(before, Post("/inject", PodReview())));
  Run([&] { return before.done; });
  EXPECT_EQ(before.code, 200);
}

TEST_F(WebhooksTest, Row106HoldsSoManyConnectionsAtMost) {
  std::vector<std::unique_ptr<TcpStream>> silent(HttpsPort::kMaxConnections);
  Scope scope;
  for (auto& one : silent) scope.Spawn(Open(one));
  Run([&] { return silent.back() != nullptr; });
  for (int i = 0; i < 10; ++i) loop_.RunOnce(absl::Milliseconds(1));
  EXPECT_EQ(Ask(Post("/inject", PodReview())).code, 0);
  silent.clear();
  Run([&] { return Ask(Post("/inject", PodReview())).code == 200; });
  EXPECT_EQ(Ask(Post("/inject", PodReview())).code, 200);
}

TEST_F(WebhooksTest, Row106HoldsSoManyBytesAtMost) {
  constexpr size_t kClients = HttpsPort::kMaxHeld / HttpsPort::kMaxBody;
  std::vector<std::unique_ptr<Client>> halves;
  Scope scope;
  for (size_t i = 0; i < kClients; ++i) {
    halves.push_back(std::make_unique<Client>());
    scope.Spawn(Exchange(*halves.back(),
                         absl::StrCat("POST /inject HTTP/1.1\r\nhost: w\r\ncontent-type: ",
                                      "application/json\r\ncontent-length: ", HttpsPort::kMaxBody,
                                      "\r\n\r\n", std::string(HttpsPort::kMaxBody - 1, ' '))));
  }
  Run([&] {
    return std::all_of(halves.begin(), halves.end(), [](const auto& c) { return c->sent_all; });
  });
  for (int i = 0; i < 50; ++i) loop_.RunOnce(absl::Milliseconds(1));
  EXPECT_EQ(Ask(Post("/inject", PodReview())).code, 503);
  scope.Cancel();
  halves.clear();
  Run([&] { return Ask(Post("/inject", PodReview())).code == 200; });
  EXPECT_EQ(Ask(Post("/inject", PodReview())).code, 200);
}

}  // namespace
}  // namespace weft::webhook
