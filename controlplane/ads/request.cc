#include "controlplane/ads/request.h"

#include <cstdint>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;
using google::protobuf::internal::WireFormatLite;

// A NACK's text is the proxy's; what is kept and logged of it is bounded.
constexpr size_t kMaxError = 2048;

constexpr uint32_t kNameTag = WireFormatLite::MakeTag(DiscoveryRequest::kResourceNamesFieldNumber,
                                                      WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

// Takes the names out of a DiscoveryRequest's bytes; `rest` is a message without them.
bool TakeNames(const std::string& bytes, std::vector<absl::string_view>* names, std::string* rest) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (true) {
    const int begin = in.CurrentPosition();
    const uint32_t tag = in.ReadTag();
    if (tag == 0) return in.ConsumedEntireMessage();
    if (tag != kNameTag) {
      if (!WireFormatLite::SkipField(&in, tag)) return false;
      rest->append(bytes, begin, in.CurrentPosition() - begin);
      continue;
    }
    uint32_t size;
    if (!in.ReadVarint32(&size)) return false;
    const int at = in.CurrentPosition();
    if (size > bytes.size() - at || !in.Skip(static_cast<int>(size))) return false;
    names->push_back(absl::string_view(bytes).substr(at, size));
  }
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
  if (!TakeNames(bytes, &request->names, &rest) || !message->ParseFromString(rest)) return false;
  ReadAnswer(*message, request);
  return true;
}

bool ReadRequest(const std::string& bytes, DeltaDiscoveryRequest* message,
                 DeltaSubscriptionRequest* request) {
  if (!message->ParseFromString(bytes)) return false;
  request->subscribe.assign(message->resource_names_subscribe().begin(),
                            message->resource_names_subscribe().end());
  request->unsubscribe.assign(message->resource_names_unsubscribe().begin(),
                              message->resource_names_unsubscribe().end());
  request->initial_versions.assign(message->initial_resource_versions().begin(),
                                   message->initial_resource_versions().end());
  ReadAnswer(*message, request);
  return true;
}

}  // namespace weft
