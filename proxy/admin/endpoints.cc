#include "proxy/admin/endpoints.h"

#include <malloc.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proxy/admin/config_dump.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr char kHelp[] =
    "admin commands are:\n"
    "  /certs: certificates in use\n"
    "  /clusters: endpoints and what is under way to them\n"
    "  /config_dump: config in force (?include_eds)\n"
    "  /drain_listeners (POST): stop accepting (?inboundonly); ?graceful: after the drain time, "
    "in\n"
    "      which clients are asked to go; ?graceful&skip_exit: ask them, and keep accepting\n"
    "  /healthcheck/fail (POST): answer /ready with 503, end connections with their requests\n"
    "  /healthcheck/ok (POST): take that back\n"
    "  /listeners: names and addresses\n"
    "  /logging (POST): change the log level (?level=debug)\n"
    "  /memory: what the allocator holds\n"
    "  /quitquitquit (POST): end the process\n"
    "  /ready: 200 and LIVE once config is in force\n"
    "  /server_info: version, state, uptime\n"
    "  /stats: counters (?filter=TEXT, ?usedonly, ?format=prometheus)\n"
    "  /stats/prometheus: counters for Prometheus\n";

const char* StateName(ServerState state) {
  switch (state) {
    case ServerState::kPreInitializing:
      return "PRE_INITIALIZING";
    case ServerState::kInitializing:
      return "INITIALIZING";
    case ServerState::kLive:
      return "LIVE";
    case ServerState::kDraining:
      return "DRAINING";
  }
  return "";
}

AdminResponse Json(std::string body) { return {200, "application/json", std::move(body)}; }

AdminResponse Memory() {
  const struct mallinfo2 info = mallinfo2();
  return Json(absl::StrCat("{\"allocated\":\"", info.uordblks, "\",\"heap_size\":\"",
                           info.arena + info.hblkhd, "\"}\n"));
}

bool ChangesState(absl::string_view path) {
  return path == "/drain_listeners" || path == "/quitquitquit" || path == "/logging" ||
         absl::StartsWith(path, "/healthcheck/");
}

absl::string_view HealthName(EndpointHealth health) {
  switch (health) {
    case EndpointHealth::kHealthy:
      return "healthy";
    case EndpointHealth::kUnhealthy:
      return "/failed_eds_health";
    case EndpointHealth::kDraining:
      return "/eds_status_draining";
    case EndpointHealth::kDegraded:
      return "/degraded";
  }
  return "";
}

std::string HealthFlags(const EndpointConfig& endpoint) {
  std::string flags(endpoint.health == EndpointHealth::kHealthy ? "" : HealthName(endpoint.health));
  if (endpoint.checked == CheckedHealth::kFailing) flags += "/failed_active_hc";
  if (endpoint.checked == CheckedHealth::kDegraded) flags += "/degraded_active_hc";
  return flags.empty() ? "healthy" : flags;
}

}  // namespace

AdminResponse AdminEndpoints::Ready() const {
  const ServerState state = view_.state();
  AdminResponse response;
  response.status = state == ServerState::kLive ? 200 : 503;
  response.body = absl::StrCat(StateName(state), "\n");
  if (state != ServerState::kLive && state != ServerState::kDraining) {
    for (const std::string& reason : view_.waiting()) absl::StrAppend(&response.body, reason, "\n");
  }
  return response;
}

AdminResponse AdminEndpoints::ServerInfo() const {
  return Json(absl::StrCat("{\"version\":\"weft-proxy\",\"state\":\"", StateName(view_.state()),
                           "\",\"uptime_current_epoch\":\"",
                           absl::ToInt64Seconds(absl::Now() - started_),
                           "s\",\"concurrency\":", view_.workers->size(), "}\n"));
}

AdminResponse AdminEndpoints::Listeners() const {
  AdminResponse response;
  const std::shared_ptr<const Snapshot> snapshot = view_.snapshot();
  for (const auto& [name, listener] : snapshot->listeners) {
    absl::StrAppend(&response.body, name, "::", listener->address.ToString(), "\n");
  }
  return response;
}

Task<AdminResponse> AdminEndpoints::Clusters() {
  const Workers::ActiveByEndpoint active = co_await view_.workers->CollectActive();
  const std::shared_ptr<const Snapshot> snapshot = view_.snapshot();
  std::map<std::string, std::shared_ptr<const ClusterConfig>> ordered(snapshot->clusters.begin(),
                                                                      snapshot->clusters.end());
  AdminResponse response;
  for (const auto& [name, cluster] : ordered) {
    const EndpointSet& set = *cluster->endpoints;
    for (size_t priority = 0; priority < set.priorities.size(); ++priority) {
      for (const LocalityConfig& locality : set.priorities[priority].localities) {
        for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
          const EndpointConfig& endpoint = set.endpoints[i];
          const std::string prefix = absl::StrCat(name, "::", endpoint.address.ToString(), "::");
          const auto of_cluster = active.find(name);
          uint64_t under_way = 0;
          if (of_cluster != active.end()) {
            const auto of_endpoint = of_cluster->second.find(endpoint.key);
            if (of_endpoint != of_cluster->second.end()) under_way = of_endpoint->second;
          }
          absl::StrAppend(&response.body, prefix, "rq_active::", under_way, "\n", prefix,
                          "health_flags::", HealthFlags(endpoint), "\n", prefix,
                          "weight::", endpoint.weight, "\n", prefix, "fanout::", endpoint.fanout,
                          "\n", prefix, "region::", locality.locality.region, "\n", prefix,
                          "zone::", locality.locality.zone, "\n", prefix, "priority::", priority,
                          "\n");
        }
      }
    }
  }
  co_return response;
}

Task<AdminResponse> AdminEndpoints::Stats(AdminRequest request, bool prometheus) {
  // An expression a client can make slow is no threat: RE2 is linear, and this is not the data
  // path.
  const RE2 filter(request.query["filter"], RE2::Quiet);
  if (!filter.ok())
    co_return AdminResponse{400, "text/plain", "Invalid regex: \"" + filter.error() + "\"\n"};
  StatsQuery query;
  query.filter = request.query["filter"].empty() ? nullptr : &filter;
  query.used_only = request.query.contains("usedonly");
  Statistics statistics;
  statistics.counters = co_await view_.workers->CollectCounters();
  statistics.server = view_.server_metrics();
  // What has not been used is zero rather than not there.
  const std::shared_ptr<const Snapshot> snapshot = view_.snapshot();
  for (const auto& [name, cluster] : snapshot->clusters) statistics.counters.clusters[name];
  for (const auto& [name, listener] : snapshot->listeners) statistics.counters.listeners[name];
  AdminResponse response;
  const std::string format = request.query["format"];
  if (prometheus || format == "prometheus") {
    response.content_type = "text/plain; version=0.0.4";
    response.body = FormatPrometheus(statistics, query);
  } else if (format == "json") {
    response.content_type = "application/json";
    response.body = FormatStatsJson(statistics, query);
  } else {
    response.body = FormatStats(statistics, query);
  }
  co_return response;
}

AdminResponse AdminEndpoints::Drain(const AdminRequest& request) {
  DrainRequest order;
  order.inbound_only = request.query.contains("inboundonly");
  order.graceful = request.query.contains("graceful");
  order.keep_listeners = request.query.contains("skip_exit");
  if (order.keep_listeners && !order.graceful) {
    return {400, "text/plain", "skip_exit goes with graceful: use ?graceful&skip_exit\n"};
  }
  view_.drain(order);
  return {200, "text/plain", "OK\n"};
}

AdminResponse AdminEndpoints::Change(const AdminRequest& request) {
  if (request.method != "POST") {
    return {400, "text/plain", absl::StrCat(request.path, " changes state: use POST\n")};
  }
  if (request.path == "/drain_listeners") {
    return Drain(request);
  } else if (request.path == "/quitquitquit") {
    view_.quit();
  } else if (request.path == "/healthcheck/fail") {
    view_.set_healthy(false);
  } else if (request.path == "/healthcheck/ok") {
    view_.set_healthy(true);
  } else if (request.path == "/logging") {
    const auto level = request.query.find("level");
    const std::optional<LogLevel> parsed =
        level == request.query.end() ? std::nullopt : ParseLogLevel(level->second);
    if (!parsed.has_value()) {
      return {400, "text/plain", "give ?level=trace|debug|info|warning|error|off\n"};
    }
    SetLogLevel(*parsed);
  } else {
    return {404, "text/plain", "unknown admin command; see /help\n"};
  }
  return {200, "text/plain", "OK\n"};
}

Task<AdminResponse> AdminEndpoints::Open::Handle(AdminRequest request) {
  if (request.path == "/healthz/ready") co_return all_.Ready();
  if (request.path == "/stats/prometheus") co_return co_await all_.Stats(std::move(request), true);
  co_return AdminResponse{404, "text/plain", "only /healthz/ready and /stats/prometheus\n"};
}

Task<AdminResponse> AdminEndpoints::Handle(AdminRequest request) {
  const std::string& path = request.path;
  if (ChangesState(path)) co_return Change(request);
  if (path == "/ready") co_return Ready();
  if (path == "/server_info") co_return ServerInfo();
  if (path == "/listeners") co_return Listeners();
  if (path == "/certs") co_return Json(view_.certificates());
  if (path == "/memory") co_return Memory();
  if (path == "/config_dump") {
    co_return Json(ConfigDump(*view_.raw, request.query.contains("include_eds")));
  }
  if (path == "/clusters") co_return co_await Clusters();
  if (path == "/stats") {
    co_return co_await Stats(std::move(request), /*prometheus=*/false);
  }
  if (path == "/stats/prometheus") co_return co_await Stats(std::move(request), true);
  if (path == "/" || path == "/help") co_return AdminResponse{200, "text/plain", kHelp};
  co_return AdminResponse{404, "text/plain", absl::StrCat("no ", path, "\n", kHelp)};
}

}  // namespace weft
