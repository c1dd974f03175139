#include "tools/weftctl/sandbox/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tools/weftctl/sandbox/namespaces.h"

namespace weft::sandbox {
namespace {

// RFC 1035 section 4.1.1: the header, its flags and codes.
constexpr size_t kHeader = 12;
constexpr int kResponse = 0x8000, kAuthoritative = 0x0400, kRecursionDesired = 0x0100,
              kRecursionAvailable = 0x0080, kOpcode = 0x7800;
constexpr int kFormErr = 1, kNxDomain = 3, kNotImplemented = 4;
constexpr int kTypeA = 1, kTypeAaaa = 28, kTypeAny = 255, kClassIn = 1;
constexpr char kTtl[] = {0, 0, 0, 5};  // CoreDNS's default for services, in seconds
constexpr size_t kMaxStreams = 256;
constexpr absl::Duration kStreamDeadline = absl::Seconds(10);

int Read16(absl::string_view s, size_t at) {
  return static_cast<uint8_t>(s[at]) << 8 | static_cast<uint8_t>(s[at + 1]);
}
void Append16(std::string* s, int value) {
  s->push_back(static_cast<char>(value >> 8));
  s->push_back(static_cast<char>(value));
}

// The question's name in lower case, `*at` moved behind it; false when malformed. Questions are
// never compressed, so a pointer is malformed too.
bool ReadName(absl::string_view query, size_t* at, std::string* name) {
  while (*at < query.size()) {
    size_t length = static_cast<uint8_t>(query[(*at)++]);
    if (length == 0) return true;
    if (length > 63 || *at + length > query.size() || name->size() + length > 254) return false;
    if (!name->empty()) name->push_back('.');
    absl::StrAppend(name, absl::AsciiStrToLower(query.substr(*at, length)));
    *at += length;
  }
  return false;
}

// What a record of this type holds, as bytes; empty if there is none.
std::string RecordOf(int type, const std::vector<std::string>& addresses) {
  const int family = type == kTypeAaaa ? AF_INET6 : AF_INET;
  char bytes[sizeof(in6_addr)];
  for (const std::string& address : addresses) {
    if (inet_pton(family, address.c_str(), bytes) != 1) continue;
    return std::string(bytes, family == AF_INET6 ? sizeof(in6_addr) : sizeof(in_addr));
  }
  return "";
}

// `address` is of 4 or 16 bytes, or empty.
std::string Respond(absl::string_view query, int flags, absl::string_view question,
                    absl::string_view address) {
  std::string response(query.substr(0, 2));
  Append16(&response, kResponse | kAuthoritative | kRecursionAvailable |
                          (Read16(query, 2) & (kRecursionDesired | kOpcode)) | flags);
  Append16(&response, question.empty() ? 0 : 1);
  Append16(&response, address.empty() ? 0 : 1);
  response.append(4, '\0');
  absl::StrAppend(&response, question);
  if (address.empty()) return response;
  Append16(&response, 0xc000 | kHeader);  // the question's name
  Append16(&response, address.size() == sizeof(in6_addr) ? kTypeAaaa : kTypeA);
  Append16(&response, kClassIn);
  response.append(kTtl, sizeof(kTtl));
  Append16(&response, static_cast<int>(address.size()));
  absl::StrAppend(&response, address);
  return response;
}

}  // namespace

std::string AnswerDns(absl::string_view query, const DnsTable& table) {
  if (query.size() < kHeader || (Read16(query, 2) & kResponse) != 0) return "";
  if ((Read16(query, 2) & kOpcode) != 0) return Respond(query, kNotImplemented, "", "");
  std::string name;
  size_t at = kHeader;
  if (Read16(query, 4) != 1 || !ReadName(query, &at, &name) || at + 4 > query.size()) {
    return Respond(query, kFormErr, "", "");
  }
  int type = Read16(query, at);
  absl::string_view question = query.substr(kHeader, at + 4 - kHeader);
  auto found = table.find(name);
  if (found == table.end()) return Respond(query, kNxDomain, question, "");
  // The name exists, if perhaps without that type.
  const bool known = type == kTypeA || type == kTypeAaaa || type == kTypeAny;
  return Respond(query, 0, question, known ? RecordOf(type, found->second) : "");
}

absl::Status DnsServer::Listen(int net_namespace, const std::string& ip) {
  {
    InNetNamespace inside(net_namespace);
    if (!inside.ok()) return absl::ErrnoToStatus(errno, "setns");
    datagrams_ = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    listener_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  for (int fd : {datagrams_.get(), listener_.get()}) {
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("DNS on ", ip));
    }
  }
  if (listen(listener_.get(), 64) != 0) return absl::ErrnoToStatus(errno, "DNS over TCP");
  datagram_watch_ = loop_->OnReadable(datagrams_.get(), [this] { ReceiveDatagram(); });
  listener_watch_ = loop_->OnReadable(listener_.get(), [this] { AcceptStream(); });
  return absl::OkStatus();
}

void DnsServer::ReceiveDatagram() {
  char buffer[4096];
  sockaddr_in from = {};
  socklen_t size = sizeof(from);
  ssize_t n = recvfrom(datagrams_.get(), buffer, sizeof(buffer), 0,
                       reinterpret_cast<sockaddr*>(&from), &size);
  if (n <= 0) return;
  std::string response = AnswerDns(absl::string_view(buffer, n), table_);
  if (response.empty()) return;
  // Lost when the socket is full, as any datagram may be.
  sendto(datagrams_.get(), response.data(), response.size(), 0, reinterpret_cast<sockaddr*>(&from),
         size);
}

void DnsServer::AcceptStream() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid() || streams_.size() >= kMaxStreams) return;
  int id = next_stream_++;
  Stream& stream = streams_[id];
  stream.socket = std::move(socket);
  stream.watch = loop_->OnReadable(stream.socket.get(), [this, id] { ReceiveStream(id); });
  stream.deadline = loop_->After(kStreamDeadline, [this, id] { streams_.erase(id); });
}

void DnsServer::ReceiveStream(int id) {
  Stream& stream = streams_[id];
  char buffer[4096];
  ssize_t n = recv(stream.socket.get(), buffer, sizeof(buffer), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    streams_.erase(id);
    return;
  }
  stream.received.append(buffer, n);
  while (stream.received.size() >= 2) {
    size_t length = Read16(stream.received, 0);
    if (stream.received.size() < 2 + length) return;
    std::string answer = AnswerDns(stream.received.substr(2, length), table_);
    stream.received.erase(0, 2 + length);
    std::string framed;
    Append16(&framed, static_cast<int>(answer.size()));
    framed += answer;
    bool sent = send(stream.socket.get(), framed.data(), framed.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(framed.size());
    if (answer.empty() || !sent) {
      streams_.erase(id);
      return;
    }
  }
}

}  // namespace weft::sandbox
