#include "controlplane/federation/config_feed.h"

#include "api/weft/peer.pb.h"
#include "controlplane/federation/config_wire.h"

namespace weft {
namespace {

using Messages = std::vector<peer::v1::PeerMessage>;

bool IsSame(const std::shared_ptr<const ConfigText>& a,
            const std::shared_ptr<const ConfigText>& b) {
  return a == b || (a != nullptr && b != nullptr && a->revision == b->revision);
}

// What goes first: it may be what the listener has no room for the other beside.
void TellTexts(const ConfigTexts* before, const ConfigTexts& texts, PeerFeed& feed,
               Messages& messages) {
  static const ConfigTexts kNone;
  const ConfigTexts& told = before == nullptr ? kNone : *before;
  for (const auto& [key, text] : told) {
    if (texts.contains(key)) continue;
    messages.push_back(feed.Message());
    ToWire(key, *messages.back().mutable_config_removed());
  }
  for (const auto& [key, text] : texts) {
    const auto known = told.find(key);
    if (known != told.end() && IsSame(known->second, text)) continue;
    messages.push_back(feed.Message());
    peer::v1::ConfigObject& config = *messages.back().mutable_config();
    ToWire(key, *config.mutable_key());
    if (text != nullptr) config.set_json(text->json);
  }
  if (before != nullptr) return;
  messages.push_back(feed.Message());
  messages.back().mutable_configs_told();
}

// What is reported no more is what the peer took back itself.
void TellReports(const ConfigReports* before, const ConfigReports& reports, PeerFeed& feed,
                 Messages& messages) {
  for (const auto& [key, report] : reports) {
    if (before != nullptr) {
      const auto told = before->find(key);
      if (told != before->end() && told->second == report) continue;
    }
    messages.push_back(feed.Message());
    peer::v1::ConfigReport& wire = *messages.back().mutable_config_report();
    ToWire(key, *wire.mutable_key());
    ToWire(report, wire);
  }
}

}  // namespace

void ConfigFeed::Next(const ConfigsToTell& tell, PeerFeed& feed, Messages& messages) {
  if (tell.texts != nullptr && tell.texts != told_.texts) {
    TellTexts(told_.texts.get(), *tell.texts, feed, messages);
  }
  if (tell.reports != nullptr && tell.reports != told_.reports) {
    TellReports(told_.reports.get(), *tell.reports, feed, messages);
  }
  told_ = tell;
}

}  // namespace weft
