// Translations: every view's resources of the newest World, each made once and checked.
//
// Sidecars of one scope share their outbound part. What would contradict itself is not handed out:
// the view keeps what it had. One thread's (the engine's).
#ifndef WEFT_CONTROLPLANE_TRANSLATIONS_H_
#define WEFT_CONTROLPLANE_TRANSLATIONS_H_

#include <map>
#include <memory>

#include "controlplane/model/world.h"
#include "controlplane/translate/translate.h"

namespace weft {

class Translations {
 public:
  // Never null.
  std::shared_ptr<const Resources> Of(const std::shared_ptr<const World>& world,
                                      const ProxyView& view);
  // The index of `world`, valid until the next World.
  const TranslationIndex& IndexOf(const std::shared_ptr<const World>& world);

 private:
  Resources Translated(const ProxyView& view);

  std::shared_ptr<const World> world_;
  std::unique_ptr<TranslationIndex> index_;
  std::map<OutboundScope, Resources> outbound_;  // of world_
  std::map<ProxyView, std::shared_ptr<const Resources>> last_good_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATIONS_H_
