#include "proxy/xds/resource_file.h"

#include <utility>

#include "absl/strings/match.h"
#include "api/envoy/discovery.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "proxy/config/fields.h"
#include "proxy/xds/ads_wire.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DiscoveryResponse;
using envoy::service::discovery::v3::Resource;

absl::Status Parse(absl::string_view path, const std::string& content, DiscoveryResponse* to) {
  if (absl::EndsWith(path, ".pb")) {
    if (to->ParseFromString(content)) return absl::OkStatus();
    return absl::InvalidArgumentError("not a DiscoveryResponse in protobuf");
  }
  const auto documents = ParseYamlDocuments(content);
  if (!documents.ok()) return documents.status();
  if (documents->size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected one document, got ", documents->size()));
  }
  return YamlToMessage(documents->front()->root(), UnknownFields::kReject, to);
}

}  // namespace

absl::StatusOr<ResourceFile> ParseResourceFile(absl::string_view path, const std::string& content,
                                               absl::string_view type_url) {
  DiscoveryResponse response;
  absl::Status status = Parse(path, content, &response);
  if (!status.ok()) return status;
  ResourceFile file;
  file.version = response.version_info();
  for (int i = 0; i < response.resources_size(); ++i) {
    google::protobuf::Any& any = *response.mutable_resources(i);
    EncodedResource resource;
    if (any.Is<Resource>()) {
      Resource wrapper;
      if (!wrapper.ParseFromString(any.value())) {
        return Invalid(Index("resources", i), "not a valid Resource");
      }
      any.Swap(wrapper.mutable_resource());
    }
    if (absl::string_view(any.type_url()) != type_url) {
      return Invalid(Index("resources", i), absl::StrCat("expected ", std::string(type_url),
                                                         ", got '", any.type_url(), "'"));
    }
    resource.bytes = std::move(*any.mutable_value());
    if (!ReadResourceName(resource.bytes, resource.name)) {
      return Invalid(Index("resources", i), "cannot be read as protobuf");
    }
    file.resources.push_back(std::move(resource));
  }
  return file;
}

}  // namespace weft
