#include "controlplane/ads/request.h"

#include <cstdint>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;
using google::protobuf::internal::WireFormatLite;

// A NACK's text is the proxy's; what is kept and logged of it is bounded.
constexpr size_t kMaxError = 2048;

constexpr uint32_t TagOf(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

// Shows `take` the fields of a message that have a length, by their tag; those that it does not
// take and all others are in `rest`, which is a message again. False if the bytes are none.
template <typename Take>  // bool(uint32_t tag, absl::string_view value)
bool TakeFields(absl::string_view bytes, std::string* rest, Take take) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (true) {
    const int begin = in.CurrentPosition();
    const uint32_t tag = in.ReadTag();
    if (tag == 0) return in.ConsumedEntireMessage();
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      rest->append(bytes.data() + begin, in.CurrentPosition() - begin);
      continue;
    }
    uint32_t size;
    if (!in.ReadVarint32(&size)) return false;
    const int at = in.CurrentPosition();
    if (size > bytes.size() - at || !in.Skip(static_cast<int>(size))) return false;
    if (take(tag, bytes.substr(at, size))) continue;
    rest->append(bytes.data() + begin, in.CurrentPosition() - begin);
  }
}

// An entry of a map of text (protobuf encoding, "Maps").
bool ReadEntry(absl::string_view bytes, std::pair<absl::string_view, absl::string_view>* entry) {
  std::string rest;
  return TakeFields(bytes, &rest, [&](uint32_t tag, absl::string_view value) {
    if (tag == TagOf(1)) entry->first = value;
    if (tag == TagOf(2)) entry->second = value;
    return true;
  });
}

// The part that both forms have.
template <typename Message, typename Request>
void ReadAnswer(const Message& message, Request* request) {
  request->nonce = message.response_nonce();
  if (message.has_error_detail()) {
    request->error = message.error_detail().message().substr(0, kMaxError);
  }
}

}  // namespace

bool ReadRequest(const std::string& bytes, DiscoveryRequest* message,
                 SubscriptionRequest* request) {
  std::string rest;
  const bool read = TakeFields(bytes, &rest, [&](uint32_t tag, absl::string_view value) {
    if (tag != TagOf(DiscoveryRequest::kResourceNamesFieldNumber)) return false;
    request->names.push_back(value);
    return true;
  });
  if (!read || !message->ParseFromString(rest)) return false;
  ReadAnswer(*message, request);
  return true;
}

bool ReadRequest(const std::string& bytes, DeltaDiscoveryRequest* message,
                 DeltaSubscriptionRequest* request) {
  std::string rest;
  bool entries = true;
  const bool read = TakeFields(bytes, &rest, [&](uint32_t tag, absl::string_view value) {
    switch (tag) {
      case TagOf(DeltaDiscoveryRequest::kResourceNamesSubscribeFieldNumber):
        request->subscribe.push_back(value);
        return true;
      case TagOf(DeltaDiscoveryRequest::kResourceNamesUnsubscribeFieldNumber):
        request->unsubscribe.push_back(value);
        return true;
      case TagOf(DeltaDiscoveryRequest::kInitialResourceVersionsFieldNumber):
        entries = entries && ReadEntry(value, &request->initial_versions.emplace_back());
        return true;
      default:
        return false;
    }
  });
  if (!read || !entries || !message->ParseFromString(rest)) return false;
  ReadAnswer(*message, request);
  return true;
}

}  // namespace weft
