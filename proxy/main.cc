// weft-proxy: a sidecar, a gateway, or a proxy of its own from an Envoy v3 bootstrap file.
//
//   weft-proxy -c bootstrap.yaml [--mode validate] [--concurrency N] [--log-level debug] …
//   weft-proxy sidecar | gateway | router (told who it is by environment variables)
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <thread>

#include "api/envoy/bootstrap.pb.h"
#include "proxy/base/log.h"
#include "proxy/config/bootstrap.h"
#include "proxy/config/config_state.h"
#include "proxy/mesh_environment.h"
#include "proxy/proxy.h"

namespace {

struct Arguments {
  std::string config_path;
  std::string config_yaml;
  std::string log_path;
  std::string admin_address_path;
  std::string mode = "serve";
  std::string log_level = "info";
  size_t concurrency = 0;
  uint32_t drain_time_s = 600;
  // Said to Envoy for what has no counterpart here: hot restart.
  uint32_t base_id = 0;
  uint32_t restart_epoch = 0;
  uint32_t parent_shutdown_time_s = 0;
  std::string drain_strategy;
  bool no_hot_restart = false;
  std::string service_node;
  std::string service_cluster;
};

int Fail(const absl::Status& status) {
  fprintf(stderr, "weft-proxy: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Threads of the data plane: as asked, else as injection says, else one a core.
size_t Concurrency(const Arguments& arguments) {
  if (arguments.concurrency > 0) return arguments.concurrency;
  const char* from_injection = getenv("WEFT_CONCURRENCY");
  const int asked = from_injection != nullptr ? atoi(from_injection) : 0;
  if (asked > 0) return static_cast<size_t>(asked);
  return std::max(1u, std::thread::hardware_concurrency());
}

int ServeMesh(weft::Proxy& proxy, weft::MeshRole role) {
  auto environment = weft::ReadMeshEnvironment(role, [](const char* name) { return getenv(name); });
  if (!environment.ok()) return Fail(environment.status());
  absl::Status status = proxy.ConfigureFromMesh(*environment);
  if (status.ok()) status = proxy.Run();
  return status.ok() ? 0 : Fail(status);
}

// The parsed file is gone when this returns: it would be the largest thing in memory.
absl::Status Configure(weft::Proxy& proxy, const Arguments& arguments) {
  auto bootstrap = weft::LoadBootstrap(arguments.config_path, arguments.config_yaml);
  if (!bootstrap.ok()) return bootstrap.status();
  absl::Status status = proxy.ConfigureFromBootstrap(*bootstrap);
  if (status.ok()) return status;
  const std::string where =
      arguments.config_path.empty() ? std::string("--config-yaml") : arguments.config_path;
  return absl::Status(status.code(), where + ": " + std::string(status.message()));
}

int ServeBootstrap(weft::Proxy& proxy, const Arguments& arguments) {
  absl::Status status = Configure(proxy, arguments);
  if (!status.ok()) return Fail(status);
  if (arguments.mode == "validate") {
    printf("configuration '%s' OK\n", arguments.config_path.c_str());
    return 0;
  }
  status = proxy.Run();
  return status.ok() ? 0 : Fail(status);
}

// Options whose values Envoy's users give and that change nothing here.
void AcceptHotRestart(CLI::App& app, Arguments& arguments) {
  app.add_option("--base-id", arguments.base_id, "ignored: there is no hot restart");
  app.add_option("--restart-epoch", arguments.restart_epoch, "ignored");
  app.add_option("--parent-shutdown-time-s", arguments.parent_shutdown_time_s, "ignored");
  app.add_option("--drain-strategy", arguments.drain_strategy, "ignored: drains at once");
  app.add_flag("--use-dynamic-base-id,--disable-hot-restart", arguments.no_hot_restart, "ignored");
}

// What is logged goes to stderr; with --log-path, to that file.
bool OpenLog(const std::string& path) {
  return path.empty() || freopen(path.c_str(), "a", stderr) != nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  // An arena a thread would keep what each thread once needed; these few threads share.
  mallopt(M_ARENA_MAX, 2);
  Arguments arguments;
  CLI::App app("weft-proxy: the data plane of Weft");
  app.add_option("-c,--config-path", arguments.config_path, "Envoy v3 bootstrap, YAML or JSON");
  app.add_option("--config-yaml", arguments.config_yaml,
                 "bootstrap as text, merged over that of --config-path");
  app.set_version_flag("--version", "weft-proxy");
  app.add_option("--log-path", arguments.log_path, "file to log to (default: stderr)");
  app.add_option("--admin-address-path", arguments.admin_address_path,
                 "file to write the admin port's address to");
  AcceptHotRestart(app, arguments);
  app.add_option("--mode", arguments.mode, "serve, or validate: check the config and exit")
      ->check(CLI::IsMember({"serve", "validate"}));
  app.add_option("--concurrency", arguments.concurrency, "worker threads (default: one a core)");
  app.add_option("-l,--log-level", arguments.log_level, "trace, debug, info, warning, error, off");
  app.add_option("--drain-time-s", arguments.drain_time_s,
                 "seconds that connections may take to finish after SIGTERM");
  app.add_option("--service-node", arguments.service_node, "node.id towards the xDS server");
  app.add_option("--service-cluster", arguments.service_cluster,
                 "node.cluster towards the xDS server");
  CLI::App* sidecar = app.add_subcommand("sidecar", "beside a workload, configured by weftd");
  // To weftd both are routers; by their namespace it tells what they serve.
  CLI::App* gateway = app.add_subcommand("gateway", "between clusters, configured by weftd");
  gateway->alias("router");
  CLI11_PARSE(app, argc, argv);

  const auto level = weft::ParseLogLevel(arguments.log_level);
  if (!level.has_value()) {
    fprintf(stderr,
            "weft-proxy: --log-level %s: expected trace, debug, info, warning, error or off\n",
            arguments.log_level.c_str());
    return 64;
  }
  weft::SetLogLevel(*level);
  if (!sidecar->parsed() && !gateway->parsed() && arguments.config_path.empty() &&
      arguments.config_yaml.empty()) {
    fprintf(stderr, "weft-proxy: give -c BOOTSTRAP, or run as 'sidecar' or 'gateway'\n");
    return 64;
  }

  if (!OpenLog(arguments.log_path)) {
    fprintf(stderr, "weft-proxy: --log-path %s: cannot be opened\n", arguments.log_path.c_str());
    return 1;
  }

  weft::ProxyOptions options;
  options.config_path = arguments.config_path;
  options.admin_address_path = arguments.admin_address_path;
  options.concurrency = Concurrency(arguments);
  options.drain_time = absl::Seconds(arguments.drain_time_s);
  options.service_node = arguments.service_node;
  options.service_cluster = arguments.service_cluster;
  weft::Proxy proxy(options);
  if (sidecar->parsed()) return ServeMesh(proxy, weft::MeshRole::kSidecar);
  if (gateway->parsed()) return ServeMesh(proxy, weft::MeshRole::kGateway);
  return ServeBootstrap(proxy, arguments);
}
