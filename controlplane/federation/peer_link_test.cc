// Two clusters' links with each other, over real ports, TLS and HTTP/2, in one loop.
#include "controlplane/federation/peer_link.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/gateway_for_test.h"
#include "controlplane/federation/own_state.h"
#include "controlplane/federation/peer_dial.h"
#include "controlplane/federation/peer_service.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

std::string DomainOf(const std::string& cluster) { return cluster + ".weft"; }

const certs::Issuer& RootOf(const std::string& cluster) {
  static std::map<std::string, certs::Issuer> roots;
  const auto known = roots.find(cluster);
  if (known != roots.end()) return known->second;
  auto made = certs::Issuer::CreateRoot(DomainOf(cluster), absl::Now());
  return roots.emplace(cluster, *std::move(made)).first->second;
}

TlsCertificate CertificateOf(const std::string& cluster, const certs::SpiffeId& id) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain = RootOf(cluster).Issue(key.public_key(), id, absl::Hours(1), absl::Now());
  TlsCertificate certificate;
  for (const std::string& pem : *chain) certificate.chain_pem += pem;
  certificate.key_pem = key.ToPem();
  return certificate;
}

PeerExports Services(int count, uint32_t ready) {
  PeerExports exports;
  for (int i = 0; i < count; ++i) {
    ExportedService service;
    service.namespace_ = "default";
    service.name = absl::StrCat("service-", i);
    service.ports = {{"http", 80, Protocol::kHttp}};
    service.groups = {{{"r", "z"}, {{"app", service.name}}, "default", ready}};
    exports[{service.namespace_, service.name}] = service;
  }
  return exports;
}

// One cluster's end of the link: its port, the gateway in front of it, and what it exports.
class End {
 public:
  End(EventLoop& loop, const std::string& cluster, const std::string& other,
      bool outbound_only = false)
      : gateway(loop), cluster_(cluster), other_(other), loop_(loop) {
    auto self = std::make_shared<ClusterIdentity>();
    self->cluster = cluster;
    self->trust_domain = DomainOf(cluster);
    self->roots_pem = RootOf(cluster).ChainPem();
    self->outbound_only = outbound_only;
    self_ = std::move(self);
    certificate_ = CertificateOf(cluster, ControlPlaneId(DomainOf(cluster)));
    AddPeerService([this](const certs::SpiffeId& id) { return Find(id); }, services_);
    OpenPort();
    Export(Services(1, 1));
  }

  void OpenPort() {
    auto bundles = std::make_shared<certs::TrustBundles>();
    EXPECT_TRUE(bundles->Set(DomainOf(other_), RootOf(other_).ChainPem()).ok());
    ServerTlsOptions options;
    options.certificate = certificate_;
    options.client_trust.emplace();
    options.client_trust->bundles = std::move(bundles);
    options.alpn = {"h2"};
    options.tls13_only = true;
    GrpcPort::Options of_port;
    of_port.tls = *ServerTlsContext::Create(std::move(options));
    port_ = *GrpcPort::Listen(loop_, *Address::Ip("127.0.0.1", 0), services_, of_port);
    gateway.LeadTo(port_->address());
  }
  // weftd dies, and its gateway does not.
  void Die() {
    link.reset();
    port_.reset();
  }
  // `gateways`: of the other one, as configured.
  void Link(std::vector<GatewayAddress> gateways, absl::Duration expiry = kPeerExpiry) {
    Peer peer;
    peer.cluster = other_;
    peer.trust_domain = DomainOf(other_);
    peer.roots_pem = RootOf(other_).ChainPem();
    peer.gateways = std::move(gateways);
    PeerLink::Own own;
    own.self = self_;
    own.epoch = ++epoch_;
    own.certificate = [this] { return certificate_; };
    own.expiry = expiry;
    link = std::make_unique<PeerLink>(loop_, own, peer, PeerKnowledge(),
                                      [this](const PeerState&) { ++changes; });
    link->Publish(history_.last());
  }
  void Export(PeerExports exports) {
    std::vector<GatewayAddress> gateways;
    if (!self_->outbound_only) gateways = {gateway.address()};
    const auto own = history_.Next(self_, std::move(gateways), std::move(exports));
    if (link != nullptr) link->Publish(own);
  }
  const PeerExports& exports() const { return history_.last()->exports; }
  // What it knows of the other one is what that one exports, heard on the present stream.
  bool Knows(const End& other) const {
    return link != nullptr && link->status().synced && *link->state().exports == other.exports();
  }

  GatewayForTest gateway;
  int changes = 0;
  std::unique_ptr<PeerLink> link;

 private:
  PeerLink* Find(const certs::SpiffeId& id) const {
    return id == ControlPlaneId(DomainOf(other_)) ? link.get() : nullptr;
  }

  const std::string cluster_;
  const std::string other_;
  EventLoop& loop_;
  std::shared_ptr<const ClusterIdentity> self_;
  TlsCertificate certificate_;
  uint64_t epoch_ = 0;
  OwnHistory history_;
  GrpcServices services_;
  std::unique_ptr<GrpcPort> port_;
};

class PeerLinkTest : public testing::Test {
 protected:
  bool Within(absl::Duration most, const std::function<bool()>& holds) {
    loop_.RunOnce(absl::ZeroDuration());
    for (const MonotonicTime end = loop_.Now() + most; loop_.Now() < end;) {
      if (holds()) return true;
      loop_.RunOnce(absl::Milliseconds(5));
    }
    return holds();
  }
  void RunFor(absl::Duration how_long) {
    Within(how_long, [] { return false; });
  }
  static bool Joined(const End& a, const End& b) { return a.Knows(b) && b.Knows(a); }

  EventLoop loop_;
};

TEST_F(PeerLinkTest, TheFirstInOrderDialsAtOnceAndBothSpeak) {
  End east(loop_, "east", "west"), west(loop_, "west", "east");
  east.Link({west.gateway.address()});
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(1), [&] { return Joined(east, west); }));
  EXPECT_TRUE(east.link->status().dialed_by_us);
  EXPECT_FALSE(west.link->status().dialed_by_us);
  EXPECT_EQ(west.link->status().health, PeerHealth::kFresh);
  EXPECT_EQ(west.link->state().peer->gateways, std::vector{east.gateway.address()});

  west.Export(Services(3, 2));
  EXPECT_TRUE(Within(absl::Milliseconds(500), [&] { return Joined(east, west); }));
  east.Export({});
  EXPECT_TRUE(Within(absl::Milliseconds(500), [&] { return Joined(east, west); }));
}

TEST_F(PeerLinkTest, TheSecondDialsWhereTheFirstCannot) {
  End east(loop_, "east", "west"), west(loop_, "west", "east");
  End nobody(loop_, "nobody", "west");
  nobody.gateway.LeadTo(*Address::Ip("127.0.0.1", 1));
  east.Link({nobody.gateway.address()});
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(4), [&] { return Joined(east, west); }));
  EXPECT_FALSE(east.link->status().dialed_by_us);
  EXPECT_TRUE(west.link->status().dialed_by_us);
}

TEST_F(PeerLinkTest, WhomNobodyCanDialDialsAtOnceWhateverItsName) {
  End east(loop_, "east", "west"), west(loop_, "west", "east", /*outbound_only=*/true);
  east.Link({});
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(1), [&] { return Joined(east, west); }));
  EXPECT_TRUE(west.link->status().dialed_by_us);
  EXPECT_TRUE(east.link->status().outbound_only);
  EXPECT_TRUE(east.link->status().gateways.empty());
  // It comes back by itself after its stream has broken.
  east.gateway.Cut();
  ASSERT_TRUE(Within(absl::Seconds(1), [&] { return !east.link->status().connected; }));
  EXPECT_TRUE(Within(absl::Seconds(2), [&] { return Joined(east, west); }));
}

TEST_F(PeerLinkTest, Row89OfTwoStreamsBothSidesKeepTheSameOne) {
  End east(loop_, "east", "west"), west(loop_, "west", "east");
  // Only west can dial at first; then east's way is open, too, and west's stream is there already.
  west.Link({east.gateway.address()});
  east.Link({});
  ASSERT_TRUE(Within(absl::Seconds(4), [&] { return Joined(east, west); }));
  ASSERT_TRUE(
      Within(absl::Seconds(1), [&] { return east.link->state().health == PeerHealth::kFresh; }));
  const int changes = east.changes;
  RunFor(absl::Seconds(3));
  EXPECT_TRUE(Joined(east, west));
  EXPECT_TRUE(west.link->status().dialed_by_us);
  EXPECT_EQ(east.changes, changes);  // nothing went up and down meanwhile
  // West's weftd starts again; east has learnt its gateways, and is there first.
  west.Die();
  west.OpenPort();
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(4), [&] { return Joined(east, west); }));
  RunFor(absl::Seconds(2));
  EXPECT_TRUE(Joined(east, west));
  EXPECT_NE(east.link->status().dialed_by_us, west.link->status().dialed_by_us);
}

TEST_F(PeerLinkTest, AfterACutItGoesOnFromWhatIsKnown) {
  constexpr int kServices = 1000;
  End east(loop_, "east", "west"), west(loop_, "west", "east");
  west.Export(Services(kServices, 1));
  east.Link({west.gateway.address()});
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return Joined(east, west); }));
  const size_t in_full = west.gateway.passed() + east.gateway.passed();
  EXPECT_GT(in_full, 50u * kServices);

  east.gateway.Cut();
  west.gateway.Cut();
  PeerExports changed = Services(kServices, 1);
  changed.begin()->second.groups[0].ready = 7;
  changed.erase(std::prev(changed.end()));
  west.Export(changed);
  ASSERT_TRUE(Within(absl::Seconds(5), [&] { return Joined(east, west); }));
  const size_t resumed = west.gateway.passed() + east.gateway.passed() - in_full;
  EXPECT_LT(resumed, in_full / 5) << in_full;  // most of it is handshakes, and probes
}

TEST_F(PeerLinkTest, Row85ADeadControlPlaneIsMissedOnlyWhereItsGatewayIsDead) {
  End east(loop_, "east", "west"), west(loop_, "west", "east");
  east.Link({west.gateway.address()});
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(2), [&] { return Joined(east, west); }));
  west.Die();
  RunFor(absl::Seconds(6));
  EXPECT_EQ(east.link->status().health, PeerHealth::kSuspect);
  EXPECT_FALSE(east.link->status().connected);
  EXPECT_TRUE(east.link->state().reachable());
  EXPECT_EQ(*east.link->state().exports, west.exports());

  west.gateway.Freeze(true);
  EXPECT_TRUE(Within(absl::Seconds(3), [&] { return !east.link->state().reachable(); }));
  EXPECT_EQ(*east.link->state().exports, west.exports());  // the names stay
  west.gateway.Freeze(false);
  EXPECT_TRUE(Within(absl::Seconds(2), [&] { return east.link->state().reachable(); }));
}

TEST_F(PeerLinkTest, SilenceEndsAStreamAndExpiryWhatNobodyCanProbe) {
  End east(loop_, "east", "west"), west(loop_, "west", "east", /*outbound_only=*/true);
  east.Link({}, absl::Seconds(6));
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(2), [&] { return Joined(east, west); }));
  east.gateway.Freeze(true);
  RunFor(absl::Milliseconds(4500));
  EXPECT_TRUE(east.link->status().connected);
  ASSERT_TRUE(Within(absl::Milliseconds(1400), [&] { return !east.link->status().connected; }));
  EXPECT_EQ(east.link->status().health, PeerHealth::kSuspect);
  EXPECT_TRUE(east.link->state().reachable());
  ASSERT_TRUE(Within(absl::Milliseconds(2500), [&] { return !east.link->state().reachable(); }));
  EXPECT_EQ(east.link->status().health, PeerHealth::kExpired);
  east.gateway.Freeze(false);
  ASSERT_TRUE(Within(absl::Seconds(8), [&] { return Joined(east, west); }));
  EXPECT_TRUE(Within(absl::Seconds(1), [&] { return east.link->state().reachable(); }));
}

// Calls Watch at a cluster's gateway; how it ends.
Task<> Call(EventLoop& loop, GatewayAddress gateway, std::shared_ptr<const ClientTlsContext> tls,
            std::optional<absl::Status>& ended) {
  auto bytes = co_await DialPeer(loop, *Address::Ip(gateway.address, gateway.port), tls,
                                 loop.Now() + absl::Seconds(2));
  if (!bytes.ok()) {
    ended = bytes.status();
    co_return;
  }
  GrpcConnection connection(loop, *std::move(bytes), {});
  const auto watch = connection.Open("/weft.peer.v1.Peer/Watch", {});
  auto received = co_await watch->Receive(loop.Now() + absl::Seconds(2));
  ended = received.status();
}

TEST_F(PeerLinkTest, ServesNobodyButTheControlPlaneOfALinkedCluster) {
  struct Case {
    const char* name;
    TlsCertificate certificate;
    absl::StatusCode code;
  };
  const certs::SpiffeId workload{DomainOf("west"), "default", "app"};
  const Case cases[] = {
      {"nobody", {}, absl::StatusCode::kUnauthenticated},
      {"a workload", CertificateOf("west", workload), absl::StatusCode::kPermissionDenied},
      // The handshake fails: its root is trusted for nothing here.
      {"a stranger", CertificateOf("north", ControlPlaneId(DomainOf("north"))),
       absl::StatusCode::kUnavailable}};
  End east(loop_, "east", "west");
  east.Link({});
  Peer peer;
  peer.cluster = "east";
  peer.trust_domain = DomainOf("east");
  peer.roots_pem = RootOf("east").ChainPem();
  for (const Case& c : cases) {
    auto tls = PeerTlsContext(peer, ControlPlaneId(DomainOf("east")), c.certificate);
    ASSERT_TRUE(tls.ok()) << tls.status();
    std::optional<absl::Status> ended;
    Scope scope;
    scope.Spawn(Call(loop_, east.gateway.address(), *tls, ended));
    ASSERT_TRUE(Within(absl::Seconds(5), [&] { return ended.has_value(); })) << c.name;
    EXPECT_EQ(ended->code(), c.code) << c.name << ": " << *ended;
    EXPECT_FALSE(east.link->status().connected) << c.name;
  }
}

TEST_F(PeerLinkTest, ALinkThatIsRemovedWhileItServesEndsTheStream) {
  End east(loop_, "east", "west"), west(loop_, "west", "east");
  east.Link({west.gateway.address()});
  west.Link({east.gateway.address()});
  ASSERT_TRUE(Within(absl::Seconds(2), [&] { return Joined(east, west); }));
  west.link.reset();
  ASSERT_TRUE(Within(absl::Seconds(1), [&] { return !east.link->status().connected; }));
  EXPECT_TRUE(Within(absl::Seconds(1), [&] {
    return absl::StrContains(east.link->status().last_error, "not the");
  })) << east.link->status().last_error;
}

}  // namespace
}  // namespace weft
