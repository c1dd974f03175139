#include "controlplane/federation/link_admin.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/weft/admin.pb.h"
#include "controlplane/federation/link_join.h"
#include "controlplane/federation/link_probe.h"
#include "controlplane/transport/unary.h"
#include "proxy/base/log.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

absl::string_view NameOf(PeerHealth health) {
  switch (health) {
    case PeerHealth::kNever:
      return "never";
    case PeerHealth::kFresh:
      return "fresh";
    case PeerHealth::kSuspect:
      return "suspect";
    case PeerHealth::kExpired:
      return "expired";
  }
  return "";
}

void ToWire(const GatewayProber::Status& from, admin::v1::GatewayStatus& to) {
  const auto address = Address::Ip(from.gateway.address, from.gateway.port);
  to.set_address(address.ok() ? address->ToString() : from.gateway.address);
  // Nothing is known of one that was never asked with success.
  const bool known = from.latency != absl::InfiniteDuration();
  to.set_answers(from.answers() && known);
  if (known) to.set_latency_ms(absl::ToDoubleMilliseconds(from.latency));
}

void ToWire(const PeerStatus& from, admin::v1::Link& to) {
  to.set_cluster(from.cluster);
  to.set_trust_domain(from.trust_domain);
  to.set_state(std::string(NameOf(from.health)));
  const bool heard = from.heard_ago != absl::InfiniteDuration();
  to.set_heard_seconds_ago(heard ? absl::ToDoubleSeconds(from.heard_ago) : -1);
  to.set_dialed_by_us(from.dialed_by_us);
  to.set_services(static_cast<uint32_t>(from.services));
  for (const GatewayProber::Status& gateway : from.gateways) ToWire(gateway, *to.add_gateways());
  to.set_cost(from.cost);
  to.set_outbound_only(from.outbound_only);
  to.set_draining(from.draining);
  to.set_last_error(from.last_error);
}

// ---- One function a method: the request in, the answer out.

Task<absl::StatusOr<admin::v1::CreateTokenResponse>> CreateToken(
    const LinkAdmin& admin, admin::v1::CreateTokenRequest request) {
  const absl::Time now = absl::Now();
  const absl::Duration life =
      request.valid_seconds() == 0 ? kLinkTokenLife : absl::Seconds(request.valid_seconds());
  auto token = co_await admin.links.MakeToken(life, now);
  if (!token.ok()) co_return token.status();
  admin::v1::CreateTokenResponse response;
  response.set_token(*std::move(token));
  response.set_expires(absl::ToUnixSeconds(now + life));
  co_return response;
}

Task<absl::StatusOr<admin::v1::JoinResponse>> Join(const LinkAdmin& admin,
                                                   admin::v1::JoinRequest request) {
  auto cluster = co_await JoinByToken(admin.loop, admin.links, request.token());
  if (!cluster.ok()) co_return cluster.status();
  admin::v1::JoinResponse response;
  response.set_cluster(*std::move(cluster));
  co_return response;
}

Task<absl::StatusOr<admin::v1::ListResponse>> List(const LinkAdmin& admin,
                                                   admin::v1::ListRequest request) {
  admin::v1::ListResponse response;
  for (const PeerStatus& status : admin.statuses()) ToWire(status, *response.add_links());
  co_return response;
}

Task<absl::StatusOr<admin::v1::RemoveResponse>> Remove(const LinkAdmin& admin,
                                                       admin::v1::RemoveRequest request) {
  absl::Status removed = co_await admin.links.Remove(request.cluster());
  if (!removed.ok()) co_return removed;
  Log(LogLevel::kInfo, "link_removed", {{"peer", request.cluster()}});
  co_return admin::v1::RemoveResponse();
}

Task<absl::StatusOr<admin::v1::SetCostResponse>> SetCost(const LinkAdmin& admin,
                                                         admin::v1::SetCostRequest request) {
  absl::Status set = co_await admin.links.SetCost(request.cluster(), request.cost());
  if (!set.ok()) co_return set;
  co_return admin::v1::SetCostResponse();
}

Task<absl::StatusOr<admin::v1::TestResponse>> Test(const LinkAdmin& admin,
                                                   admin::v1::TestRequest request) {
  const std::shared_ptr<const Peer> peer = admin.current(request.cluster());
  if (peer == nullptr) {
    co_return absl::NotFoundError(
        absl::StrCat("there is no link with \"", absl::CHexEscape(request.cluster()), "\""));
  }
  if (peer->outbound_only || peer->gateways.empty()) {
    co_return absl::FailedPreconditionError(
        absl::StrCat(peer->cluster, " cannot be dialed: test the link from there"));
  }
  co_return co_await ProbeLink(admin.loop, *peer, admin.certificate());
}

// ---- And as the call of a gRPC server.

template <typename Request, typename Response>
using Method = Task<absl::StatusOr<Response>> (*)(const LinkAdmin&, Request);

template <typename Request, typename Response>
Task<absl::Status> Serve(const LinkAdmin& admin, Method<Request, Response> method, GrpcCall& call) {
  absl::StatusOr<Request> request = co_await ReceiveRequest<Request>(admin.loop, call);
  if (!request.ok()) co_return request.status();
  absl::StatusOr<Response> response = co_await method(admin, *std::move(request));
  if (!response.ok()) co_return response.status();
  call.Send(response->SerializeAsString());
  co_return absl::OkStatus();
}

template <typename Request, typename Response>
GrpcHandler HandlerOf(std::shared_ptr<const LinkAdmin> admin, Method<Request, Response> method) {
  return [admin = std::move(admin), method](GrpcCall& call) { return Serve(*admin, method, call); };
}

}  // namespace

void AddLinkAdminService(LinkAdmin admin, GrpcServices& services) {
  const auto shared = std::make_shared<const LinkAdmin>(std::move(admin));
  services["/weft.admin.v1.Links/CreateToken"] = HandlerOf(shared, &CreateToken);
  services["/weft.admin.v1.Links/Join"] = HandlerOf(shared, &Join);
  services["/weft.admin.v1.Links/List"] = HandlerOf(shared, &List);
  services["/weft.admin.v1.Links/Remove"] = HandlerOf(shared, &Remove);
  services["/weft.admin.v1.Links/SetCost"] = HandlerOf(shared, &SetCost);
  services["/weft.admin.v1.Links/Test"] = HandlerOf(shared, &Test);
}

}  // namespace weft
