#include "proxy/xds/ads_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/envoy/discovery.pb.h"

namespace weft {
namespace {

namespace discovery = envoy::service::discovery::v3;
using google::protobuf::internal::WireFormatLite;

constexpr absl::string_view kResourceType =
    "type.googleapis.com/envoy.service.discovery.v3.Resource";

absl::Status TakeAny(google::protobuf::Any& any, std::string version, DiscoveryUpdate& update,
                     std::set<std::string>& names) {
  if (any.type_url() != update.type_url) {
    return absl::InvalidArgumentError(
        absl::StrCat("a resource of type ", any.type_url(), " among ", update.type_url));
  }
  std::string name;
  // A NameTable has no name, and there is only one.
  if (update.type_url != kNameTableType && !ReadResourceName(any.value(), name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a resource of type ", update.type_url, " cannot be read as protobuf"));
  }
  if (!names.insert(name).second) {
    return absl::InvalidArgumentError(absl::StrCat("resource '", name, "' is there twice"));
  }
  update.response.resources.push_back(
      {std::move(name), std::move(*any.mutable_value()), std::move(version)});
  return absl::OkStatus();
}

// In state-of-the-world form a resource may come wrapped, or as it is.
absl::Status TakeResource(google::protobuf::Any& any, DiscoveryUpdate& update,
                          std::set<std::string>& names) {
  if (any.type_url() == kResourceType) {
    discovery::Resource wrapper;
    if (!wrapper.ParseFromString(any.value())) {
      return absl::InvalidArgumentError("a Resource cannot be read as protobuf");
    }
    any.Swap(wrapper.mutable_resource());
  }
  return TakeAny(any, "", update, names);
}

void SetError(const std::string& error, google::rpc::Status& detail) {
  detail.set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
  detail.set_message(error);
}

// A request may have thousands of names, and each acknowledgement repeats them: they are written as
// they lie. (Serialized messages that follow each other merge, repeated fields by appending.)
void AppendNames(const std::vector<absl::string_view>& names, std::string& bytes) {
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  for (const absl::string_view name : names) {
    out.WriteTag(WireFormatLite::MakeTag(discovery::DiscoveryRequest::kResourceNamesFieldNumber,
                                         WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
    out.WriteVarint32(static_cast<uint32_t>(name.size()));
    out.WriteRaw(name.data(), static_cast<int>(name.size()));
  }
}

}  // namespace

bool ReadResourceName(const std::string& bytes, std::string& name) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (const uint32_t tag = in.ReadTag()) {
    if (tag == WireFormatLite::MakeTag(1, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      if (!WireFormatLite::ReadString(&in, &name)) return false;
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return false;
    }
  }
  return in.ConsumedEntireMessage();
}

std::string EncodeDiscoveryRequest(const std::string& type_url, Subscription::Request request,
                                   absl::string_view node) {
  discovery::DiscoveryRequest message;
  message.set_type_url(type_url);
  message.set_version_info(std::move(request.version_info));
  message.set_response_nonce(std::move(request.response_nonce));
  if (!node.empty()) {
    message.mutable_node()->ParseFromArray(node.data(), static_cast<int>(node.size()));
  }
  if (request.error.has_value()) SetError(*request.error, *message.mutable_error_detail());
  std::string bytes = message.SerializeAsString();
  AppendNames(request.resource_names, bytes);
  return bytes;
}

std::string EncodeDeltaDiscoveryRequest(const std::string& type_url, Subscription::Request request,
                                        absl::string_view node) {
  discovery::DeltaDiscoveryRequest message;
  message.set_type_url(type_url);
  message.set_response_nonce(std::move(request.response_nonce));
  for (std::string& name : request.subscribe) {
    message.add_resource_names_subscribe(std::move(name));
  }
  for (std::string& name : request.unsubscribe) {
    message.add_resource_names_unsubscribe(std::move(name));
  }
  for (auto& [name, version] : request.initial_versions) {
    (*message.mutable_initial_resource_versions())[name] = std::move(version);
  }
  if (!node.empty()) {
    message.mutable_node()->ParseFromArray(node.data(), static_cast<int>(node.size()));
  }
  if (request.error.has_value()) SetError(*request.error, *message.mutable_error_detail());
  return message.SerializeAsString();
}

absl::StatusOr<DiscoveryUpdate> DecodeDiscoveryResponse(absl::string_view bytes) {
  discovery::DiscoveryResponse message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("the server sent bytes that are no DiscoveryResponse");
  }
  DiscoveryUpdate update;
  update.type_url = message.type_url();
  update.response.version = message.version_info();
  update.response.nonce = message.nonce();
  std::set<std::string> names;
  for (google::protobuf::Any& any : *message.mutable_resources()) {
    update.problem = TakeResource(any, update, names);
    if (!update.problem.ok()) break;
  }
  return update;
}

absl::StatusOr<DiscoveryUpdate> DecodeDeltaDiscoveryResponse(absl::string_view bytes) {
  discovery::DeltaDiscoveryResponse message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("the server sent bytes that are no DeltaDiscoveryResponse");
  }
  DiscoveryUpdate update;
  update.type_url = message.type_url();
  update.response.version = message.system_version_info();
  update.response.nonce = message.nonce();
  for (std::string& name : *message.mutable_removed_resources()) {
    update.response.removed.push_back(std::move(name));
  }
  std::set<std::string> names;
  for (discovery::Resource& one : *message.mutable_resources()) {
    if (!one.has_resource()) continue;  // a heartbeat: the resource is still as it was
    update.problem = TakeAny(*one.mutable_resource(), one.version(), update, names);
    if (!update.problem.ok()) break;
  }
  return update;
}

}  // namespace weft
