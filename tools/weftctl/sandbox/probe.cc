#include "tools/weftctl/sandbox/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tools/weftctl/sandbox/namespaces.h"

namespace weft::sandbox {
namespace {

constexpr absl::Duration kStartingPeriod = absl::Milliseconds(50);
constexpr absl::Duration kSettledPeriod = absl::Seconds(1);
constexpr absl::Duration kDeadline = absl::Seconds(2);

}  // namespace

Probe::Probe(EventLoop* loop, int net_namespace, ProbeTarget target,
             std::function<void(bool)> on_change)
    : loop_(loop),
      net_namespace_(net_namespace),
      target_(std::move(target)),
      on_change_(std::move(on_change)) {
  timer_ = loop_->After(absl::ZeroDuration(), [this] { Attempt(); });
}

void Probe::Attempt() {
  received_.clear();
  {
    InNetNamespace inside(net_namespace_);
    if (!inside.ok()) return Finish(false);
    socket_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(target_.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int result = connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  if (result != 0 && errno != EINPROGRESS) return Finish(false);
  timer_ = loop_->After(kDeadline, [this] { Finish(false); });
  io_ = loop_->OnWritable(socket_.get(), [this] { OnWritable(); });
}

void Probe::OnWritable() {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Finish(false);
  if (target_.path.empty()) return Finish(true);
  std::string request = absl::StrCat("GET ", target_.path,
                                     " HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
  // A fresh socket buffer takes these bytes whole.
  if (send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return Finish(false);
  io_ = loop_->OnReadable(socket_.get(), [this] { OnReadable(); });
}

void Probe::OnReadable() {
  char buffer[1024];
  ssize_t n = recv(socket_.get(), buffer, sizeof(buffer), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n > 0) received_.append(buffer, n);
  constexpr size_t kStatusLine = sizeof("HTTP/1.1 200") - 1;
  if (n > 0 && received_.size() < kStatusLine) return;
  Finish(received_.size() >= kStatusLine && absl::StartsWith(received_, "HTTP/1.") &&
         received_.compare(9, 3, "200") == 0);
}

void Probe::Finish(bool healthy) {
  io_.reset();
  socket_.Reset();
  timer_ = loop_->After(healthy ? kSettledPeriod : kStartingPeriod, [this] { Attempt(); });
  if (healthy == healthy_) return;
  healthy_ = healthy;
  on_change_(healthy);  // may destroy this
}

}  // namespace weft::sandbox
