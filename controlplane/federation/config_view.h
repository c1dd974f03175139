// ConfigView: the config that one peer distributes to this cluster, from what it said over all its
// streams, and what it says became of ours.
//
// Nothing is taken unless the link accepts it. What is taken was decoded and validated; of an
// object whose newest form cannot be used the last one stays. What a stream does not tell again is
// let go when it has told all, and never because a peer is away: a policy that went by itself would
// open what it closed. What a peer may fill our memory with is bounded. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CONFIG_VIEW_H_
#define WEFT_CONTROLPLANE_FEDERATION_CONFIG_VIEW_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>

#include "controlplane/federation/config_object.h"

namespace weft::peer::v1 {
class ConfigObject;
class ConfigReport;
class PeerMessage;
}  // namespace weft::peer::v1

namespace weft {

class ConfigView {
 public:
  // Of `peer`, and of its accept_config what may be distributed here. `known`: what was known of it
  // before; null for nothing.
  ConfigView(const Peer& peer, std::shared_ptr<const PeerConfigs> known);

  // The messages that follow are of a new stream.
  void StartStream();
  // Of messages that are of config; whether configs() changed.
  bool OnMessage(const peer::v1::PeerMessage& message);

  // Never null; the same pointer while it is the same.
  std::shared_ptr<const PeerConfigs> configs() const;
  // What the peer said of ours, on the present stream; likewise.
  std::shared_ptr<const ConfigReports> reports() const;

 private:
  bool Accepts(const ObjectKey& key) const;
  bool Take(const peer::v1::ConfigObject& config);
  void TakeReport(const peer::v1::ConfigReport& report);
  bool Refuse(const ObjectKey& key, ConfigReport report);
  bool Forget(const ObjectKey& key);
  bool ForgetWhatWasNotTold();
  bool Changed();

  const std::string cluster_;
  const std::set<std::string> accepted_;  // namespaces; "*": all
  PeerConfigs known_;
  size_t bytes_ = 0;          // of what is in it
  std::set<ObjectKey> told_;  // on the present stream
  ConfigReports of_ours_;
  // As last looked at; null: they have changed since.
  mutable std::shared_ptr<const PeerConfigs> shown_;
  mutable std::shared_ptr<const ConfigReports> shown_reports_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CONFIG_VIEW_H_
