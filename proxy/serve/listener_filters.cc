#include "proxy/serve/listener_filters.h"

#include <utility>

#include "proxy/base/log.h"
#include "proxy/http/sniff.h"
#include "proxy/net/proxy_protocol.h"
#include "proxy/tls/client_hello.h"

namespace weft {
namespace {

enum class Verdict { kMore, kDone, kClose };

// One connection's way through the filters.
struct Inspection {
  const ListenerConfig& listener;
  TcpStream& socket;
  ListenerCounters& counters;
  Inspected& inspected;
  Buffer bytes = Buffer();  // read ahead
};

Verdict Refuse(Inspection& i, const char* filter, const char* reason) {
  ++i.counters.downstream_listener_filter_error;
  Log(LogLevel::kDebug, "listener_filter_failed",
      {{"listener", i.listener.name}, {"filter", filter}, {"reason", reason}});
  return Verdict::kClose;
}

Verdict ReadProxyHeader(Inspection& i) {
  const ProxyProtocolRules& rules = i.listener.proxy_protocol;
  const ProxyHeader header = ParseProxyHeader(i.bytes.view());
  switch (header.state) {
    case ProxyHeaderState::kNeedMore:
      return Verdict::kMore;
    case ProxyHeaderState::kNone:
      return rules.optional ? Verdict::kDone : Refuse(i, "proxy_protocol", "no header");
    case ProxyHeaderState::kInvalid:
      return Refuse(i, "proxy_protocol", header.error);
    case ProxyHeaderState::kComplete:
      break;
  }
  if (!(header.version == 1 ? rules.version_1 : rules.version_2)) {
    return Refuse(i, "proxy_protocol", "version is not allowed");
  }
  i.bytes.Consume(header.size);
  if (header.source.family() != AF_UNSPEC) i.socket.Present(header.destination, header.source);
  return Verdict::kDone;
}

Verdict InspectTls(Inspection& i) {
  ClientHello hello = ParseClientHello(i.bytes.view());
  switch (hello.state) {
    case ClientHelloState::kNeedMore:
      return Verdict::kMore;
    case ClientHelloState::kInvalid:
      return Refuse(i, "tls_inspector", hello.error);
    case ClientHelloState::kNotTls:
      return Verdict::kDone;
    case ClientHelloState::kClientHello:
      break;
  }
  i.inspected.tls = true;
  i.inspected.server_name = std::move(hello.server_name);
  i.inspected.application_protocols = std::move(hello.alpn);
  return Verdict::kDone;
}

Verdict InspectHttp(Inspection& i) {
  if (i.inspected.tls) return Verdict::kDone;
  switch (SniffHttp(i.bytes.view())) {
    case SniffedHttp::kNeedMore:
      return Verdict::kMore;
    case SniffedHttp::kHttp10:
      i.inspected.application_protocols = {"http/1.0"};
      break;
    case SniffedHttp::kHttp11:
      i.inspected.application_protocols = {"http/1.1"};
      break;
    case SniffedHttp::kHttp2:
      i.inspected.application_protocols = {"h2c"};
      break;
    case SniffedHttp::kNotHttp:
      break;
  }
  return Verdict::kDone;
}

Verdict Run(Inspection& i, ListenerFilter filter) {
  switch (filter) {
    case ListenerFilter::kOriginalDst:
      return Verdict::kDone;  // the socket's option, read before
    case ListenerFilter::kProxyProtocol:
      return ReadProxyHeader(i);
    case ListenerFilter::kTlsInspector:
      return InspectTls(i);
    case ListenerFilter::kHttpInspector:
      return InspectHttp(i);
  }
  return Verdict::kClose;
}

enum class Read { kSome, kTooLate, kOver };

Task<Read> ReadMore(EventLoop& loop, Inspection& i, MonotonicTime deadline) {
  while (true) {
    const IoResult got = i.socket.Read(i.bytes, Buffer::kBlockSize);
    if (got.ok()) co_return Read::kSome;
    if (got.status != IoStatus::kBlocked) co_return Read::kOver;
    const bool in_time = co_await Wait(loop, {&i.socket.readable()}, deadline);
    if (!in_time) co_return Read::kTooLate;
  }
}

Task<bool> RunAll(EventLoop& loop, Inspection& i) {
  const MonotonicTime deadline = loop.Now() + i.listener.listener_filters_timeout;
  for (const ListenerFilter filter : i.listener.filters) {
    while (true) {
      const Verdict verdict = Run(i, filter);
      if (verdict == Verdict::kDone) break;
      if (verdict == Verdict::kClose) co_return false;
      const Read read = co_await ReadMore(loop, i, deadline);
      if (read == Read::kSome) continue;
      if (read == Read::kOver) {
        ++i.counters.downstream_listener_filter_error;
        co_return false;
      }
      ++i.counters.downstream_pre_cx_timeout;
      co_return i.listener.continue_on_listener_filters_timeout;
    }
  }
  co_return true;
}

}  // namespace

Task<bool> RunListenerFilters(EventLoop& loop, const ListenerConfig& listener, TcpStream& socket,
                              ListenerCounters& counters, Inspected& inspected) {
  Inspection i{listener, socket, counters, inspected};
  const bool go_on = co_await RunAll(loop, i);
  if (!i.bytes.empty()) socket.Unread(std::move(i.bytes));
  co_return go_on;
}

}  // namespace weft
