#include "test/simulation/discovery.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::simulation {
namespace {

// Always the same, so that nothing overtakes.
constexpr absl::Duration kWay = absl::Milliseconds(2);
constexpr absl::Duration kCoalesce = absl::Milliseconds(8);

DeltaSubscriptionRequest Read(const ResourceRequest& from) {
  DeltaSubscriptionRequest request;
  request.subscribe.assign(from.subscribe.begin(), from.subscribe.end());
  request.unsubscribe.assign(from.unsubscribe.begin(), from.unsubscribe.end());
  request.initial_versions.assign(from.initial_versions.begin(), from.initial_versions.end());
  request.nonce = from.nonce;
  if (!from.error.empty()) request.error = from.error;
  return request;
}

ResourceUpdate Written(const DeltaAdsClient::Response& from) {
  ResourceUpdate update;
  update.type_url = std::string(from.type->url);
  update.nonce = from.body.nonce;
  update.removed = from.body.removed;
  for (const auto& [name, bytes] : from.body.changed) {
    update.changed.push_back({name, VersionOf(*bytes), bytes});
  }
  return update;
}

}  // namespace

Discovery::Discovery(Context& context, std::vector<Client> clients) : context_(context) {
  for (Client& client : clients) {
    streams_.emplace_back();
    streams_.back().client = std::move(client);
  }
}

void Discovery::Publish(std::shared_ptr<const World> world) {
  const bool first = world_ == nullptr;
  world_ = std::move(world);
  if (first) {
    for (size_t i = 0; i < streams_.size(); ++i) Connect(i);
    return;
  }
  if (std::exchange(push_due_, true)) return;
  context_.time.After(kCoalesce, [self = weak_from_this()] {
    if (const auto discovery = self.lock()) discovery->PushAll();
  });
}

void Discovery::Replace(size_t client, Proxy* proxy) {
  streams_[client].client.proxy = proxy;
  if (world_ != nullptr) Connect(client);
}

void Discovery::Connect(size_t index) {
  Stream& stream = streams_[index];
  ++stream.number;
  stream.ads = std::make_unique<DeltaAdsClient>();
  Ask(index, stream.client.proxy->OnStream());
}

void Discovery::Ask(size_t index, std::vector<ResourceRequest> requests) {
  context_.time.After(kWay, [self = weak_from_this(), index, number = streams_[index].number,
                             requests = std::move(requests)] {
    const auto discovery = self.lock();
    if (discovery == nullptr || discovery->streams_[index].number != number) return;
    for (const ResourceRequest& request : requests) discovery->OnRequest(index, request);
    discovery->Push(index);
  });
}

void Discovery::OnRequest(size_t index, const ResourceRequest& request) {
  const ResourceType* type = FindResourceType(request.type_url);
  streams_[index].ads->OnRequest(*type, Read(request));
}

void Discovery::PushAll() {
  push_due_ = false;
  for (size_t i = 0; i < streams_.size(); ++i) Push(i);
}

void Discovery::Push(size_t index) {
  Stream& stream = streams_[index];
  if (stream.ads == nullptr) return;
  const auto resources = translations_.Of(world_, stream.client.view);
  for (const auto& response : stream.ads->Next(*resources, absl::StrCat(++version_))) {
    context_.time.After(kWay, [self = weak_from_this(), index, number = stream.number,
                               update = Written(response)] {
      const auto discovery = self.lock();
      if (discovery == nullptr || discovery->streams_[index].number != number) return;
      const Client& client = discovery->streams_[index].client;
      std::vector<ResourceRequest> requests = client.proxy->OnUpdate(update);
      client.updated();
      discovery->Ask(index, std::move(requests));
    });
  }
}

}  // namespace weft::simulation
