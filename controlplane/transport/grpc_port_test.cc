// The port, as gRPC's own client sees it.
#include "controlplane/transport/grpc_port.h"

#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controlplane/transport/grpc_server_for_test.h"

namespace weft {
namespace {

constexpr size_t kMaxMessage = 300'000;

// Handlers, and what became of their calls.
struct Calls {
  std::atomic<int> under_way{0};
  std::atomic<int> flooded{0};  // messages that Flood has handed on
};

struct Counted {
  explicit Counted(Calls& calls) : calls(calls) { ++calls.under_way; }
  ~Counted() { --calls.under_way; }
  Calls& calls;
};

// A message in pieces of a byte, of which each is gone when the next one is there.
class InPieces : public GrpcPayload {
 public:
  explicit InPieces(std::string bytes) : bytes_(std::move(bytes)) {}
  size_t size() const override { return bytes_.size(); }
  absl::string_view Next() override {
    piece_ = next_ < bytes_.size() ? bytes_.substr(next_++, 1) : "";
    return piece_;
  }

 private:
  const std::string bytes_;
  size_t next_ = 0;
  std::string piece_;
};

// Every message comes back, until the client has said all; "fail" is refused.
Task<absl::Status> Echo(GrpcCall& call, Calls& calls) {
  const Counted counted(calls);
  std::string message;
  while (true) {
    const GrpcCall::Event event = co_await call.Receive(&message);
    if (event == GrpcCall::Event::kEnd) co_return call.status();
    if (message == "fail") co_return absl::NotFoundError("no 100% of \"it\"\n");
    if (message == "who") message = absl::StrCat(call.peer().address, " ", call.Metadata("x-a"));
    call.Send(std::make_unique<InPieces>(std::move(message)));
  }
}

// Messages without end, each when the one before was taken.
Task<absl::Status> Flood(EventLoop& loop, GrpcCall& call, Calls& calls) {
  const Counted counted(calls);
  std::string message;
  while (true) {
    if (call.Next(&message) == GrpcCall::Event::kEnd && !call.status().ok()) {
      co_return call.status();
    }
    if (call.Flush()) {
      ++calls.flooded;
      call.Send(std::string(10'000, 'f'));
      co_await Sleep(loop, absl::ZeroDuration());
      continue;
    }
    co_await Wait(loop, {&call.readable(), &call.writable()});
  }
}

class GrpcPortTest : public testing::Test {
 protected:
  GrpcPortTest() {
    GrpcServices services;
    services["/test.Test/Echo"] = [this](GrpcCall& call) { return Echo(call, calls_); };
    services["/test.Test/Flood"] = [this](GrpcCall& call) {
      return Flood(server_->loop(), call, calls_);
    };
    GrpcPort::Options options;
    options.max_message = kMaxMessage;
    server_ = std::make_unique<GrpcServerForTest>(std::move(services), options);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(),
                                         arguments);
  }

  // What a client gets for one message; the status in front of it.
  std::string Unary(const std::string& method, const std::string& message) {
    grpc::ClientContext context;
    context.AddMetadata("x-a", "b");
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(message);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer reply;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
    call->StartCall();
    call->Finish(&reply, &status, nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    std::string text = absl::StrCat(status.error_code(), " ", status.error_message());
    std::vector<grpc::Slice> slices;
    if (reply.Valid()) (void)reply.Dump(&slices);
    for (const grpc::Slice& part : slices) text.append(part.begin(), part.end());
    return text;
  }

  bool Within(absl::Duration time, const std::function<bool()>& holds) {
    for (; time > absl::ZeroDuration(); time -= absl::Milliseconds(10)) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return holds();
  }

  // Bytes to the port, and what came back within a second, or to the end.
  std::string Raw(const std::string& bytes) {
    const std::vector<std::string> parts = absl::StrSplit(server_->address(), ':');
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(parts[1], &port));
    to.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, parts[0].c_str(), &to.sin_addr);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const timeval limit = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    std::string got;
    char block[4096];
    for (ssize_t n; (n = recv(fd, block, sizeof(block), 0)) > 0;) got.append(block, n);
    close(fd);
    return got;
  }

  Calls calls_;
  std::unique_ptr<GrpcServerForTest> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(GrpcPortTest, AnswersUnaryCalls) {
  EXPECT_EQ(Unary("/test.Test/Echo", "hello"), "0 hello");
  EXPECT_EQ(Unary("/test.Test/Echo", ""), "0 ");
  EXPECT_TRUE(absl::StrContains(Unary("/test.Test/Echo", "who"), "0 127.0.0.1:"));
  EXPECT_TRUE(absl::StrContains(Unary("/test.Test/Echo", "who"), " b"));
  const std::string large(kMaxMessage, 'l');
  EXPECT_EQ(Unary("/test.Test/Echo", large), "0 " + large);
  EXPECT_TRUE(Within(absl::Seconds(5), [this] { return calls_.under_way == 0; }));
}

TEST_F(GrpcPortTest, SaysHowCallsFail) {
  EXPECT_EQ(Unary("/test.Test/Echo", "fail"), "5 no 100% of \"it\"\n");
  EXPECT_EQ(Unary("/test.Test/Nothing", "x"), "12 no such method: /test.Test/Nothing");
  EXPECT_EQ(Unary("/test.Test/Echo", std::string(kMaxMessage + 1, 'x')),
            "8 a message of 300001 bytes, more than the limit of 300000");
}

TEST_F(GrpcPortTest, StreamsBothWays) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  auto stream = stub.PrepareCall(&context, "/test.Test/Echo", &queue);
  const auto wait = [&queue] {
    void* tag;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ok;
  };
  stream->StartCall(nullptr);
  ASSERT_TRUE(wait());
  for (int i = 0; i < 300; ++i) {
    const std::string text(i * 500, 's');
    const grpc::Slice slice(text);
    stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    ASSERT_TRUE(wait());
    grpc::ByteBuffer reply;
    stream->Read(&reply, nullptr);
    ASSERT_TRUE(wait());
    ASSERT_EQ(reply.Length(), text.size()) << i;
  }
  stream->WritesDone(nullptr);
  ASSERT_TRUE(wait());
  grpc::Status status;
  stream->Finish(&status, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

// Who does not read is not written to without end; and a call ends where it waits when its client
// goes away.
TEST_F(GrpcPortTest, ASlowClientHoldsItsCallBackAndAGoneOneEndsIt) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  {
    grpc::ClientContext context;
    auto stream = stub.PrepareCall(&context, "/test.Test/Flood", &queue);
    stream->StartCall(nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    int before = -1;
    ASSERT_TRUE(Within(absl::Seconds(20), [&] {
      const int now = calls_.flooded;
      const bool still = now > 0 && now == before;
      before = now;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      return still;
    }));
    EXPECT_LT(calls_.flooded * 10'000, 64 << 20);
    EXPECT_EQ(calls_.under_way, 1);
    context.TryCancel();
    grpc::Status status;
    stream->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
  }
  EXPECT_TRUE(Within(absl::Seconds(5), [this] { return calls_.under_way == 0; }));
}

TEST_F(GrpcPortTest, WhatIsNoCallIsRefused) {
  // HTTP/1 is no HTTP/2: the connection ends, with a GOAWAY at most.
  const std::string answer = Raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(answer.find("HTTP/1"), std::string::npos);
  // A GET, over HTTP/2: preface, empty SETTINGS, and a HEADERS frame of indexed fields: GET, /,
  // http, and an authority.
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\x4\0\0\0\0\0", 9);
  const std::string headers(
      "\0\0\x6\x1\x5\0\0\0\x1\x82\x84\x86\x41\x1"
      "a",
      15);
  const std::string refused = Raw(preface + settings + headers);
  // ":status: 405" is a literal of indexed name 8.
  EXPECT_NE(refused.find("405"), std::string::npos) << refused.size();
}

}  // namespace
}  // namespace weft
