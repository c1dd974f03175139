#include "controlplane/transport/grpc_call.h"

#include <utility>

#include "absl/base/internal/endian.h"
#include "absl/strings/str_cat.h"
#include "proxy/http/grpc.h"

namespace weft {
namespace {

// A message is preceded by a byte that says whether it is compressed, and its length, big-endian
// (gRPC over HTTP/2, "Length-Prefixed-Message").
constexpr size_t kPrefix = 5;

std::string PrefixOf(size_t length) {
  std::string prefix(kPrefix, '\0');
  absl::big_endian::Store32(&prefix[1], static_cast<uint32_t>(length));
  return prefix;
}

class WholeMessage : public GrpcPayload {
 public:
  explicit WholeMessage(std::string bytes) : bytes_(std::move(bytes)) {}
  size_t size() const override { return bytes_.size(); }
  absl::string_view Next() override {
    return std::exchange(given_, true) ? absl::string_view() : absl::string_view(bytes_);
  }

 private:
  const std::string bytes_;
  bool given_ = false;
};

void AddStatus(const absl::Status& status, Headers* headers) {
  // absl's codes have the numbers of gRPC's.
  headers->Add("grpc-status", absl::StrCat(status.raw_code()));
  if (!status.message().empty()) headers->Add("grpc-message", GrpcMessage(status.message()));
}

}  // namespace

std::string GrpcCall::Metadata(absl::string_view name) const {
  const auto values = stream_.request().headers.GetAll(name);
  return values.size() == 1 ? std::string(values[0]) : "";
}

GrpcCall::Event GrpcCall::End(absl::Status status) {
  if (!ended_) status_ = std::move(status);
  ended_ = true;
  return Event::kEnd;
}

// False if there is no complete message, or one that cannot be taken.
bool GrpcCall::TakeMessage(std::string* message) {
  const absl::string_view bytes = in_.view();
  if (bytes.size() < kPrefix) return false;
  const size_t length = absl::big_endian::Load32(bytes.data() + 1);
  if (bytes[0] != 0) {
    End(absl::UnimplementedError("compressed messages are not taken"));
    return false;
  }
  if (length > max_message_) {
    End(absl::ResourceExhaustedError(
        absl::StrCat("a message of ", length, " bytes, more than the limit of ", max_message_)));
    return false;
  }
  if (bytes.size() - kPrefix < length) return false;
  message->assign(bytes.data() + kPrefix, length);
  in_.Consume(kPrefix + length);
  return true;
}

GrpcCall::Event GrpcCall::Next(std::string* message) {
  while (!ended_) {
    if (TakeMessage(message)) return Event::kMessage;
    if (ended_) break;
    switch (stream_.Next()) {
      case HttpStream::Event::kBlocked:
        return Event::kNothing;
      case HttpStream::Event::kHead:
        break;  // of a request there is one, and the server took it
      case HttpStream::Event::kBody:
        in_.Append(stream_.body());
        stream_.Take(stream_.body().size());
        break;
      case HttpStream::Event::kEnd:
        return End(in_.empty() ? absl::OkStatus()
                               : absl::InvalidArgumentError("the call ends inside a message"));
      case HttpStream::Event::kBroken:
        return End(absl::CancelledError(stream_.failure().reason));
    }
  }
  return Event::kEnd;
}

Task<GrpcCall::Event> GrpcCall::Receive(std::string* message) {
  while (true) {
    const Event event = Next(message);
    if (event != Event::kNothing) co_return event;
    Flush();
    co_await Wait(loop_, {&readable(), &writable()});
  }
}

void GrpcCall::Send(std::unique_ptr<GrpcPayload> message) {
  out_.push_back(std::move(message));
  if (out_.size() == 1) BeginMessage();
}

void GrpcCall::Send(std::string message) {
  Send(std::make_unique<WholeMessage>(std::move(message)));
}

void GrpcCall::BeginMessage() {
  prefix_ = PrefixOf(out_.front()->size());
  piece_ = prefix_;
}

void GrpcCall::WriteHead() {
  if (std::exchange(head_written_, true)) return;
  ResponseHead head;
  head.status = 200;
  head.headers.Add(KnownHeader::kContentType, "application/grpc");
  stream_.WriteHead(head, {BodyFraming::kChunked});
}

bool GrpcCall::Flush() {
  if (out_.empty()) return true;
  WriteHead();
  while (!out_.empty()) {
    piece_.remove_prefix(stream_.Write(piece_));
    if (!piece_.empty()) break;
    piece_ = out_.front()->Next();
    if (!piece_.empty()) continue;
    out_.pop_front();
    if (!out_.empty()) BeginMessage();
  }
  stream_.Flush();
  return out_.empty();
}

Task<> GrpcCall::Finish(const absl::Status& status) {
  while (!Flush()) {
    if (stream_.PeerGone()) co_return;
    co_await Wait(loop_, {&readable(), &writable()});
  }
  if (!head_written_) {
    ResponseHead head;
    head.status = 200;
    head.headers.Add(KnownHeader::kContentType, "application/grpc");
    AddStatus(status, &head.headers);
    stream_.WriteHead(head, {});
  } else {
    Headers trailers;
    AddStatus(status, &trailers);
    stream_.WriteEnd(trailers);
  }
  // What the connection takes no faster than the client reads; going earlier would cut it.
  while (stream_.Flush() == HttpStream::Flushed::kBlocked) {
    co_await Wait(loop_, {&readable(), &writable()});
  }
}

}  // namespace weft
