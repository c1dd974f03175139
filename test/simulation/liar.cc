#include "test/simulation/liar.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/federation/peer_view.h"
#include "test/simulation/pki.h"

namespace weft::simulation {
namespace {

using peer::v1::PeerMessage;

PeerMessage Service(const std::string& namespace_, const std::string& name, uint32_t ready) {
  PeerMessage message;
  peer::v1::ServiceSummary& service = *message.mutable_upsert();
  service.set_namespace_(namespace_);
  service.set_name(name);
  service.set_id(1000);
  peer::v1::Port* port = service.add_ports();
  port->set_name("http");
  port->set_port(80);
  port->set_protocol("HTTP");
  for (uint32_t id : {1, 2}) {
    peer::v1::Group* group = service.add_groups();
    group->mutable_locality()->set_region("r");
    group->mutable_locality()->set_zone(absl::StrCat("z", id));
    group->set_service_account(name);
    group->set_ready(ready);
    group->set_id(id);
  }
  return message;
}

// Only shop's are accepted.
PeerMessage Policy(const std::string& namespace_) {
  PeerMessage message;
  peer::v1::ConfigObject& config = *message.mutable_config();
  config.mutable_key()->set_kind("AuthorizationPolicy");
  config.mutable_key()->set_namespace_(namespace_);
  config.mutable_key()->set_name("lie");
  config.set_json(absl::StrCat(
      R"({"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":)"
      R"({"name":"lie","namespace":")",
      namespace_, R"("},"spec":{"action":"DENY","rules":[{}]}})"));
  return message;
}

}  // namespace

void Liar::Tamper(int peer, std::vector<PeerMessage>& messages) {
  uint64_t& sequence = sequences_[peer];
  const uint64_t epoch = messages.front().epoch();
  const uint64_t revision = messages.back().revision();
  std::vector<PeerMessage> said;
  for (PeerMessage& message : messages) {
    const bool hello = message.has_hello();
    if (hello) sequence = std::max(sequence, message.sequence() - 1);
    if (hello && context_.random.Percent(10)) Pretend(*message.mutable_hello());
    std::vector<PeerMessage> before;
    if (message.has_synced() && context_.random.Percent(5)) before = Flood();
    said.insert(said.end(), before.begin(), before.end());
    said.push_back(std::move(message));
    if (hello || !context_.random.Percent(10)) continue;
    for (PeerMessage& lie : Lies()) said.push_back(std::move(lie));
  }
  for (PeerMessage& message : said) {
    message.set_epoch(epoch);
    message.set_sequence(++sequence);
    if (message.revision() == 0) message.set_revision(revision);
  }
  messages = std::move(said);
}

void Liar::Pretend(peer::v1::Hello& hello) {
  const int other = static_cast<int>(context_.random.Below(static_cast<uint64_t>(clusters_)));
  context_.journal.Note("c", cluster_, " lies: it is c", other);
  hello.set_cluster(absl::StrCat("c", other));
  if (context_.random.Percent(50)) hello.set_trust_domain(DomainOf(other));
}

// Of a namespace that nobody takes into a World: what counts is what it fills.
std::vector<PeerMessage> Liar::Flood() {
  context_.journal.Note("c", cluster_, " lies: a flood of exports");
  std::vector<PeerMessage> flood;
  for (size_t i = 0; i < kMaxServicesOfPeer + 100; ++i) {
    flood.push_back(Service("kube-system", absl::StrCat("s", i), 1));
    flood.back().mutable_upsert()->set_id(static_cast<uint32_t>(2000 + i));
  }
  return flood;
}

std::vector<PeerMessage> Liar::Lies() {
  PeerMessage message;
  const int other = static_cast<int>(context_.random.Below(static_cast<uint64_t>(clusters_)));
  switch (context_.random.Below(9)) {
    case 0:
      context_.journal.Note("c", cluster_, " lies: it has system services");
      return {Service("kube-system", "vault", 3), Service("weft-system", "weftd", 3)};
    case 1: {
      context_.journal.Note("c", cluster_, " lies: roots of c", other);
      peer::v1::TrustBundle& bundle = *message.mutable_bundle();
      bundle.set_trust_domain(DomainOf(other));
      bundle.add_roots_pem(RootsPem(cluster_, 1));
      return {message};
    }
    case 2:
      context_.journal.Note("c", cluster_, " lies: malformed names");
      return {Service("../etc", "passwd", 1), Service("default", "a|b||c", 1)};
    case 3:
      context_.journal.Note("c", cluster_, " lies: more pods than there are numbers");
      return {Service("default", "web", std::numeric_limits<uint32_t>::max())};
    case 4: {
      context_.journal.Note("c", cluster_, " lies: counts of what it never told");
      message.mutable_groups()->set_service(77);
      message.mutable_groups()->add_group(1);
      message.mutable_groups()->add_ready(9);
      message.mutable_groups()->add_ready(9);
      return {message};
    }
    case 5:
      context_.journal.Note("c", cluster_, " lies: takes back what is not its own");
      message.mutable_removed()->set_namespace_("shop");
      message.mutable_removed()->set_name("web");
      return {message};
    case 6:
      context_.journal.Note("c", cluster_, " lies: synced once more");
      message.mutable_synced();
      return {message};
    case 7:
      context_.journal.Note("c", cluster_, " lies: policies for the system");
      return {Policy("weft-system"), Policy("kube-system"), Policy("default")};
    default:
      context_.journal.Note("c", cluster_, " lies: a bundle that is no certificate");
      message.mutable_bundle()->set_trust_domain(DomainOf(cluster_));
      message.mutable_bundle()->add_roots_pem("-----BEGIN CERTIFICATE-----\nnonsense\n");
      return {message};
  }
}

}  // namespace weft::simulation
