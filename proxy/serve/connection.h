// From an accepted socket to what serves it: the first half of a request's way.
//
//   original destination → listener → first bytes → filter chain → TLS → HTTP or TCP
#ifndef WEFT_PROXY_SERVE_CONNECTION_H_
#define WEFT_PROXY_SERVE_CONNECTION_H_

#include <memory>
#include <string>

#include "proxy/config/listener_config.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/task.h"

namespace weft {

class Worker;

// A client's connection as the serving code sees it. Lives as long as the connection.
struct Downstream {
  std::unique_ptr<ByteStream> stream;
  std::shared_ptr<const ListenerConfig> listener;  // keeps `chain` alive
  const FilterChainConfig* chain = nullptr;
  Address destination;  // where the client meant to go; the local address if not redirected
  // The client connected to our own listening port: passing it on to `destination` would come back.
  bool meant_for_us = false;
  std::string server_name;  // SNI, lower case
  std::string alpn;         // negotiated, or empty
  std::string own_uri;  // our own identity towards this client, for By= of x-forwarded-client-cert
  // What the client's certificate proved; empty if it had none.
  std::string peer_uri;
  std::string peer_subject;
  std::string peer_hash;
};

Task<> ServeConnection(Worker& worker, std::unique_ptr<TcpStream> accepted,
                       std::shared_ptr<const ListenerConfig> listener);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_CONNECTION_H_
