#include "tools/weftctl/sandbox/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::sandbox {
namespace {

constexpr size_t kMaxRequest = 8 << 20;  // apply sends a whole file
constexpr size_t kMaxFds = 3;            // standard input, output and error

union FdSpace {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMaxFds)];
};

absl::StatusOr<UniqueFd> Connect(const std::string& socket_path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat("no sandbox listens at ", socket_path));
  }
  return fd;
}

absl::Status SendWithFds(int socket, const std::string& line, const std::vector<int>& fds) {
  FdSpace space = {};
  size_t sent = 0;
  while (sent < line.size()) {
    iovec data = {const_cast<char*>(line.data()) + sent, line.size() - sent};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      message.msg_control = space.bytes;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "control socket");
    sent += n;
  }
  return absl::OkStatus();
}

void TakeFds(msghdr* message, std::vector<UniqueFd>* fds) {
  for (cmsghdr* h = CMSG_FIRSTHDR(message); h != nullptr; h = CMSG_NXTHDR(message, h)) {
    if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
      fds->emplace_back(fd);
    }
  }
}

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

std::string GetString(const Json& object, const char* key, const std::string& otherwise) {
  const Json* value = Member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : otherwise;
}

int GetInt(const Json& object, const char* key, int otherwise) {
  const Json* value = Member(object, key);
  return value != nullptr && value->is_number_integer() ? value->get<int>() : otherwise;
}

bool GetBool(const Json& object, const char* key, bool otherwise) {
  const Json* value = Member(object, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : otherwise;
}

std::vector<std::string> GetStrings(const Json& object, const char* key) {
  std::vector<std::string> strings;
  const Json* value = Member(object, key);
  if (value == nullptr || !value->is_array()) return strings;
  for (const Json& item : *value) {
    if (item.is_string()) strings.push_back(item.get<std::string>());
  }
  return strings;
}

absl::StatusOr<Json> Call(const std::string& socket_path, const Json& request,
                          const std::vector<int>& fds) {
  absl::StatusOr<UniqueFd> fd = Connect(socket_path);
  if (!fd.ok()) return fd.status();
  if (absl::Status s = SendWithFds(
          fd->get(), request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", fds);
      !s.ok())
    return s;
  std::string line;
  char buffer[16384];
  while (line.empty() || line.back() != '\n') {
    ssize_t n = recv(fd->get(), buffer, sizeof(buffer), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::AbortedError("the sandbox went away");
    line.append(buffer, n);
  }
  Json response = Json::parse(line, nullptr, false);
  if (!response.is_object()) return absl::InternalError("the sandbox answered no JSON object");
  std::string error = GetString(response, "error");
  if (!error.empty()) return absl::FailedPreconditionError(error);
  return response;
}

int PeerProcess(const std::string& socket_path) {
  absl::StatusOr<UniqueFd> fd = Connect(socket_path);
  if (!fd.ok()) return 0;
  ucred peer = {};
  socklen_t size = sizeof(peer);
  getsockopt(fd->get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer.pid;
}

void ControlConnection::Receive() {
  char buffer[16384];
  FdSpace space;
  iovec data = {buffer, sizeof(buffer)};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = space.bytes;
  message.msg_controllen = sizeof(space.bytes);
  ssize_t n = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) TakeFds(&message, &fds_);
  if (n <= 0 || received_.size() > kMaxRequest || fds_.size() > kMaxFds) {
    std::function<void()> abandoned = std::move(on_abandoned);
    ControlServer* server = server_;
    int id = id_;
    if (abandoned) abandoned();
    server->connections_.erase(id);
    return;
  }
  if (asked_) return;  // nothing more is expected
  received_.append(buffer, n);
  if (received_.back() != '\n') return;
  asked_ = true;
  request_ = Json::parse(received_, nullptr, false);
  server_->handler_(this);
}

void ControlConnection::Reply(const Json& response) {
  // The client reads until the line's end, so waiting for room here is bounded by its life.
  SendWithFds(socket_.get(), response.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
              {})
      .IgnoreError();
  server_->connections_.erase(id_);
}

void ControlConnection::ReplyError(const absl::Status& status) {
  Reply(Json{{"error", std::string(status.message())}});
}

absl::Status ControlServer::Listen(const std::string& socket_path) {
  listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
  unlink(socket_path.c_str());
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_.get(), 64) != 0) {
    return absl::ErrnoToStatus(errno, socket_path);
  }
  watch_ = loop_->OnReadable(listener_.get(), [this] { Accept(); });
  return absl::OkStatus();
}

void ControlServer::Accept() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) return;
  auto connection = std::make_unique<ControlConnection>();
  ControlConnection* c = connection.get();
  c->server_ = this;
  c->id_ = next_id_++;
  c->socket_ = std::move(socket);
  c->watch_ = loop_->OnReadable(c->socket_.get(), [c] { c->Receive(); });
  connections_[c->id_] = std::move(connection);
}

}  // namespace weft::sandbox
