#include "proxy/serve/forward.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/splice.h"

namespace weft {
namespace {

using Event = H1Decoder::Event;

// A request's body up to this size is kept, so that it can be sent again (Envoy's
// per_connection_buffer_limit is 1 MiB; most retried bodies are far smaller than this).
constexpr size_t kMostReplayed = 64 * 1024;
// Bytes waiting for a slow reader before we stop asking the other side for more.
constexpr size_t kHighWater = 64 * 1024;
// Pieces moved in one direction, and turns without a wait, before other connections get their turn:
// two fast peers would otherwise keep the worker for themselves.
constexpr int kMostMoves = 32;
constexpr int kBusyTurns = 4;

// The two directions of one attempt. Each Step moves what can be moved without waiting.
class Transfer {
 public:
  Transfer(Exchange& x, UpstreamConnection& upstream, uint32_t attempt)
      : x_(x), client_(x.connection), upstream_(upstream), attempt_(attempt) {
    const BodyLength body = client_.decoder.body();
    chunked_request_ = body.framing == BodyFraming::kChunked;
    AppendRequestHead(x_.head, body, out_);
    if (chunked_request_) {
      AppendChunk(x_.replay.view(), out_);
    } else {
      out_.Append(x_.replay.view());
    }
    if (x_.request_received && chunked_request_) AppendLastChunk(client_.decoder.trailers(), out_);
    upstream_.decoder.ExpectResponse(x_.head.method, !x_.upgrade.empty());
  }

  // Until the exchange is over one way or another.
  Task<> Run(MonotonicTime try_deadline);

  const ForwardResult& result() const { return result_; }
  // Both messages ended cleanly, so the connection can carry another request.
  bool upstream_reusable() const {
    return complete_ && request_sent_ && upstream_.decoder.keep_alive() &&
           !upstream_.decoder.tunnel();
  }
  bool got_response_byte() const { return got_response_byte_; }
  bool tunnel() const { return complete_ && upstream_.decoder.tunnel(); }

 private:
  bool StepRequest();
  bool StepResponse();
  bool TakeBody(absl::string_view* piece);
  bool ReadClient();
  bool ReadUpstream();
  bool FlushClient(absl::string_view piece, size_t* taken);
  void WatchClient();
  void OnResponseHead();
  void Keep(absl::string_view piece);

  void Finish(ForwardEnd end, ResponseFlag flag, absl::string_view reason) {
    over_ = true;
    result_.end = end;
    result_.flag = flag;
    result_.reason = std::string(reason);
  }
  void ClientGone() {
    client_.close = true;
    Finish(ForwardEnd::kDone, ResponseFlag::kDownstreamTermination, "downstream_remote_disconnect");
  }
  void UpstreamBroke(absl::string_view reason);

  Exchange& x_;
  HttpConnection& client_;
  UpstreamConnection& upstream_;
  const uint32_t attempt_;
  ForwardResult result_;
  Buffer out_;  // to the upstream
  bool chunked_request_ = false;
  bool chunked_response_ = false;
  bool request_sent_ = false;
  bool wrote_request_ = false;
  bool write_broke_ = false;  // the upstream takes no more; what it said before may still come
  bool got_response_byte_ = false;
  bool complete_ = false;  // the response has been decoded to its end
  bool over_ = false;
};

Task<> Transfer::Run(MonotonicTime try_deadline) {
  const MonotonicTime deadline = std::min(try_deadline, x_.deadline);
  ByteStream& down = *client_.downstream.stream;
  ByteStream& up = *upstream_.stream;
  int busy_turns = 0;
  while (true) {
    const bool sent = StepRequest();
    const bool received = !over_ && StepResponse();
    if (over_) co_return;
    if (sent || received) {
      if (++busy_turns % kBusyTurns == 0) co_await Sleep(x_.loop(), absl::ZeroDuration());
      continue;
    }
    busy_turns = 0;
    // Amid a message a reset must not go unnoticed.
    const bool response_more = got_response_byte_ && !complete_ && up.ReadAgain();
    const bool request_more = !x_.request_received && down.ReadAgain();
    if (response_more || request_more) continue;
    const absl::Duration idle = client_.config.stream_idle_timeout;
    const MonotonicTime idle_deadline = x_.loop().Now() + idle;
    const bool notified = co_await Wait(
        x_.loop(), {&up.readable(), &up.writable(), &down.readable(), &down.writable()},
        std::min(deadline, idle_deadline));
    if (notified) continue;
    // By which was due first, not by the clock: timers may fire some milliseconds early.
    const bool whole = deadline <= idle_deadline;
    result_.outcome.kind = Outcome::Kind::kPerTryTimeout;
    result_.final = x_.deadline <= try_deadline || !whole;
    Finish(x_.response_started ? ForwardEnd::kBroken : ForwardEnd::kFailed,
           whole ? ResponseFlag::kUpstreamRequestTimeout : ResponseFlag::kStreamIdleTimeout,
           whole ? "upstream request timeout" : "stream timeout");
    co_return;
  }
}

// Once the request is complete nothing is expected from the client but its end, or the next
// request.
void Transfer::WatchClient() {
  if (client_.in.size() >= kHighWater) return;
  const IoResult got = client_.downstream.stream->Read(client_.in, Buffer::kBlockSize);
  if (got.status == IoStatus::kEof || got.status == IoStatus::kError) ClientGone();
}

void Transfer::Keep(absl::string_view piece) {
  x_.record.bytes_received += piece.size();
  if (!x_.replayable) return;
  if (x_.replay.size() + piece.size() > kMostReplayed) {
    x_.replayable = false;
    x_.replay.Clear();
  } else {
    x_.replay.Append(piece);
  }
}

bool Transfer::ReadClient() {
  const IoResult got = client_.downstream.stream->Read(client_.in, Buffer::kBlockSize);
  if (got.status == IoStatus::kEof) client_.decoder.OnEof();
  if (got.status == IoStatus::kError) ClientGone();
  return got.status != IoStatus::kBlocked;
}

// Asks the client's decoder for more of the body; `piece` stays in the client's buffer until it is
// written, but for chunked bodies, which are framed anew. False: nothing more now.
bool Transfer::TakeBody(absl::string_view* piece) {
  switch (client_.decoder.Next(client_.in)) {
    case Event::kBody: {
      const absl::string_view body = client_.in.view().substr(0, client_.decoder.body_size());
      if (!chunked_request_) {
        *piece = body;
        return true;
      }
      AppendChunk(body, out_);
      Keep(body);
      client_.in.Consume(body.size());
      client_.decoder.BodyTaken(body.size());
      return true;
    }
    case Event::kEnd:
      x_.request_received = true;
      if (chunked_request_) AppendLastChunk(client_.decoder.trailers(), out_);
      return true;
    case Event::kError:
      client_.worker.CountRejection(client_.decoder.error().reason);
      client_.close = true;
      Finish(x_.response_started ? ForwardEnd::kBroken : ForwardEnd::kFailed,
             ResponseFlag::kDownstreamProtocolError, client_.decoder.error().reason);
      result_.final = true;
      return true;
    default:
      return false;
  }
}

bool Transfer::StepRequest() {
  bool moved = false;
  for (int moves = 0; moves < kMostMoves && !request_sent_ && !write_broke_ && !over_; ++moves) {
    absl::string_view piece;
    if (!x_.request_received && out_.size() < kHighWater && !TakeBody(&piece) && out_.empty()) {
      if (!ReadClient()) return moved;
      moved = true;
      continue;
    }
    if (over_) return true;
    if (out_.empty() && piece.empty()) {
      if (!x_.request_received) continue;
      request_sent_ = true;
      break;
    }
    const std::array<absl::string_view, 2> parts = {out_.view(), piece};
    const IoResult written = upstream_.stream->Write(parts);
    if (written.status == IoStatus::kBlocked) return moved;
    if (written.status == IoStatus::kError) {
      // It may have answered before it stopped reading: that answer counts.
      write_broke_ = true;
      return true;
    }
    moved = wrote_request_ = true;
    const size_t of_out = std::min(written.bytes, out_.size());
    out_.Consume(of_out);
    const size_t of_piece = written.bytes - of_out;
    if (of_piece > 0) {
      Keep(piece.substr(0, of_piece));
      client_.in.Consume(of_piece);
      client_.decoder.BodyTaken(of_piece);
    }
  }
  if (request_sent_ && !over_) WatchClient();
  return moved;
}

void Transfer::UpstreamBroke(absl::string_view reason) {
  using Kind = Outcome::Kind;
  result_.outcome.kind =
      got_response_byte_ || wrote_request_ ? Kind::kReset : Kind::kResetBeforeRequest;
  Finish(x_.response_started ? ForwardEnd::kBroken : ForwardEnd::kFailed,
         ResponseFlag::kUpstreamTermination,
         reason.empty() ? absl::string_view("connection termination") : reason);
}

bool Transfer::ReadUpstream() {
  const IoResult got = upstream_.stream->Read(upstream_.in, Buffer::kBlockSize);
  if (got.ok()) got_response_byte_ = true;
  if (got.status == IoStatus::kEof) upstream_.decoder.OnEof();
  if (got.status == IoStatus::kError) UpstreamBroke(upstream_.stream->error());
  return got.status != IoStatus::kBlocked;
}

// Writes what waits for the client, and `piece` behind it. False if nothing could be written.
bool Transfer::FlushClient(absl::string_view piece, size_t* taken) {
  const std::array<absl::string_view, 2> parts = {client_.out.view(), piece};
  const IoResult written = client_.downstream.stream->Write(parts);
  if (written.status == IoStatus::kError) ClientGone();
  if (!written.ok()) return over_;
  const size_t of_out = std::min(written.bytes, client_.out.size());
  client_.out.Consume(of_out);
  *taken = written.bytes - of_out;
  return true;
}

// Decides whether this response is the one the client gets, and writes its head.
void Transfer::OnResponseHead() {
  ResponseHead& head = upstream_.decoder.response();
  result_.outcome.kind = Outcome::Kind::kResponse;
  result_.outcome.status = head.status;
  result_.outcome.headers = &head.headers;
  const bool may_retry = x_.replayable && x_.forward->retry.has_value() &&
                         ShouldRetry(*x_.forward->retry, attempt_, result_.outcome, x_.head);
  result_.outcome.headers = nullptr;  // gone with the connection, while the result lives on
  if (may_retry) {
    Finish(ForwardEnd::kFailed, ResponseFlag::kNone, "retriable status");
    result_.retry = true;
    return;
  }
  x_.response_started = true;
  x_.replay.Clear();
  x_.replayable = false;
  x_.record.status = head.status;
  x_.record.upstream_time = x_.loop().Now() - x_.start;

  const std::string upgraded_to =
      head.status == 101 ? std::string(RequestedUpgrade(head.headers)) : "";
  RemoveHopByHop(head.headers);
  if (!upgraded_to.empty()) {
    head.headers.Set(KnownHeader::kConnection, "Upgrade");
    head.headers.Set(KnownHeader::kUpgrade, upgraded_to);
  }
  ApplyMutations(x_.target->response_headers, head.headers);
  ApplyMutations(x_.route->response_headers, head.headers);

  BodyLength body = upstream_.decoder.body();
  const bool to_http10 = client_.decoder.request().version == HttpVersion::kHttp10;
  if (body.framing == BodyFraming::kChunked || body.framing == BodyFraming::kUntilClose) {
    body.framing = to_http10 ? BodyFraming::kUntilClose : BodyFraming::kChunked;
  }
  chunked_response_ = body.framing == BodyFraming::kChunked;
  // Decided now, because the head has to say it: a request that is not through yet may never be.
  client_.close = client_.close || !client_.decoder.keep_alive() || client_.drain.draining() ||
                  body.framing == BodyFraming::kUntilClose;
  if (client_.close && upgraded_to.empty()) {
    head.headers.Set(KnownHeader::kConnection, "close");
  } else if (to_http10) {
    head.headers.Set(KnownHeader::kConnection, "keep-alive");
  }
  AppendResponseHead(head, body, client_.out);
}

bool Transfer::StepResponse() {
  bool moved = false;
  for (int moves = 0; moves < kMostMoves && !over_; ++moves) {
    absl::string_view piece;
    bool starved = false;
    if (!complete_ && client_.out.size() < kHighWater) {
      switch (upstream_.decoder.Next(upstream_.in)) {
        case Event::kHead: {
          const int status = upstream_.decoder.response().status;
          if (status >= 100 && status < 200 && status != 101) {
            // The client was told 100 Continue by us; other interim responses pass.
            if (status != 100 && client_.decoder.request().version == HttpVersion::kHttp11) {
              AppendResponseHead(upstream_.decoder.response(), BodyLength(), client_.out);
            }
          } else {
            OnResponseHead();
          }
          moved = true;
          continue;
        }
        case Event::kBody:
          piece = upstream_.in.view().substr(0, upstream_.decoder.body_size());
          if (chunked_response_) {
            AppendChunk(piece, client_.out);
            x_.record.bytes_sent += piece.size();
            upstream_.in.Consume(piece.size());
            upstream_.decoder.BodyTaken(piece.size());
            moved = true;
            continue;
          }
          break;
        case Event::kEnd:
          complete_ = true;
          if (chunked_response_) AppendLastChunk(upstream_.decoder.trailers(), client_.out);
          break;
        case Event::kNeedMore:
          starved = true;
          break;
        case Event::kClosed:
          UpstreamBroke("");
          return true;
        case Event::kError:
          UpstreamBroke(upstream_.decoder.error().reason);
          if (result_.flag == ResponseFlag::kUpstreamTermination && got_response_byte_) {
            result_.flag = ResponseFlag::kUpstreamProtocolError;
          }
          return true;
      }
    }
    if (!client_.out.empty() || !piece.empty()) {
      size_t of_piece = 0;
      if (!FlushClient(piece, &of_piece)) return moved;
      moved = true;
      if (of_piece > 0) {
        x_.record.bytes_sent += of_piece;
        upstream_.in.Consume(of_piece);
        upstream_.decoder.BodyTaken(of_piece);
      }
      continue;
    }
    if (complete_) {
      Finish(ForwardEnd::kDone, ResponseFlag::kNone, "via_upstream");
      return true;
    }
    if (starved) {
      if (!ReadUpstream()) return moved;
      moved = true;
    }
  }
  return moved;
}

ForwardResult ConnectFailure(const absl::Status& status, bool request_out_of_time) {
  ForwardResult result;
  result.end = ForwardEnd::kFailed;
  if (request_out_of_time) {
    result.final = true;
    result.flag = ResponseFlag::kUpstreamRequestTimeout;
    result.reason = "upstream request timeout";
    return result;
  }
  result.flag = ResponseFlag::kUpstreamConnectionFailure;
  result.outcome.kind = Outcome::Kind::kConnectFailure;
  result.reason = std::string(status.message());
  return result;
}

// Whether sending again on a fresh connection cannot do anything twice: the endpoint closed an idle
// connection as we took it into use, and not a byte of an answer came (RFC 9110, section 9.2.2).
bool LostRaceWithIdleClose(const Exchange& x, const Transfer& transfer) {
  static constexpr std::array<absl::string_view, 6> kIdempotent = {"GET", "HEAD",   "OPTIONS",
                                                                   "PUT", "DELETE", "TRACE"};
  const bool idempotent =
      std::find(kIdempotent.begin(), kIdempotent.end(), x.head.method) != kIdempotent.end();
  const auto kind = transfer.result().outcome.kind;
  const bool reset =
      kind == Outcome::Kind::kResetBeforeRequest || (kind == Outcome::Kind::kReset && idempotent);
  return transfer.result().end == ForwardEnd::kFailed && reset && !transfer.got_response_byte() &&
         x.replayable;
}

}  // namespace

Task<ForwardResult> Forward(Exchange& x, UpstreamChoice& choice, const EndpointConfig& endpoint,
                            uint32_t attempt, MonotonicTime try_deadline) {
  ClusterState& state = choice.state();
  const ClusterConfig& cluster = choice.cluster();
  const ActiveRequest busy(choice);
  ++state.counters.upstream_rq_total;
  Pool& pool = state.pools[endpoint.key];
  std::unique_ptr<UpstreamConnection> upstream =
      pool.Take(endpoint, x.loop().Now(), cluster.idle_timeout);
  while (true) {
    const bool reused = upstream != nullptr;
    if (!reused) {
      pool.Opened();
      const bool bounded_by_request = x.deadline <= x.loop().Now() + cluster.connect_timeout;
      auto connected = co_await ConnectUpstream(x.loop(), cluster, endpoint,
                                                x.worker().options().mark, x.deadline);
      if (!connected.ok()) {
        pool.Closed();
        const bool out_of_time = bounded_by_request && absl::IsDeadlineExceeded(connected.status());
        if (!out_of_time) choice.ConnectFailed();
        co_return ConnectFailure(connected.status(), out_of_time);
      }
      upstream = std::move(*connected);
      choice.ConnectSucceeded();
    }
    ++upstream->requests;
    Transfer transfer(x, *upstream, attempt);
    co_await transfer.Run(try_deadline);
    if (reused && LostRaceWithIdleClose(x, transfer)) {
      pool.Closed();
      upstream.reset();
      continue;
    }
    if (transfer.tunnel() && transfer.result().end == ForwardEnd::kDone) {
      HttpConnection& c = x.connection;
      c.close = true;
      co_await Splice(x.loop(), *c.downstream.stream, std::move(c.in), *upstream->stream,
                      std::move(upstream->in), c.config.stream_idle_timeout);
    }
    const bool exhausted = cluster.max_requests_per_connection > 0 &&
                           upstream->requests >= cluster.max_requests_per_connection;
    if (transfer.upstream_reusable() && !exhausted) {
      upstream->decoder.NextMessage();
      pool.Return(std::move(upstream), x.loop().Now());
    } else {
      pool.Closed();
    }
    co_return transfer.result();
  }
}

}  // namespace weft
