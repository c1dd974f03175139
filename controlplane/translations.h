// Translations: every view's resources of the newest World.
//
// What proxies of one scope share is translated once for all of them; after a change of endpoints
// only what the changed services make of it, after one of VirtualServices only the routes. A view
// that a change does not concern keeps the very same Resources object. What would contradict itself
// is not handed out: the scope or the view keeps what it had. One thread's (the engine's).
#ifndef WEFT_CONTROLPLANE_TRANSLATIONS_H_
#define WEFT_CONTROLPLANE_TRANSLATIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/model/world.h"
#include "controlplane/model/world_change.h"
#include "controlplane/translate/translate.h"

namespace weft {

class Translations {
 public:
  // Never null; the same object as before if the view's resources are what they were.
  std::shared_ptr<const Resources> Of(const std::shared_ptr<const World>& world,
                                      const ProxyView& view);
  // The index of `world`, valid until the next World.
  const TranslationIndex& IndexOf(const std::shared_ptr<const World>& world);

  // How many scopes were translated from scratch so far.
  uint64_t full_translations() const { return full_translations_; }

 private:
  using Scope = std::pair<ProxyRole, OutboundScope>;
  struct View {
    std::shared_ptr<const Resources> outbound;
    std::shared_ptr<const Resources> inbound;  // the view's own part; null: this role has none
    OutboundScope scope;                       // of a router; made with the own part
    uint64_t inbound_made = 0;                 // the number of the World
    std::shared_ptr<const Resources> both;
  };

  void Follow(const World& world);
  void RefreshShared(const std::vector<std::string>& keys);
  void RefreshRoutes();
  void ForgetCredentials();
  void Touch(const World& world, const WorldChange& change);
  std::shared_ptr<const Resources> SharedOf(const Scope& scope);
  std::shared_ptr<const Resources> InboundOf(const ProxyView& view, const View& known,
                                             const Resources& outbound);
  OutboundScope ScopeOf(const ProxyView& view, const View& known, bool holds) const;
  bool InboundHolds(const ProxyView& view, const View& known) const;

  std::shared_ptr<const World> world_;
  uint64_t number_ = 0;  // of Worlds
  std::unique_ptr<TranslationIndex> index_;
  std::map<Scope, std::shared_ptr<const Resources>> shared_;  // of world_
  // What was made before more than endpoints changed, and not asked for since.
  std::map<Scope, std::shared_ptr<const Resources>> former_;
  uint64_t inbounds_since_ = 0;  // the World before which no inbound part holds
  uint64_t routers_since_ = 0;   // the same for the own parts of routers
  std::unordered_map<std::string, uint64_t> touched_;  // by pod address: the last World since
  std::map<ProxyView, View> views_;
  uint64_t full_translations_ = 0;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATIONS_H_
