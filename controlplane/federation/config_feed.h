// ConfigFeed: what to say next on one stream of the config that the peer is to have of us, and of
// what became here of the config that we have of it. Pure; belongs to one stream.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CONFIG_FEED_H_
#define WEFT_CONTROLPLANE_FEDERATION_CONFIG_FEED_H_

#include <memory>
#include <vector>

#include "controlplane/federation/config_object.h"
#include "controlplane/federation/peer_feed.h"

namespace weft {

// What one peer is told. Both null: nothing is known yet.
struct ConfigsToTell {
  std::shared_ptr<const ConfigTexts> texts;
  std::shared_ptr<const ConfigReports> reports;  // of what it distributes here
};

class ConfigFeed {
 public:
  // Brings the peer from what it was told on this stream to `tell`. `feed` stamps the messages,
  // which are to be sent in order.
  void Next(const ConfigsToTell& tell, PeerFeed& feed,
            std::vector<peer::v1::PeerMessage>& messages);

 private:
  ConfigsToTell told_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CONFIG_FEED_H_
