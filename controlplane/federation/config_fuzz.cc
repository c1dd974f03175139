// Whatever another cluster distributes: it is refused, or it is an object of the key that was said,
// in a namespace that is accepted, which reads back as itself; and what is known stays bounded.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/weft/peer.pb.h"
#include "controlplane/federation/config_view.h"

namespace weft {
namespace {

Peer East() {
  Peer peer;
  peer.cluster = "east";
  peer.accept_config = {"shop"};
  return peer;
}

void Read(const std::string& bytes) {
  for (const char* kind : {"VirtualService", "DestinationRule", "AuthorizationPolicy"}) {
    const auto read = ReadConfig({kind, "shop", "web"}, bytes, "east");
    if (!read.ok()) continue;
    const auto again = ReadConfig(read->object.key, read->json, "east");
    if (!again.ok() || again->revision != read->revision) abort();
  }
}

// The objects of a snapshot, one message after the other.
void Tell(const std::string& bytes) {
  peer::v1::Snapshot said;
  if (!said.ParseFromString(bytes)) return;
  ConfigView view(East(), nullptr);
  view.StartStream();
  for (const peer::v1::ConfigObject& config : said.configs()) {
    peer::v1::PeerMessage message;
    *message.mutable_config() = config;
    view.OnMessage(message);
  }
  for (const auto& [key, config] : view.configs()->objects) {
    if (key.namespace_ != "shop" || config->object.key != key) abort();
  }
  if (view.configs()->objects.size() > kMaxConfigsOfPeer) abort();
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  weft::Read(bytes);
  weft::Tell(bytes);
  return 0;
}
