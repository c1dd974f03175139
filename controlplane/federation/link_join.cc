#include "controlplane/federation/link_join.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/weft/link.pb.h"
#include "controlplane/federation/cluster_description.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/peer_dial.h"
#include "controlplane/transport/unary.h"
#include "proxy/base/log.h"
#include "proxy/grpc/grpc_client.h"

namespace weft {
namespace {

using peer::v1::ClusterDescription;
using peer::v1::EchoMessage;
using peer::v1::JoinRequest;
using peer::v1::JoinResponse;
using peer::v1::LinkToken;

// Refusals that are logged in a minute: more of them tell nothing, and strangers make them.
constexpr int kMostRefusalsLogged = 20;
constexpr absl::Duration kDialPatience = absl::Seconds(5);

// One for a port's services.
class Issuer {
 public:
  Issuer(EventLoop& loop, Links& links) : loop_(loop), links_(links) {}

  Task<absl::Status> Join(GrpcCall& call) {
    const Place place(*this);
    if (waiting_ > kMostJoins) co_return absl::ResourceExhaustedError("too many join at a time");
    absl::StatusOr<JoinRequest> request = co_await ReceiveRequest<JoinRequest>(loop_, call);
    if (!request.ok()) co_return request.status();
    absl::StatusOr<ClusterDescription> self = co_await links_.Accept(*request, absl::Now());
    Tell(call.peer(), *request, self.status());
    if (!self.ok()) co_return self.status();
    JoinResponse response;
    *response.mutable_issuer() = *std::move(self);
    call.Send(response.SerializeAsString());
    co_return absl::OkStatus();
  }

 private:
  struct Place {
    explicit Place(Issuer& issuer) : issuer(issuer) { ++issuer.waiting_; }
    ~Place() { --issuer.waiting_; }
    Issuer& issuer;
  };

  void Tell(const GrpcPeer& from, const JoinRequest& request, const absl::Status& status) {
    const std::string token = absl::CHexEscape(request.token_id().substr(0, 64));
    const std::string cluster = absl::CHexEscape(request.joiner().cluster().substr(0, 64));
    if (status.ok()) {
      Log(LogLevel::kInfo, "link_joined",
          {{"peer", cluster}, {"from", from.address}, {"token", token}});
      return;
    }
    if (loop_.Now() - minute_ >= absl::Minutes(1)) {
      minute_ = loop_.Now();
      logged_ = 0;
    }
    if (++logged_ > kMostRefusalsLogged) return;
    Log(LogLevel::kWarning, "link_refused",
        {{"peer", cluster},
         {"from", from.address},
         {"token", token},
         {"reason", std::string(status.message())}});
  }

  EventLoop& loop_;
  Links& links_;
  int waiting_ = 0;
  int logged_ = 0;
  MonotonicTime minute_;
};

Task<absl::Status> Join(std::shared_ptr<Issuer> issuer, GrpcCall& call) {
  co_return co_await issuer->Join(call);
}

Task<absl::Status> Echo(EventLoop& loop, GrpcCall& call, const FindLink& find_link) {
  const auto& identity = call.peer().identity;
  if (!identity.has_value()) co_return absl::UnauthenticatedError("for linked clusters only");
  if (find_link(*identity) == nullptr) {
    co_return absl::PermissionDeniedError(
        absl::StrCat(identity->ToString(), " is not the control plane of a linked cluster"));
  }
  absl::StatusOr<EchoMessage> said = co_await ReceiveRequest<EchoMessage>(loop, call);
  if (!said.ok()) co_return said.status();
  call.Send(said->SerializeAsString());
  co_return absl::OkStatus();
}

// What the issuer answered by way of one of its gateways. `answered`: it was the issuer itself.
struct Asked {
  bool answered = false;
  absl::StatusOr<JoinResponse> response = absl::UnavailableError("the token names no gateway");
};

Task<Asked> Ask(EventLoop& loop, const Peer& issuer, GatewayAddress gateway, std::string request,
                MonotonicTime deadline) {
  Asked asked;
  const auto failed = [&](const absl::Status& status) {
    asked.response = status;
    return asked;
  };
  const auto address = Address::Ip(gateway.address, gateway.port);
  if (!address.ok()) co_return failed(address.status());
  const auto context = PeerTlsContext(issuer, ControlPlaneId(issuer.trust_domain), {});
  if (!context.ok()) co_return failed(context.status());
  const MonotonicTime patience = std::min(deadline, loop.Now() + kDialPatience);
  auto bytes = co_await DialPeer(loop, *address, *context, patience);
  if (!bytes.ok()) co_return failed(bytes.status());
  GrpcConnection::Options options;
  options.authority = PeerServerName(issuer.cluster);
  options.scheme = "https";
  options.max_message = kMaxPeerMessage;
  GrpcConnection connection(loop, *std::move(bytes), options);
  GrpcMetadata none;
  auto answer = co_await UnaryCall(connection, "/weft.peer.v1.Links/Join", std::move(none),
                                   std::move(request), deadline);
  asked.answered = !absl::IsUnavailable(answer.status());
  if (!answer.ok()) co_return failed(answer.status());
  JoinResponse response;
  if (!response.ParseFromString(*answer)) {
    co_return failed(absl::InternalError("the answer is not a JoinResponse"));
  }
  asked.response = std::move(response);
  co_return asked;
}

absl::Status Annotate(const Peer& issuer, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("join ", issuer.cluster, ": ", status.message()));
}

// What the issuer says of itself now: the token may be older.
absl::StatusOr<Peer> ReadAnswer(const Peer& issuer, const JoinResponse& response) {
  absl::StatusOr<Peer> answered = FromWire(response.issuer());
  if (!answered.ok()) return answered;
  if (answered->cluster != issuer.cluster || answered->trust_domain != issuer.trust_domain) {
    return absl::PermissionDeniedError("the answer is about another cluster than the token");
  }
  return answered;
}

Task<absl::StatusOr<Peer>> ReadIssuer(const Links& links, const LinkToken& token) {
  absl::StatusOr<Peer> issuer = FromWire(token.issuer());
  if (!issuer.ok()) {
    co_return absl::InvalidArgumentError(absl::StrCat("token: ", issuer.status().message()));
  }
  absl::Status allowed = co_await links.Check(*issuer);
  if (!allowed.ok()) co_return allowed;
  co_return issuer;
}

}  // namespace

void AddLinkService(EventLoop& loop, Links& links, FindLink find_link, GrpcServices& services) {
  services["/weft.peer.v1.Links/Join"] = [issuer = std::make_shared<Issuer>(loop, links)](
                                             GrpcCall& call) { return Join(issuer, call); };
  services["/weft.peer.v1.Links/Echo"] = [&loop, find_link = std::move(find_link)](GrpcCall& call) {
    return Echo(loop, call, find_link);
  };
}

Task<absl::StatusOr<std::string>> JoinByToken(EventLoop& loop, Links& links, std::string token) {
  const absl::StatusOr<LinkToken> decoded = DecodeLinkToken(token);
  if (!decoded.ok()) co_return decoded.status();
  const absl::StatusOr<Peer> issuer = co_await ReadIssuer(links, *decoded);
  if (!issuer.ok()) co_return issuer.status();
  JoinRequest request;
  request.set_token_id(decoded->id());
  request.set_secret(decoded->secret());
  *request.mutable_joiner() = links.Describe();
  const MonotonicTime deadline = loop.Now() + kJoinPatience;
  Asked asked;
  for (const GatewayAddress& gateway : issuer->gateways) {
    asked = co_await Ask(loop, *issuer, gateway, request.SerializeAsString(), deadline);
    if (asked.answered || loop.Now() >= deadline) break;
  }
  // An issuer that awaits nobody does not even shake hands.
  if (!asked.answered && absl::FromUnixSeconds(decoded->expires()) <= absl::Now()) {
    co_return Annotate(*issuer, absl::DeadlineExceededError("the token has expired"));
  }
  if (!asked.response.ok()) co_return Annotate(*issuer, asked.response.status());
  absl::StatusOr<Peer> answered = ReadAnswer(*issuer, *asked.response);
  if (!answered.ok()) co_return Annotate(*issuer, answered.status());
  absl::Status added = co_await links.Add(*std::move(answered));
  if (!added.ok()) co_return Annotate(*issuer, added);
  Log(LogLevel::kInfo, "link_joined", {{"peer", issuer->cluster}, {"token", decoded->id()}});
  co_return issuer->cluster;
}

}  // namespace weft
