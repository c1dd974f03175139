#include "controlplane/sources/kubernetes/client.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "certs/issuer.h"
#include "certs/test_certificate.h"
#include "controlplane/sources/kubernetes/command.h"
#include "controlplane/sources/kubernetes/scripted_server_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Answer = absl::StatusOr<KubernetesClient::Answer>;

std::string Gzipped(const std::string& text) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = text.size();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = out.size();
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

class KubernetesClientTest : public ::testing::Test {
 protected:
  KubernetesClientTest() { config_.origin = "test"; }
  ~KubernetesClientTest() override { tasks_.Cancel(); }

  void Serve(ScriptedServer::Handler handler,
             std::shared_ptr<const ServerTlsContext> tls = nullptr) {
    config_.tls = tls != nullptr;
    server_ = std::make_unique<ScriptedServer>(
        loop_,
        [this, handler](const ScriptedRequest& request) {
          heads_.push_back(request.head);
          return handler(request);
        },
        std::move(tls));
    config_.host = "127.0.0.1";
    config_.port = server_->port();
  }
  Answer Call(KubernetesRequest request, absl::Duration timeout = absl::Seconds(10)) {
    if (client_ == nullptr) client_ = std::make_unique<KubernetesClient>(loop_, config_);
    answer_.reset();
    tasks_.Spawn(Run(std::move(request), timeout));
    EXPECT_TRUE(Eventually(loop_, [this] { return answer_.has_value(); }));
    return *answer_;
  }
  Answer Get(const std::string& path) {
    KubernetesRequest request;
    request.path = path;
    return Call(std::move(request));
  }
  Task<> Run(KubernetesRequest request, absl::Duration timeout) {
    Answer answer = co_await client_->Call(std::move(request), loop_.Now() + timeout);
    answer_ = std::move(answer);
  }
  static std::string TempFile(const std::string& name, const std::string& text) {
    const std::string path = absl::StrCat(getenv("TEST_TMPDIR"), "/", name);
    std::ofstream(path + ".new") << text;
    EXPECT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
    return path;
  }

  EventLoop loop_;
  Kubeconfig config_;
  std::vector<std::string> heads_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<KubernetesClient> client_;
  std::optional<Answer> answer_;
  Scope tasks_;
};

ScriptedAnswer Body(const std::string& body) {
  ScriptedAnswer answer;
  answer.body = body;
  return answer;
}

TEST_F(KubernetesClientTest, KeepsItsConnection) {
  Serve([](const ScriptedRequest& request) { return Body(request.target); });
  config_.path = "/k8s";
  for (int i = 0; i < 3; ++i) {
    const Answer answer = Get("/api?x=1");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "/k8s/api?x=1");
  }
  EXPECT_EQ(server_->connections(), 1);
  EXPECT_THAT(heads_[0], HasSubstr("accept-encoding: gzip"));
  EXPECT_THAT(heads_[0], Not(HasSubstr("authorization")));
}

TEST_F(KubernetesClientTest, SendsBodies) {
  Serve([](const ScriptedRequest& request) {
    return Body(absl::StrCat(request.method, " ", request.body.size()));
  });
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
    KubernetesRequest request;
    request.method = method;
    request.path = "/api";
    request.body = std::string(300'000, 'x');
    request.content_type = "application/merge-patch+json";
    const Answer answer = Call(request);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->body, absl::StrCat(method, " 300000"));
    EXPECT_THAT(heads_.back(), HasSubstr("content-type: application/merge-patch+json"));
  }
}

TEST_F(KubernetesClientTest, GoesOnWhereAnIdleConnectionWasClosed) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  ASSERT_TRUE(Get("/a").ok());
  server_->Cut();
  EXPECT_TRUE(Get("/b").ok());
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(KubernetesClientTest, SendsTwiceOnlyWhatChangesNothing) {
  bool dies = false;
  int posts = 0;
  Serve([&](const ScriptedRequest& request) {
    ScriptedAnswer answer = Body("ok");
    if (request.method != "POST") return answer;
    ++posts;
    answer.silent = std::exchange(dies, false);
    if (answer.silent) loop_.Post([this] { server_->Cut(); });
    return answer;
  });
  KubernetesRequest request;
  request.method = "POST";
  request.path = "/b";
  request.body = "{}";
  for (const bool repeatable : {false, true}) {
    ASSERT_TRUE(Get("/a").ok());
    request.repeatable = repeatable;
    dies = true;
    EXPECT_EQ(Call(request).ok(), repeatable);
  }
  EXPECT_EQ(posts, 3);
}

TEST_F(KubernetesClientTest, RefusesPathsThatAreNone) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  for (const char* path : {"", "api", "/a b", "/a\r\nx: y"}) EXPECT_FALSE(Get(path).ok()) << path;
  EXPECT_TRUE(heads_.empty());
}

TEST_F(KubernetesClientTest, UnpacksGzip) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) absl::StrAppend(&text, "line ", i * 7919, "\n");
  const std::string packed = Gzipped(text);
  std::string sent = packed;
  Serve([&](const ScriptedRequest&) {
    ScriptedAnswer answer = Body(sent);
    answer.headers = "content-encoding: gzip\r\n";
    answer.chunk = 1000;
    return answer;
  });
  Answer answer = Get("/a");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, text);
  sent = packed.substr(0, packed.size() / 2);
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("gzip: cut short"));
  sent = packed + "x";
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("gzip: "));
  sent = "not gzip at all";
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("gzip: "));
}

TEST_F(KubernetesClientTest, ReadsATokenAgainWhenItChanges) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  config_.token_file = TempFile("token", "one\n");
  ASSERT_TRUE(Get("/a").ok());
  TempFile("token", "two\n");
  ASSERT_TRUE(Get("/a").ok());
  unlink(config_.token_file.c_str());
  ASSERT_TRUE(Get("/a").ok());
  EXPECT_THAT(heads_, ElementsAre(HasSubstr("authorization: Bearer one\r\n"),
                                  HasSubstr("authorization: Bearer two\r\n"),
                                  HasSubstr("authorization: Bearer two\r\n")));
}

TEST_F(KubernetesClientTest, ATokenFileThatIsNotThereIsNamed) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  config_.token_file = "/nowhere/token";
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("/nowhere/token"));
}

TEST_F(KubernetesClientTest, UsesANameAndAPassword) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  config_.username = "me";
  config_.password = "secret";
  ASSERT_TRUE(Get("/a").ok());
  EXPECT_THAT(heads_[0], HasSubstr("authorization: Basic bWU6c2VjcmV0\r\n"));
}

ExecPlugin Plugin(const std::string& script) {
  ExecPlugin plugin;
  plugin.api_version = "client.authentication.k8s.io/v1";
  plugin.command = "sh";
  plugin.args = {"-c", script};
  return plugin;
}

// Says how often it ran as its token.
std::string Counting(const std::string& file, const std::string& expires = "") {
  return absl::StrCat("echo x >> ", file, "; printf '{\"apiVersion\":",
                      "\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",",
                      "\"status\":{\"token\":\"run-%s\",\"expirationTimestamp\":\"", expires,
                      "\"}}' $(wc -l < ", file, ")");
}

TEST_F(KubernetesClientTest, RunsAPluginAgainOnceRefused) {
  bool refuse = false;
  Serve([&](const ScriptedRequest& request) {
    ScriptedAnswer answer = Body("ok");
    if (refuse && absl::StrContains(request.head, "run-1")) answer.status = 401;
    return answer;
  });
  config_.exec = Plugin(Counting(TempFile("runs", "")));
  ASSERT_TRUE(Get("/a").ok());
  ASSERT_TRUE(Get("/a").ok());
  EXPECT_THAT(heads_.back(), HasSubstr("Bearer run-1\r\n"));
  refuse = true;
  const Answer answer = Get("/a");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(heads_.back(), HasSubstr("Bearer run-2\r\n"));
}

TEST_F(KubernetesClientTest, RunsAPluginAgainOnceExpired) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  config_.exec = Plugin(Counting(TempFile("runs2", ""), "2020-01-01T00:00:00Z"));
  ASSERT_TRUE(Get("/a").ok());
  ASSERT_TRUE(Get("/a").ok());
  EXPECT_THAT(heads_.back(), HasSubstr("Bearer run-2\r\n"));
}

TEST_F(KubernetesClientTest, NamesThePluginThatFails) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  const struct {
    const char* script;
    const char* error;
  } cases[] = {
      {"exit 3", "test: exec sh: it exited with 3"},
      {"kill -9 $$", "it was ended by Killed"},
      {"echo '{}'", "expected an ExecCredential of client.authentication.k8s.io/v1"},
      {"echo no", "not valid JSON"},
      {"echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\"}'",
       "status: neither a token nor a client certificate"},
      {"head -c 2000000 /dev/zero", "it printed more than 1 MiB"},
  };
  for (const auto& c : cases) {
    config_.exec = Plugin(c.script);
    client_.reset();
    EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr(c.error)) << c.script;
  }
  config_.exec->command = "no-such-plugin";
  config_.exec->install_hint = "get it at example.com";
  client_.reset();
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("get it at example.com"));
}

TEST_F(KubernetesClientTest, ACommandIsStoppedInTime) {
  std::optional<absl::Status> ended;
  const auto run = [](EventLoop& loop, std::optional<absl::Status>* ended) -> Task<> {
    Command command;
    command.argv = {"sleep", "1000"};
    auto printed = co_await RunCommand(loop, std::move(command), loop.Now() + absl::Seconds(0.1));
    *ended = printed.status();
  };
  tasks_.Spawn(run(loop_, &ended));
  ASSERT_TRUE(Eventually(loop_, [&] { return ended.has_value(); }));
  EXPECT_THAT(std::string(ended->message()), HasSubstr("it took too long"));
}

// A server with a certificate for kubernetes.test, and clients that need one of the same root.
struct Pki {
  Pki() : issuer(*certs::Issuer::CreateRoot("test", absl::Now())) {
    server = Issue("kubernetes.test");
    client = Issue("weftd");
    ServerTlsOptions options;
    options.certificate = server;
    options.client_trust.emplace();
    options.client_trust->ca_pem = issuer.root().ToPem();
    options.require_client_certificate = true;
    context = *ServerTlsContext::Create(std::move(options));
  }
  TlsCertificate Issue(const std::string& name) {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    certs::TestCertificateOptions options;
    options.dns = {name};
    options.not_before = absl::Now() - absl::Hours(1);
    options.not_after = absl::Now() + absl::Hours(1);
    return {certs::MakeTestCertificate(issuer, key.public_key(), options).ToPem(), key.ToPem()};
  }
  certs::Issuer issuer;
  TlsCertificate server;
  TlsCertificate client;
  std::shared_ptr<const ServerTlsContext> context;
};

TEST_F(KubernetesClientTest, ShowsItsCertificateAndChecksTheServers) {
  Pki pki;
  Serve([](const ScriptedRequest&) { return Body("ok"); }, pki.context);
  config_.ca.data = pki.issuer.root().ToPem();
  config_.server_name = "kubernetes.test";
  config_.certificate.file = TempFile("cert.pem", pki.client.chain_pem);
  config_.key.file = TempFile("key.pem", pki.client.key_pem);
  const Answer answer = Get("/a");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, "ok");

  // Rotated: a connection of the old certificate is not used again.
  const TlsCertificate next = pki.Issue("weftd");
  TempFile("cert.pem", next.chain_pem);
  TempFile("key.pem", next.key_pem);
  ASSERT_TRUE(Get("/a").ok());
  EXPECT_EQ(server_->connections(), 2);

  config_.server_name = "other.test";
  client_.reset();
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("TLS: "));
  config_.server_name = "kubernetes.test";
  config_.ca.data = certs::Issuer::CreateRoot("other", absl::Now())->root().ToPem();
  client_.reset();
  EXPECT_THAT(std::string(Get("/a").status().message()), HasSubstr("TLS: "));
  config_.ca.data.clear();
  config_.insecure = true;
  client_.reset();
  EXPECT_TRUE(Get("/a").ok());
}

TEST_F(KubernetesClientTest, NamesAServerThatIsAway) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  server_.reset();
  EXPECT_THAT(std::string(Get("/a").status().message()),
              HasSubstr(absl::StrCat("127.0.0.1:", config_.port, ": ")));
}

TEST_F(KubernetesClientTest, FindsAServerByItsName) {
  Serve([](const ScriptedRequest&) { return Body("ok"); });
  config_.host = "localhost";
  EXPECT_TRUE(Get("/a").ok());
  EXPECT_THAT(heads_[0], HasSubstr(absl::StrCat("localhost:", config_.port)));
}

TEST_F(KubernetesClientTest, ASilentServerIsGivenUp) {
  Serve([](const ScriptedRequest&) {
    ScriptedAnswer answer;
    answer.silent = true;
    return answer;
  });
  KubernetesRequest request;
  request.path = "/a";
  EXPECT_TRUE(absl::IsDeadlineExceeded(Call(request, absl::Milliseconds(50)).status()));
}

}  // namespace
}  // namespace weft
