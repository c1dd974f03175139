#include "controlplane/ads/response.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/envoy/discovery.pb.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using envoy::service::discovery::v3::DiscoveryResponse;
using envoy::service::discovery::v3::Resource;

// The key of a length-delimited field: number and wire type (protobuf encoding, "Message
// Structure").
constexpr char KeyOf(int field) { return static_cast<char>((field << 3) | 2); }
constexpr char kResourcesKey = KeyOf(DiscoveryResponse::kResourcesFieldNumber);
constexpr char kDeltaResourcesKey = KeyOf(DeltaDiscoveryResponse::kResourcesFieldNumber);
constexpr char kResourceKey = KeyOf(Resource::kResourceFieldNumber);

void AppendVarint(std::string& bytes, size_t value) {
  while (value >= 0x80) {
    bytes += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes += static_cast<char>(value);
}

// Bytes of our own, with borrowed ones between them.
class Bytes {
 public:
  explicit Bytes(std::string head) : own_(std::move(head)) {}
  std::string& own() { return own_; }
  void Add(const std::shared_ptr<const std::string>& borrowed) {
    TakeOwn();
    pieces_.push_back(borrowed);
  }
  GrpcPieces Finish() {
    if (!own_.empty()) TakeOwn();
    return std::move(pieces_);
  }

 private:
  void TakeOwn() {
    pieces_.push_back(std::make_shared<const std::string>(std::move(own_)));
    own_.clear();
  }

  std::string own_;
  GrpcPieces pieces_;
};

}  // namespace

GrpcPieces EncodeResponse(const AdsClient::Response& response) {
  DiscoveryResponse head;
  head.set_version_info(response.body.version);
  head.set_type_url(std::string(response.type->url));
  head.set_nonce(response.body.nonce);
  head.mutable_control_plane()->set_identifier("weftd");
  // Serialized messages that follow each other merge, repeated fields by appending.
  Bytes bytes(head.SerializeAsString());
  for (const auto& [name, resource] : response.body.resources) {
    bytes.own() += kResourcesKey;
    AppendVarint(bytes.own(), resource->size());
    bytes.Add(resource);
  }
  return bytes.Finish();
}

GrpcPieces EncodeResponse(const DeltaAdsClient::Response& response) {
  DeltaDiscoveryResponse head;
  head.set_system_version_info(response.body.version);
  head.set_type_url(std::string(response.type->url));
  head.set_nonce(response.body.nonce);
  head.mutable_control_plane()->set_identifier("weftd");
  for (const std::string& name : response.body.removed) head.add_removed_resources(name);
  Bytes bytes(head.SerializeAsString());
  for (const auto& [name, resource] : response.body.resources) {
    Resource wrapper;
    wrapper.set_name(name);
    wrapper.set_version(VersionOf(*resource));
    // The wrapper's last field is the resource itself.
    std::string around = wrapper.SerializeAsString();
    around += kResourceKey;
    AppendVarint(around, resource->size());
    bytes.own() += kDeltaResourcesKey;
    AppendVarint(bytes.own(), around.size() + resource->size());
    bytes.own() += around;
    bytes.Add(resource);
  }
  return bytes.Finish();
}

}  // namespace weft
