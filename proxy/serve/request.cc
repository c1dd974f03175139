#include "proxy/serve/request.h"

#include <algorithm>
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
#include "proxy/http/grpc.h"
#include "proxy/serve/answer.h"
#include "proxy/serve/choose_route.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/format_input.h"
#include "proxy/serve/forward.h"
#include "proxy/serve/http_filters.h"
#include "proxy/serve/reply.h"
#include "proxy/serve/request_body.h"
#include "proxy/serve/upstream_choice.h"

namespace weft {
namespace {

Answer Overloaded() {
  return {503, ResponseFlag::kOverloadManager, "overload", "envoy overloaded", {}};
}

Answer NoRoute(Exchange& x) {
  ++x.connection.counters.no_route;
  return {404, ResponseFlag::kNoRouteFound, "route_not_found", "", {}};
}

Answer NoCluster(const ForwardAction& action) {
  return {static_cast<int>(action.cluster_not_found_status),
          ResponseFlag::kNoClusterFound,
          "cluster_not_found",
          "",
          {}};
}

// No attempt could be made.
ForwardResult NoEndpoint() {
  ForwardResult result;
  result.end = ForwardEnd::kFailed;
  result.flag = ResponseFlag::kNoHealthyUpstream;
  result.reason = "no healthy upstream";
  return result;
}

Answer Redirect(const Exchange& x, const RedirectAction& action) {
  Answer answer;
  answer.status = static_cast<int>(action.status);
  answer.details = "direct_response";
  answer.headers.Add("location", RedirectLocation(*x.route, action, x.head));
  return answer;
}

Answer Direct(const DirectResponse& direct) {
  return {static_cast<int>(direct.status), ResponseFlag::kNone, "direct_response", direct.body, {}};
}

// How it is told to the client that something took too long.
Answer TimedOut(const ForwardResult& result) {
  const ResponseFlag flag = result.flag;
  const std::string& body = result.reason;
  switch (result.exceeded) {
    case TimeLimit::kReceiving:
      return {408, flag, "request_overall_timeout", body, {}};
    case TimeLimit::kTry:
      return {504, flag, "upstream_per_try_timeout", body, {}};
    case TimeLimit::kTryIdle:
      return {504, flag, "upstream_per_try_idle_timeout", body, {}};
    case TimeLimit::kIdle:
      return {408, flag, "stream_idle_timeout", body, {}};
    case TimeLimit::kStream:
      return {408, flag, "max_duration_timeout", body, {}, kGrpcDeadlineExceeded};
    case TimeLimit::kRequest:
    case TimeLimit::kNone:
      break;
  }
  return {504, flag, "upstream_response_timeout", body, {}};
}

Answer Failure(const ForwardResult& result) {
  if (result.exceeded != TimeLimit::kNone) return TimedOut(result);
  if (result.flag == ResponseFlag::kNoHealthyUpstream) {
    return {503, result.flag, "no_healthy_upstream", result.reason, {}};
  }
  if (result.flag == ResponseFlag::kDownstreamProtocolError) {
    return {400, result.flag, result.reason, result.reason, {}};
  }
  Answer answer;
  answer.flag = result.flag;
  if (result.flag == ResponseFlag::kUpstreamOverflow) {
    answer.headers.Add("x-envoy-overloaded", "true");
  }
  answer.details = absl::StrCat("upstream_reset_before_response_started{", result.reason, "}");
  answer.body = absl::StrCat(
      "upstream connect error or disconnect/reset before headers. reset reason: ", result.reason);
  return answer;
}

Answer ToHttps(const RequestHead& head) {
  Answer answer{301, ResponseFlag::kNone, "request_require_tls", "", {}};
  answer.headers.Add("location", absl::StrCat("https://", head.authority, head.path));
  return answer;
}

// Of the route's virtual host.
bool MustUseTls(const Exchange& x) {
  if (x.route->require_tls == RequireTls::kNone) return false;
  if (x.head.headers.Get(KnownHeader::kXForwardedProto) == "https") return false;
  return x.route->require_tls == RequireTls::kAll ||
         !OriginOfPrepared(x.connection.config, x.connection.client, x.head.headers).trusted;
}

Answer Malformed(Exchange& x, const char* reason) {
  x.worker().CountRejection(reason);
  return {400, ResponseFlag::kDownstreamProtocolError, reason, reason, {}};
}

// The head as it came in. An answer if the request ends here.
std::optional<Answer> Normalise(Exchange& x) {
  if (const char* problem = HeadProblem(x.connection.config, x.head)) {
    return Malformed(x, problem);
  }
  switch (NormalisePath(x.connection.config.path, x.head.path)) {
    case PathVerdict::kUnchanged:
    case PathVerdict::kChanged:
      return std::nullopt;
    case PathVerdict::kReject:
      return Malformed(x, "path_normalization_failed");
    case PathVerdict::kRedirect:
      break;
  }
  Answer answer{307, ResponseFlag::kNone, "path_normalized_redirect", "", {}};
  answer.headers.Add("location", x.head.path);
  return answer;
}

// What the client asks of its connection, before those fields are removed. An answer if it is not
// to be had.
std::optional<Answer> NoteUpgrade(Exchange& x) {
  x.body = x.client.incoming();
  const bool tunnel = x.body.framing == BodyFraming::kTunnel;
  x.request_received = tunnel || x.body.framing == BodyFraming::kNone;
  if (!tunnel || x.head.method == "CONNECT") return std::nullopt;
  const absl::string_view wanted = RequestedUpgrade(x.head.headers);
  for (const std::string& allowed : x.connection.config.upgrades) {
    if (absl::EqualsIgnoreCase(wanted, allowed)) x.upgrade = std::string(wanted);
  }
  if (!x.upgrade.empty()) return std::nullopt;
  // Over HTTP/1 it is a wish that may be ignored; an extended CONNECT has no other meaning.
  x.body = BodyLength();
  if (x.head.version != HttpVersion::kHttp2) return std::nullopt;
  return Answer{403, ResponseFlag::kNone, "upgrade_failed", "", {}};
}

// Makes the head one that another hop can be sent, but for what the route says. gRPC servers insist
// on "te: trailers", and it is true of us too.
void PrepareHead(Exchange& x) {
  Worker& worker = x.worker();
  const bool trailers = ListHasToken(x.head.headers, KnownHeader::kTe, "trailers");
  PrepareRequestHead(x.connection.config, x.connection.client, worker.Random(), worker.Random(),
                     x.head);
  if (trailers) x.head.headers.Add(KnownHeader::kTe, "trailers");
}

void SetHost(Exchange& x, std::string host) {
  if (host == x.head.authority) return;
  if (x.forward->append_x_forwarded_host) {
    AppendToList("x-forwarded-host", x.head.authority, x.head.headers);
  }
  x.head.authority = std::move(host);
}

void SetPath(Exchange& x, std::string path) {
  if (path == x.head.path) return;
  if (!x.connection.config.suppress_envoy_headers) {
    x.head.headers.Set("x-envoy-original-path", x.head.path);
  }
  x.head.path = std::move(path);
}

// What the chosen route says of the head that goes upstream.
void RewriteHead(Exchange& x) {
  const ForwardAction& action = *x.forward;
  RequestHead& head = x.head;
  std::optional<std::string> host = RewrittenHost(action, *x.target, head);
  if (RewritesPath(action)) SetPath(x, RewrittenPath(*x.route, action, head.path));
  if (host.has_value()) SetHost(x, *std::move(host));
  const auto input = [&x] { return InputOf(x); };
  ApplyMutations(x.target->request_headers, head.headers, input);
  ApplyMutations(x.route->request_headers, head.headers, input);
  if (x.upgrade.empty()) return;
  head.headers.Set(KnownHeader::kConnection, "Upgrade");
  head.headers.Set(KnownHeader::kUpgrade, x.upgrade);
}

// What depends on the attempt.
void RewriteForAttempt(Exchange& x, const EndpointConfig& endpoint, uint32_t attempt) {
  x.record.attempts = attempt;
  if (x.forward->auto_host_rewrite && !endpoint.host_name.empty()) SetHost(x, endpoint.host_name);
  if (x.route->attempt_count_in_request) {
    x.head.headers.Set(KnownHeader::kXEnvoyAttemptCount, absl::StrCat(attempt));
  }
}

// Counts against the cluster's max_retries from when another attempt is decided on.
class ActiveRetry {
 public:
  explicit ActiveRetry(ClusterState& state) : state_(state) {
    ++state_.counters.upstream_rq_retry;
    ++state_.active_retries;
  }
  ~ActiveRetry() { --state_.active_retries; }
  ActiveRetry(const ActiveRetry&) = delete;
  ActiveRetry& operator=(const ActiveRetry&) = delete;

 private:
  ClusterState& state_;
};

bool WantsRetry(const Exchange& x, uint32_t attempt, const ForwardResult& result) {
  if (result.end != ForwardEnd::kFailed || result.final || !x.replayable) return false;
  if (result.retry) return true;
  const RetryPolicy* policy = x.policy.retry();
  return policy != nullptr && ShouldRetry(*policy, attempt, result.outcome, x.head) &&
         RetryAllowed(x);
}

// What came of an attempt, for the picks that follow and for the counters.
void Report(const ForwardResult& result, UpstreamChoice& choice) {
  ClusterCounters& counters = choice.state().counters;
  if (result.flag == ResponseFlag::kDownstreamTermination) {
    ++counters.upstream_rq_cancelled;
    ++counters.upstream_rq_tx_reset;
  }
  switch (result.outcome.kind) {
    case Outcome::Kind::kResponse:
      if (result.outcome.status > 0) {
        choice.Responded(result.outcome.status, result.latency);
      }
      return;
    case Outcome::Kind::kConnectFailure:
      return;  // reported where it happened
    case Outcome::Kind::kPerTryTimeout:
      ++counters.upstream_rq_tx_reset;
      if (result.exceeded == TimeLimit::kTry) ++counters.upstream_rq_per_try_timeout;
      if (result.exceeded == TimeLimit::kTryIdle) ++counters.upstream_rq_per_try_idle_timeout;
      return choice.LocalFailed(LocalFailure::kTimeout);
    case Outcome::Kind::kRefusedStream:
    case Outcome::Kind::kResetBeforeRequest:
    case Outcome::Kind::kReset:
      ++counters.upstream_rq_rx_reset;
      return choice.LocalFailed(LocalFailure::kReset);
  }
}

// The attempts, until one gives an answer or none is left. The last one's endpoint is in the
// record.
Task<ForwardResult> Attempts(Exchange& x, UpstreamChoice& choice) {
  ForwardResult result;
  std::optional<ActiveRetry> retry;
  for (uint32_t attempt = 1;; ++attempt) {
    const EndpointConfig* endpoint = choice.Next();
    if (endpoint == nullptr) {
      ++choice.state().counters.upstream_cx_none_healthy;
      if (attempt == 1) result = NoEndpoint();
      co_return result;
    }
    RewriteForAttempt(x, *endpoint, attempt);
    result = co_await Forward(x, choice, *endpoint, attempt, x.loop().Now() + x.policy.per_try);
    Report(result, choice);
    if (x.logged) x.record.upstream_host = endpoint->address.ToString();
    if (!WantsRetry(x, attempt, result)) co_return result;
    retry.reset();
    retry.emplace(choice.state());
    // Another endpoint needs no pause; only trying again what just failed does.
    const bool connect_failure = result.outcome.kind == Outcome::Kind::kConnectFailure;
    if (!connect_failure) {
      const absl::Duration usual = RetryBackOff(*x.policy.retry(), attempt, x.worker().Random());
      co_await Sleep(x.loop(), result.back_off.value_or(usual));
    }
  }
}

Task<> ForwardWithRetries(Exchange& x) {
  std::optional<uint64_t> hash;
  if (!x.forward->hash_policies.empty()) {
    hash = RequestHash(x.forward->hash_policies, x.head, x.connection.client.address,
                       x.worker().Random(), &x.notes.set_cookie);
  }
  UpstreamChoice choice(x.worker(), *x.cluster, x.connection.downstream, hash);
  choice.UseHeaders(x.head.headers);
  if (x.tunnel.filter != nullptr) choice.Avoid(x.tunnel.avoid, x.tunnel.filter->pod_name_key);
  x.deadline = x.start + x.policy.timeout;
  x.stream_end = x.start + x.policy.max_stream;
  const ForwardResult result = co_await Attempts(x, choice);
  x.record.flag = result.flag;
  x.record.details = result.reason;
  ClusterCounters& counters = choice.state().counters;
  if (result.flag == ResponseFlag::kUpstreamRequestTimeout) ++counters.upstream_rq_timeout;
  const bool well = result.end == ForwardEnd::kDone && x.record.status < 500;
  if (x.record.attempts > 1 && well) ++counters.upstream_rq_retry_success;
  if (result.end == ForwardEnd::kFailed) {
    if (result.flag != ResponseFlag::kNoHealthyUpstream) x.record.upstream_failure = result.reason;
    co_await Reply(x, Failure(result));
  } else if (result.end == ForwardEnd::kBroken) {
    x.client.Abort();
  }
  counters.upstream_cx_tx_bytes_total += x.record.bytes_received;
  counters.upstream_cx_rx_bytes_total += x.record.bytes_sent;
  counters.upstream_rq_time.Record(x.loop().Now() - x.start);
  const int status_class = x.record.status / 100;
  if (status_class >= 1 && status_class <= 5) ++counters.upstream_rq_xx[status_class];
}

// Whether the process has too much to do to take this one.
bool MustShed(Exchange& x) {
  if (!x.worker().overload().stop_accepting_requests) return false;
  if (x.connection.downstream.listener->bypass_overload_manager) return false;
  ++x.connection.counters.downstream_rq_overload_close;
  return true;
}

// What a route says that is not to be forwarded; nullopt: it is.
std::optional<Answer> AnswerOfRoute(const Exchange& x) {
  if (MustUseTls(x)) return ToHttps(x.head);
  if (const auto* redirect = std::get_if<RedirectAction>(&x.route->action)) {
    return Redirect(x, *redirect);
  }
  if (const auto* direct = std::get_if<DirectResponse>(&x.route->action)) return Direct(*direct);
  return std::nullopt;
}

// The head as the rest of the path sees it. An answer if the request ends here.
std::optional<Answer> Receive(Exchange& x) {
  std::optional<Answer> refused = NoteUpgrade(x);
  if (MustShed(x)) return Overloaded();
  PrepareHead(x);
  return refused.has_value() ? refused : Normalise(x);
}

// An answer if there is none.
std::optional<Answer> ChooseCluster(Exchange& x) {
  if (x.target != nullptr) {
    x.cluster = x.config->FindCluster(ClusterNameOf(*x.forward, *x.target, x.head));
  }
  if (x.cluster != nullptr) return std::nullopt;
  ++x.connection.counters.no_cluster;
  return NoCluster(*x.forward);
}

}  // namespace

Task<> ServeRequest(Exchange& x) {
  std::optional<Answer> answer = Receive(x);
  if (!answer.has_value()) {
    ChooseRoute(x);
    if (HasHttpFilters(x)) answer = co_await RunRequestFilters(x);
    if (!answer.has_value()) answer = x.route != nullptr ? AnswerOfRoute(x) : NoRoute(x);
  }
  if (!answer.has_value()) answer = ChooseCluster(x);
  // One place for all answers: each would have its own room in this coroutine's frame.
  if (answer.has_value()) co_return co_await Reply(x, *std::move(answer));

  x.policy = PolicyOf(*x.forward, x.connection.config, x.head);
  RewriteHead(x);
  AnswerExpectation(x);
  co_await ForwardWithRetries(x);
}

}  // namespace weft
