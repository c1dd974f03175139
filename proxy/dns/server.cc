#include "proxy/dns/server.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "proxy/net/write_all.h"

namespace weft::dns {
namespace {

// How long a mesh name may be cached: an address stays for the life of its service.
constexpr uint32_t kMeshTtlSeconds = 30;
// One upstream's time to answer; a resolver's own timeout is 5 s.
constexpr absl::Duration kUpstreamTimeout = absl::Seconds(2);
// Queries under way to upstreams, and TCP clients: beyond it SERVFAIL at once, so that a dead
// upstream cannot pile up state.
constexpr size_t kMostForwarded = 1024;
constexpr absl::Duration kTcpIdle = absl::Seconds(10);

absl::string_view Bytes(const std::string& text) { return {text.data(), text.size()}; }

// As DNS goes over TCP (RFC 1035, section 4.2.2).
Buffer WithLength(absl::string_view message) {
  const char length[] = {static_cast<char>(message.size() >> 8),
                         static_cast<char>(message.size() & 0xff)};
  Buffer framed;
  framed.Append({length, sizeof(length)});
  framed.Append(message);
  return framed;
}

// One length-prefixed message from `stream`; empty at its end, on error and at the deadline.
Task<std::string> ReadFramed(EventLoop& loop, ByteStream& stream, Buffer& buffer,
                             MonotonicTime deadline) {
  while (true) {
    const absl::string_view held = buffer.view();
    if (held.size() >= 2) {
      const size_t length = static_cast<uint8_t>(held[0]) << 8 | static_cast<uint8_t>(held[1]);
      if (held.size() >= 2 + length) {
        std::string message(held.substr(2, length));
        buffer.Consume(2 + length);
        co_return message;
      }
    }
    const IoResult got = stream.Read(buffer, Buffer::kBlockSize);
    if (got.ok()) continue;
    if (got.status != IoStatus::kBlocked) co_return "";
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (!notified) co_return "";
  }
}

}  // namespace

std::vector<Address> ParseNameservers(absl::string_view resolv_conf) {
  std::vector<Address> servers;
  for (absl::string_view line : absl::StrSplit(resolv_conf, '\n')) {
    std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() < 2 || words[0] != "nameserver") continue;
    absl::StatusOr<Address> server = Address::Ip(words[1], 53);
    if (server.ok()) servers.push_back(*server);
  }
  return servers;
}

absl::StatusOr<std::unique_ptr<DnsServer>> DnsServer::Start(EventLoop& loop, Options options) {
  auto server = std::unique_ptr<DnsServer>(new DnsServer(loop, std::move(options)));
  auto udp = UdpSocket::Bind(loop, server->options_.listen);
  if (!udp.ok()) return udp.status();
  server->udp_ = std::move(*udp);
  auto tcp = Listener::Create(loop, server->udp_->address(), Listener::Options());
  if (!tcp.ok()) return tcp.status();
  server->tcp_ = std::move(*tcp);
  server->scope_.Spawn(server->ServeUdp());
  server->scope_.Spawn(server->ServeTcp());
  return server;
}

DnsServer::Local DnsServer::AnswerLocally(absl::string_view message, bool udp, Query* query) {
  ++counters_.queries;
  const ParseResult parsed = ParseQuery(message, query);
  if (parsed == ParseResult::kDrop) {
    ++counters_.malformed;
    return {true, std::nullopt};
  }
  if (parsed == ParseResult::kMalformed) {
    ++counters_.malformed;
    query->question.clear();
    query->edns = false;
    return {false, EmptyAnswer(*query, Rcode::kFormErr)};
  }
  if (query->edns_version != 0) return {false, EmptyAnswer(*query, Rcode::kBadVers)};
  if (query->opcode != 0) return {false, EmptyAnswer(*query, Rcode::kNotImp)};
  const NameTable::Host* host = query->class_ == kClassIn ? table_->Find(query->name) : nullptr;
  if (host == nullptr) return {false, std::nullopt};
  ++counters_.answered;
  if (query->type == kTypeAny) return {false, RefuseAny(*query)};
  const size_t limit = udp ? std::min<size_t>(query->udp_size, kLargestUdpSize) : size_t{65535};
  return {false, AddressAnswer(*query, host->addresses, kMeshTtlSeconds, limit)};
}

Task<> DnsServer::ServeUdp() {
  while (true) {
    Address client;
    std::optional<std::string> message = udp_->Receive(&client);
    if (!message.has_value()) {
      co_await Wait(loop_, {&udp_->readable()});
      continue;
    }
    if (message->empty()) continue;
    Query query;
    const Local local = AnswerLocally(Bytes(*message), /*udp=*/true, &query);
    if (local.drop) continue;
    if (local.answer.has_value()) {
      udp_->Send(*local.answer, client);
    } else if (scope_.size() > kMostForwarded) {
      ++counters_.failed;
      udp_->Send(EmptyAnswer(query, Rcode::kServFail), client);
    } else {
      scope_.Spawn(ForwardUdp(std::move(*message), std::move(query), client));
    }
  }
}

Task<> DnsServer::ForwardUdp(std::string message, Query query, Address client) {
  const std::string answer = co_await Ask(std::move(message), std::move(query));
  udp_->Send(answer, client);
}

// Asks one upstream after the other, each from a port and with an id of its own.
Task<std::string> DnsServer::Ask(std::string message, Query query) {
  ++counters_.forwarded;
  absl::BitGen random;
  for (const Address& upstream : options_.upstreams) {
    auto socket = UdpSocket::Connect(loop_, upstream, options_.mark);
    if (!socket.ok()) continue;
    const uint16_t id = absl::Uniform<uint16_t>(random);
    std::string asked = message;
    asked[0] = static_cast<char>(id >> 8);
    asked[1] = static_cast<char>(id & 0xff);
    (*socket)->Send(asked);
    const MonotonicTime deadline = loop_.Now() + kUpstreamTimeout;
    bool waiting = true;
    while (waiting) {
      std::optional<std::string> answer = (*socket)->Receive(nullptr);
      if (!answer.has_value()) {
        waiting = co_await Wait(loop_, {&(*socket)->readable()}, deadline);
      } else if (answer->empty()) {
        waiting = false;  // port unreachable
      } else if (Answers(Bytes(*answer), id, query)) {
        answer->replace(0, 2, message, 0, 2);
        co_return std::move(*answer);
      }
    }
  }
  ++counters_.failed;
  co_return EmptyAnswer(query, Rcode::kServFail);
}

Task<> DnsServer::ServeTcp() {
  while (true) {
    std::unique_ptr<TcpStream> stream = co_await tcp_->Accept();
    if (scope_.size() > kMostForwarded) continue;
    scope_.Spawn(ServeTcpConnection(std::move(stream)));
  }
}

Task<> DnsServer::ServeTcpConnection(std::unique_ptr<TcpStream> stream) {
  Buffer buffer;
  while (true) {
    const MonotonicTime deadline = loop_.Now() + kTcpIdle;
    std::string message = co_await ReadFramed(loop_, *stream, buffer, deadline);
    if (message.empty()) co_return;
    Query query;
    Local local = AnswerLocally(Bytes(message), /*udp=*/false, &query);
    if (local.drop) co_return;
    if (!local.answer.has_value()) {
      ++counters_.forwarded;
      std::string answer;
      for (const Address& upstream : options_.upstreams) {
        answer = co_await AskOverTcp(message, upstream);
        if (!answer.empty()) break;
      }
      if (answer.empty()) {
        ++counters_.failed;
        answer = EmptyAnswer(query, Rcode::kServFail);
      }
      local.answer = std::move(answer);
    }
    Buffer framed = WithLength(*local.answer);
    const bool sent = co_await WriteAll(loop_, *stream, framed, deadline);
    if (!sent) co_return;
  }
}

Task<std::string> DnsServer::AskOverTcp(std::string message, Address upstream) {
  ConnectOptions options;
  options.mark = options_.mark;
  options.deadline = loop_.Now() + kUpstreamTimeout;
  auto connected = co_await Connect(loop_, upstream, options);
  if (!connected.ok()) co_return "";
  Buffer framed = WithLength(message);
  const bool sent = co_await WriteAll(loop_, **connected, framed, options.deadline);
  if (!sent) co_return "";
  Buffer buffer;
  co_return co_await ReadFramed(loop_, **connected, buffer, options.deadline);
}

}  // namespace weft::dns
