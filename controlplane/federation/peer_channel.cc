#include "controlplane/federation/peer_channel.h"

#include <utility>

namespace weft {
namespace {

absl::Status Ended(const absl::Status& status) {
  return status.ok() ? absl::UnavailableError("the peer ended the stream") : status;
}

class Dialed final : public PeerChannel {
 public:
  explicit Dialed(GrpcStream& stream) : stream_(stream) {}

  std::optional<absl::StatusOr<std::string>> TryReceive() override {
    std::optional<GrpcStream::Received> received = stream_.TryReceive();
    if (!received.has_value()) return std::nullopt;
    if (!received->ok()) return received->status();
    if (!received->value().has_value()) return Ended(absl::OkStatus());
    return *std::move(*received).value();
  }
  Signal& received() override { return stream_.received(); }
  bool CanSend() override { return !stream_.full(); }
  // That it is over, TryReceive() says.
  void Send(std::string message) override { stream_.Queue(std::move(message)).IgnoreError(); }
  Signal& sent() override { return stream_.sent(); }

 private:
  GrpcStream& stream_;
};

class Accepted final : public PeerChannel {
 public:
  explicit Accepted(GrpcCall& call) : call_(call) {}

  std::optional<absl::StatusOr<std::string>> TryReceive() override {
    std::string message;
    switch (call_.Next(&message)) {
      case GrpcCall::Event::kNothing:
        return std::nullopt;
      case GrpcCall::Event::kMessage:
        return message;
      case GrpcCall::Event::kEnd:
        break;
    }
    return Ended(call_.status());
  }
  Signal& received() override { return call_.readable(); }
  bool CanSend() override { return call_.Flush(); }
  void Send(std::string message) override { call_.Send(std::move(message)); }
  Signal& sent() override { return call_.writable(); }

 private:
  GrpcCall& call_;
};

}  // namespace

std::unique_ptr<PeerChannel> DialedChannel(GrpcStream& stream) {
  return std::make_unique<Dialed>(stream);
}

std::unique_ptr<PeerChannel> AcceptedChannel(GrpcCall& call) {
  return std::make_unique<Accepted>(call);
}

}  // namespace weft
