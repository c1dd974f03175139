// HttpConnection and Exchange: a client's HTTP connection, and one request with its response on
// their way through.
#ifndef WEFT_PROXY_SERVE_EXCHANGE_H_
#define WEFT_PROXY_SERVE_EXCHANGE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "proxy/base/buffer.h"
#include "proxy/config/snapshot.h"
#include "proxy/decide/request_policy.h"
#include "proxy/serve/connection.h"
#include "proxy/serve/http_filters.h"
#include "proxy/serve/request_head.h"
#include "proxy/serve/worker.h"
#include "proxy/stream/http_stream.h"
#include "proxy/telemetry/record.h"

namespace weft {

// What the requests of one connection share, whichever version of HTTP it speaks.
struct HttpConnection {
  HttpConnection(Worker& worker, Downstream& downstream, const HttpManagerConfig& config);

  // Whether it is to end with the requests under way: it drains, or had as many requests or as much
  // time as it may. Stays true, and counts why, once. When it turns true the drain's signal is
  // notified.
  bool Ending();

  Worker& worker;
  Downstream& downstream;
  const HttpManagerConfig& config;
  DownstreamCounters& counters;
  const ClientFacts client;
  Worker::DrainNotice drain{downstream};
  const MonotonicTime expires;  // of max_connection_duration
  uint32_t requests = 0;        // begun
  bool ending = false;
};

struct Exchange {
  // `client` is at the request's head.
  Exchange(HttpConnection& connection, HttpStream& client);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Worker& worker() const { return connection.worker; }
  EventLoop& loop() const { return connection.worker.loop(); }

  HttpConnection& connection;
  HttpStream& client;
  RequestHead& head;
  // What the request was matched against; alive until it ends, whatever is adopted meanwhile.
  std::shared_ptr<const Snapshot> config;
  std::shared_ptr<const RouteTable> routes;
  const Route* route = nullptr;
  const ForwardAction* forward = nullptr;
  const WeightedTarget* target = nullptr;
  const ClusterConfig* cluster = nullptr;
  std::string upgrade;  // the protocol the client asks to switch to and the config allows, or ""
  // Of the request as it goes on: kTunnel for an upgrade that the config allows, and for CONNECT.
  BodyLength body;

  MonotonicTime start;
  MonotonicTime deadline = kNever;    // of the whole request with its retries
  MonotonicTime stream_end = kNever;  // of max_stream_duration; tunnels have only this

  // The body that was already taken from the client, kept for another attempt while it is small.
  Buffer replay;
  bool replayable = true;
  bool request_received = false;  // up to its end
  // Its head is on the way to the client; interim ones do not count.
  bool response_started = false;

  // Of a CONNECT that ends here, as the tunnel filter found it.
  struct TunnelNotes {
    const TunnelTerminationConfig* filter = nullptr;  // null: there is none
    std::string avoid;                                // pods that it wants others than
    std::string source;
  };
  TunnelNotes tunnel;

  const bool logged;  // whether any log wants the record's texts, which cost more than the counts
  RequestRecord record;
  FilterNotes notes;
  RequestPolicy policy;  // of a request that is forwarded
};

// Writes the head of the response, be it an endpoint's or our own. The one place that all of them
// pass.
void StartResponse(Exchange& x, ResponseHead& head, BodyLength body);

// Whether the circuit breakers of the request's cluster let it be tried once more.
bool RetryAllowed(const Exchange& x);

// Writes what is left for the client; false if it is gone, or does not read.
Task<bool> FlushResponse(HttpConnection& c, HttpStream& client);

// How long the head of a request may take, from its first byte.
absl::Duration HeadTimeout(const HttpManagerConfig& config);

// How long a client may take to make room for more of a response of which all is there.
absl::Duration FlushTimeout(const HttpManagerConfig& config);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_EXCHANGE_H_
