// H2Connection over socket pairs: our client at our server, and raw peers. The numbers are those of
// the project's list of bad inputs.
#include "proxy/stream/h2_connection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proxy/http/h2_frames_for_test.h"
#include "proxy/net/tcp.h"

namespace weft {
namespace {

// Counts what is written: the gathering of frames.
class CountingStream : public ByteStream {
 public:
  CountingStream(EventLoop& loop, int fd) : stream_(loop, fd) {}

  IoResult Read(Buffer& into, size_t at_most) override { return stream_.Read(into, at_most); }
  IoResult Write(absl::Span<const absl::string_view> parts) override {
    ++writes;
    return stream_.Write(parts);
  }
  using ByteStream::Write;
  void CloseWrite() override { stream_.CloseWrite(); }
  void ResetOnClose() override { stream_.ResetOnClose(); }
  Signal& readable() override { return stream_.readable(); }
  Signal& writable() override { return stream_.writable(); }
  std::string error() const override { return stream_.error(); }
  const Address& local_address() const override { return stream_.local_address(); }
  const Address& peer_address() const override { return stream_.peer_address(); }

  int writes = 0;

 private:
  TcpStream stream_;
};

// What a call came to.
struct Answer {
  bool done = false;
  HttpStream::Event last = HttpStream::Event::kBlocked;
  StreamFailure failure;
  int status = 0;
  std::string body;
  std::string trailer;
};

// Sends `body` and a trailer, and reads the answer. A coroutine of any HttpStream's.
Task<> Call(EventLoop& loop, std::unique_ptr<HttpStream> stream, std::string method,
            std::string body, Answer* answer) {
  RequestHead head;
  head.method = method;
  head.authority = "a.test";
  head.path = "/";
  const BodyLength length = body.empty() ? BodyLength{} : BodyLength{BodyFraming::kChunked, 0};
  stream->WriteHead(head, length);
  absl::string_view rest = body;
  bool ended = body.empty();
  Headers trailers;
  trailers.Add("x-sum", absl::StrCat(body.size()));
  while (!answer->done) {
    if (!ended) rest.remove_prefix(stream->Write(rest));
    if (!ended && rest.empty()) {
      stream->WriteEnd(trailers);
      ended = true;
    }
    answer->last = stream->Next();
    switch (answer->last) {
      case HttpStream::Event::kHead:
        answer->status = stream->response().status;
        break;
      case HttpStream::Event::kBody:
        answer->body.append(stream->body().data(), stream->body().size());
        stream->Take(stream->body().size());
        break;
      case HttpStream::Event::kBlocked:
        stream->Flush();
        co_await Wait(loop, {&stream->readable(), &stream->writable()});
        break;
      case HttpStream::Event::kEnd:
        answer->trailer = std::string(stream->trailers().Get("x-sum").value_or(""));
        answer->done = true;
        break;
      case HttpStream::Event::kBroken:
        answer->failure = stream->failure();
        answer->done = true;
        break;
    }
  }
}

// Answers with what it gets, trailers and all. Ends early when the stream breaks.
Task<> Echo(EventLoop& loop, std::unique_ptr<HttpStream> stream, int* broken) {
  ResponseHead head;
  head.status = 200;
  stream->WriteHead(head, {BodyFraming::kChunked, 0});
  for (;;) {
    switch (stream->Next()) {
      case HttpStream::Event::kHead:
        continue;
      case HttpStream::Event::kBody: {
        const size_t taken = stream->Write(stream->body());
        stream->Take(taken);
        if (taken > 0) continue;
        break;
      }
      case HttpStream::Event::kEnd:
        stream->WriteEnd(stream->trailers());
        while (stream->Flush() == HttpStream::Flushed::kBlocked) {
          co_await Wait(loop, {&stream->writable()});
        }
        co_return;
      case HttpStream::Event::kBroken:
        ++*broken;
        co_return;
      case HttpStream::Event::kBlocked:
        break;
    }
    stream->Flush();
    co_await Wait(loop, {&stream->readable(), &stream->writable()});
  }
}

Task<> ServeAll(EventLoop& loop, H2Connection& connection, Scope& tasks, int* broken) {
  while (!connection.ended()) {
    while (auto stream = connection.TakeRequest()) {
      tasks.Spawn(Echo(loop, std::move(stream), broken));
    }
    co_await Wait(loop, {&connection.arrived(), &connection.changed()});
  }
}

class H2ConnectionTest : public testing::Test {
 protected:
  H2ConnectionTest() {
    const auto [a, b] = StreamSocketPair();
    near_ = std::make_unique<CountingStream>(loop_, a);
    far_ = std::make_unique<CountingStream>(loop_, b);
  }

  void StartServer(Http2Options options = {}, Buffer already_read = {}) {
    H2Connection::Setup setup;
    setup.role = H2Connection::Role::kServer;
    setup.options = options;
    setup.counters = &counters_;
    setup.already_read = std::move(already_read);
    server_ = std::make_unique<H2Connection>(loop_, *near_, std::move(setup));
  }
  void StartClient(Http2Options options = {}) {
    H2Connection::Setup setup;
    setup.role = H2Connection::Role::kClient;
    setup.options = options;
    client_ = std::make_unique<H2Connection>(loop_, *far_, std::move(setup));
  }
  void StartBoth(Http2Options options = {}) {
    StartServer(options);
    StartClient(options);
  }
  void Serve() { serving_.Spawn(ServeAll(loop_, *server_, tasks_, &broken_)); }

  bool RunUntil(const std::function<bool()>& done) {
    const MonotonicTime deadline = loop_.Now() + absl::Seconds(10);
    while (!done()) {
      if (loop_.Now() >= deadline) return false;
      loop_.RunOnce(absl::Milliseconds(10));
    }
    return true;
  }

  std::unique_ptr<HttpStream> ServerStream() {
    std::unique_ptr<HttpStream> stream;
    RunUntil([&] { return (stream = server_->TakeRequest()) != nullptr; });
    return stream;
  }

  std::unique_ptr<HttpStream> OpenPost(BodyLength body = {BodyFraming::kChunked, 0}) {
    std::unique_ptr<HttpStream> stream = client_->Open();
    RequestHead head;
    head.method = "POST";
    head.authority = "a.test";
    head.path = "/";
    stream->WriteHead(head, body);
    return stream;
  }

  // A raw peer at the far end.
  void SendRaw(absl::string_view bytes) { ASSERT_TRUE(far_->Write(bytes).ok()); }
  std::vector<H2FrameView> ReadRaw() {
    Buffer in;
    while (far_->Read(in, Buffer::kBlockSize).ok()) {
    }
    raw_.append(in.data(), in.size());
    return TakeH2Frames(raw_);
  }

  EventLoop loop_;
  H2Counters counters_;
  int broken_ = 0;
  std::unique_ptr<CountingStream> near_;
  std::unique_ptr<CountingStream> far_;
  std::string raw_;
  std::unique_ptr<H2Connection> server_;
  std::unique_ptr<H2Connection> client_;
  Scope tasks_;
  Scope serving_;
};

TEST_F(H2ConnectionTest, ARequestIsAnswered) {
  StartBoth();
  Serve();
  Answer answer;
  tasks_.Spawn(Call(loop_, client_->Open(), "POST", "hello", &answer));
  ASSERT_TRUE(RunUntil([&] { return answer.done; }));
  EXPECT_EQ(answer.last, HttpStream::Event::kEnd);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.trailer, "5");
  ASSERT_TRUE(RunUntil([&] { return server_->idle() && client_->idle(); }));
}

TEST_F(H2ConnectionTest, ManyLargeStreamsShareTheConnection) {
  StartBoth();
  Serve();
  std::vector<Answer> answers(50);
  for (size_t i = 0; i < answers.size(); ++i) {
    tasks_.Spawn(Call(loop_, client_->Open(), "POST",
                      std::string(200 * 1000 + i, static_cast<char>('a' + i % 26)), &answers[i]));
  }
  ASSERT_TRUE(RunUntil([&] {
    return std::all_of(answers.begin(), answers.end(), [](const Answer& a) { return a.done; });
  }));
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].body, std::string(200 * 1000 + i, static_cast<char>('a' + i % 26)));
  }
}

TEST_F(H2ConnectionTest, AnswersOfOneTurnLeaveInOneWrite) {
  StartBoth();
  std::vector<std::unique_ptr<HttpStream>> asked;
  for (int i = 0; i < 50; ++i) asked.push_back(OpenPost({}));
  std::vector<std::unique_ptr<HttpStream>> served;
  ASSERT_TRUE(RunUntil([&] {
    while (auto stream = server_->TakeRequest()) served.push_back(std::move(stream));
    return served.size() == asked.size();
  }));
  EXPECT_LE(far_->writes, 3) << "the preface, and all requests";
  const int before = near_->writes;
  for (auto& stream : served) {
    ResponseHead head;
    head.status = 200;
    stream->WriteHead(head, {BodyFraming::kLength, 2});
    EXPECT_EQ(stream->Write("ok"), 2u);
    stream->WriteEnd({});
    EXPECT_EQ(stream->Flush(), HttpStream::Flushed::kDone);
  }
  served.clear();
  ASSERT_TRUE(RunUntil([&] { return client_->open_streams() == 0; }));
  EXPECT_EQ(near_->writes, before + 1);
}

TEST_F(H2ConnectionTest, WhoDoesNotTakeHoldsTheWriterBack) {
  StartBoth();
  std::unique_ptr<HttpStream> out = OpenPost();
  std::unique_ptr<HttpStream> in = ServerStream();
  ASSERT_NE(in, nullptr);
  const std::string piece(16 * 1024, 'x');
  size_t written = 0;
  const auto fill = [&] {
    while (const size_t taken = out->Write(piece)) written += taken;
  };
  for (int i = 0; i < 100; ++i) {
    fill();
    loop_.RunOnce(absl::Milliseconds(1));
  }
  EXPECT_EQ(written, 256u * 1024 + H2Session::kHighWater);
  EXPECT_EQ(out->Flush(), HttpStream::Flushed::kBlocked);
  size_t read = 0;
  ASSERT_TRUE(RunUntil([&] {
    fill();
    for (HttpStream::Event event; (event = in->Next()) != HttpStream::Event::kBlocked;) {
      read += in->body().size();
      in->Take(in->body().size());
    }
    return read > 4 * 1024 * 1024;
  }));
}

TEST_F(H2ConnectionTest, AnUpgradeIsATunnelUntilBothEndsClose) {
  Http2Options options;
  options.allow_connect = true;
  StartBoth(options);
  // The offer comes with the server's SETTINGS.
  ASSERT_TRUE(RunUntil([&] { return near_->writes > 0; }));
  std::unique_ptr<HttpStream> asked = client_->Open();
  RequestHead head;
  head.method = "GET";
  head.path = "/chat";
  head.authority = "a.test";
  head.headers.Add("Connection", "Upgrade");
  head.headers.Add("Upgrade", "websocket");
  asked->WriteHead(head, {});
  std::unique_ptr<HttpStream> served = ServerStream();
  ASSERT_NE(served, nullptr);
  EXPECT_EQ(served->Next(), HttpStream::Event::kHead);
  EXPECT_EQ(served->incoming().framing, BodyFraming::kTunnel);
  EXPECT_EQ(asked->Write("early"), 5u);
  loop_.RunOnce(absl::Milliseconds(5));
  EXPECT_EQ(served->Next(), HttpStream::Event::kBlocked) << "not before it is accepted";
  ResponseHead accepted;
  accepted.status = 101;
  served->WriteHead(accepted, {});
  EXPECT_EQ(served->Next(), HttpStream::Event::kBody);
  EXPECT_EQ(served->body(), "early");
  served->Take(5);
  ASSERT_TRUE(RunUntil([&] { return asked->Next() == HttpStream::Event::kHead; }));
  EXPECT_EQ(asked->response().status, 101);
  asked->WriteEnd({});
  ASSERT_TRUE(RunUntil([&] { return served->Next() == HttpStream::Event::kEnd; }));
  EXPECT_EQ(served->Write("last words"), 10u);
  served->WriteEnd({});
  ASSERT_TRUE(RunUntil([&] { return asked->Next() == HttpStream::Event::kBody; }));
  EXPECT_EQ(asked->body(), "last words");
  asked->Take(10);
  ASSERT_TRUE(RunUntil([&] { return asked->Next() == HttpStream::Event::kEnd; }));
}

TEST_F(H2ConnectionTest, AClientThatGivesUpIsNoticed) {
  StartBoth();
  std::unique_ptr<HttpStream> asked = OpenPost();
  std::unique_ptr<HttpStream> served = ServerStream();
  ASSERT_NE(served, nullptr);
  EXPECT_FALSE(served->PeerGone());
  asked.reset();
  ASSERT_TRUE(RunUntil([&] { return served->PeerGone(); }));
  EXPECT_EQ(served->failure().kind, StreamFailure::Kind::kReset);
  EXPECT_EQ(served->Write("x"), 0u);
  EXPECT_EQ(served->Flush(), HttpStream::Flushed::kBroken);
  EXPECT_EQ(client_->open_streams(), 0u);
}

TEST_F(H2ConnectionTest, AServerThatAbortsIsNoticed) {
  StartBoth();
  std::unique_ptr<HttpStream> asked = OpenPost();
  std::unique_ptr<HttpStream> served = ServerStream();
  served->Abort();
  ASSERT_TRUE(RunUntil([&] { return asked->Next() == HttpStream::Event::kBroken; }));
  EXPECT_EQ(asked->failure().kind, StreamFailure::Kind::kReset);
  EXPECT_FALSE(asked->heard());
}

TEST_F(H2ConnectionTest, StreamsOutliveTheirConnection) {
  StartBoth();
  std::unique_ptr<HttpStream> asked = OpenPost();
  std::unique_ptr<HttpStream> served = ServerStream();
  ASSERT_NE(served, nullptr);
  std::unique_ptr<HttpStream> unsent = OpenPost();
  client_.reset();
  server_.reset();
  EXPECT_EQ(asked->Next(), HttpStream::Event::kBroken);
  EXPECT_EQ(asked->failure().kind, StreamFailure::Kind::kReset);
  EXPECT_EQ(unsent->Next(), HttpStream::Event::kBroken);
  EXPECT_EQ(unsent->failure().kind, StreamFailure::Kind::kRefused);
  served->Next();  // the head
  EXPECT_EQ(served->Next(), HttpStream::Event::kBroken);
  EXPECT_EQ(served->Write("x"), 0u);
}

TEST_F(H2ConnectionTest, ARepliedRequestEndsWellThoughTheConnectionGoes) {
  StartBoth();
  std::unique_ptr<HttpStream> asked = OpenPost({});
  std::unique_ptr<HttpStream> served = ServerStream();
  ResponseHead head;
  head.status = 200;
  served->WriteHead(head, {BodyFraming::kLength, 2});
  served->Write("ok");
  served->WriteEnd({});
  served.reset();
  ASSERT_TRUE(RunUntil([&] { return client_->open_streams() == 0; }));
  client_.reset();
  EXPECT_EQ(asked->Next(), HttpStream::Event::kHead);
  EXPECT_EQ(asked->Next(), HttpStream::Event::kBody);
  asked->Take(2);
  EXPECT_EQ(asked->Next(), HttpStream::Event::kEnd);
}

TEST_F(H2ConnectionTest, DrainLetsStreamsEndAndThenTheConnection) {
  StartBoth();
  std::unique_ptr<HttpStream> asked = OpenPost({});
  std::unique_ptr<HttpStream> served = ServerStream();
  server_->Drain();
  ASSERT_TRUE(RunUntil([&] { return client_->going_away(); }));
  EXPECT_FALSE(client_->CanOpen());
  EXPECT_FALSE(client_->ended());
  ResponseHead head;
  head.status = 204;
  served->WriteHead(head, {});
  served.reset();
  ASSERT_TRUE(RunUntil([&] { return asked->Next() == HttpStream::Event::kHead; }));
  EXPECT_EQ(asked->Next(), HttpStream::Event::kEnd);
  ASSERT_TRUE(RunUntil([&] { return client_->ended() && server_->ended(); }));
  EXPECT_FALSE(client_->broken());
  EXPECT_FALSE(server_->broken());
}

TEST_F(H2ConnectionTest, AClientOpensNoMoreThanItMay) {
  Http2Options options;
  options.max_concurrent_streams = 2;
  StartBoth(options);
  std::unique_ptr<HttpStream> first = OpenPost();
  std::unique_ptr<HttpStream> second = OpenPost();
  EXPECT_FALSE(client_->CanOpen());
  first.reset();
  ASSERT_TRUE(RunUntil([&] { return client_->CanOpen(); }));
}

TEST_F(H2ConnectionTest, WhatWasReadBeforeCounts) {
  Buffer read;
  read.Append(H2Preface() + H2Headers(1, H2RequestFields()));
  StartServer({}, std::move(read));
  EXPECT_NE(server_->TakeRequest(), nullptr);
}

TEST_F(H2ConnectionTest, APeerThatDoesNotAnswerPingsIsGivenUp) {
  Http2Options options;
  options.keepalive_interval = absl::Milliseconds(5);
  options.keepalive_timeout = absl::Milliseconds(10);
  StartServer(options);
  SendRaw(H2Preface());
  ASSERT_TRUE(RunUntil([&] { return server_->ended(); }));
  EXPECT_STREQ(server_->reason(), "h2_keepalive_timeout");
  EXPECT_EQ(counters_.keepalive_timeout, 1u);
}

TEST_F(H2ConnectionTest, APeerThatAnswersPingsStays) {
  Http2Options options;
  options.keepalive_interval = absl::Milliseconds(1);
  options.keepalive_timeout = absl::Milliseconds(20);
  StartServer(options);
  StartClient();
  const MonotonicTime until = loop_.Now() + absl::Milliseconds(100);
  RunUntil([&] { return loop_.Now() > until; });
  EXPECT_FALSE(server_->ended());
}

TEST_F(H2ConnectionTest, APeerThatClosesBreaksItsStreams) {
  StartBoth();
  Serve();
  std::unique_ptr<HttpStream> asked = OpenPost();
  ASSERT_TRUE(RunUntil([&] { return asked->Next() == HttpStream::Event::kHead; }));
  client_.reset();
  far_.reset();
  ASSERT_TRUE(RunUntil([&] { return broken_ == 1; }));
  EXPECT_TRUE(server_->ended());
  EXPECT_STREQ(server_->reason(), "h2_peer_closed");
  ASSERT_TRUE(RunUntil([&] { return serving_.empty(); }));
}

TEST_F(H2ConnectionTest, Row28RapidResetEndsTheConnectionOnly) {
  StartServer();
  Serve();
  SendRaw(H2Preface());
  for (uint32_t id = 1; id < 10000 && !server_->ended(); id += 2) {
    (void)far_->Write(H2Headers(id, H2RequestFields("POST"), kEndHeaders) + H2Reset(id));
    loop_.RunOnce(absl::ZeroDuration());
  }
  ASSERT_TRUE(RunUntil([&] { return server_->ended(); }));
  EXPECT_STREQ(server_->reason(), "h2_reset_flood");
  ASSERT_TRUE(RunUntil([&] { return tasks_.empty() && serving_.empty(); }));
  bool told = false;
  for (const H2FrameView& frame : ReadRaw()) {
    told |= frame.type == kGoawayFrame && frame.code() == 11;
  }
  EXPECT_TRUE(told);
}

TEST_F(H2ConnectionTest, Row37AHeadThatIsTooLargeIsAnswered) {
  StartServer();
  SendRaw(H2Preface() +
          H2Headers(1, absl::StrCat(H2RequestFields(), H2Field("x", std::string(3900, 'b'), 0x40),
                                    std::string(8000, '\xbe'))));
  std::unique_ptr<HttpStream> served = ServerStream();
  ASSERT_NE(served, nullptr);
  EXPECT_EQ(served->Next(), HttpStream::Event::kBroken);
  EXPECT_EQ(served->failure().kind, StreamFailure::Kind::kProtocol);
  EXPECT_EQ(served->failure().status, 431);
  ResponseHead head;
  head.status = 431;
  served->WriteHead(head, {BodyFraming::kLength, 3});
  EXPECT_EQ(served->Write("big"), 3u);
  served->WriteEnd({});
  EXPECT_EQ(served->Flush(), HttpStream::Flushed::kDone);
  served.reset();
  std::string body;
  ASSERT_TRUE(RunUntil([&] {
    for (const H2FrameView& frame : ReadRaw()) {
      if (frame.type == kDataFrame) body += frame.payload;
    }
    return body == "big";
  }));
}

// Who resets, and after how many of the steps of an exchange.
class H2ResetTest : public H2ConnectionTest,
                    public testing::WithParamInterface<std::pair<int, int>> {};

TEST_P(H2ResetTest, Row44AtEveryStageNothingIsUsedAgain) {
  const auto [who, stage] = GetParam();
  StartBoth();
  std::unique_ptr<HttpStream> asked;
  std::unique_ptr<HttpStream> served;
  const auto cut = [&](int at) {
    if (stage != at) return;
    if (who == 0) asked.reset();
    if (who == 1) served.reset();
    if (who == 2 && served != nullptr) served->Abort();
    if (who == 3) client_.reset();
    if (who == 4) server_.reset();
  };
  const auto turn = [&] {
    for (int i = 0; i < 3; ++i) loop_.RunOnce(absl::Milliseconds(1));
    for (HttpStream* stream : {asked.get(), served.get()}) {
      if (stream == nullptr) continue;
      for (int i = 0; i < 10; ++i) {
        if (stream->Next() == HttpStream::Event::kBody) stream->Take(stream->body().size() / 2);
      }
    }
  };
  asked = OpenPost();
  cut(0);
  turn();
  if (server_ != nullptr) served = server_->TakeRequest();
  cut(1);
  if (asked != nullptr) asked->Write(std::string(100000, 'x'));
  cut(2);
  turn();
  if (asked != nullptr) asked->WriteEnd({});
  cut(3);
  turn();
  ResponseHead head;
  head.status = 200;
  if (served != nullptr) served->WriteHead(head, {BodyFraming::kChunked, 0});
  cut(4);
  turn();
  if (served != nullptr) served->Write(std::string(100000, 'y'));
  cut(5);
  turn();
  Headers trailers;
  trailers.Add("x", "y");
  if (served != nullptr) served->WriteEnd(trailers);
  cut(6);
  turn();
  asked.reset();
  served.reset();
  turn();
  if (client_ != nullptr && server_ != nullptr) {
    ASSERT_TRUE(
        RunUntil([&] { return client_->open_streams() == 0 && server_->open_streams() == 0; }));
    Serve();
    Answer answer;
    tasks_.Spawn(Call(loop_, client_->Open(), "POST", "still there", &answer));
    ASSERT_TRUE(RunUntil([&] { return answer.done; }));
    EXPECT_EQ(answer.body, "still there");
  }
}

std::vector<std::pair<int, int>> Stages() {
  std::vector<std::pair<int, int>> stages;
  for (int who = 0; who < 5; ++who) {
    for (int stage = 0; stage < 7; ++stage) stages.emplace_back(who, stage);
  }
  return stages;
}

INSTANTIATE_TEST_SUITE_P(All, H2ResetTest, testing::ValuesIn(Stages()));

}  // namespace
}  // namespace weft
