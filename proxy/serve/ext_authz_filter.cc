#include "proxy/serve/ext_authz_filter.h"

#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/config/ext_authz_config.h"
#include "proxy/decide/ext_authz.h"
#include "proxy/decide/ext_authz_message.h"
#include "proxy/http/grpc.h"
#include "proxy/serve/authorization.h"
#include "proxy/serve/choose_route.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/format_input.h"
#include "proxy/serve/request_body.h"
#include "proxy/serve/upstream_call.h"

namespace weft {
namespace {

// What a request is asked with.
struct Question {
  const ExtAuthzConfig& config;
  const ExtAuthzRouteConfig* route;  // null: nothing of its own
  const RequestMetadata& metadata;
};

Question QuestionOf(const ActiveFilter& active, const RequestMetadata& metadata) {
  const ExtAuthzRouteConfig* route =
      active.over != nullptr ? std::get<ExtAuthzFilterConfig>(**active.over).route.get() : nullptr;
  return {*std::get<ExtAuthzFilterConfig>(*active.filter.config).authz, route, metadata};
}

// ---- Counters.

enum Outcome { kOk, kDenied, kError, kDisabled, kFailureModeAllowed };
constexpr const char* kOutcomes[] = {"ok", "denied", "error", "disabled", "failure_mode_allowed"};

// Of the listener, and of the cluster that the request is meant for, as Envoy has both.
void Count(Exchange& x, const ActiveFilter& active, Outcome outcome) {
  const ExtAuthzConfig& config = *std::get<ExtAuthzFilterConfig>(*active.filter.config).authz;
  FilterState& state = StateOf(x, active.filter.config, [&] {
    std::vector<std::string> names;
    for (const char* name : kOutcomes) {
      names.push_back(CounterName(HttpPrefix(x, "ext_authz"), config.stat_prefix, name));
    }
    return names;
  });
  ++*state.counters[outcome];
  if (x.target == nullptr || outcome == kDisabled) return;
  const std::string prefix = absl::StrCat("cluster.", x.target->cluster, ".ext_authz");
  ++*x.worker().filters().Counter(CounterName(prefix, config.stat_prefix, kOutcomes[outcome]));
}

// ---- The question.

bool TellsBody(const Exchange& x, const Question& question) {
  if (!question.config.most_body.has_value() || x.body.framing == BodyFraming::kTunnel) {
    return false;
  }
  return question.route == nullptr || !question.route->without_body;
}

CheckBody BodyOf(const Exchange& x, const ExtAuthzConfig& config) {
  const absl::string_view all = x.replay.view();
  return {all.substr(0, *config.most_body), !x.request_received || all.size() > *config.most_body};
}

UpstreamCall HttpCall(const Exchange& x, const ExtAuthzConfig& config,
                      const std::optional<CheckBody>& body) {
  UpstreamCall call;
  call.head = HttpCheck(config, x.head, body);
  if (body.has_value()) call.body = std::string(body->bytes);
  return call;
}

absl::string_view PrincipalOf(const RequestFacts& facts) {
  if (!facts.peer_uris.empty()) return facts.peer_uris.front();
  return facts.peer_dns_names.empty() ? facts.peer_subject : facts.peer_dns_names.front();
}

UpstreamCall GrpcCall(const Exchange& x, const Question& question,
                      const std::optional<CheckBody>& body) {
  const ExtAuthzConfig& config = question.config;
  const Downstream& downstream = x.connection.downstream;
  const RequestFacts peer = FactsOf(downstream);
  const std::vector<TokenMetadata> tokens = MetadataOf(question.metadata.tokens);
  const CheckFacts facts = {
      .head = x.head,
      .length = x.body,
      .body = body,
      .time = absl::Now(),
      .source = downstream.stream->peer_address(),
      .destination = downstream.destination,
      .source_principal = PrincipalOf(peer),
      .destination_principal = downstream.own_uri,
      .server_name = downstream.server_name,
      .context_extensions =
          question.route != nullptr ? &question.route->context_extensions : nullptr,
      .tokens = tokens,
      .shadows = question.metadata.shadows,
  };
  UpstreamCall call;
  call.head.method = "POST";
  call.head.scheme = "http";
  call.head.authority = std::get<ExtAuthzConfig::Grpc>(config.service).authority;
  call.head.path = std::string(kCheckPath);
  call.head.headers.Add(KnownHeader::kContentType, "application/grpc");
  call.head.headers.Add(KnownHeader::kTe, "trailers");
  call.head.headers.Add("grpc-timeout", GrpcTimeoutText(config.timeout));
  call.body = FramedMessage(CheckMessage(config, facts));
  call.http2 = true;
  return call;
}

UpstreamCall CallOf(Exchange& x, const Question& question, const std::optional<CheckBody>& body) {
  const bool http = std::holds_alternative<ExtAuthzConfig::Http>(question.config.service);
  UpstreamCall call = http ? HttpCall(x, question.config, body) : GrpcCall(x, question, body);
  ApplyMutations(question.config.check_headers, call.head.headers, [&x] { return InputOf(x); });
  call.deadline = x.loop().Now() + question.config.timeout;
  return call;
}

// ---- The answer.

AuthzVerdict GrpcVerdict(const CallAnswer& answer) {
  if (answer.head.status != 200) return AuthzVerdict::Error("unusable status");
  std::optional<int> status = GrpcStatusIn(answer.trailers);
  if (!status.has_value()) status = GrpcStatusIn(answer.head.headers);
  if (status != 0) return AuthzVerdict::Error(absl::StrCat("grpc-status ", status.value_or(2)));
  const std::optional<absl::string_view> message = OnlyMessage(answer.body);
  return message.has_value() ? MessageVerdict(*message) : AuthzVerdict::Error("malformed message");
}

AuthzVerdict VerdictOf(const ExtAuthzConfig& config, CallAnswer answer) {
  if (!answer.failure.empty()) return AuthzVerdict::Error(std::move(answer.failure));
  const auto* http = std::get_if<ExtAuthzConfig::Http>(&config.service);
  return http != nullptr ? HttpVerdict(*http, answer.head, std::move(answer.body))
                         : GrpcVerdict(answer);
}

// ---- What becomes of the request.

void Allow(Exchange& x, const ExtAuthzConfig& config, AuthzVerdict verdict) {
  const auto input = [&x] { return InputOf(x); };
  for (const HeaderToAdd& change : verdict.request) ApplyAddition(change, x.head.headers, input);
  for (const std::string& name : verdict.remove) x.head.headers.Remove(name);
  if (config.clear_route_cache && !(verdict.request.empty() && verdict.remove.empty())) {
    ChooseRoute(x);
  }
  if (verdict.response.empty()) return;
  if (x.notes.authz == nullptr) x.notes.authz = std::make_unique<std::vector<HeaderToAdd>>();
  x.notes.authz->insert(x.notes.authz->end(), std::make_move_iterator(verdict.response.begin()),
                        std::make_move_iterator(verdict.response.end()));
}

Answer Deny(Exchange& x, AuthzVerdict verdict) {
  Answer answer{verdict.status,
                ResponseFlag::kUnauthorizedExternalService,
                "ext_authz_denied",
                std::move(verdict.body),
                {}};
  for (const HeaderToAdd& change : verdict.response) {
    ApplyAddition(change, answer.headers, [&x] { return InputOf(x); });
  }
  return answer;
}

Answer ErrorAnswer(const ExtAuthzConfig& config) {
  return {config.status_on_error,
          ResponseFlag::kUnauthorizedExternalService,
          "ext_authz_error",
          "",
          {}};
}

std::optional<Answer> Conclude(Exchange& x, const ActiveFilter& active,
                               const ExtAuthzConfig& config, AuthzVerdict verdict) {
  switch (verdict.kind) {
    case AuthzVerdict::Kind::kOk:
      Count(x, active, kOk);
      Allow(x, config, std::move(verdict));
      return std::nullopt;
    case AuthzVerdict::Kind::kDenied:
      Count(x, active, kDenied);
      return Deny(x, std::move(verdict));
    case AuthzVerdict::Kind::kError:
      break;
  }
  Count(x, active, kError);
  if (config.allow_on_error) {
    Count(x, active, kFailureModeAllowed);
    return std::nullopt;
  }
  x.record.upstream_failure = std::move(verdict.problem);
  return ErrorAnswer(config);
}

Task<AuthzVerdict> Ask(Exchange& x, const Question& question,
                       const std::optional<CheckBody>& body) {
  const ClusterConfig* cluster = x.config->FindCluster(question.config.cluster);
  if (cluster == nullptr) co_return AuthzVerdict::Error("cluster not found");
  // Over HTTP a CONNECT would open a tunnel to the authorizer.
  const bool http = std::holds_alternative<ExtAuthzConfig::Http>(question.config.service);
  if (http && x.head.method == "CONNECT") {
    co_return AuthzVerdict::Error("CONNECT cannot be asked about over HTTP");
  }
  UpstreamCall call = CallOf(x, question, body);
  CallAnswer answer =
      co_await CallUpstream(x.worker(), *cluster, x.connection.downstream, std::move(call));
  co_return VerdictOf(question.config, std::move(answer));
}

}  // namespace

Task<std::optional<Answer>> RunExtAuthz(Exchange& x, const ActiveFilter& active,
                                        const RequestMetadata& metadata) {
  const Question question = QuestionOf(active, metadata);
  const ExtAuthzConfig& config = question.config;
  if (question.route != nullptr && question.route->disabled) co_return std::nullopt;
  if (!IsAskedAbout(config, metadata.shadows, x.worker().Random())) {
    Count(x, active, kDisabled);
    if (config.deny_at_disable) co_return ErrorAnswer(config);
    co_return std::nullopt;
  }
  std::optional<CheckBody> body;
  if (TellsBody(x, question)) {
    std::optional<Answer> refused = co_await BufferBody(x, *config.most_body, config.partial_body);
    if (refused.has_value()) co_return refused;
    body = BodyOf(x, config);
  }
  AuthzVerdict verdict = co_await Ask(x, question, body);
  co_return Conclude(x, active, config, std::move(verdict));
}

void AddAuthzToResponse(Exchange& x, ResponseHead& head) {
  if (x.notes.authz == nullptr) return;
  for (const HeaderToAdd& change : *x.notes.authz) {
    ApplyAddition(change, head.headers, [&] { return InputOf(x, &head); });
  }
}

}  // namespace weft
