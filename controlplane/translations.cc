#include "controlplane/translations.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/gateway.h"
#include "controlplane/translate/proxyless.h"
#include "controlplane/translate/refresh.h"
#include "controlplane/translate/router.h"
#include "controlplane/translate/router_plan.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// Views and scopes come and go with pods; beyond this, what is remembered of them starts anew.
constexpr size_t kMaxRememberedViews = 20000;
constexpr size_t kMaxRememberedScopes = 2000;
constexpr size_t kMaxTouched = 200000;

bool Reported(const std::vector<std::string>& contradictions, const std::string& whose) {
  if (contradictions.empty()) return false;
  Log(LogLevel::kError, "translation_contradicts_itself",
      {{"proxy", whose},
       {"first", contradictions.front()},
       {"findings", absl::StrCat(contradictions.size())}});
  return true;
}

std::shared_ptr<const Resources> Share(Resources resources) {
  return std::make_shared<const Resources>(std::move(resources));
}

bool Same(const Resources& a, const Resources& b) {
  for (auto type : kAllResources) {
    if (!(a.*type == b.*type)) return false;
  }
  return true;
}

Resources FromScratch(const TranslationIndex& index, ProxyRole role, const OutboundScope& scope) {
  switch (role) {
    case ProxyRole::kGateway:
      return GatewayResources(index, scope);
    case ProxyRole::kProxyless:
      return ProxylessResources(index, scope);
    case ProxyRole::kRouter:
      return RouterSharedResources(index, scope);
    case ProxyRole::kSidecar:
      break;
  }
  return OutboundResources(index, scope);
}

Resources Refreshed(const TranslationIndex& index, ProxyRole role, const OutboundScope& scope,
                    const std::vector<std::string>& keys, const Resources& former) {
  switch (role) {
    case ProxyRole::kGateway:
      return RefreshGateway(index, scope, keys, former);
    case ProxyRole::kProxyless:
      return RefreshProxyless(index, scope, keys, former);
    case ProxyRole::kRouter:
    case ProxyRole::kSidecar:
      break;
  }
  return RefreshOutbound(index, scope, keys, former);
}

// `outbound` and `inbound` together. What neither changed of stays as `former` has it.
Resources Combine(const Resources& outbound, const Resources& inbound, const Resources* former,
                  const Resources* former_outbound, const Resources* former_inbound) {
  Resources both;
  for (auto type : kAllResources) {
    if (former != nullptr && (former_outbound->*type).SharesAllWith(outbound.*type) &&
        (former_inbound->*type).SharesAllWith(inbound.*type)) {
      both.*type = former->*type;
      continue;
    }
    both.*type = outbound.*type;
    for (const auto& [name, bytes] : inbound.*type) (both.*type).emplace(name, bytes);
  }
  return both;
}

}  // namespace

const TranslationIndex& Translations::IndexOf(const std::shared_ptr<const World>& world) {
  if (world != world_) {
    ++number_;
    Follow(*world);
    world_ = world;
  }
  return *index_;
}

void Translations::Follow(const World& world) {
  const WorldChange change = world_ == nullptr ? WorldChange() : ChangeBetween(*world_, world);
  if (change.extent != WorldChange::Extent::kMore) {
    Touch(*world_, change);
    Touch(world, change);
    const bool routes = change.extent == WorldChange::Extent::kVirtualServices;
    if (routes) {
      index_ = std::make_unique<TranslationIndex>(world);
    } else {
      index_->Follow(world, change.services);
    }
    RefreshShared(change.services);
    if (routes) RefreshRoutes();
    if (change.secrets) ForgetCredentials();
    if (routes || change.secrets) routers_since_ = number_;
    return;
  }
  index_ = std::make_unique<TranslationIndex>(world);
  inbounds_since_ = number_;
  touched_.clear();
  // What nobody asked for since the change before is still what its proxies have.
  shared_.merge(former_);
  former_ = std::exchange(shared_, {});
  if (former_.size() > kMaxRememberedScopes) former_.clear();
}

void Translations::Touch(const World& world, const WorldChange& change) {
  if (touched_.size() > kMaxTouched) {
    touched_.clear();
    inbounds_since_ = number_;
  }
  for (const std::string& address : change.workloads) touched_[address] = number_;
  for (const std::string& key : change.services) {
    const auto found = world.endpoints.find(key);
    if (found == world.endpoints.end()) continue;
    for (const Endpoint& endpoint : *found->second) {
      for (const std::string& address : {endpoint.address, endpoint.other_address}) {
        if (!address.empty()) touched_[address] = number_;
      }
    }
  }
}

void Translations::RefreshShared(const std::vector<std::string>& keys) {
  if (keys.empty()) return;
  for (auto& [scope, shared] : shared_) {
    const Resources& former = *shared;
    Resources fresh = Refreshed(*index_, scope.first, scope.second, keys, former);
    if (!Same(former, fresh)) shared = Share(std::move(fresh));
  }
}

// What has credentials is made anew when it is asked for.
void Translations::ForgetCredentials() {
  for (auto entry = shared_.begin(); entry != shared_.end();) {
    if (!entry->first.second.credentials) {
      ++entry;
      continue;
    }
    former_[entry->first] = std::move(entry->second);
    entry = shared_.erase(entry);
  }
}

void Translations::RefreshRoutes() {
  for (auto& [scope, shared] : shared_) {
    const auto& [role, outbound] = scope;
    // The one knows no routes; what another's lead to is in its scope.
    if (role == ProxyRole::kGateway || role == ProxyRole::kRouter) continue;
    Resources fresh = role == ProxyRole::kProxyless
                          ? ShareEqual(*shared, FromScratch(*index_, role, outbound))
                          : RefreshOutboundRoutes(*index_, outbound, *shared);
    if (Same(*shared, fresh)) continue;
    Resources routes;
    routes.listeners = fresh.listeners;
    routes.routes = fresh.routes;
    if (Reported(CheckResources(routes, &fresh), outbound.namespace_)) continue;
    shared = Share(std::move(fresh));
  }
}

std::shared_ptr<const Resources> Translations::SharedOf(const Scope& scope) {
  std::shared_ptr<const Resources>& shared = shared_[scope];
  if (shared != nullptr) return shared;
  ++full_translations_;
  Resources fresh = FromScratch(*index_, scope.first, scope.second);
  const bool refused = Reported(CheckResources(fresh), scope.second.namespace_);
  const auto former = former_.find(scope);
  if (former == former_.end()) return shared = Share(std::move(fresh));
  shared = std::move(former->second);
  former_.erase(former);
  if (refused) return shared;
  fresh = ShareEqual(*shared, fresh);
  if (!Same(*shared, fresh)) shared = Share(std::move(fresh));
  return shared;
}

bool Translations::InboundHolds(const ProxyView& view, const View& known) const {
  if (known.inbound == nullptr || known.inbound_made < inbounds_since_) return false;
  if (view.role == ProxyRole::kRouter && known.inbound_made < routers_since_) return false;
  const auto is_newer = [&](const std::string& address) {
    const auto touched = touched_.find(address);
    return touched != touched_.end() && touched->second > known.inbound_made;
  };
  return !is_newer(view.address) && !is_newer(view.other_address);
}

// A router's depends on what its own part depends on, and is as long in force.
OutboundScope Translations::ScopeOf(const ProxyView& view, const View& known, bool holds) const {
  if (view.role != ProxyRole::kRouter) return index_->ScopeOf(view);
  return holds ? known.scope : RouterScopeOf(*index_, view);
}

std::shared_ptr<const Resources> Translations::InboundOf(const ProxyView& view, const View& known,
                                                         const Resources& outbound) {
  Resources fresh = view.role == ProxyRole::kRouter ? RouterOwnResources(*index_, view, known.scope)
                                                    : InboundResources(*index_, view);
  const bool refused = Reported(CheckResources(fresh, &outbound), view.address);
  if (known.inbound == nullptr) return Share(std::move(fresh));
  if (refused) return known.inbound;
  fresh = ShareEqual(*known.inbound, fresh);
  return Same(*known.inbound, fresh) ? known.inbound : Share(std::move(fresh));
}

std::shared_ptr<const Resources> Translations::Of(const std::shared_ptr<const World>& world,
                                                  const ProxyView& view) {
  IndexOf(world);
  if (view.role == ProxyRole::kGateway) {
    return SharedOf({view.role, GatewayScopeOf(*index_, view)});
  }
  if (view.role == ProxyRole::kProxyless) return SharedOf({view.role, index_->ScopeOf(view)});
  if (views_.size() > kMaxRememberedViews) views_.clear();
  View& known = views_[view];
  const bool holds = InboundHolds(view, known);
  known.scope = ScopeOf(view, known, holds);
  const auto outbound = SharedOf({view.role, known.scope});
  if (holds && known.outbound == outbound) return known.both;
  const auto inbound = holds ? known.inbound : InboundOf(view, known, *outbound);
  known.inbound_made = number_;
  if (known.both == nullptr || known.outbound != outbound || known.inbound != inbound) {
    known.both = Share(
        Combine(*outbound, *inbound, known.both.get(), known.outbound.get(), known.inbound.get()));
  }
  known.outbound = outbound;
  known.inbound = inbound;
  return known.both;
}

}  // namespace weft
