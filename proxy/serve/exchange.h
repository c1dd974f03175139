// HttpConnection and Exchange: a client's HTTP connection, and one request with its response on
// their way through.
#ifndef WEFT_PROXY_SERVE_EXCHANGE_H_
#define WEFT_PROXY_SERVE_EXCHANGE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "proxy/base/buffer.h"
#include "proxy/config/snapshot.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/serve/connection.h"
#include "proxy/serve/request_head.h"
#include "proxy/serve/worker.h"
#include "proxy/telemetry/record.h"

namespace weft {

struct HttpConnection {
  HttpConnection(Worker& worker, Downstream& downstream, const HttpManagerConfig& config);

  Worker& worker;
  Downstream& downstream;
  const HttpManagerConfig& config;
  DownstreamCounters& counters;
  const ClientFacts client;
  H1Decoder decoder{H1Decoder::Role::kRequests};
  Buffer in;
  Buffer out;           // what is to be written to the client
  bool close = false;   // after the response under way
  bool broken = false;  // a response was cut: the client must not take the end for an orderly one
  Worker::DrainNotice drain{downstream};
};

struct Exchange {
  explicit Exchange(HttpConnection& connection);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Worker& worker() { return connection.worker; }
  EventLoop& loop() { return connection.worker.loop(); }

  HttpConnection& connection;
  RequestHead& head;
  // What the request was matched against; alive until it ends, whatever is adopted meanwhile.
  std::shared_ptr<const Snapshot> config;
  std::shared_ptr<const RouteTable> routes;
  const Route* route = nullptr;
  const ForwardAction* forward = nullptr;
  const WeightedTarget* target = nullptr;
  std::string upgrade;  // the protocol the client asks to switch to and the config allows, or ""

  MonotonicTime start;
  MonotonicTime deadline = kNever;  // of the whole request with its retries

  // The body that was already taken from the client, kept for another attempt while it is small.
  Buffer replay;
  bool replayable = true;
  bool request_received = false;  // up to its end
  bool response_started =
      false;  // its head is on the way to the client (interim ones do not count)

  const bool logged;  // whether any log wants the record's texts, which cost more than the counts
  RequestRecord record;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_EXCHANGE_H_
