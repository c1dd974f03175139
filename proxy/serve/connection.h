// From an accepted socket to what serves it: the first half of a request's way.
//
//   original destination → listener → listener filters → filter chain → TLS → HTTP or TCP
//
// What is read ahead to find out what a connection is goes back in front of the stream
// (TcpStream::Unread): TLS that is terminated here costs no look beside its own read.
#ifndef WEFT_PROXY_SERVE_CONNECTION_H_
#define WEFT_PROXY_SERVE_CONNECTION_H_

#include <memory>
#include <string>

#include "proxy/config/listener_config.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/listener_filters.h"

namespace weft {

class TlsStream;
class Worker;

// A client's connection as the serving code sees it. Lives as long as the connection, in one place:
// the worker knows it by its address.
struct Downstream {
  std::unique_ptr<ByteStream> stream;
  TcpStream* socket = nullptr;     // at the bottom of `stream`
  const TlsStream* tls = nullptr;  // `stream` itself, where the chain terminates TLS
  std::shared_ptr<const ListenerConfig> listener;  // keeps `chain` alive
  const FilterChainConfig* chain = nullptr;
  Address destination;  // where the client meant to go; the local address if not redirected
  Address direct_peer;  // the peer itself, where a PROXY header tells of another client
  // The client connected to our own listening port: passing it on to `destination` would come back.
  bool meant_for_us = false;
  std::string server_name;  // SNI, lower case
  std::string alpn;         // negotiated, or empty
  std::string own_uri;  // our own identity towards this client, for By= of x-forwarded-client-cert
  // What the client's certificate proved; empty if it had none.
  std::string peer_uri;
  std::string peer_subject;
  std::string peer_hash;

  // The client is to go elsewhere when its requests end: the process drains, or what it connected
  // to is no longer configured so. Set by the worker, which then notifies `drain_started`.
  bool draining = false;
  // Without a request it ends once it has been quiet for this long.
  absl::Duration drain_quiet = absl::InfiniteDuration();
  MonotonicTime drain_deadline = kNever;  // then it ends or, amid a request, is cut
  Signal drain_started;

  // Over HTTP/2: no request will begin any more, since either side said so. For who dialed it.
  bool leaving = false;
  Signal left;
  void Leave() {
    leaving = true;
    left.Notify();
  }
};

Task<> ServeConnection(Worker& worker, std::unique_ptr<TcpStream> accepted,
                       std::shared_ptr<const ListenerConfig> listener);
// The same from where the listener filters have run, on another worker.
Task<> ServeInspected(Worker& worker, std::unique_ptr<TcpStream> accepted, Address direct_peer,
                      std::shared_ptr<const ListenerConfig> listener, Inspected inspected);

// `stream` is with `downstream` from now on, which then knows its peer.
void TakeSecured(Downstream& downstream, std::unique_ptr<TlsStream> stream);
// Serves it by its chain to its end. If the chain has TLS, that is to be terminated first.
Task<> ServeByChain(Worker& worker, Downstream& downstream, ListenerCounters& counters);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_CONNECTION_H_
