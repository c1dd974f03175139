#include "proxy/http/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft {
namespace {

constexpr size_t kFrameHeader = 9;
// Until a server's SETTINGS come: what RFC 9113, section 6.5.2, recommends a server to grant at
// least.
constexpr uint32_t kStreamsBeforeSettings = 100;
// Beyond what one read brings, before streams or data count: Envoy's.
constexpr uint64_t kFreeWindowUpdates = 5;
// Heads spread over more frames than their size asks for.
constexpr size_t kSpareContinuations = 8;
constexpr size_t kFramePayload = 16 * 1024;
constexpr uint8_t kDrainPing[8] = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

absl::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Streams kept for the next ones of this thread: two loops' worth of a busy connection's.
constexpr size_t kKeptStreams = 256;
// Heads larger than this are not kept with them.
constexpr size_t kKeptHeadBytes = 16 * 1024;

using FreeStreams = std::vector<std::unique_ptr<H2StreamState>>;

FreeStreams& ThreadFreeStreams() {
  thread_local FreeStreams free_streams;
  return free_streams;
}

H2StreamState* TakeStream() {
  FreeStreams& kept = ThreadFreeStreams();
  if (kept.empty()) return new H2StreamState;
  H2StreamState* stream = kept.back().release();
  kept.pop_back();
  return stream;
}

// Keeps what the strings and headers have grown to.
void Clean(H2StreamState& stream) {
  static_cast<H2StreamProgress&>(stream) = {};
  stream.request.Clear();
  stream.interim.clear();
  stream.response.Clear();
  stream.trailers.Clear();
  stream.in.Clear();
  stream.out.Clear();
  stream.out_trailers.Clear();
  stream.protocol.clear();
}

void GiveStream(H2StreamState* stream) {
  FreeStreams& kept = ThreadFreeStreams();
  const size_t head = stream->request.headers.byte_size() + stream->response.headers.byte_size();
  std::unique_ptr<H2StreamState> owned(stream);
  if (kept.size() == kKeptStreams || head > kKeptHeadBytes) return;
  Clean(*stream);
  kept.push_back(std::move(owned));
}

// What nghttp2 makes of a peer's bytes that end the session at once.
const char* ReasonOf(ssize_t error) {
  switch (error) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return "h2_bad_preface";
    case NGHTTP2_ERR_FLOODED:
      return "h2_control_flood";
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
      return "h2_continuation_flood";
    default:
      return "h2_failed";
  }
}

}  // namespace

struct H2Session::Callbacks {
  static H2Session& Self(void* user) { return *static_cast<H2Session*>(user); }
  static H2StreamState* Stream(nghttp2_session* session, int32_t id) {
    return static_cast<H2StreamState*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnBeginFrame(nghttp2_session*, const nghttp2_frame_hd* frame, void* user) {
    H2Session& self = Self(user);
    if (frame->type == NGHTTP2_PRIORITY) self.CountPriority();
    if (frame->type == NGHTTP2_HEADERS) self.CountStray(frame->stream_id);
    if (frame->type != NGHTTP2_CONTINUATION) self.amid_head_ = false;
    return self.StopIfKilled();
  }

  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& self = Self(user);
    self.reader_.Start();
    ++self.heads_;
    self.amid_head_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    H2StreamState* stream = self.Add();
    stream->id = frame->hd.stream_id;
    self.last_id_ = stream->id;
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name_at,
                      size_t name_size, const uint8_t* value_at, size_t value_size, uint8_t,
                      void* user) {
    H2Session& self = Self(user);
    H2StreamState* stream = Stream(session, frame->hd.stream_id);
    if (stream == nullptr || !stream->failure.ok()) return 0;
    const absl::string_view name = View(name_at, name_size);
    const absl::string_view value = View(value_at, value_size);
    if (stream->head_done) {
      self.reader_.AddToTrailers(name, value, stream->trailers);
    } else if (self.role_ == Role::kServer) {
      self.reader_.AddToRequest(name, value, stream->request);
    } else {
      self.reader_.AddToResponse(name, value, stream->response);
    }
    return 0;
  }

  // nghttp2 would drop such a field and go on: characters that no field may have.
  static int OnInvalidHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t*,
                             size_t, const uint8_t*, size_t, uint8_t, void* user) {
    H2Session& self = Self(user);
    H2StreamState* stream = Stream(session, frame->hd.stream_id);
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_PROTOCOL_ERROR);
    self.amid_head_ = false;  // nghttp2 skips the rest and does not tell where it ends
    if (stream != nullptr) {
      stream->provoked = true;
      self.FailStream(*stream, {H2Failure::Kind::kProtocol, 400, "h2_bad_header"});
    }
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int OnDataChunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data,
                         size_t size, void* user) {
    H2StreamState* stream = Stream(session, id);
    if (stream != nullptr) {
      Self(user).OnData(*stream, View(data, size));
    } else {
      nghttp2_session_consume_connection(session, size);
    }
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& self = Self(user);
    const bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    H2StreamState* stream =
        frame->hd.stream_id != 0 ? Stream(session, frame->hd.stream_id) : nullptr;
    self.amid_head_ = false;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        self.CountEmpty(false);
        if (stream != nullptr) self.OnHead(*stream, ends);
        break;
      case NGHTTP2_DATA:
        self.CountEmpty(frame->hd.length == frame->data.padlen && !ends);
        if (stream != nullptr && ends) self.OnInputEnd(*stream);
        break;
      case NGHTTP2_RST_STREAM:
        ++self.counters_->rx_reset;
        if (stream != nullptr) stream->reset_by_peer = true;
        self.CountReset();
        break;
      case NGHTTP2_WINDOW_UPDATE:
        self.CountWindowUpdate();
        break;
      case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) break;
        self.settings_received_ = self.slots_changed_ = true;
        break;
      case NGHTTP2_GOAWAY:
        self.OnGoaway(frame->goaway.error_code);
        break;
      case NGHTTP2_PING:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) break;
        if (std::memcmp(frame->ping.opaque_data, kDrainPing, sizeof(kDrainPing)) == 0) {
          self.FinishDrain();
        }
        break;
      default:
        break;
    }
    return self.StopIfKilled();
  }

  static int OnInvalidFrame(nghttp2_session* session, const nghttp2_frame* frame, int error,
                            void* user) {
    H2Session& self = Self(user);
    self.amid_head_ = false;
    ++self.counters_->rx_messaging_error;
    H2StreamState* stream =
        frame->hd.stream_id != 0 ? Stream(session, frame->hd.stream_id) : nullptr;
    if (stream == nullptr) return 0;
    stream->provoked = true;
    const bool flow = error == NGHTTP2_ERR_FLOW_CONTROL;
    self.FailStream(*stream,
                    {H2Failure::Kind::kProtocol, 400, flow ? "h2_flow_control" : "h2_malformed"});
    return 0;
  }

  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& self = Self(user);
    H2StreamState* stream =
        frame->hd.stream_id != 0 ? Stream(session, frame->hd.stream_id) : nullptr;
    switch (frame->hd.type) {
      case NGHTTP2_DATA:
        ++self.data_frames_sent_;
        [[fallthrough]];
      case NGHTTP2_HEADERS:
        if (stream == nullptr) break;
        stream->head_sent = true;
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) self.OnEndSent(*stream);
        break;
      case NGHTTP2_RST_STREAM:
        ++self.counters_->tx_reset;
        ++self.resets_sent_;
        // CVE-2025-8671. Its holder may have given it up meanwhile.
        if (stream == nullptr || stream->provoked || !stream->reset_by_us) self.CountReset();
        break;
      case NGHTTP2_GOAWAY:
        ++self.counters_->goaway_sent;
        if (frame->goaway.error_code == NGHTTP2_NO_ERROR) {
          // Behind it on the wire: what the peer sent before it saw the notice is here once the
          // answer is.
          if (self.draining_ && !self.drained_) {
            nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, kDrainPing);
          }
          break;
        }
        ++self.counters_->connection_error;
        if (*self.reason_ == 0) self.reason_ = nghttp2_http2_strerror(frame->goaway.error_code);
        break;
      default:
        break;
    }
    return 0;
  }

  // A request that came too late: after GOAWAY, or given up before it was sent.
  static int OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int, void* user) {
    const bool request =
        frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    H2StreamState* stream = request ? Self(user).Find(frame->hd.stream_id) : nullptr;
    if (stream != nullptr) Self(user).OnClosed(*stream, NGHTTP2_REFUSED_STREAM);
    return 0;
  }

  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t code, void* user) {
    H2StreamState* stream = Stream(session, id);
    if (stream != nullptr) Self(user).OnClosed(*stream, code);
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* session, int32_t id, uint8_t*, size_t most,
                          uint32_t* flags, nghttp2_data_source* source, void*) {
    H2StreamState& stream = *static_cast<H2StreamState*>(source->ptr);
    if ((stream.out.empty() && !stream.out_ended) || stream.reset_by_us) {
      stream.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    const size_t size = std::min(most, stream.out.size());
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size < stream.out.size() || !stream.out_ended) return static_cast<ssize_t>(size);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.out_trailers.empty()) return static_cast<ssize_t>(size);
    H2FieldList fields;
    fields.AddTrailers(stream.out_trailers);
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, id, fields.data(), fields.size());
    return static_cast<ssize_t>(size);
  }

  // The one copy of a body's bytes on their way out of the session.
  static int SendData(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t size,
                      nghttp2_data_source* source, void* user) {
    H2Session& self = Self(user);
    H2StreamState& stream = *static_cast<H2StreamState*>(source->ptr);
    self.filling_->Append(View(frame_header, kFrameHeader));
    self.filling_->Append(stream.out.view().substr(0, size));
    self.OnBytesSent(stream, size);
    return 0;
  }

  static nghttp2_session_callbacks* Make() {
    nghttp2_session_callbacks* callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, OnBeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, OnInvalidHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnDataChunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, OnInvalidFrame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, OnFrameSent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, OnFrameNotSent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, SendData);
    return callbacks;
  }
};

H2Session::H2Session(Role role, const Http2Options& options, bool secure, H2Counters* counters)
    : role_(role),
      options_(options),
      scheme_(secure ? "https" : "http"),
      counters_(counters),
      reader_(size_t{options.max_headers_kb} * 1024, options.max_headers_count) {
  Start();
  SubmitSettings();
}

H2Session::~H2Session() {
  Fail("h2_connection_closed");
  while (streams_ != nullptr) {
    H2StreamState* stream = streams_;
    streams_ = stream->next;
    stream->session = nullptr;
    stream->previous = stream->next = nullptr;
    if (!stream->held) GiveStream(stream);
  }
  nghttp2_session_del(session_);
}

void H2Session::Start() {
  const size_t head = size_t{options_.max_headers_kb} * 1024;
  nghttp2_option* option;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_outbound_ack(option, options_.max_outbound_control_frames);
  nghttp2_option_set_max_continuations(option, head / kFramePayload + kSpareContinuations);
  nghttp2_option_set_max_send_header_block_length(option, std::max<size_t>(2 * head, 64 * 1024));
  // Blanks around values are taken off instead: harmless, and servers do send them.
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
  // CountReset() bounds them, by what the peer lets us do as well as by time.
  constexpr uint64_t kNoLimit = 1 << 30;
  nghttp2_option_set_stream_reset_rate_limit(option, kNoLimit, kNoLimit);
  nghttp2_session_callbacks* callbacks = Callbacks::Make();
  if (role_ == Role::kServer) {
    nghttp2_session_server_new2(&session_, callbacks, this, option);
  } else {
    nghttp2_session_client_new2(&session_, callbacks, this, option);
  }
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);
}

void H2Session::SubmitSettings() {
  absl::InlinedVector<nghttp2_settings_entry, 8> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.initial_stream_window_size},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options_.max_headers_kb * 1024},
  };
  if (options_.hpack_table_size != NGHTTP2_DEFAULT_HEADER_TABLE_SIZE) {
    settings.push_back({NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, options_.hpack_table_size});
  }
  if (role_ == Role::kClient) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams});
    // Nobody's weights are followed, and keeping their tree costs.
    settings.push_back({NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1});
    if (options_.allow_connect) {
      settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
    }
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(
      session_, NGHTTP2_FLAG_NONE, 0,
      static_cast<int32_t>(options_.initial_connection_window_size));
}

// --- The connection.

bool H2Session::Receive(absl::string_view bytes, absl::Duration now) {
  if (failed_ || killed_) return false;
  Refill(now);
  receiving_ = true;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  receiving_ = false;
  if (killed_) {
    nghttp2_session_terminate_session(session_, kill_code_);
    return false;
  }
  if (taken < 0) {
    uint64_t& counter = taken == NGHTTP2_ERR_FLOODED ? counters_->outbound_control_flood
                        : taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS
                            ? counters_->continuation_flood
                            : counters_->connection_error;
    const bool flood = &counter != &counters_->connection_error;
    Kill(flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR, ReasonOf(taken), counter);
    return false;
  }
  if (nghttp2_session_get_outbound_queue_size(session_) > options_.max_outbound_frames) {
    Kill(NGHTTP2_ENHANCE_YOUR_CALM, "h2_outbound_flood", counters_->outbound_flood);
  }
  return !over();
}

bool H2Session::Fill(Buffer& out, size_t most) {
  filling_ = &out;
  if (unsent_ > Buffer::kBlockSize) out.Reserve(std::min(unsent_ + Buffer::kBlockSize, most));
  while (out.size() < most) {
    const uint8_t* data;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) {
      if (size < 0) Fail("h2_failed");
      break;
    }
    out.Append(View(data, size));
  }
  return !over();
}

bool H2Session::wants_write() const { return nghttp2_session_want_write(session_) != 0; }

bool H2Session::over() const {
  return failed_ || (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_));
}

void H2Session::Fail(const char* reason) {
  if (failed_) return;
  failed_ = true;
  if (*reason_ == 0) reason_ = reason;
  for (H2StreamState* stream = streams_; stream != nullptr;) {
    H2StreamState* next = stream->next;
    // What never left cannot have been processed.
    const bool refused = role_ == Role::kClient && !stream->head_sent;
    if (!stream->closed) {
      OnClosed(*stream, refused ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR);
    }
    stream = next;
  }
}

void H2Session::Kill(uint32_t code, const char* reason, uint64_t& counter) {
  if (killed_) return;
  killed_ = true;
  kill_code_ = code;
  ++counter;
  reason_ = reason;
  // nghttp2 does not survive being told so by a callback while it reads, if what it reads next ends
  // the session as well. (1.52; an assertion that a peer could reach.)
  if (!receiving_) nghttp2_session_terminate_session(session_, code);
}

int H2Session::StopIfKilled() const { return killed_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0; }

void H2Session::Ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

void H2Session::Drain() {
  if (draining_) return;
  draining_ = slots_changed_ = true;
  if (role_ == Role::kClient) return FinishDrain();
  // The first says "no more", the second which were still taken (RFC 9113, section 6.8).
  nghttp2_submit_shutdown_notice(session_);
}

void H2Session::FinishDrain() {
  if (drained_) return;
  drained_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void H2Session::OnGoaway(uint32_t code) {
  goaway_received_ = slots_changed_ = true;
  for (H2StreamState* stream = streams_; stream != nullptr; stream = stream->next) {
    if (IsUnsent(*stream)) ResetStream(*stream, NGHTTP2_REFUSED_STREAM);
  }
  if (code == NGHTTP2_NO_ERROR) return;
  ++counters_->connection_error;
  if (*reason_ == 0) reason_ = "h2_goaway";
}

// --- News.

void H2Session::Changed(H2StreamState& stream) {
  if (stream.changed) return;
  stream.changed = true;
  stream.next_changed = nullptr;
  (last_changed_ != nullptr ? last_changed_->next_changed : first_changed_) = &stream;
  last_changed_ = &stream;
}

H2StreamState* H2Session::TakeChanged() {
  while (first_changed_ != nullptr) {
    H2StreamState* stream = first_changed_;
    first_changed_ = stream->next_changed;
    if (first_changed_ == nullptr) last_changed_ = nullptr;
    stream->changed = false;
    if (stream->held) return stream;
    FreeIfDone(*stream);
  }
  return nullptr;
}

H2StreamState* H2Session::TakeRequest() {
  while (first_request_ != nullptr) {
    H2StreamState* stream = first_request_;
    first_request_ = stream->next_request;
    if (first_request_ == nullptr) last_request_ = nullptr;
    stream->queued = false;
    // Reset before anybody saw it: no work for it.
    if (!stream->closed && !killed_) {
      stream->held = true;
      return stream;
    }
    FreeIfDone(*stream);
  }
  return nullptr;
}

bool H2Session::TakeSlotsChanged() { return std::exchange(slots_changed_, false); }

// --- Streams, as nghttp2 tells of them.

H2StreamState* H2Session::Add() {
  H2StreamState* stream = TakeStream();
  stream->session = this;
  stream->next = streams_;
  if (streams_ != nullptr) streams_->previous = stream;
  streams_ = stream;
  ++open_;
  ++streams_seen_;
  return stream;
}

void H2Session::FreeIfDone(H2StreamState& stream) {
  if (stream.held || stream.queued || stream.changed || !stream.closed) return;
  DropInput(stream);
  (stream.previous != nullptr ? stream.previous->next : streams_) = stream.next;
  if (stream.next != nullptr) stream.next->previous = stream.previous;
  GiveStream(&stream);
}

H2StreamState* H2Session::Find(int32_t id) const {
  for (H2StreamState* stream = streams_; stream != nullptr; stream = stream->next) {
    if (stream->id == id) return stream;
  }
  return nullptr;
}

void H2Session::FailStream(H2StreamState& stream, H2Failure failure) {
  if (stream.failure.ok()) stream.failure = failure;
  DropInput(stream);
  Changed(stream);
}

// A message that nghttp2 took and we do not. A request still gets its answer.
void H2Session::Refuse(H2StreamState& stream, H1Error error) {
  ++(error.status == 431 ? counters_->header_overflow : counters_->rx_messaging_error);
  FailStream(stream, {H2Failure::Kind::kProtocol, error.status, error.reason});
  if (role_ == Role::kClient) ResetStream(stream, NGHTTP2_PROTOCOL_ERROR);
}

void H2Session::OnHead(H2StreamState& stream, bool ends) {
  if (!stream.failure.ok()) return;
  if (stream.head_done) {
    OnTrailers(stream);
  } else if (role_ == Role::kServer) {
    OnRequest(stream, ends);
  } else {
    OnResponse(stream, ends);
  }
  if (ends) OnInputEnd(stream);
}

void H2Session::OnRequest(H2StreamState& stream, bool ends) {
  const H1Error error = reader_.FinishRequest(ends, stream.request, stream.incoming, stream.asked);
  if (!error.ok()) Refuse(stream, error);
  stream.head_done = true;
  stream.queued = true;
  stream.next_request = nullptr;
  (last_request_ != nullptr ? last_request_->next_request : first_request_) = &stream;
  last_request_ = &stream;
}

void H2Session::OnResponse(H2StreamState& stream, bool ends) {
  const H1Error error =
      reader_.FinishResponse(ends, stream.asked, stream.protocol, stream.response, stream.incoming);
  if (!error.ok()) return Refuse(stream, error);
  Changed(stream);
  const bool interim = stream.response.status < 200 && stream.response.status != 101;
  if (!interim) {
    stream.head_done = true;
    return;
  }
  if (stream.interim.size() == kMaxInterimResponses) {
    return Refuse(stream, {502, "too_many_interim_responses"});
  }
  stream.interim.push_back(std::move(stream.response));
  stream.response.Clear();
}

void H2Session::OnTrailers(H2StreamState& stream) {
  const H1Error error = reader_.FinishTrailers();
  if (!error.ok()) Refuse(stream, error);
}

void H2Session::OnInputEnd(H2StreamState& stream) {
  stream.in_ended = true;
  Changed(stream);
}

void H2Session::OnData(H2StreamState& stream, absl::string_view bytes) {
  const bool wanted = stream.failure.ok() && (stream.held || stream.queued);
  if (!wanted) {
    nghttp2_session_consume(session_, stream.id, bytes.size());
    return;
  }
  stream.in.Append(bytes);
  Changed(stream);
}

void H2Session::OnBytesSent(H2StreamState& stream, size_t bytes) {
  stream.out.Consume(bytes);
  unsent_ -= bytes;
  const bool low = stream.throttled && stream.out.size() <= kLowWater;
  const bool flushed = stream.flushing && stream.out.empty();
  if (!low && !flushed) return;
  stream.throttled = stream.flushing = false;
  Changed(stream);
}

void H2Session::OnEndSent(H2StreamState& stream) {
  stream.end_sent = true;
  // A response that is complete without its request, of which nobody wants the rest (RFC 9113,
  // section 8.1).
  if (role_ == Role::kServer && !stream.held && !stream.in_ended) {
    ResetStream(stream, NGHTTP2_NO_ERROR);
  }
}

H2Failure H2Session::FailureOf(const H2StreamState& stream, uint32_t code) const {
  using Kind = H2Failure::Kind;
  const bool refused = role_ == Role::kClient && code == NGHTTP2_REFUSED_STREAM;
  if (refused) return {Kind::kRefused, 0, "h2_refused"};
  if (failed_) return {Kind::kReset, 0, reason_};
  if (stream.reset_by_peer) return {Kind::kReset, 0, "h2_reset"};
  if (stream.reset_by_us) return {Kind::kReset, 0, "h2_given_up"};
  return {Kind::kProtocol, 400, "h2_malformed"};  // nghttp2 reset it for what came
}

void H2Session::OnClosed(H2StreamState& stream, uint32_t code) {
  if (stream.closed) return;
  stream.closed = true;
  --open_;
  slots_changed_ = true;
  DropOutput(stream);
  // A client has what it wants with the response, whatever becomes of the rest of its request.
  const bool complete = stream.in_ended && (role_ == Role::kClient || stream.end_sent);
  if (complete) resets_left_ = std::min(kResetBurst, resets_left_ + 1);
  if (!complete && stream.failure.ok()) FailStream(stream, FailureOf(stream, code));
  Changed(stream);
}

void H2Session::DropInput(H2StreamState& stream) {
  if (stream.in.empty()) return;
  if (stream.session != nullptr) {
    nghttp2_session_consume_connection(session_, stream.in.size());
  }
  stream.in.Clear();
}

void H2Session::DropOutput(H2StreamState& stream) {
  unsent_ -= stream.out.size();
  stream.out.Clear();
}

// --- Floods.

void H2Session::Refill(absl::Duration now) {
  const double seconds = absl::ToDoubleSeconds(now - refilled_);
  refilled_ = now;
  if (seconds > 0) resets_left_ = std::min(kResetBurst, resets_left_ + seconds * kResetsPerSecond);
}

void H2Session::CountReset() {
  if (role_ == Role::kClient) return;
  resets_left_ -= 1;
  if (resets_left_ < 0) {
    Kill(NGHTTP2_ENHANCE_YOUR_CALM, "h2_reset_flood", counters_->reset_flood);
  }
}

void H2Session::CountEmpty(bool empty) {
  empty_frames_ = empty ? empty_frames_ + 1 : 0;
  if (empty_frames_ > options_.max_consecutive_inbound_frames_with_empty_payload) {
    Kill(NGHTTP2_ENHANCE_YOUR_CALM, "h2_empty_frames_flood", counters_->inbound_empty_frames_flood);
  }
}

void H2Session::CountPriority() {
  ++priority_frames_;
  if (priority_frames_ > options_.max_inbound_priority_frames_per_stream * (1 + streams_seen_)) {
    Kill(NGHTTP2_ENHANCE_YOUR_CALM, "h2_priority_flood", counters_->inbound_priority_frames_flood);
  }
}

void H2Session::CountWindowUpdate() {
  ++window_updates_;
  const uint64_t most =
      kFreeWindowUpdates +
      2 * (streams_seen_ +
           options_.max_inbound_window_update_frames_per_data_frame_sent * data_frames_sent_);
  if (window_updates_ > most) {
    Kill(NGHTTP2_ENHANCE_YOUR_CALM, "h2_window_update_flood",
         counters_->inbound_window_update_frames_flood);
  }
}

// A head for a stream that is no more, or that a higher one has closed (RFC 9113, section 5.1.1).
// One we reset may still get its trailers; nghttp2 ignores them all.
void H2Session::CountStray(int32_t id) {
  if (role_ == Role::kClient || id > last_id_ || nghttp2_session_find_stream(session_, id)) return;
  ++strays_;
  if (strays_ > resets_sent_) {
    Kill(NGHTTP2_PROTOCOL_ERROR, "h2_lower_stream_id", counters_->connection_error);
  }
}

// --- Streams, as their holders use them.

bool H2Session::CanOpen() const {
  if (failed_ || going_away() || !nghttp2_session_check_request_allowed(session_)) return false;
  const uint32_t granted =
      settings_received_
          ? nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
          : kStreamsBeforeSettings;
  return open_ < std::min(granted, options_.max_concurrent_streams);
}

H2StreamState* H2Session::Open() {
  H2StreamState* stream = Add();
  stream->held = true;
  return stream;
}

void H2Session::WriteRequest(H2StreamState& stream, const RequestHead& head, BodyLength body) {
  if (stream.closed || stream.id != 0) return;
  if (!nghttp2_session_check_request_allowed(session_)) {
    return OnClosed(stream, NGHTTP2_REFUSED_STREAM);
  }
  if (head.method == "HEAD") stream.asked = H2Asked::kHead;
  if (head.method == "CONNECT") stream.asked = H2Asked::kConnect;
  const absl::string_view upgrade = RequestedUpgrade(head.headers);
  if (!upgrade.empty()) {
    stream.asked = H2Asked::kUpgrade;
    stream.protocol.assign(upgrade.data(), upgrade.size());
    const bool offered =
        nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL);
    if (settings_received_ && !offered) {
      FailStream(stream, {H2Failure::Kind::kReset, 0, "h2_no_extended_connect"});
      return OnClosed(stream, NGHTTP2_CANCEL);
    }
  }
  const bool tunnel = stream.asked == H2Asked::kConnect || stream.asked == H2Asked::kUpgrade;
  stream.out_ended = !tunnel && EndsWithHead(body);
  H2FieldList fields;
  fields.AddRequest(head, body, scheme_);
  nghttp2_data_provider provider;
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::ReadBody;
  stream.id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                     stream.out_ended ? nullptr : &provider, &stream);
  if (stream.id < 0) OnClosed(stream, NGHTTP2_REFUSED_STREAM);
}

void H2Session::WriteResponse(H2StreamState& stream, const ResponseHead& head, BodyLength body) {
  if (stream.closed || stream.reset_by_us) return;
  H2FieldList fields;
  const bool interim = head.status < 200 && head.status != 101;
  if (interim) {
    fields.AddResponse(head.status, head, {});
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, fields.data(),
                           fields.size(), nullptr);
    return;
  }
  stream.answered = true;
  const bool upgraded = head.status == 101;
  if (upgraded && stream.asked != H2Asked::kUpgrade) return Reset(stream);
  const bool tunnel = upgraded || (stream.asked == H2Asked::kConnect && head.status / 100 == 2);
  // Over HTTP/1.1 the 101 has no body; here the tunnel is the body, of any length.
  fields.AddResponse(upgraded ? 200 : head.status, head,
                     tunnel ? BodyLength{BodyFraming::kTunnel, 0} : body);
  stream.out_ended = !tunnel && EndsWithHead(body);
  nghttp2_data_provider provider;
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::ReadBody;
  nghttp2_submit_response(session_, stream.id, fields.data(), fields.size(),
                          stream.out_ended ? nullptr : &provider);
}

size_t H2Session::Write(H2StreamState& stream, absl::string_view piece) {
  if (stream.closed || stream.out_ended || stream.reset_by_us) return 0;
  const size_t room = kHighWater - std::min(kHighWater, stream.out.size());
  const size_t taken = std::min(room, piece.size());
  stream.throttled = taken < piece.size();
  if (taken == 0) return 0;
  stream.out.Append(piece.substr(0, taken));
  unsent_ += taken;
  Resume(stream);
  return taken;
}

void H2Session::WriteEnd(H2StreamState& stream, const Headers& trailers) {
  if (stream.closed || stream.out_ended || stream.reset_by_us) return;
  stream.out_ended = true;
  if (!trailers.empty()) stream.out_trailers = trailers;
  Resume(stream);
}

void H2Session::Resume(H2StreamState& stream) {
  if (!stream.deferred) return;
  stream.deferred = false;
  nghttp2_session_resume_data(session_, stream.id);
}

bool H2Session::FitsWindow(const H2StreamState& stream) const {
  int32_t window = nghttp2_session_get_stream_remote_window_size(session_, stream.id);
  if (window < 0) {  // its request is not sent yet
    window = static_cast<int32_t>(
        nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE));
  }
  const int32_t connection = nghttp2_session_get_remote_window_size(session_);
  return stream.out.size() <= static_cast<size_t>(std::max(0, window)) &&
         unsent_ <= static_cast<size_t>(std::max(0, connection));
}

bool H2Session::Flush(H2StreamState& stream) {
  if (stream.out.empty() || FitsWindow(stream)) return true;
  stream.flushing = true;
  return false;
}

void H2Session::Take(H2StreamState& stream, size_t bytes) {
  stream.in.Consume(bytes);
  if (stream.closed) {
    nghttp2_session_consume_connection(session_, bytes);
  } else {
    nghttp2_session_consume(session_, stream.id, bytes);
  }
}

void H2Session::ResetStream(H2StreamState& stream, uint32_t code) {
  if (stream.closed || stream.reset_by_us) return;
  stream.reset_by_us = stream.out_ended = true;
  DropOutput(stream);
  const bool unsent = IsUnsent(stream);
  if (stream.id != 0) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
  // nghttp2 has it in a queue at most, and drops it there later; by then this may be gone.
  if (unsent) nghttp2_session_set_stream_user_data(session_, stream.id, nullptr);
  if (stream.id == 0 || unsent) OnClosed(stream, code);
}

// A request that waits for the server to allow one more.
bool H2Session::IsUnsent(const H2StreamState& stream) const {
  return role_ == Role::kClient && stream.id > 0 && !stream.closed &&
         nghttp2_session_find_stream(session_, stream.id) == nullptr;
}

void H2Session::Reset(H2StreamState& stream) {
  ResetStream(stream, role_ == Role::kServer ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
  FailStream(stream, {H2Failure::Kind::kReset, 0, "h2_given_up"});
}

void H2Session::Release(H2StreamState& stream) {
  stream.held = false;
  stream.holder = nullptr;
  DropInput(stream);
  if (stream.closed) return FreeIfDone(stream);
  if (!stream.out_ended) {
    ResetStream(stream, role_ == Role::kServer ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
  } else if (!stream.in_ended && role_ == Role::kClient) {
    ResetStream(stream, NGHTTP2_CANCEL);
  } else if (!stream.in_ended && stream.end_sent) {
    ResetStream(stream, NGHTTP2_NO_ERROR);
  }
}

void H2Session::Discard(H2StreamState* stream) { GiveStream(stream); }

}  // namespace weft
