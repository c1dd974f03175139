// gRPC through the running proxy, between libgrpc's own client and server: calls of every kind, how
// they fail, and what ends them early.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/echo.grpc.pb.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kHttp2Cluster[] =
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
    "{\"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}, ";

constexpr char kMessage[] = "as asked: 100 % \xc3\xa9";

class EchoService final : public Echo::Service {
 public:
  std::atomic<int> waiting{0};
  std::atomic<int> cancelled{0};

  grpc::Status Unary(grpc::ServerContext* context, const EchoRequest* request,
                     EchoReply* reply) override {
    if (request->wait()) return WaitForCancel(context);
    for (const auto& [name, value] : context->client_metadata()) {
      if (!name.starts_with("x-in")) continue;
      context->AddInitialMetadata("x-first" + std::string(name.substr(4).data(), name.size() - 4),
                                  std::string(value.data(), value.size()));
      context->AddTrailingMetadata("x-last" + std::string(name.substr(4).data(), name.size() - 4),
                                   std::string(value.data(), value.size()));
    }
    reply->set_text(request->text());
    reply->set_left_ms(std::chrono::duration_cast<std::chrono::milliseconds>(
                           context->deadline() - std::chrono::system_clock::now())
                           .count());
    return End(*request);
  }

  grpc::Status Download(grpc::ServerContext* context, const EchoRequest* request,
                        grpc::ServerWriter<EchoReply>* writer) override {
    EchoReply reply;
    for (uint32_t i = 0; i < request->times(); ++i) {
      reply.set_text(absl::StrCat(i, request->text()));
      if (!writer->Write(reply)) break;
    }
    return request->wait() ? WaitForCancel(context) : End(*request);
  }

  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<EchoRequest>* reader,
                      EchoReply* reply) override {
    EchoRequest request;
    while (reader->Read(&request)) reply->mutable_text()->append(request.text());
    return End(request);
  }

  grpc::Status Chat(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<EchoReply, EchoRequest>* stream) override {
    EchoReply reply;
    reply.set_text("greeting");
    stream->Write(reply);
    EchoRequest request;
    while (stream->Read(&request)) {
      reply.set_text(request.text());
      stream->Write(reply);
      if (request.wait()) return WaitForCancel(context);
      if (request.fail_with() != 0) return End(request);
    }
    reply.set_text("goodbye");
    stream->Write(reply);
    return grpc::Status::OK;
  }

 private:
  grpc::Status WaitForCancel(grpc::ServerContext* context) {
    ++waiting;
    if (Eventually([&] { return context->IsCancelled(); })) ++cancelled;
    return grpc::Status::CANCELLED;
  }

  static grpc::Status End(const EchoRequest& request) {
    if (request.fail_with() == 0) return grpc::Status::OK;
    return {static_cast<grpc::StatusCode>(request.fail_with()), kMessage,
            std::string("details\0\xff", 9)};
  }
};

std::unique_ptr<grpc::Server> Serve(EchoService& service, int port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

std::unique_ptr<Echo::Stub> Call(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // A channel of its own for each stub.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return Echo::NewStub(grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                                 grpc::InsecureChannelCredentials(), arguments));
}

void SetDeadline(grpc::ClientContext& context, absl::Duration after = kPatience) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + after));
}

EchoRequest Request(const std::string& text) {
  EchoRequest request;
  request.set_text(text);
  return request;
}

class Grpc : public testing::Test {
 protected:
  // Of a unary call.
  grpc::Status Unary(const EchoRequest& request, EchoReply* reply = nullptr,
                     absl::Duration deadline = kPatience) {
    grpc::ClientContext context;
    SetDeadline(context, deadline);
    EchoReply ignored;
    return stub_->Unary(&context, request, reply != nullptr ? reply : &ignored);
  }

  EchoService service_;
  const int server_port_ = FreePort();
  std::unique_ptr<grpc::Server> server_ = Serve(service_, server_port_);
  const int port_ = FreePort();
  ProxyProcess proxy_{
      {HttpListener("in", port_,
                    "{match: {prefix: /weft.test.Echo/Download}, route: {cluster: up, timeout: 0s, "
                    "max_stream_duration: {grpc_timeout_header_max: 0.5s}}}, " +
                        RouteTo("up", "timeout: 30s"))},
      {Cluster("up", {server_port_}, kHttp2Cluster)}};
  std::unique_ptr<Echo::Stub> stub_ = Call(port_);
};

TEST_F(Grpc, UnaryWithMetadataBothWays) {
  grpc::ClientContext context;
  SetDeadline(context);
  const std::string binary("\0\xff\x01", 3);
  context.AddMetadata("x-in", "text");
  context.AddMetadata("x-in-bin", binary);
  EchoReply reply;
  const grpc::Status status = stub_->Unary(&context, Request("hello"), &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.text(), "hello");
  const auto value = [](const auto& metadata, const char* name) {
    const auto found = metadata.find(name);
    return found == metadata.end() ? std::string("none")
                                   : std::string(found->second.data(), found->second.size());
  };
  EXPECT_EQ(value(context.GetServerInitialMetadata(), "x-first"), "text");
  EXPECT_EQ(value(context.GetServerInitialMetadata(), "x-first-bin"), binary);
  EXPECT_EQ(value(context.GetServerTrailingMetadata(), "x-last"), "text");
  EXPECT_EQ(value(context.GetServerTrailingMetadata(), "x-last-bin"), binary);
}

TEST_F(Grpc, MessagesOfMegabytes) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100000}, size_t{2} << 20}) {
    EchoReply reply;
    const std::string text(size, 'm');
    const grpc::Status status = Unary(Request(text), &reply);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(reply.text() == text) << size;
  }
}

TEST_F(Grpc, EveryStatusPassesWithItsMessageAndDetails) {
  for (int code = 1; code <= 16; ++code) {
    EchoRequest request;
    request.set_fail_with(code);
    const grpc::Status status = Unary(request);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), kMessage);
    EXPECT_EQ(status.error_details(), std::string("details\0\xff", 9));
  }
}

TEST_F(Grpc, ServerStreaming) {
  for (const int code : {0, 9}) {
    grpc::ClientContext context;
    SetDeadline(context);
    EchoRequest request = Request(std::string(10000, 'd'));
    request.set_times(200);
    request.set_fail_with(code);
    const auto reader = stub_->Download(&context, request);
    EchoReply reply;
    int read = 0;
    while (reader->Read(&reply)) {
      EXPECT_EQ(reply.text(), absl::StrCat(read, request.text()));
      ++read;
    }
    EXPECT_EQ(read, 200);
    EXPECT_EQ(reader->Finish().error_code(), code);
  }
}

TEST_F(Grpc, ClientStreaming) {
  grpc::ClientContext context;
  SetDeadline(context);
  EchoReply reply;
  const auto writer = stub_->Upload(&context, &reply);
  std::string all;
  for (int i = 0; i < 200; ++i) {
    const std::string text = absl::StrCat(i, std::string(10000, 'u'));
    all += text;
    ASSERT_TRUE(writer->Write(Request(text)));
  }
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_TRUE(reply.text() == all) << reply.text().size();
}

TEST_F(Grpc, BothWaysInTurns) {
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub_->Chat(&context);
  EchoReply reply;
  // The server speaks first, before the client's first message.
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.text(), "greeting");
  for (int i = 0; i < 100; ++i) {
    const std::string text = absl::StrCat(i, std::string(i * 100, 't'));
    ASSERT_TRUE(stream->Write(Request(text)));
    ASSERT_TRUE(stream->Read(&reply));
    EXPECT_EQ(reply.text(), text);
  }
  stream->WritesDone();
  ASSERT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.text(), "goodbye");
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(Grpc, AServerMayEndAStreamThatTheClientHasOpen) {
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub_->Chat(&context);
  EchoRequest last = Request("last");
  last.set_fail_with(8);
  stream->Write(last);
  EchoReply reply;
  EXPECT_TRUE(stream->Read(&reply));
  EXPECT_TRUE(stream->Read(&reply));
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), 8);
  EXPECT_TRUE(Eventually([&] { return proxy_.Stat("downstream_rq_active") == 0; }));
}

TEST_F(Grpc, TheDeadlineReachesTheServer) {
  EchoReply reply;
  EXPECT_TRUE(Unary(Request(""), &reply, absl::Seconds(15)).ok());
  EXPECT_GT(reply.left_ms(), 5000);
  EXPECT_LE(reply.left_ms(), 16000);  // gRPC rounds what it tells the next hop up
}

TEST_F(Grpc, AClientThatRunsOutOfTimeCancelsTheServer) {
  EchoRequest request;
  request.set_wait(true);
  EXPECT_EQ(Unary(request, nullptr, absl::Milliseconds(500)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return service_.cancelled == 1; }));
}

TEST_F(Grpc, TheRouteBoundsATimeout) {
  grpc::ClientContext context;
  SetDeadline(context);
  EchoRequest request;
  request.set_times(3);
  request.set_wait(true);
  const absl::Time start = absl::Now();
  const auto reader = stub_->Download(&context, request);
  EchoReply reply;
  int read = 0;
  while (reader->Read(&reply)) ++read;
  EXPECT_EQ(read, 3);
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_TRUE(Eventually([&] { return service_.cancelled == 1; }));
}

TEST_F(Grpc, CancellingReachesTheServer) {
  EchoRequest request = Request("x");
  request.set_wait(true);
  {
    grpc::ClientContext context;
    SetDeadline(context);
    std::thread canceller([&] {
      EXPECT_TRUE(Eventually([&] { return service_.waiting == 1; }));
      context.TryCancel();
    });
    EchoReply reply;
    EXPECT_EQ(stub_->Unary(&context, request, &reply).error_code(), grpc::StatusCode::CANCELLED);
    canceller.join();
  }
  EXPECT_TRUE(Eventually([&] { return service_.cancelled == 1; }));
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub_->Chat(&context);
  stream->Write(request);
  EXPECT_TRUE(Eventually([&] { return service_.waiting == 2; }));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return service_.cancelled == 2; }));
  EXPECT_TRUE(Eventually([&] { return proxy_.Stat("downstream_rq_active") == 0; }));
}

TEST_F(Grpc, ManyCallsAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      const std::unique_ptr<Echo::Stub> own = i % 2 == 0 ? nullptr : Call(port_);
      for (int j = 0; j < 50; ++j) {
        grpc::ClientContext context;
        SetDeadline(context);
        EchoReply reply;
        const std::string text = absl::StrCat(i, "/", j, std::string(j * 200, 'x'));
        const grpc::Status status =
            (own != nullptr ? own : stub_)->Unary(&context, Request(text), &reply);
        good += status.ok() && reply.text() == text;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(good, 8 * 50);
  // They share connections.
  EXPECT_LE(proxy_.Stat("cluster.up.upstream_cx_total"), 8);
}

TEST_F(Grpc, AServerThatIsReplacedIsFoundAgain) {
  EXPECT_TRUE(Unary(Request("")).ok());
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
  EXPECT_EQ(Unary(Request("")).error_code(), grpc::StatusCode::UNAVAILABLE);
  server_ = Serve(service_, server_port_);
  EXPECT_TRUE(Eventually([&] { return Unary(Request("")).ok(); }));
}

// What the proxy, or an endpoint that does not speak gRPC, answers is a status its clients know.
TEST(GrpcStatus, ComesOfHttps) {
  const struct {
    const char* cluster;
    std::string response;
    grpc::StatusCode code;
  } kCases[] = {
      {"up", "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno",
       grpc::StatusCode::UNAVAILABLE},
      {"up", "HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", grpc::StatusCode::UNAUTHENTICATED},
      {"up", "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", grpc::StatusCode::PERMISSION_DENIED},
      {"up", "HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", grpc::StatusCode::UNIMPLEMENTED},
      {"up", "not HTTP at all\r\n\r\n", grpc::StatusCode::UNAVAILABLE},
      {"dead", "", grpc::StatusCode::UNAVAILABLE},
      {"empty", "", grpc::StatusCode::UNAVAILABLE},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(absl::StrCat(one.cluster, " ", one.response));
    Upstream upstream(Always(one.response));
    const int port = FreePort();
    ProxyProcess proxy(
        {HttpListener("in", port, RouteTo(one.cluster))},
        {Cluster("up", {upstream.port()}), Cluster("dead", {FreePort()}), Cluster("empty", {})});
    grpc::ClientContext context;
    SetDeadline(context);
    EchoReply reply;
    const grpc::Status status = Call(port)->Unary(&context, Request("x"), &reply);
    EXPECT_EQ(status.error_code(), one.code) << status.error_message();
  }
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, "{match: {path: /x}, route: {cluster: none}}")},
                     {Cluster("none", {})});
  grpc::ClientContext context;
  SetDeadline(context);
  EchoReply reply;
  EXPECT_EQ(Call(port)->Unary(&context, Request("x"), &reply).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace weft::test
