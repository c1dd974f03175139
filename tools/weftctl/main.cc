// weftctl: the command line of Weft.
#include <signal.h>
#include <stdio.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tools/weftctl/ca_command.h"
#include "tools/weftctl/capture_command.h"
#include "tools/weftctl/cluster_command.h"
#include "tools/weftctl/link_command.h"
#include "tools/weftctl/sandbox/commands.h"
#include "tools/weftctl/sandbox/echo.h"
#include "tools/weftctl/sandbox/state_dir.h"
#include "tools/weftctl/sandbox/supervisor.h"
#include "tools/weftctl/sandbox/up.h"
#include "tools/weftctl/weftd_client.h"

namespace weft {
namespace {

// The commands as the user typed them; CLI11 fills the fields, `run` is what was chosen.
struct Arguments {
  sandbox::UpOptions up;
  sandbox::EchoOptions echo;
  std::string name = "default", target, cluster, container, format = "table", state;
  std::vector<std::string> command, files, capture_flags;
  DrainOptions drain;
  RotateOptions rotate;
  LinkOptions link;
  std::function<int()> run;
};

CLI::App* AddCommand(CLI::App* parent, Arguments* a, const char* name, const char* help,
                     std::function<int()> run) {
  CLI::App* command = parent->add_subcommand(name, help);
  command->callback([a, run = std::move(run)] { a->run = run; });
  return command;
}

CLI::App* AddNamed(CLI::App* parent, Arguments* a, const char* name, const char* help,
                   std::function<int()> run) {
  CLI::App* command = AddCommand(parent, a, name, help, std::move(run));
  command->add_option("--name", a->name, "the sandbox, where several are up")
      ->capture_default_str();
  return command;
}

void AddUp(CLI::App* sandbox, Arguments* a) {
  CLI::App* up = AddNamed(sandbox, a, "up", "start clusters from folders of Kubernetes YAML", [a] {
    a->up.name = a->name;
    return sandbox::Up(a->up);
  });
  auto repeat = CLI::MultiOptionPolicy::TakeAll;
  up->add_option("--cluster", a->up.clusters, "NAME=DIR[,DIR…], repeatable")
      ->required()
      ->multi_option_policy(repeat)
      ->allow_extra_args(false);
  up->add_option("--locality", a->up.localities, "NAME=REGION/ZONE of a cluster, repeatable")
      ->multi_option_policy(repeat)
      ->allow_extra_args(false);
  up->add_option("--block-inbound", a->up.blocked,
                 "a cluster that nothing from outside comes into, as behind NAT; repeatable")
      ->multi_option_policy(repeat)
      ->allow_extra_args(false);
  up->add_option("--ca-certs", a->up.ca_certs,
                 "NAME=DIR: a cluster's CA, as weftd's --ca-certs has it; repeatable")
      ->multi_option_policy(repeat)
      ->allow_extra_args(false);
  up->add_option("--image", a->up.images, "IMAGE=COMMAND to run for an image, repeatable")
      ->multi_option_policy(repeat)
      ->allow_extra_args(false);
  up->add_option("--export", a->up.exports, "what other clusters see of these")
      ->check(CLI::IsMember({"all", "none"}))
      ->capture_default_str();
  up->add_option("--link", a->up.link, "which clusters are linked; none: as `weftctl link` says")
      ->check(CLI::IsMember({"mesh", "none"}))
      ->capture_default_str();
  up->add_flag("--dual-stack", a->up.dual_stack, "pods and services may have IPv6 addresses, too");
  up->add_option("--timeout", a->up.timeout_seconds, "seconds until everything has to be ready")
      ->capture_default_str();
  up->add_flag("--lenient", a->up.lenient, "start although objects have problems");
  up->add_flag("--keep", a->up.keep, "leave a sandbox that did not come up, to look at");
  up->add_option("--weftd", a->up.weftd)->group("");
  up->add_option("--proxy", a->up.weft_proxy)->group("");
}

void AddTargeted(CLI::App* sandbox, Arguments* a) {
  CLI::App* exec = AddNamed(sandbox, a, "exec", "run a command in a pod, or in CLUSTER/router",
                            [a] { return sandbox::Exec(a->name, a->target, a->command); });
  exec->add_option("target", a->target, "CLUSTER/[NAMESPACE/]WORKLOAD")->required();
  exec->add_option("command", a->command, "after --")->required();
  for (const char* verb : {"kill", "restart"}) {
    const char* help = *verb == 'k' ? "SIGKILL all processes of pods" : "start dead pods again";
    CLI::App* command = AddNamed(sandbox, a, verb, help, [a, verb] {
      return sandbox::KillOrRestart(a->name, verb, a->target);
    });
    command
        ->add_option("target", a->target,
                     "CLUSTER/POD, CLUSTER/WORKLOAD, CLUSTER/weftd or "
                     "CLUSTER/gateway")
        ->required();
  }
  CLI::App* logs = AddNamed(sandbox, a, "logs", "what containers printed",
                            [a] { return sandbox::ShowLogs(a->name, a->target, a->container); });
  logs->add_option("target", a->target, "CLUSTER/[NAMESPACE/]WORKLOAD")->required();
  logs->add_option("-c,--container", a->container, "only this container");
}

void AddObjectCommands(CLI::App* sandbox, Arguments* a) {
  for (const char* verb : {"apply", "delete"}) {
    const char* help = *verb == 'a' ? "add or change objects" : "delete objects";
    CLI::App* command = AddNamed(sandbox, a, verb, help, [a, verb] {
      return sandbox::ApplyOrDelete(a->name, verb, a->cluster, a->files);
    });
    command->add_option("cluster", a->cluster)->required();
    command->add_option("-f,--filename", a->files, "YAML or JSON; - is standard input")
        ->required()
        ->allow_extra_args(false);
  }
}

void AddHidden(CLI::App* sandbox, Arguments* a) {
  CLI::App* supervise = AddCommand(sandbox, a, "supervise", "", [a] {
    return sandbox::RunSupervisor(sandbox::StateDir::At(a->state));
  });
  supervise->group("");
  supervise->add_option("state", a->state)->required();
  CLI::App* echo = AddCommand(sandbox, a, "echo", "", [a] { return sandbox::RunEcho(a->echo); });
  echo->group("");
  echo->add_option("--port", a->echo.ports)->required()->allow_extra_args(false);
  echo->add_option("--cluster", a->echo.cluster);
  echo->add_option("--namespace", a->echo.pod_namespace);
  echo->add_option("--pod", a->echo.pod);
  echo->add_option("--workload", a->echo.workload);
  echo->add_option("--version", a->echo.version);
  echo->add_option("--service-account", a->echo.service_account);
}

void AddSandbox(CLI::App* app, Arguments* a) {
  CLI::App* sandbox = app->add_subcommand("sandbox", "whole clusters on this machine");
  sandbox->require_subcommand(1);
  AddUp(sandbox, a);
  CLI::App* status = AddNamed(sandbox, a, "status", "clusters, pods and gateways",
                              [a] { return sandbox::ShowStatus(a->name, a->format); });
  status->add_option("-o,--output", a->format)->check(CLI::IsMember({"table", "json"}));
  AddTargeted(sandbox, a);
  AddObjectCommands(sandbox, a);
  AddNamed(sandbox, a, "down", "end the sandbox and leave nothing behind",
           [a] { return sandbox::Down(a->name); });
  AddHidden(sandbox, a);
}

// Which weftd it is for. `cluster` is an argument where it stands for itself.
void AddAddress(CLI::App* command, WeftdAddress& address) {
  command->add_option("--name", address.sandbox, "the sandbox, where several are up")
      ->capture_default_str();
  command->add_option("--weftd", address.weftd,
                      "the admin socket or data folder of a weftd outside of sandboxes");
}

void AddCluster(CLI::App* app, Arguments* a) {
  CLI::App* cluster = app->add_subcommand("cluster", "a cluster as a whole");
  cluster->require_subcommand(1);
  for (const bool draining : {true, false}) {
    CLI::App* command =
        AddCommand(cluster, a, draining ? "drain" : "undrain",
                   draining ? "move traffic off a cluster" : "and back", [a, draining] {
                     a->drain.draining = draining;
                     return DrainCluster(a->drain, &CallWeftd);
                   });
    command->add_option("cluster", a->drain.cluster)->required();
    AddAddress(command, a->drain);
  }
}

void AddCa(CLI::App* app, Arguments* a) {
  CLI::App* ca = app->add_subcommand("ca", "the certificate authority of a cluster");
  ca->require_subcommand(1);
  CLI::App* rotate =
      AddCommand(ca, a, "rotate", "replace certificates in stages, without a request lost",
                 [a] { return RotateCa(a->rotate); });
  rotate->add_option("what", a->rotate.what)
      ->required()
      ->check(CLI::IsMember({"leaf", "intermediate", "root"}));
  rotate->add_option("--cluster", a->rotate.of.cluster, "of a sandbox");
  AddAddress(rotate, a->rotate.of);
}

CLI::App* AddLinkCommand(CLI::App* link, Arguments* a, const char* name, const char* help,
                         int (*run)(const LinkOptions&)) {
  CLI::App* command = AddCommand(link, a, name, help, [a, run] {
    a->link.json = a->format == "json";
    return run(a->link);
  });
  command->add_option("--cluster", a->link.of.cluster, "of a sandbox: whose link it is");
  AddAddress(command, a->link.of);
  return command;
}

void AddLink(CLI::App* app, Arguments* a) {
  CLI::App* link = app->add_subcommand("link", "a cluster's links with others");
  link->require_subcommand(1);
  CLI::App* token = AddLinkCommand(link, a, "token", "make a token for another cluster to join by",
                                   &MakeLinkToken);
  token->add_option("--valid", a->link.valid, "for how long; it is good for one cluster")
      ->capture_default_str();
  CLI::App* join =
      AddLinkCommand(link, a, "join", "link with the cluster that made the token", &JoinLink);
  join->add_option("token", a->link.token, "- for standard input")->required();
  CLI::App* list = AddLinkCommand(link, a, "list", "the clusters it is linked with", &ListLinks);
  CLI::App* status = AddLinkCommand(link, a, "status", "all that is known of a link", &ShowLink);
  CLI::App* remove = AddLinkCommand(link, a, "remove", "end a link, at once", &RemoveLink);
  CLI::App* cost = AddLinkCommand(
      link, a, "cost", "of several clusters, those of lower cost are preferred", &SetLinkCost);
  CLI::App* test = AddLinkCommand(link, a, "test", "try each hop, and what it carries", &TestLink);
  for (CLI::App* one : {status, remove, cost, test}) {
    one->add_option("peer", a->link.peer, "the linked cluster")->required();
  }
  cost->add_option("cost", a->link.cost, "from 0 on")->required();
  for (CLI::App* one : {token, join, list, status, test}) {
    one->add_option("-o,--output", a->format)->check(CLI::IsMember({"table", "json"}));
  }
}

int Main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  Arguments arguments;
  CLI::App app("weftctl: one mesh of many clusters", "weftctl");
  app.require_subcommand(1);
  AddSandbox(&app, &arguments);
  AddCluster(&app, &arguments);
  AddCa(&app, &arguments);
  AddLink(&app, &arguments);
  CLI::App* capture =
      AddCommand(&app, &arguments, "capture", "turn a pod's traffic over to its sidecar",
                 [&arguments] { return RunCapture(arguments.capture_flags); });
  capture->group("");
  capture->allow_extras();
  capture->prefix_command();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    fprintf(stderr, "weftctl: %s; --help says what there is\n", e.what());
    return 64;  // EX_USAGE
  }
  arguments.capture_flags = capture->remaining();
  return arguments.run();
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::Main(argc, argv); }
