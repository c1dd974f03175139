#include "controlplane/ads/response.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "api/envoy/discovery.pb.h"

namespace weft {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using envoy::service::discovery::v3::DiscoveryResponse;
using envoy::service::discovery::v3::Resource;

// The key of a length-delimited field: number and wire type (protobuf encoding, "Message
// Structure").
constexpr char KeyOf(int field) { return static_cast<char>((field << 3) | 2); }

void AppendVarint(size_t value, std::string& bytes) {
  while (value >= 0x80) {
    bytes += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes += static_cast<char>(value);
}

size_t VarintSize(size_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// Of a field with its key.
size_t FieldSize(size_t value_size) { return 1 + VarintSize(value_size) + value_size; }

void AppendField(int field, absl::string_view value, std::string& bytes) {
  bytes += KeyOf(field);
  AppendVarint(value.size(), bytes);
  bytes.append(value.data(), value.size());
}

// What stands around a resource in a response; both forms have a repeated field of them.
//
// In state of the world, only the field's key and length.
struct Plain {
  static constexpr int kField = DiscoveryResponse::kResourcesFieldNumber;

  static size_t SizeOf(const std::string&, const std::string& resource) { return resource.size(); }
  static void AppendBefore(const std::string&, const std::string&, std::string&) {}
};

// In delta form, a Resource, whose last field the resource itself then is.
struct Wrapped {
  static constexpr int kField = DeltaDiscoveryResponse::kResourcesFieldNumber;

  static size_t SizeOf(const std::string& name, const std::string& resource) {
    return FieldSize(kVersionSize) + FieldSize(name.size()) + FieldSize(resource.size());
  }
  static void AppendBefore(const std::string& name, const std::string& resource,
                           std::string& bytes) {
    AppendField(Resource::kVersionFieldNumber, VersionOf(resource), bytes);
    AppendField(Resource::kNameFieldNumber, name, bytes);
    bytes += KeyOf(Resource::kResourceFieldNumber);
    AppendVarint(resource.size(), bytes);
  }
};

// Serialized messages that follow each other merge, repeated fields by appending: first comes all
// else, then the resources one by one.
template <typename Around>
class Response : public GrpcPayload {
 public:
  Response(std::string head, EncodedResources resources)
      : head_(std::move(head)), resources_(std::move(resources)), next_(resources_.begin()) {
    size_ = head_.size();
    for (const auto& [name, resource] : resources_) {
      size_ += FieldSize(Around::SizeOf(name, *resource));
    }
  }

  size_t size() const override { return size_; }
  absl::string_view Next() override {
    if (!std::exchange(head_given_, true) && !head_.empty()) return head_;
    if (next_ == resources_.end()) return "";
    const auto& [name, resource] = *next_;
    if (std::exchange(before_given_, !before_given_)) {
      ++next_;
      return *resource;
    }
    before_.clear();
    before_ += KeyOf(Around::kField);
    AppendVarint(Around::SizeOf(name, *resource), before_);
    Around::AppendBefore(name, *resource, before_);
    return before_;
  }

 private:
  const std::string head_;
  const EncodedResources resources_;
  EncodedResources::const_iterator next_;
  size_t size_ = 0;
  bool head_given_ = false;
  bool before_given_ = false;  // of the next resource
  std::string before_;
};

}  // namespace

std::unique_ptr<GrpcPayload> EncodeResponse(const AdsClient::Response& response) {
  DiscoveryResponse head;
  head.set_version_info(response.body.version);
  head.set_type_url(std::string(response.type->url));
  head.set_nonce(response.body.nonce);
  head.mutable_control_plane()->set_identifier("weftd");
  return std::make_unique<Response<Plain>>(head.SerializeAsString(), response.body.resources);
}

std::unique_ptr<GrpcPayload> EncodeResponse(const DeltaAdsClient::Response& response) {
  DeltaDiscoveryResponse head;
  head.set_system_version_info(response.body.version);
  head.set_type_url(std::string(response.type->url));
  head.set_nonce(response.body.nonce);
  head.mutable_control_plane()->set_identifier("weftd");
  for (const std::string& name : response.body.removed) head.add_removed_resources(name);
  return std::make_unique<Response<Wrapped>>(head.SerializeAsString(), response.body.changed);
}

}  // namespace weft
