#include "tools/weftctl/sandbox/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace weft::sandbox {
namespace {

struct Counts {
  int ready = 0, all = 0;
  std::string waiting;  // the first that is not ready
};

Counts CountPods(const Json& cluster) {
  Counts counts;
  for (const Json& pod : cluster["pods"]) {
    ++counts.all;
    if (GetBool(pod, "ready")) {
      ++counts.ready;
    } else if (counts.waiting.empty()) {
      counts.waiting = absl::StrCat(GetString(pod, "namespace"), "/", GetString(pod, "workload"));
    }
  }
  return counts;
}

std::string GatewayOf(const Json& cluster) {
  const std::string gateway = GetString(cluster, "gateway");
  return gateway.empty() ? "nothing comes in" : absl::StrCat("gateway ", gateway);
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDOUT_FILENO) != 0), start_(absl::Now()) {}

void Progress::Show(const Json& status) {
  if (terminal_) {
    Redraw(status);
  } else {
    PrintChanges(status);
  }
  fflush(stdout);
}

void Progress::End() { drawn_lines_ = 0; }

void Progress::Redraw(const Json& status) {
  if (drawn_lines_ > 0) printf("\x1b[%dA", drawn_lines_);
  drawn_lines_ = 0;
  for (const Json& cluster : status["clusters"]) {
    Counts counts = CountPods(cluster);
    bool ready = GetBool(cluster, "ready");
    std::string rest =
        ready ? GatewayOf(cluster)
              : absl::StrCat("waiting for ", counts.all == 0           ? "weftd"
                                             : !counts.waiting.empty() ? counts.waiting
                                                                       : "the other clusters");
    printf("\x1b[2K%s %-12s %2d/%-2d pods ready  %4.1fs  %s\n", ready ? "\x1b[32m✓\x1b[0m" : "·",
           GetString(cluster, "name").c_str(), counts.ready, counts.all,
           absl::ToDoubleSeconds(absl::Now() - start_), rest.c_str());
    ++drawn_lines_;
  }
}

void Progress::PrintChanges(const Json& status) {
  for (const Json& cluster : status["clusters"]) {
    std::string name = GetString(cluster, "name");
    for (const Json& pod : cluster["pods"]) {
      std::string component =
          absl::StrCat(name, ": ", GetString(pod, "namespace"), "/", GetString(pod, "name"));
      bool ready = GetBool(pod, "ready");
      auto [entry, fresh] = ready_.try_emplace(component, false);
      if (fresh && !ready) printf("%s starting\n", component.c_str());
      if (ready && !entry->second) {
        printf("%s ready (%.1fs)\n", component.c_str(),
               absl::ToDoubleSeconds(absl::Now() - start_));
      }
      entry->second = ready;
    }
    bool ready = GetBool(cluster, "ready");
    bool& shown = ready_[name];
    if (ready && !shown) {
      printf("%s: ready, %s\n", name.c_str(), GatewayOf(cluster).c_str());
    }
    shown = ready;
  }
}

}  // namespace weft::sandbox
