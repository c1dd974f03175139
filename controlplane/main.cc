// weftd: reads its flags, starts the control plane, and waits to be told to stop.
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include <cstdio>
#include <cstdlib>

#include "controlplane/control_plane.h"
#include "controlplane/flags.h"
#include "controlplane/validate_command.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

int Fail(int code, const absl::Status& status) {
  fprintf(stderr, "weftd: %s\n", std::string(status.message()).c_str());
  return code;
}

// Blocked before any thread starts, so that only sigwait takes them.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  return stops;
}

// Each proxy is a connection. The usual limit of 1024 descriptors is low only for the sake of
// programs that use select().
void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Serve(const Flags& flags) {
  auto options = ToOptions(flags);
  if (!options.ok()) return Fail(EX_USAGE, options.status());
  // What matters of gRPC's own log is in our errors; its format is not ours. GRPC_VERBOSITY wins.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  RaiseDescriptorLimit();
  const sigset_t stops = BlockSignals();
  auto control_plane = ControlPlane::Start(*std::move(options));
  if (!control_plane.ok()) return Fail(EX_UNAVAILABLE, control_plane.status());
  Log(LogLevel::kInfo, "started",
      {{"cluster", flags.cluster},
       {"xds", (*control_plane)->xds().ToString()},
       {"xds_plain", (*control_plane)->xds_plain().ToString()},
       {"peer", (*control_plane)->peer().ToString()},
       {"monitoring", (*control_plane)->monitoring().ToString()},
       {"webhook", (*control_plane)->webhook().ToString()}});
  int got = 0;
  sigwait(&stops, &got);
  Log(LogLevel::kInfo, "stopping", {{"signal", strsignal(got)}});
  return EX_OK;
}

int Main(int argc, char** argv) {
  int exit_code = 0;
  const std::optional<Flags> flags = ParseFlags(argc, argv, &exit_code);
  if (!flags.has_value()) return exit_code;
  const std::optional<LogLevel> level = ParseLogLevel(flags->log_level);
  if (!level.has_value()) {
    return Fail(EX_USAGE, absl::InvalidArgumentError("--log-level: no such level"));
  }
  SetLogLevel(*level);
  if (!flags->validate) return Serve(*flags);
  auto folders = RegistryFolders(flags->registry);
  if (!folders.ok()) return Fail(EX_USAGE, folders.status());
  std::vector<std::string> linked;
  if (!flags->validate_with.empty()) {
    auto given = RegistryFolders(flags->validate_with);
    if (!given.ok()) return Fail(EX_USAGE, given.status());
    linked = *std::move(given);
  }
  return ValidateFolders(*folders, linked);
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::Main(argc, argv); }
