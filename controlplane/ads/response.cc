#include "controlplane/ads/response.h"

#include <grpcpp/support/slice.h>

#include <string>
#include <vector>

#include "api/envoy/discovery.pb.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DiscoveryResponse;

// The key of a length-delimited field: number and wire type (protobuf encoding, "Message
// Structure").
constexpr char kResourcesKey = (DiscoveryResponse::kResourcesFieldNumber << 3) | 2;

void AppendVarint(std::string& bytes, size_t value) {
  while (value >= 0x80) {
    bytes += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes += static_cast<char>(value);
}

// A slice that borrows the resource's bytes and keeps them alive until they are written.
grpc::Slice Borrow(const std::shared_ptr<const std::string>& resource) {
  auto* keep = new std::shared_ptr<const std::string>(resource);
  const auto release = [](void* kept) {
    delete static_cast<std::shared_ptr<const std::string>*>(kept);
  };
  return grpc::Slice(const_cast<char*>(resource->data()), resource->size(), release, keep);
}

}  // namespace

grpc::ByteBuffer EncodeResponse(const AdsClient::Response& response) {
  DiscoveryResponse head;
  head.set_version_info(response.body.version);
  head.set_type_url(std::string(response.type->url));
  head.set_nonce(response.body.nonce);
  head.mutable_control_plane()->set_identifier("weftd");
  // Serialized messages that follow each other merge, repeated fields by appending.
  std::string bytes = head.SerializeAsString();
  std::vector<grpc::Slice> slices;
  for (const auto& [name, resource] : response.body.resources) {
    bytes += kResourcesKey;
    AppendVarint(bytes, resource->size());
    slices.emplace_back(bytes);
    bytes.clear();
    slices.push_back(Borrow(resource));
  }
  if (!bytes.empty()) slices.emplace_back(bytes);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace weft
