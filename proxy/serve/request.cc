#include "proxy/serve/request.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/decide/match_route.h"
#include "proxy/decide/normalise_path.h"
#include "proxy/decide/request_hash.h"
#include "proxy/decide/request_path.h"
#include "proxy/decide/retry.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/serve/answer.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/forward.h"
#include "proxy/serve/upstream_choice.h"

namespace weft {
namespace {

// A body smaller than this that is already here is thrown away so that the connection can go on
// after a reply of our own.
constexpr size_t kMostDiscarded = 64 * 1024;

// Whether the rest of the request is here and was skipped; otherwise the connection has to close.
bool DiscardRequest(HttpConnection& c) {
  size_t discarded = 0;
  while (discarded < kMostDiscarded) {
    const H1Decoder::Event event = c.decoder.Next(c.in);
    if (event == H1Decoder::Event::kEnd) return true;
    if (event != H1Decoder::Event::kBody) return false;
    const size_t size = c.decoder.body_size();
    c.in.Consume(size);
    c.decoder.BodyTaken(size);
    discarded += size;
  }
  return false;
}

// A reply of the proxy's own.
void Reply(Exchange& x, const Answer& answer) {
  HttpConnection& c = x.connection;
  const bool received = x.request_received || DiscardRequest(c);
  c.close = c.close || !received || !c.decoder.keep_alive() || c.drain.draining() ||
            c.worker.overload().disable_http_keepalive;
  LocalReply reply;
  reply.status = answer.status;
  reply.body = answer.body;
  reply.close = c.close;
  reply.to_head = c.decoder.request().method == "HEAD";
  reply.headers = &answer.headers;
  AppendLocalReply(reply, c.out);
  x.record.status = answer.status;
  x.record.flag = answer.flag;
  x.record.details = answer.details;
  x.record.bytes_sent = answer.body.size();
}

Answer Overloaded() { return {503, ResponseFlag::kNone, "overload", "envoy overloaded", {}}; }

Answer NoRoute() { return {404, ResponseFlag::kNoRouteFound, "route_not_found", "", {}}; }

Answer NoCluster(const ForwardAction& action) {
  return {static_cast<int>(action.cluster_not_found_status),
          ResponseFlag::kNoClusterFound,
          "cluster_not_found",
          "",
          {}};
}

Answer NoHealthyUpstream() {
  return {503, ResponseFlag::kNoHealthyUpstream, "no_healthy_upstream", "no healthy upstream", {}};
}

Answer Redirect(const Exchange& x, const RedirectAction& action) {
  Answer answer;
  answer.status = static_cast<int>(action.status);
  answer.details = "direct_response";
  answer.headers.Add("location", RedirectLocation(*x.route, action, x.head));
  return answer;
}

Answer Failure(const ForwardResult& result) {
  Answer answer;
  answer.flag = result.flag;
  if (result.flag == ResponseFlag::kUpstreamRequestTimeout) {
    answer.status = 504;
    answer.details = "upstream_response_timeout";
    answer.body = result.reason;
  } else if (result.flag == ResponseFlag::kStreamIdleTimeout) {
    answer.status = 408;
    answer.details = "stream_idle_timeout";
    answer.body = result.reason;
  } else if (result.flag == ResponseFlag::kDownstreamProtocolError) {
    answer.status = 400;
    answer.details = result.reason;
    answer.body = result.reason;
  } else {
    answer.details = absl::StrCat("upstream_reset_before_response_started{", result.reason, "}");
    answer.body = absl::StrCat(
        "upstream connect error or disconnect/reset before headers. reset reason: ", result.reason);
  }
  return answer;
}

// The path, once, before anything looks at it. An answer if the request ends here.
std::optional<Answer> Normalise(Exchange& x) {
  switch (NormalisePath(x.connection.config.path, x.head.path)) {
    case PathVerdict::kUnchanged:
    case PathVerdict::kChanged:
      return std::nullopt;
    case PathVerdict::kReject:
      return Answer{
          400, ResponseFlag::kDownstreamProtocolError, "path_normalization_failed", "", {}};
    case PathVerdict::kRedirect:
      break;
  }
  Answer answer{307, ResponseFlag::kNone, "path_normalized_redirect", "", {}};
  answer.headers.Add("location", x.head.path);
  return answer;
}

void NoteUpgrade(Exchange& x) {
  const absl::string_view wanted = RequestedUpgrade(x.head.headers);
  for (const std::string& allowed : x.connection.config.upgrades) {
    if (absl::EqualsIgnoreCase(wanted, allowed)) x.upgrade = std::string(wanted);
  }
}

// What the chosen route says of the head that goes upstream.
void RewriteHead(Exchange& x) {
  const ForwardAction& action = *x.forward;
  x.head.path = RewrittenPath(*x.route, action, x.head.path);
  if (action.host_rewrite.has_value()) x.head.authority = *action.host_rewrite;
  if (x.target->host_rewrite.has_value()) x.head.authority = *x.target->host_rewrite;
  ApplyMutations(x.target->request_headers, x.head.headers);
  ApplyMutations(x.route->request_headers, x.head.headers);
  if (x.upgrade.empty()) return;
  x.head.headers.Set(KnownHeader::kConnection, "Upgrade");
  x.head.headers.Set(KnownHeader::kUpgrade, x.upgrade);
}

// The client holds its body back until it is told to go on; we are ready for it, whoever serves it.
void AnswerExpectation(Exchange& x) {
  HttpConnection& c = x.connection;
  if (!c.decoder.expects_continue()) return;
  c.out.Append(kContinueResponse);
  x.head.headers.Remove(KnownHeader::kExpect);
}

bool MayRetry(const Exchange& x, uint32_t attempt, const ForwardResult& result) {
  if (result.end != ForwardEnd::kFailed || result.final || !x.replayable) return false;
  if (result.retry) return true;
  return x.forward->retry.has_value() &&
         ShouldRetry(*x.forward->retry, attempt, result.outcome, x.head);
}

Task<> ForwardWithRetries(Exchange& x, const ClusterConfig& cluster) {
  UpstreamChoice choice(x.worker(), cluster, x.connection.downstream,
                        RequestHash(x.forward->hash_policies, x.head, x.connection.client.address));
  if (x.forward->timeout != absl::InfiniteDuration()) x.deadline = x.start + x.forward->timeout;
  ForwardResult result;
  for (uint32_t attempt = 1;; ++attempt) {
    const EndpointConfig* endpoint = choice.Next();
    if (endpoint == nullptr) {
      ++choice.state().counters.upstream_cx_none_healthy;
      co_return Reply(x, attempt == 1 ? NoHealthyUpstream() : Failure(result));
    }
    const absl::Duration per_try =
        x.forward->retry.has_value() ? x.forward->retry->per_try_timeout : absl::InfiniteDuration();
    result = co_await Forward(x, choice, *endpoint, attempt, x.loop().Now() + per_try);
    if (x.logged) x.record.upstream_host = endpoint->address.ToString();
    x.record.flag = result.flag;
    x.record.details = result.reason;
    if (!MayRetry(x, attempt, result)) break;
    ++choice.state().counters.upstream_rq_retry;
    // Another endpoint needs no pause; only trying again what just failed does.
    const bool connect_failure = result.outcome.kind == Outcome::Kind::kConnectFailure;
    if (!connect_failure) {
      co_await Sleep(x.loop(), RetryBackOff(*x.forward->retry, attempt, x.worker().Random()));
    }
  }
  ClusterCounters& counters = choice.state().counters;
  if (result.flag == ResponseFlag::kUpstreamRequestTimeout) ++counters.upstream_rq_timeout;
  if (result.end == ForwardEnd::kFailed) {
    x.record.upstream_failure = result.reason;
    Reply(x, Failure(result));
  } else if (result.end == ForwardEnd::kBroken) {
    x.connection.out.Clear();
    x.connection.close = x.connection.broken = true;
  } else if (!x.request_received) {
    x.connection.close = true;  // answered early: the rest of the body would follow
  }
  const int status_class = x.record.status / 100;
  if (status_class >= 1 && status_class <= 5) ++counters.upstream_rq_xx[status_class];
}

}  // namespace

Task<> ServeRequest(Exchange& x) {
  Worker& worker = x.worker();
  const HttpManagerConfig& config = x.connection.config;
  if (worker.overload().stop_accepting_requests &&
      !x.connection.downstream.listener->bypass_overload_manager) {
    ++x.connection.counters.downstream_rq_overload_close;
    co_return Reply(x, Overloaded());
  }
  NoteUpgrade(x);
  PrepareRequestHead(config, x.connection.client, worker.Random(), worker.Random(), x.head);
  if (std::optional<Answer> refused = Normalise(x)) co_return Reply(x, *refused);

  x.routes = x.config->FindRoutes(config);
  x.route = x.routes != nullptr ? MatchRoute(*x.routes, x.head, worker.Random()) : nullptr;
  if (x.route == nullptr) {
    ++x.connection.counters.no_route;
    co_return Reply(x, NoRoute());
  }
  if (const auto* redirect = std::get_if<RedirectAction>(&x.route->action)) {
    co_return Reply(x, Redirect(x, *redirect));
  }
  if (const auto* direct = std::get_if<DirectResponse>(&x.route->action)) {
    const Answer answer{
        static_cast<int>(direct->status), ResponseFlag::kNone, "direct_response", direct->body, {}};
    co_return Reply(x, answer);
  }

  x.forward = &std::get<ForwardAction>(x.route->action);
  x.target = ChooseTarget(x.forward->clusters, x.forward->total_weight, worker.Random());
  const ClusterConfig* cluster =
      x.target != nullptr ? x.config->FindCluster(x.target->cluster) : nullptr;
  if (cluster == nullptr) {
    ++x.connection.counters.no_cluster;
    co_return Reply(x, NoCluster(*x.forward));
  }
  RewriteHead(x);
  AnswerExpectation(x);
  co_await ForwardWithRetries(x, *cluster);
}

}  // namespace weft
