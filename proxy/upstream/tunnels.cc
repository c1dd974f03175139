#include "proxy/upstream/tunnels.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/net/tcp.h"
#include "proxy/tls/tls_stream.h"
#include "proxy/upstream/tunnel_stream.h"

namespace weft {
namespace {

absl::Status At(const Address& address, absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("tunnel by ", address.ToString(), ": ", what));
}

RequestHead ConnectHead(const TunnelConfig& config, const Tunnels::Wanted& wanted) {
  RequestHead head;
  head.method = "CONNECT";
  head.authority = config.authority;
  // RFC 9113, section 8.5, wants a port; it says nothing here, and the gateway takes it off.
  if (head.authority.find(':') == std::string::npos) head.authority += ":15008";
  head.version = HttpVersion::kHttp2;
  if (!wanted.avoid.empty()) head.headers.Add("x-weft-avoid", wanted.avoid);
  if (!wanted.source.empty()) head.headers.Add("x-weft-source", wanted.source);
  if (!wanted.traceparent.empty()) head.headers.Add("traceparent", wanted.traceparent);
  return head;
}

// Names are kept, and sent again in lists; those of our gateways have 16 characters.
constexpr size_t kLongestPodName = 64;

// What another cluster's gateway calls a pod, if it is a name at all.
bool IsPodName(absl::string_view name) {
  return name.size() <= kLongestPodName && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
         });
}

}  // namespace

Tunnels::Connection::Connection(EventLoop& loop, std::unique_ptr<ByteStream> made,
                                H2Counters& counters)
    : bytes(std::move(made)),
      http2(
          loop, *bytes,
          {H2Connection::Role::kClient, Http2Options::TowardsGateway(), true, &counters, Buffer()}),
      used(loop.Now()) {}

Tunnels::Connection* Tunnels::Usable(Gateway& gateway) {
  for (const auto& connection : gateway.connections) {
    if (!connection->http2.going_away() && connection->http2.CanOpen()) return connection.get();
  }
  return nullptr;
}

Task<absl::StatusOr<Tunnels::Connection*>> Tunnels::Get(Address address,
                                                        std::shared_ptr<const TunnelConfig> config,
                                                        std::optional<uint32_t> mark,
                                                        MonotonicTime deadline) {
  Gateway& gateway = gateways_[{address.ToString(), config->gateway.get()}];
  while (true) {
    if (Connection* usable = Usable(gateway); usable != nullptr) co_return usable;
    if (!gateway.being_made) break;
    // One at a time: it is likely to have room for all that wait.
    const auto place = gateway.waiting.emplace(gateway.waiting.end());
    const bool notified = co_await Wait(loop_, {&*place}, deadline);
    gateway.waiting.erase(place);
    if (!notified) co_return At(address, "timeout");
    // Not each of those who wait has to find out the same. But one that gave up, or had no more
    // time, found out nothing.
    const absl::Status& failure = gateway.failure;
    const bool learnt = !absl::IsCancelled(failure) && !absl::IsDeadlineExceeded(failure);
    if (!gateway.being_made && !failure.ok() && learnt) co_return failure;
  }
  co_return co_await Make(gateway, address, std::move(config), mark, deadline);
}

Task<absl::StatusOr<Tunnels::Connection*>> Tunnels::Make(Gateway& gateway, Address address,
                                                         std::shared_ptr<const TunnelConfig> config,
                                                         std::optional<uint32_t> mark,
                                                         MonotonicTime deadline) {
  struct Making {
    explicit Making(Gateway& gateway) : gateway(gateway) { gateway.being_made = true; }
    ~Making() {
      gateway.being_made = false;
      for (Signal& one : gateway.waiting) one.Notify();
    }
    Gateway& gateway;
  };
  const Making making(gateway);
  gateway.failure = absl::CancelledError("given up");
  ConnectOptions options;
  options.mark = mark;
  options.deadline = deadline;
  auto connected = co_await Connect(loop_, address, options);
  if (!connected.ok()) {
    gateway.failure = connected.status();
    co_return gateway.failure;
  }
  auto secured =
      co_await TlsStream::Connect(loop_, *std::move(connected), config->gateway, deadline);
  if (!secured.ok()) {
    gateway.failure = absl::Status(
        secured.status().code(),
        absl::StrCat("TLS with gateway ", address.ToString(), ": ", secured.status().message()));
    co_return gateway.failure;
  }
  gateway.failure = absl::OkStatus();
  gateway.connections.push_back(
      std::make_unique<Connection>(loop_, *std::move(secured), counters_));
  co_return gateway.connections.back().get();
}

Task<absl::StatusOr<Tunnels::Opened>> Tunnels::Open(Address address,
                                                    std::shared_ptr<const TunnelConfig> config,
                                                    Wanted wanted, std::optional<uint32_t> mark,
                                                    MonotonicTime deadline) {
  if (!config->reverse_of.empty()) {
    H2Connection* dialed = reverse_.Pick(config->reverse_of);
    if (dialed == nullptr) {
      const bool full = reverse_.Counts().contains(config->reverse_of);
      co_return absl::UnavailableError(absl::StrCat(
          full ? "no room on what was dialed by gateways of " : "not dialed by a gateway of ",
          config->reverse_of));
    }
    co_return co_await OpenOn(*dialed, Address(), address, std::move(config), std::move(wanted),
                              deadline);
  }
  auto connection = co_await Get(address, config, mark, deadline);
  if (!connection.ok()) co_return connection.status();
  (*connection)->used = loop_.Now();
  const Address local = (*connection)->bytes->local_address();
  co_return co_await OpenOn((*connection)->http2, local, address, std::move(config),
                            std::move(wanted), deadline);
}

// Opens before its first wait: until then the connection is there.
Task<absl::StatusOr<Tunnels::Opened>> Tunnels::OpenOn(H2Connection& connection, Address local,
                                                      Address address,
                                                      std::shared_ptr<const TunnelConfig> config,
                                                      Wanted wanted, MonotonicTime deadline) {
  std::unique_ptr<HttpStream> stream = connection.Open();
  stream->WriteHead(ConnectHead(*config, wanted), BodyLength{BodyFraming::kTunnel});
  stream->Flush();
  HttpStream::Event event;
  while ((event = stream->Next()) == HttpStream::Event::kBlocked) {
    if (!co_await Wait(loop_, {&stream->readable()}, deadline)) co_return At(address, "timeout");
  }
  if (event != HttpStream::Event::kHead) co_return At(address, stream->failure().reason);
  const ResponseHead& response = stream->response();
  if (response.status / 100 != 2) {
    co_return At(address, absl::StrCat("answered ", response.status));
  }
  Opened opened;
  const absl::string_view pod = response.headers.Get("x-weft-pod").value_or("");
  if (IsPodName(pod)) opened.pod = std::string(pod);
  opened.stream = std::make_unique<TunnelStream>(std::move(stream), local, address);
  co_return opened;
}

void Tunnels::Sweep(MonotonicTime now) {
  for (auto gateway = gateways_.begin(); gateway != gateways_.end();) {
    std::list<std::unique_ptr<Connection>>& list = gateway->second.connections;
    list.remove_if([&](const std::unique_ptr<Connection>& one) {
      if (one->http2.ended()) return true;
      if (!one->http2.idle()) {
        one->used = now;
        return false;
      }
      return one->http2.going_away() || now - one->used >= kIdleTimeout;
    });
    const bool unused =
        list.empty() && !gateway->second.being_made && gateway->second.waiting.empty();
    gateway = unused ? gateways_.erase(gateway) : std::next(gateway);
  }
}

size_t Tunnels::connections() const {
  size_t count = 0;
  for (const auto& [key, gateway] : gateways_) count += gateway.connections.size();
  return count;
}

}  // namespace weft
