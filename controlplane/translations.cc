#include "controlplane/translations.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/check.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// Views come and go with pods; beyond this, what is remembered of them starts anew.
constexpr size_t kMaxRememberedViews = 20000;

}  // namespace

const TranslationIndex& Translations::IndexOf(const std::shared_ptr<const World>& world) {
  if (world != world_) {
    outbound_.clear();
    index_ = std::make_unique<TranslationIndex>(*world);
    world_ = world;
  }
  return *index_;
}

Resources Translations::Translated(const ProxyView& view) {
  if (view.role == ProxyRole::kGateway) return Translate(*index_, view);
  const OutboundScope scope = index_->ScopeOf(view);
  auto found = outbound_.find(scope);
  if (found == outbound_.end()) {
    found = outbound_.emplace(scope, OutboundResources(*index_, scope)).first;
  }
  Resources resources = InboundResources(*index_, view);
  AddResources(found->second, resources);
  return resources;
}

std::shared_ptr<const Resources> Translations::Of(const std::shared_ptr<const World>& world,
                                                  const ProxyView& view) {
  IndexOf(world);
  if (last_good_.size() > kMaxRememberedViews) last_good_.clear();
  auto resources = std::make_shared<const Resources>(Translated(view));
  const std::vector<std::string> contradictions = CheckResources(*resources);
  std::shared_ptr<const Resources>& last_good = last_good_[view];
  if (contradictions.empty() || last_good == nullptr) last_good = std::move(resources);
  if (!contradictions.empty()) {
    Log(LogLevel::kError, "translation_contradicts_itself",
        {{"proxy", view.address},
         {"first", contradictions.front()},
         {"findings", absl::StrCat(contradictions.size())}});
  }
  return last_good;
}

}  // namespace weft
