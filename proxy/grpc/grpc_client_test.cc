#include "proxy/grpc/grpc_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/envoy/discovery.grpc.pb.h"
#include "api/istio/ca.grpc.pb.h"
#include "proxy/grpc/grpc_server_for_test.h"
#include "proxy/xds/csr_client.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;
using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;

constexpr char kStreamPath[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

// A message with only field 1 set has the same bytes as a request and as a response.
std::string Message(std::string text) {
  DiscoveryRequest request;
  request.set_version_info(std::move(text));
  return request.SerializeAsString();
}

// Sends back what it gets. "many N" is answered by N messages of 1 MiB, "end" by ending the call,
// "fail" by failing it.
class EchoService : public AggregatedDiscoveryService::Service {
 public:
  std::atomic<int> cancelled{0};

 private:
  using Stream = grpc::ServerReaderWriter<DiscoveryResponse, DiscoveryRequest>;
  grpc::Status StreamAggregatedResources(grpc::ServerContext* context, Stream* stream) override {
    DiscoveryRequest request;
    while (stream->Read(&request)) {
      DiscoveryResponse response;
      const std::string& text = request.version_info();
      if (text == "end") return grpc::Status::OK;
      if (text == "fail")
        return grpc::Status(grpc::StatusCode::ABORTED, "as asked: 100% \n\xc3\xa9");
      if (text.rfind("many ", 0) == 0) {
        response.set_version_info(std::string(1024 * 1024, 'm'));
        for (int i = std::stoi(text.substr(5)); i > 0; --i) stream->Write(response);
        continue;
      }
      response.set_version_info(text);
      stream->Write(response);
    }
    if (context->IsCancelled()) ++cancelled;
    return grpc::Status::OK;
  }
};

class CaService : public IstioCertificateService::Service {
  grpc::Status CreateCertificate(grpc::ServerContext* context,
                                 const IstioCertificateRequest* request,
                                 IstioCertificateResponse* response) override {
    const auto token = context->client_metadata().find("authorization");
    if (token == context->client_metadata().end() || token->second != "Bearer good") {
      return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "token: not known");
    }
    if (request->csr() == "slow") absl::SleepFor(absl::Milliseconds(300));
    if (request->csr() == "huge") response->add_cert_chain(std::string(kMaxGrpcMessage, 'h'));
    if (request->csr() == "none") return grpc::Status::OK;
    response->add_cert_chain("leaf for " + request->csr());
    response->add_cert_chain(absl::StrCat("root for ", request->validity_duration(), "s"));
    return grpc::Status::OK;
  }
};

class GrpcClientTest : public testing::Test {
 public:
  using Body = Task<> (*)(GrpcClientTest& test, GrpcConnection& connection);

  // Connects and runs `body` on the connection.
  void Run(Body body) {
    Scope scope;
    scope.Spawn(ConnectAndRun(body));
    EXPECT_TRUE(RunUntil(loop, [&] { return scope.empty(); })) << "timed out";
  }
  Task<> ConnectAndRun(Body body) {
    auto bytes = co_await ConnectTo(loop, server.address());
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    GrpcConnection::Options options;
    options.ping_interval = absl::Milliseconds(20);
    GrpcConnection connection(loop, *std::move(bytes), options);
    co_await body(*this, connection);
  }

  EventLoop loop;
  EchoService echo;
  CaService ca;
  GrpcServerForTest server{{&echo, &ca}};
};

TEST_F(GrpcClientTest, StreamsMessagesBothWays) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto stream = connection.Open(kStreamPath, {});
    for (size_t size : {1, 0, 100, 20000, 5 * 1024 * 1024, 3}) {
      const std::string message = Message(std::string(size, 'x'));
      const absl::Status sent = co_await stream->Send(message);
      EXPECT_TRUE(sent.ok()) << sent;
      auto received = co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
      EXPECT_TRUE(received.ok() && received->has_value() && **received == message) << size;
    }
    stream->CloseSend();
    auto end = co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
    EXPECT_TRUE(end.ok() && !end->has_value()) << end.status();
  });
}

TEST_F(GrpcClientTest, ASlowReaderGetsEverything) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto stream = connection.Open(kStreamPath, {});
    (void)co_await stream->Send(Message("many 20"));
    co_await Sleep(test.loop, absl::Milliseconds(100));
    for (int i = 0; i < 20; ++i) {
      auto received = co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
      EXPECT_TRUE(received.ok() && received->has_value()) << i << received.status();
    }
  });
}

TEST_F(GrpcClientTest, StreamsShareAConnection) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto one = connection.Open(kStreamPath, {});
    auto two = connection.Open(kStreamPath, {});
    // `one` reads nothing, which must not hold `two` up.
    (void)co_await one->Send(Message("many 10"));
    (void)co_await two->Send(Message(std::string(5 * 1024 * 1024, 'x')));
    auto received = co_await two->Receive(test.loop.Now() + absl::Seconds(10));
    EXPECT_TRUE(received.ok() && received->has_value()) << received.status();
  });
}

TEST_F(GrpcClientTest, TheServerEndsTheCall) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto stream = connection.Open(kStreamPath, {});
    (void)co_await stream->Send(Message("end"));
    auto end = co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
    EXPECT_TRUE(end.ok() && !end->has_value()) << end.status();
    const absl::Status late = co_await stream->Send(Message("late"));
    EXPECT_EQ(late.code(), absl::StatusCode::kCancelled);
    // The connection is still of use.
    auto again = connection.Open(kStreamPath, {});
    (void)co_await again->Send(Message("fail"));
    auto failed = co_await again->Receive(test.loop.Now() + absl::Seconds(10));
    EXPECT_EQ(failed.status(), absl::AbortedError("as asked: 100% \n\xc3\xa9"));
  });
}

TEST_F(GrpcClientTest, TrailersOnlyErrorsHaveTheirStatus) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto answer = co_await UnaryCall(connection, "/no.Such/Method", {}, "",
                                     test.loop.Now() + absl::Seconds(10));
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnimplemented) << answer.status();
  });
}

TEST_F(GrpcClientTest, GivingACallUpTellsTheServer) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto stream = connection.Open(kStreamPath, {});
    (void)co_await stream->Send(Message("x"));
    (void)co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
    stream.reset();
    for (int i = 0; i < 1000 && test.echo.cancelled == 0; ++i) {
      co_await Sleep(test.loop, absl::Milliseconds(5));
    }
    EXPECT_EQ(test.echo.cancelled, 1);
  });
}

TEST_F(GrpcClientTest, AServerThatGoesIsUnavailable) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    auto stream = connection.Open(kStreamPath, {});
    (void)co_await stream->Send(Message("x"));
    (void)co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
    std::thread stopping([&test] { test.server.Stop(); });
    auto end = co_await stream->Receive(test.loop.Now() + absl::Seconds(10));
    EXPECT_FALSE(end.ok());
    while (connection.status().ok()) co_await Sleep(test.loop, absl::Milliseconds(5));
    EXPECT_EQ(connection.status().code(), absl::StatusCode::kUnavailable);
    auto after = connection.Open(kStreamPath, {});
    auto refused = co_await after->Receive();
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable) << refused.status();
    stopping.join();
  });
}

TEST_F(GrpcClientTest, GetsCertificates) {
  Run([](GrpcClientTest& test, GrpcConnection& connection) -> Task<> {
    CertificateRequest request;
    request.csr = "a CSR";
    request.validity = absl::Hours(1);
    request.token = "good";
    const MonotonicTime deadline = test.loop.Now() + absl::Seconds(10);
    auto chain = co_await CreateCertificate(connection, request, deadline);
    EXPECT_TRUE(chain.ok()) << chain.status();
    const std::vector<std::string> expected = {"leaf for a CSR", "root for 3600s"};
    if (chain.ok()) EXPECT_EQ(*chain, expected);

    request.csr = "none";
    auto none = co_await CreateCertificate(connection, request, deadline);
    EXPECT_EQ(none.status(),
              absl::InternalError("CreateCertificate: the answer holds no certificate"));
    request.csr = "huge";
    auto huge = co_await CreateCertificate(connection, request, deadline);
    EXPECT_EQ(huge.status().code(), absl::StatusCode::kResourceExhausted) << huge.status();
    request.token = "bad";
    auto denied = co_await CreateCertificate(connection, request, deadline);
    EXPECT_EQ(denied.status(), absl::UnauthenticatedError("CreateCertificate: token: not known"));
    request.token = "good";
    request.csr = "slow";
    auto slow =
        co_await CreateCertificate(connection, request, test.loop.Now() + absl::Milliseconds(50));
    EXPECT_EQ(slow.status().code(), absl::StatusCode::kDeadlineExceeded) << slow.status();
  });
}

// One end of a socket pair plays a server that libgrpc would never be.
absl::Status StatusAfter(absl::string_view server_says) {
  EventLoop loop;
  const auto [ours, theirs] = StreamSocketPair();
  TcpStream server(loop, theirs);
  if (!server_says.empty()) server.Write(server_says);
  GrpcConnection::Options options;
  options.ping_interval = options.ping_timeout = absl::Milliseconds(20);
  GrpcConnection connection(loop, std::make_unique<TcpStream>(loop, ours), options);
  auto stream = connection.Open(kStreamPath, {});
  EXPECT_TRUE(RunUntil(loop, [&] { return !connection.status().ok(); }));
  auto received = stream->TryReceive();
  return received.has_value() ? received->status() : absl::OkStatus();
}

TEST(GrpcConnection, BadInput116_ASilentServerIsNoticedByPings) {
  EXPECT_EQ(StatusAfter(""), absl::UnavailableError("the server did not answer a ping in 20ms"));
}

TEST(GrpcConnection, AServerOfAnotherProtocolIsUnavailable) {
  const absl::Status status = StatusAfter("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST(GrpcConnection, AStreamMayOutliveIt) {
  EventLoop loop;
  const auto [ours, theirs] = StreamSocketPair();
  TcpStream server(loop, theirs);
  auto connection = std::make_unique<GrpcConnection>(loop, std::make_unique<TcpStream>(loop, ours),
                                                     GrpcConnection::Options());
  auto stream = connection->Open(kStreamPath, {});
  connection.reset();
  auto received = stream->TryReceive();
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(received->status().code(), absl::StatusCode::kUnavailable);
}

TEST(DecodeGrpcMessage, UndoesEscapes) {
  EXPECT_EQ(DecodeGrpcMessage("a%20b%C3%a9%"), "a b\xc3\xa9%");
  EXPECT_EQ(DecodeGrpcMessage("100%zz%4"), "100%zz%4");
}

}  // namespace
}  // namespace weft
