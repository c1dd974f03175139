#include "proxy/admin/endpoints.h"

#include <malloc.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/type_urls.h"
#include "proxy/admin/config_dump.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

using nlohmann::ordered_json;

struct Path {
  const char* path;
  bool changes_state;  // only by POST
  const char* help;
};
constexpr Path kPaths[] = {
    {"/", false, "Admin home page"},
    {"/certs", false, "print certs on machine"},
    {"/clusters", false, "endpoints and what is under way to them (?format=json)"},
    {"/config_dump", false, "what the proxy was told (?include_eds, resource, mask, name_regex)"},
    {"/drain_listeners", true, "stop accepting (?inboundonly, graceful, skip_exit)"},
    {"/healthcheck/fail", true, "answer /ready with 503"},
    {"/healthcheck/ok", true, "take that back"},
    {"/help", false, "this list"},
    {"/hot_restart_version", false, "always disabled"},
    {"/listeners", false, "names and addresses (?format=json)"},
    {"/logging", true, "change the log level (?level=debug)"},
    {"/memory", false, "what the allocator holds"},
    {"/quitquitquit", true, "end the process"},
    {"/ready", false, "200 and LIVE once config is in force"},
    {"/reset_counters", true, "count from zero"},
    {"/runtime", false, "values of layered_runtime"},
    {"/server_info", false, "version, state, uptime, options"},
    {"/stats", false, "counters (?filter=REGEX, usedonly, format=json|prometheus|text)"},
    {"/stats/prometheus", false, "counters for Prometheus"},
};

const Path* FindPath(absl::string_view path) {
  for (const Path& one : kPaths) {
    if (one.path == path) return &one;
  }
  return nullptr;
}

std::string Help() {
  std::string help = "admin commands are:\n";
  for (const Path& one : kPaths) {
    absl::StrAppend(&help, "  ", one.path, one.changes_state ? " (POST)" : "", ": ", one.help,
                    "\n");
  }
  return help;
}

AdminResponse HomePage() {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><title>weft-proxy admin</title></head><body>\n"
      "<table><thead><tr><th>Command</th><th>Description</th></tr></thead><tbody>\n";
  for (const Path& one : kPaths) {
    const std::string form =
        one.changes_state
            ? absl::StrCat("<form action=\"", one.path + 1, "\" method=\"post\"><button>",
                           one.path + 1, "</button></form>")
            : absl::StrCat("<a href=\"", one.path + 1, "\">", one.path, "</a>");
    absl::StrAppend(&page, "<tr><td>", form, "</td><td>", one.help, "</td></tr>\n");
  }
  absl::StrAppend(&page, "</tbody></table></body></html>\n");
  return {200, "text/html; charset=UTF-8", std::move(page)};
}

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
AdminResponse Json(const ordered_json& json) {
  return Json(json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

bool WantsJson(const AdminRequest& request) {
  const auto format = request.query.find("format");
  return format != request.query.end() && format->second == "json";
}

AdminResponse Memory() {
  const struct mallinfo2 info = mallinfo2();
  const auto text = [](size_t bytes) { return absl::StrCat(bytes); };
  return Json(ordered_json{{"allocated", text(info.uordblks + info.hblkhd)},
                           {"heap_size", text(info.arena + info.hblkhd)},
                           {"pageheap_unmapped", "0"},
                           {"pageheap_free", text(info.fordblks)},
                           {"total_thread_cache", "0"},
                           {"total_physical_bytes", text(info.arena + info.hblkhd)}});
}

ordered_json ToJson(const Address& address) {
  return {{"socket_address", {{"address", address.ip()}, {"port_value", address.port()}}}};
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

absl::string_view EdsHealthName(EndpointHealth health) {
  switch (health) {
    case EndpointHealth::kHealthy:
      return "HEALTHY";
    case EndpointHealth::kUnhealthy:
      return "UNHEALTHY";
    case EndpointHealth::kDraining:
      return "DRAINING";
    case EndpointHealth::kDegraded:
      return "DEGRADED";
  }
  return "";
}

std::string HealthFlags(const EndpointConfig& endpoint) {
  std::string flags(endpoint.health == EndpointHealth::kHealthy ? "" : HealthName(endpoint.health));
  if (endpoint.checked == CheckedHealth::kFailing) flags += "/failed_active_hc";
  if (endpoint.checked == CheckedHealth::kDegraded) flags += "/degraded_active_hc";
  return flags.empty() ? "healthy" : flags;
}

absl::string_view CurrentLevel() {
  constexpr std::pair<LogLevel, const char*> kLevels[] = {{LogLevel::kTrace, "trace"},
                                                          {LogLevel::kDebug, "debug"},
                                                          {LogLevel::kInfo, "info"},
                                                          {LogLevel::kWarning, "warning"},
                                                          {LogLevel::kError, "error"}};
  for (const auto& [level, name] : kLevels) {
    if (IsLogged(level)) return name;
  }
  return "off";
}

// ?level=debug, or ?NAME=debug for one of Envoy's loggers: there is one level here, so only the
// former changes it; without either, what it is now.
AdminResponse SetLogging(const AdminRequest& request) {
  const auto level = request.query.find("level");
  if (level == request.query.end()) {
    if (request.query.empty()) {
      return {200, "text/plain", absl::StrCat("active loggers:\n  all: ", CurrentLevel(), "\n")};
    }
    return {400, "text/plain", "only ?level= is supported: there are no loggers by name\n"};
  }
  const std::optional<LogLevel> parsed = ParseLogLevel(level->second);
  if (!parsed.has_value()) {
    return {400, "text/plain", "give ?level=trace|debug|info|warning|error|off\n"};
  }
  SetLogLevel(*parsed);
  return {200, "text/plain", absl::StrCat("active loggers:\n  all: ", CurrentLevel(), "\n")};
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
  const std::string uptime = absl::StrCat(absl::ToInt64Seconds(absl::Now() - started_), "s");
  ordered_json info = {{"version", "weft-proxy"},           {"state", StateName(view_.state())},
                       {"uptime_current_epoch", uptime},    {"uptime_all_epochs", uptime},
                       {"hot_restart_version", "disabled"}, {"concurrency", view_.workers->size()}};
  const ordered_json more = ordered_json::parse(view_.server_info, /*cb=*/nullptr,
                                                /*allow_exceptions=*/false);
  if (more.is_object()) info.update(more);
  return Json(info);
}

AdminResponse AdminEndpoints::Listeners(const AdminRequest& request) const {
  AdminResponse response;
  ordered_json statuses = ordered_json::array();
  const std::shared_ptr<const Snapshot> snapshot = view_.snapshot();
  for (const auto& [name, listener] : snapshot->listeners) {
    absl::StrAppend(&response.body, name, "::", listener->address.ToString(), "\n");
    statuses.push_back({{"name", name}, {"local_address", ToJson(listener->address)}});
  }
  return WantsJson(request) ? Json(ordered_json{{"listener_statuses", statuses}}) : response;
}

AdminResponse AdminEndpoints::Dump(const AdminRequest& request) const {
  const auto parameter = [&request](const char* name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? std::string() : found->second;
  };
  const RE2 names(parameter("name_regex"), RE2::Quiet);
  if (!names.ok()) return {400, "text/plain", "Error while parsing name_regex from the URL\n"};
  ConfigDumpQuery query;
  query.include_eds = request.query.contains("include_eds");
  query.resource = parameter("resource");
  query.mask = parameter("mask");
  if (request.query.contains("name_regex")) query.name_regex = &names;
  ConfigDumpSource source;
  source.config = view_.config;
  source.bootstrap = *view_.bootstrap;
  source.started = started_;
  absl::StatusOr<std::string> dump = ConfigDump(source, query);
  if (!dump.ok()) return {404, "text/plain", std::string(dump.status().message())};
  return Json(*std::move(dump));
}

namespace {

// An endpoint with where it stands in its cluster.
struct EndpointView {
  const std::string& cluster;
  const EndpointConfig& endpoint;
  const EndpointLocality& locality;
  size_t priority;
  uint64_t active;
};

template <typename Visit>
void ForEachEndpoint(const std::string& name, const ClusterConfig& cluster,
                     const std::map<std::string, uint64_t>& active, Visit visit) {
  const EndpointSet& set = *cluster.endpoints;
  for (size_t priority = 0; priority < set.priorities.size(); ++priority) {
    for (const LocalityConfig& locality : set.priorities[priority].localities) {
      for (size_t i = locality.first; i < locality.first + locality.count; ++i) {
        const auto found = active.find(set.endpoints[i].key);
        visit(EndpointView{name, set.endpoints[i], locality.locality, priority,
                           found == active.end() ? 0 : found->second});
      }
    }
  }
}

void AppendText(const EndpointView& view, std::string& to) {
  const EndpointConfig& endpoint = view.endpoint;
  const std::string prefix = absl::StrCat(view.cluster, "::", endpoint.address.ToString(), "::");
  const auto line = [&](absl::string_view name, const auto& value) {
    absl::StrAppend(&to, prefix, name, "::", value, "\n");
  };
  line("rq_active", view.active);
  line("hostname", endpoint.host_name);
  line("health_flags", HealthFlags(endpoint));
  line("weight", endpoint.weight);
  line("fanout", endpoint.fanout);
  line("region", view.locality.region);
  line("zone", view.locality.zone);
  line("sub_zone", view.locality.sub_zone);
  line("priority", view.priority);
}

void AppendText(const std::string& name, const ClusterConfig& cluster, bool added_via_api,
                std::string& to) {
  absl::StrAppend(&to, name, "::observability_name::", name, "\n");
  const auto limit = [&](absl::string_view what, uint64_t value) {
    absl::StrAppend(&to, name, "::default_priority::", what, "::", value, "\n");
  };
  limit("max_connections", cluster.limits.max_connections);
  limit("max_pending_requests", cluster.limits.max_pending_requests);
  limit("max_requests", cluster.limits.max_requests);
  limit("max_retries", cluster.limits.max_retries);
  absl::StrAppend(&to, name, "::added_via_api::", added_via_api ? "true" : "false", "\n");
}

ordered_json ToJson(const EndpointView& view) {
  const EndpointConfig& endpoint = view.endpoint;
  ordered_json health = {{"eds_health_status", EdsHealthName(endpoint.health)}};
  if (endpoint.checked == CheckedHealth::kFailing) health["failed_active_health_check"] = true;
  ordered_json host = {
      {"address", ToJson(endpoint.address)},
      {"stats",
       ordered_json::array(
           {{{"name", "rq_active"}, {"value", absl::StrCat(view.active)}, {"type", "GAUGE"}}})},
      {"health_status", std::move(health)},
      {"weight", endpoint.weight},
      {"locality",
       {{"region", view.locality.region},
        {"zone", view.locality.zone},
        {"sub_zone", view.locality.sub_zone}}},
      {"priority", view.priority}};
  if (!endpoint.host_name.empty()) host["hostname"] = endpoint.host_name;
  return host;
}

}  // namespace

Task<AdminResponse> AdminEndpoints::Clusters(AdminRequest request) {
  const Workers::ActiveByEndpoint active = co_await view_.workers->CollectActive();
  const std::shared_ptr<const Snapshot> snapshot = view_.snapshot();
  std::map<std::string, std::shared_ptr<const ClusterConfig>> ordered(snapshot->clusters.begin(),
                                                                      snapshot->clusters.end());
  std::set<std::string> dynamic;
  for (const ResourceDescription& one : view_.config->Describe(kClusterType)) {
    if (!one.is_static) dynamic.insert(one.name);
  }
  const std::map<std::string, uint64_t> none;
  AdminResponse response;
  ordered_json statuses = ordered_json::array();
  for (const auto& [name, cluster] : ordered) {
    const bool added_via_api = dynamic.count(name) != 0;
    const auto found = active.find(name);
    ordered_json hosts = ordered_json::array();
    AppendText(name, *cluster, added_via_api, response.body);
    ForEachEndpoint(name, *cluster, found == active.end() ? none : found->second,
                    [&](const EndpointView& view) {
                      AppendText(view, response.body);
                      hosts.push_back(ToJson(view));
                    });
    statuses.push_back({{"name", name},
                        {"observability_name", name},
                        {"added_via_api", added_via_api},
                        {"host_statuses", std::move(hosts)}});
  }
  if (WantsJson(request)) co_return Json(ordered_json{{"cluster_statuses", statuses}});
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

Task<AdminResponse> AdminEndpoints::Change(AdminRequest request) {
  if (request.path == "/drain_listeners") {
    co_return Drain(request);
  } else if (request.path == "/quitquitquit") {
    view_.quit();
  } else if (request.path == "/healthcheck/fail") {
    view_.set_healthy(false);
  } else if (request.path == "/healthcheck/ok") {
    view_.set_healthy(true);
  } else if (request.path == "/reset_counters") {
    co_await view_.workers->ResetCounters();
  } else if (request.path == "/logging") {
    co_return SetLogging(request);
  }
  co_return AdminResponse{200, "text/plain", "OK\n"};
}

Task<AdminResponse> AdminEndpoints::Open::Handle(AdminRequest request) {
  if (request.path == "/healthz/ready") co_return all_.Ready();
  if (request.path == "/stats/prometheus") co_return co_await all_.Stats(std::move(request), true);
  co_return AdminResponse{404, "text/plain", "only /healthz/ready and /stats/prometheus\n"};
}

Task<AdminResponse> AdminEndpoints::Handle(AdminRequest request) {
  const std::string path = request.path;
  const Path* known = FindPath(path);
  if (known == nullptr) {
    co_return AdminResponse{404, "text/plain", absl::StrCat("invalid path. ", Help())};
  }
  if (known->changes_state) {
    if (request.method != "POST") {
      co_return AdminResponse{
          400, "text/plain",
          absl::StrCat("Method Not Allowed: ", path, " changes state, use POST\n")};
    }
    co_return co_await Change(std::move(request));
  }
  if (path == "/ready") co_return Ready();
  if (path == "/server_info") co_return ServerInfo();
  if (path == "/listeners") co_return Listeners(request);
  if (path == "/certs") co_return Json(view_.certificates());
  if (path == "/memory") co_return Memory();
  if (path == "/config_dump") co_return Dump(request);
  if (path == "/clusters") co_return co_await Clusters(std::move(request));
  if (path == "/stats") co_return co_await Stats(std::move(request), /*prometheus=*/false);
  if (path == "/stats/prometheus") co_return co_await Stats(std::move(request), true);
  if (path == "/runtime") co_return Json(view_.runtime);
  if (path == "/hot_restart_version") co_return AdminResponse{200, "text/plain", "disabled\n"};
  if (path == "/") co_return HomePage();
  co_return AdminResponse{200, "text/plain", Help()};
}

}  // namespace weft
