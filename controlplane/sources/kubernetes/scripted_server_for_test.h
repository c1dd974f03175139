// An HTTP/1.1 server on loopback that says what a test makes it say, faults included.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_SCRIPTED_SERVER_FOR_TEST_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_SCRIPTED_SERVER_FOR_TEST_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

struct ScriptedRequest {
  std::string method;
  std::string target;
  std::string head;  // all of it
  std::string body;
};

struct ScriptedAnswer {
  int status = 200;
  std::string headers;  // further lines, each with its end
  std::string body;
  size_t chunk = 0;     // in chunks of so many bytes, each written by itself
  bool watch = false;   // stays open for Push()
  bool silent = false;  // says nothing at all
  bool cut = false;     // ends in the middle of the body
};

class ScriptedServer {
 public:
  using Handler = std::function<ScriptedAnswer(const ScriptedRequest&)>;

  ScriptedServer(EventLoop& loop, Handler handler,
                 std::shared_ptr<const ServerTlsContext> tls = nullptr)
      : loop_(loop), handler_(std::move(handler)), tls_(std::move(tls)) {
    auto listener = Listener::Create(loop, *Address::Parse("127.0.0.1:0"), Listener::Options());
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    tasks_.Spawn(AcceptAll());
  }
  ~ScriptedServer() { tasks_.Cancel(); }

  uint16_t port() const { return listener_->address().port(); }
  int connections() const { return connections_; }
  // Targets, in order.
  std::vector<std::string> requests;

  size_t watches() const { return watches_.size(); }
  void Push(const std::string& text) {
    for (OpenWatch* watch : watches_) Tell(*watch, text, false);
  }
  void EndWatches() {
    for (OpenWatch* watch : watches_) Tell(*watch, "", true);
  }
  // Breaks all connections off, as a server that dies.
  void Cut() {
    tasks_.Cancel();
    watches_.clear();
    tasks_.Spawn(AcceptAll());
  }

 private:
  struct OpenWatch {
    std::string pending;
    bool end = false;
    Signal news;
  };

  static void Tell(OpenWatch& watch, const std::string& text, bool end) {
    watch.pending += text;
    watch.end |= end;
    watch.news.Notify();
  }

  Task<> AcceptAll() {
    while (true) {
      std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
      ++connections_;
      tasks_.Spawn(Secure(std::move(accepted)));
    }
  }

  Task<> Secure(std::unique_ptr<TcpStream> accepted) {
    std::unique_ptr<ByteStream> stream = std::move(accepted);
    if (tls_ != nullptr) {
      auto secured = co_await TlsStream::Accept(loop_, std::move(stream), tls_, Buffer(), kNever);
      if (!secured.ok()) co_return;
      stream = *std::move(secured);
    }
    co_await Serve(*stream);
  }

  Task<bool> ReadMore(ByteStream& stream, Buffer& in) {
    while (true) {
      const IoResult got = stream.Read(in, Buffer::kBlockSize);
      if (got.ok()) co_return true;
      if (got.status != IoStatus::kBlocked) co_return false;
      co_await Wait(loop_, {&stream.readable()});
    }
  }

  Task<bool> ReadRequest(ByteStream& stream, Buffer& in, ScriptedRequest& request) {
    while (!absl::StrContains(in.view(), "\r\n\r\n")) {
      const bool more = co_await ReadMore(stream, in);
      if (!more) co_return false;
    }
    const size_t end = in.view().find("\r\n\r\n") + 4;
    request.head = std::string(in.view().substr(0, end));
    in.Consume(end);
    const std::vector<std::string> parts = absl::StrSplit(request.head, absl::MaxSplits(' ', 2));
    request.method = parts[0];
    request.target = parts[1];
    size_t length = 0;
    for (absl::string_view line : absl::StrSplit(request.head, "\r\n")) {
      if (absl::StartsWithIgnoreCase(line, "content-length: ")) {
        EXPECT_TRUE(absl::SimpleAtoi(line.substr(16), &length));
      }
    }
    while (in.size() < length) {
      const bool more = co_await ReadMore(stream, in);
      if (!more) co_return false;
    }
    request.body = std::string(in.view().substr(0, length));
    in.Consume(length);
    co_return true;
  }

  Task<> Write(ByteStream& stream, std::string text) {
    Buffer out;
    out.Append(text);
    co_await WriteAll(loop_, stream, out, kNever);
  }

  Task<> Serve(ByteStream& stream) {
    Buffer in;
    while (true) {
      ScriptedRequest request;
      const bool read = co_await ReadRequest(stream, in, request);
      if (!read) co_return;
      requests.push_back(request.target);
      const ScriptedAnswer answer = handler_(request);
      if (answer.silent) {
        Buffer ignored;
        while (true) {
          const bool more = co_await ReadMore(stream, ignored);
          if (!more) co_return;
        }
      }
      const bool chunked = answer.watch || answer.chunk > 0;
      co_await Write(
          stream,
          absl::StrCat("HTTP/1.1 ", answer.status, " Scripted\r\n", answer.headers,
                       chunked ? std::string("transfer-encoding: chunked")
                               : absl::StrCat("content-length: ", answer.body.size() + answer.cut),
                       "\r\n\r\n"));
      if (answer.watch) {
        co_await ServeWatch(stream);
      } else if (answer.chunk > 0) {
        for (size_t at = 0; at < answer.body.size(); at += answer.chunk) {
          co_await Write(stream, Chunk(answer.body.substr(at, answer.chunk)));
        }
        co_await Write(stream, "0\r\n\r\n");
      } else {
        co_await Write(stream, answer.body);
      }
      if (answer.cut) co_return;
    }
  }

  static std::string Chunk(absl::string_view text) {
    return absl::StrCat(absl::Hex(text.size()), "\r\n", text, "\r\n");
  }

  Task<> ServeWatch(ByteStream& stream) {
    OpenWatch watch;
    struct Registration {
      std::set<OpenWatch*>& all;
      OpenWatch* mine;
      ~Registration() { all.erase(mine); }
    } registration{watches_, &watch};
    watches_.insert(&watch);
    Buffer unexpected;
    while (true) {
      if (!watch.pending.empty()) {
        const std::string text = std::exchange(watch.pending, "");
        co_await Write(stream, Chunk(text));
        continue;
      }
      if (watch.end) break;
      if (stream.Read(unexpected, 1).status != IoStatus::kBlocked) co_return;
      co_await Wait(loop_, {&watch.news, &stream.readable()});
    }
    co_await Write(stream, "0\r\n\r\n");
  }

  EventLoop& loop_;
  const Handler handler_;
  const std::shared_ptr<const ServerTlsContext> tls_;
  std::unique_ptr<Listener> listener_;
  std::set<OpenWatch*> watches_;
  int connections_ = 0;
  Scope tasks_;
};

// Turns the loop until `condition`; false after 20 s.
inline bool Eventually(EventLoop& loop, const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (!condition() && absl::Now() < end) loop.RunOnce(absl::Milliseconds(20));
  return condition();
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_SCRIPTED_SERVER_FOR_TEST_H_
