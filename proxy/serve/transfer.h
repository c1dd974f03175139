// Transfer: the two directions of one attempt at the same time, between the client's stream and the
// endpoint's. Each direction asks its source for the next piece and writes it to its destination;
// a destination that takes no more holds its source back, for that is then not asked. An accepted
// upgrade or CONNECT goes on in the same two directions, as a tunnel.
//
// Here are also the decisions that fall amid the bytes: whether a response's head is the one the
// client gets, and what it means that a side broke.
#ifndef WEFT_PROXY_SERVE_TRANSFER_H_
#define WEFT_PROXY_SERVE_TRANSFER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "proxy/decide/retry.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/exchange.h"
#include "proxy/upstream/pool.h"

namespace weft {

enum class ForwardEnd {
  kDone,    // the response went to the client, or the client went away
  kFailed,  // no byte of a response was sent: `outcome` says whether to try again
  kBroken,  // the response broke off after it began: the client must not take it for whole
};

// What may take no longer, and did.
enum class TimeLimit : uint8_t {
  kNone,
  kTry,        // this attempt
  kTryIdle,    // nothing moved in it
  kRequest,    // with all its attempts
  kReceiving,  // the request itself, from its client
  kStream,     // with its response to the end
  kIdle,       // nothing moved, and no other attempt is wanted
};

struct ForwardResult {
  ForwardEnd end = ForwardEnd::kDone;
  bool retry = false;  // the policy wants this response's request tried again
  TimeLimit exceeded = TimeLimit::kNone;
  bool final = false;  // trying again cannot help: out of time, or the request itself is bad
  Outcome outcome;
  // From the request's first byte on a connection that was there to the response's head; zero if
  // that did not come. How far away the endpoint is, without what making a connection costs.
  absl::Duration latency = absl::ZeroDuration();
  std::optional<absl::Duration> back_off;  // before another attempt, as the response asks
  ResponseFlag flag = ResponseFlag::kNone;
  std::string reason;  // of a failure, for the client and the log
};

class Transfer {
 public:
  // All are borrowed. `attempt` counts from 1.
  Transfer(Exchange& x, const Lease& lease, uint32_t attempt);

  // Until the exchange is over one way or another.
  Task<> Run(MonotonicTime try_deadline);

  const ForwardResult& result() const { return result_; }
  // The endpoint's side of the exchange is over in good order.
  bool upstream_ended() const { return response_ended_ && request_ended_; }
  // Some byte of an answer came.
  bool heard() const { return upstream_.heard(); }

 private:
  bool StepRequest();
  bool MoveRequest();
  bool sending() const;
  void EndRequest();
  void Keep(absl::string_view piece);
  void FlushUpstream();

  bool StepResponse();
  bool MoveResponse();
  void FlushClient();

  void OnResponseHead();
  bool WantsRetry();
  void PassResponseHead();

  // The limit that is reached first.
  struct Due {
    MonotonicTime at = kNever;
    TimeLimit limit = TimeLimit::kIdle;
  };
  Due FirstDue(MonotonicTime try_deadline) const;

  void Finish(ForwardEnd end, ResponseFlag flag, absl::string_view reason);
  void TimedOut(TimeLimit limit);
  void ClientBroke();
  void ClientGone();
  void UpstreamBroke();
  void GiveUp();

  Exchange& x_;
  const Lease& lease_;
  HttpStream& client_;
  HttpStream& upstream_;
  const uint32_t attempt_;
  const MonotonicTime start_;
  ForwardResult result_;
  size_t replayed_ = 0;  // of x.replay
  bool tunnel_ = false;  // an upgrade or CONNECT was accepted
  bool request_ended_ = false;
  bool wrote_request_ = false;     // some of it may have reached the endpoint
  bool upstream_flushed_ = false;  // of all that was written
  bool write_broke_ = false;       // the endpoint takes no more; what it said before may still come
  bool response_ended_ = false;
  bool over_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_TRANSFER_H_
