#include "test/apiserver/client_for_test.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace weft::apiserver {
namespace {

using Event = H1Decoder::Event;

constexpr absl::Duration kPatience = absl::Seconds(30);

int ConnectTo(const Address& address) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, address.get(), address.length()) != 0) perror("connect");
  return fd;
}

}  // namespace

ClientForTest::ClientForTest(const ApiServer& server) : fd_(ConnectTo(server.address())) {}
ClientForTest::~ClientForTest() { close(fd_); }

void ClientForTest::Send(const std::string& method, const std::string& target,
                         const std::string& body, const std::string& type) {
  if (used_) decoder_.NextMessage();
  used_ = true;
  pieces_.clear();
  text_.clear();
  decoder_.ExpectResponse(method);
  std::string request = absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: test\r\n");
  if (!body.empty()) {
    absl::StrAppend(&request, "Content-Type: ", type, "\r\nContent-Length: ", body.size(), "\r\n");
  }
  absl::StrAppend(&request, "\r\n", body);
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t wrote = send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (wrote <= 0) return;
    sent += static_cast<size_t>(wrote);
  }
}

// `silent`: set when nothing came in time; then kNeedMore.
Event ClientForTest::Next(absl::Duration patience, bool* silent) {
  while (true) {
    const Event event = decoder_.Next(in_);
    if (event != Event::kNeedMore) return event;
    pollfd ready = {fd_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) <= 0) {
      if (silent != nullptr) *silent = true;
      return Event::kNeedMore;
    }
    char* room = in_.Reserve(Buffer::kBlockSize);
    const ssize_t got = recv(fd_, room, Buffer::kBlockSize, 0);
    if (got < 0) return Event::kClosed;
    if (got == 0) decoder_.OnEof();
    in_.Commit(static_cast<size_t>(got));
  }
}

Answered ClientForTest::Do(const std::string& method, const std::string& target,
                           const std::string& body, const std::string& type) {
  Send(method, target, body, type);
  Answered answered;
  while (true) {
    const Event event = Next(kPatience);
    if (event == Event::kEnd) break;
    if (event == Event::kHead) {
      answered.code = decoder_.response().status;
      answered.retry_after =
          std::string(decoder_.response().headers.Get("Retry-After").value_or(""));
    } else if (event == Event::kBody) {
      const size_t size = decoder_.body_size();
      pieces_.push_back(size);
      answered.body.append(in_.data(), size);
      in_.Consume(size);
      decoder_.BodyTaken(size);
    } else {
      answered.code = 0;
      break;
    }
  }
  return answered;
}

int ClientForTest::Open(const std::string& target) {
  Send("GET", target, "", "");
  return Next(kPatience) == Event::kHead ? decoder_.response().status : 0;
}

std::string ClientForTest::Line(absl::Duration patience) {
  while (true) {
    const size_t newline = text_.find('\n');
    if (newline != std::string::npos) {
      std::string line = text_.substr(0, newline);
      text_.erase(0, newline + 1);
      return line;
    }
    bool silent = false;
    const Event event = Next(patience, &silent);
    if (silent) return "silence";
    if (event == Event::kEnd) return "";
    if (event != Event::kBody) return "cut";
    const size_t size = decoder_.body_size();
    pieces_.push_back(size);
    text_.append(in_.data(), size);
    in_.Consume(size);
    decoder_.BodyTaken(size);
  }
}

}  // namespace weft::apiserver
