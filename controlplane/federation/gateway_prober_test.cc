#include "controlplane/federation/gateway_prober.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "certs/issuer.h"
#include "controlplane/federation/control_plane_id.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

// What a gateway does with a connection that is made to it.
enum class Manner {
  kSilent,     // accepts, as the kernel does for a process that is stopped
  kCloses,     // reads what comes and ends in good order: there is no weftd behind it
  kResets,     // reads what comes and breaks off
  kHandshake,  // as a weftd does
  kGarbage,    // something that is no TLS
};

certs::Issuer& Root() {
  static certs::Issuer root = *certs::Issuer::CreateRoot("west.weft", absl::Now());
  return root;
}

TlsCertificate CertificateOf(const certs::SpiffeId& id) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  TlsCertificate certificate;
  const auto chain = Root().Issue(key.public_key(), id, absl::Hours(1), absl::Now());
  for (const std::string& pem : *chain) certificate.chain_pem += pem;
  certificate.key_pem = key.ToPem();
  return certificate;
}

// A gateway on loopback, whose manner may change.
class Gateway {
 public:
  Gateway(EventLoop& loop, Manner manner) : manner(manner), loop_(loop) { Open(0); }

  void Open(uint16_t port) {
    listener_ = *Listener::Create(loop_, *Address::Ip("127.0.0.1", port), {});
    tasks_.Spawn(Accept());
  }
  void Close() {
    tasks_.Cancel();
    listener_.reset();
  }
  GatewayAddress address() const { return {"127.0.0.1", listener_->address().port()}; }

  Manner manner;

 private:
  Task<> Accept() {
    while (true) {
      std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
      tasks_.Spawn(Serve(std::move(accepted)));
    }
  }

  Task<> Serve(std::unique_ptr<TcpStream> stream) {
    if (manner == Manner::kSilent) {
      co_await Sleep(loop_, absl::Seconds(60));
      co_return;
    }
    if (manner == Manner::kHandshake) {
      co_await Handshake(std::move(stream));
      co_return;
    }
    Buffer hello;
    while (stream->Read(hello, 4096).status == IoStatus::kBlocked) {
      co_await Wait(loop_, {&stream->readable()}, loop_.Now() + absl::Seconds(1));
    }
    if (manner == Manner::kGarbage) stream->Write("220 hello\r\n");
    if (manner == Manner::kResets) stream->ResetOnClose();
  }

  Task<> Handshake(std::unique_ptr<TcpStream> stream) {
    ServerTlsOptions options;
    options.certificate = CertificateOf(ControlPlaneId("west.weft"));
    options.alpn = {"h2"};
    auto context = ServerTlsContext::Create(std::move(options));
    auto secured = co_await TlsStream::Accept(loop_, std::move(stream), *context, Buffer(),
                                              loop_.Now() + absl::Seconds(5));
    EXPECT_TRUE(secured.ok()) << secured.status();
  }

  EventLoop& loop_;
  std::unique_ptr<Listener> listener_;
  Scope tasks_;
};

class GatewayProberTest : public testing::Test {
 protected:
  // Begins to ask these.
  void Probe(std::vector<GatewayAddress> gateways) {
    auto peer = std::make_shared<Peer>();
    peer->cluster = "west";
    peer->trust_domain = "west.weft";
    peer->roots_pem = Root().ChainPem();
    peer->gateways = std::move(gateways);
    peer_ = std::move(peer);
    if (prober_ != nullptr) return prober_->Follow();
    prober_ = std::make_unique<GatewayProber>(
        loop_, [this] { return peer_; }, [] { return TlsCertificate(); }, [this] { ++changes_; });
  }
  bool IsDead(const GatewayAddress& gateway) const {
    const std::vector<GatewayAddress> dead = prober_->dead();
    return std::find(dead.begin(), dead.end(), gateway) != dead.end();
  }
  void RunFor(absl::Duration how_long) {
    loop_.RunOnce(absl::ZeroDuration());  // Now() is of the last turn
    for (const MonotonicTime end = loop_.Now() + how_long; loop_.Now() < end;) {
      loop_.RunOnce(end - loop_.Now());
    }
  }
  // How long it takes; infinite: longer than that.
  absl::Duration Until(const GatewayAddress& gateway, bool dead, absl::Duration most) {
    loop_.RunOnce(absl::ZeroDuration());
    const MonotonicTime begun = loop_.Now();
    while (loop_.Now() - begun < most) {
      if (IsDead(gateway) == dead) return loop_.Now() - begun;
      loop_.RunOnce(absl::Milliseconds(20));
    }
    return absl::InfiniteDuration();
  }

  EventLoop loop_;
  std::shared_ptr<const Peer> peer_;
  int changes_ = 0;
  std::unique_ptr<GatewayProber> prober_;
};

TEST_F(GatewayProberTest, TakesWhoeverAnswersForAliveAndNobodyElse) {
  struct Case {
    const char* name;
    Manner manner;
    bool dead;
  };
  const Case cases[] = {{"silent", Manner::kSilent, true},
                        {"closes", Manner::kCloses, false},
                        {"resets", Manner::kResets, true},
                        {"handshake", Manner::kHandshake, false},
                        {"garbage", Manner::kGarbage, false}};
  std::vector<std::unique_ptr<Gateway>> gateways;
  std::vector<GatewayAddress> addresses;
  for (const Case& c : cases) {
    gateways.push_back(std::make_unique<Gateway>(loop_, c.manner));
    addresses.push_back(gateways.back()->address());
  }
  Probe(addresses);
  for (const GatewayAddress& gateway : addresses) EXPECT_FALSE(IsDead(gateway));
  RunFor(absl::Seconds(3));
  for (size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(IsDead(addresses[i]), cases[i].dead) << cases[i].name;
    const GatewayProber::Status status = prober_->statuses()[i];
    EXPECT_EQ(status.latency == absl::InfiniteDuration(), cases[i].dead) << cases[i].name;
  }
  EXPECT_EQ(changes_, 2);
}

TEST_F(GatewayProberTest, Row117OneThatFallsSilentIsDeadSoonEnoughToBeOutInThreeSeconds) {
  Gateway gateway(loop_, Manner::kCloses);
  Probe({gateway.address()});
  RunFor(absl::Milliseconds(1200));
  EXPECT_EQ(changes_, 0);
  gateway.manner = Manner::kSilent;
  EXPECT_LT(Until(gateway.address(), true, absl::Seconds(5)), absl::Milliseconds(2700));
  gateway.manner = Manner::kCloses;
  EXPECT_LT(Until(gateway.address(), false, absl::Seconds(5)), absl::Milliseconds(1700));
  EXPECT_EQ(changes_, 2);
}

TEST_F(GatewayProberTest, Row115OneThatIsGoneIsDeadWithinASecondOrTwoAndAliveWhenItIsBack) {
  Gateway gateway(loop_, Manner::kCloses);
  const GatewayAddress address = gateway.address();
  Probe({address});
  RunFor(absl::Milliseconds(700));
  gateway.Close();
  EXPECT_LT(Until(address, true, absl::Seconds(5)), absl::Milliseconds(1800));
  gateway.Open(static_cast<uint16_t>(address.port));
  EXPECT_LT(Until(address, false, absl::Seconds(5)), absl::Milliseconds(1300));
}

TEST_F(GatewayProberTest, ACloseIsNoAnswerWhereTheGatewayItselfIsAsked) {
  Gateway gateway(loop_, Manner::kCloses);
  GatewayAddress address = gateway.address();
  address.tunnel_port = address.port;
  Probe({address});
  EXPECT_LT(Until(address, true, absl::Seconds(5)), absl::Milliseconds(1800));
  gateway.manner = Manner::kHandshake;
  EXPECT_LT(Until(address, false, absl::Seconds(5)), absl::Milliseconds(1300));
}

TEST_F(GatewayProberTest, Row88FollowsThePeersGateways) {
  Gateway old_one(loop_, Manner::kSilent), new_one(loop_, Manner::kCloses);
  Probe({old_one.address()});
  EXPECT_LT(Until(old_one.address(), true, absl::Seconds(5)), absl::Seconds(3));
  Probe({new_one.address()});
  EXPECT_TRUE(prober_->dead().empty());
  RunFor(absl::Milliseconds(700));
  ASSERT_EQ(prober_->statuses().size(), 1u);
  EXPECT_EQ(prober_->statuses()[0].gateway, new_one.address());
  EXPECT_LT(prober_->statuses()[0].latency, absl::Seconds(1));
}

TEST_F(GatewayProberTest, NobodyIsAskedWhereNobodyCanDial) {
  Gateway gateway(loop_, Manner::kSilent);
  Probe({gateway.address()});
  auto peer = std::make_shared<Peer>(*peer_);
  peer->outbound_only = true;
  peer_ = std::move(peer);
  prober_->Follow();
  EXPECT_TRUE(prober_->statuses().empty());
}

}  // namespace
}  // namespace weft
