#include "controlplane/status/leader.h"

#include <unistd.h>

#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

using Kind = LeaderElection::Step::Kind;

constexpr size_t kShown = 200;  // of an answer that is an error

std::string PathOf(Kind kind) {
  const std::string all =
      absl::StrCat("/apis/coordination.k8s.io/v1/namespaces/", Leader::kNamespace, "/leases");
  return kind == Kind::kCreate ? all : absl::StrCat(all, "/", Leader::kLease);
}

const char* MethodOf(Kind kind) {
  return kind == Kind::kCreate ? "POST" : kind == Kind::kUpdate ? "PUT" : "GET";
}

}  // namespace

std::string LeaderIdentity() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  absl::BitGen random;
  return absl::StrCat(host, "_", absl::StrFormat("%016x", absl::Uniform<uint64_t>(random)));
}

Leader::Leader(EventLoop& loop, KubernetesClient& client, std::string identity)
    : loop_(loop),
      client_(client),
      election_(kNamespace, kLease, identity, std::hash<std::string>()(identity)) {
  tasks_.Spawn(Run());
}

Task<> Leader::Run() {
  while (true) {
    const LeaderElection::Step step = election_.Next(loop_.Now(), absl::Now());
    if (step.kind == Kind::kWait) {
      co_await Wait(loop_, {}, step.until);
    } else {
      co_await Do(step);
    }
    if (leads() == told_leads_) continue;
    told_leads_ = !told_leads_;
    Log(LogLevel::kInfo, told_leads_ ? "leader" : "leader_no_more",
        {{"holder", election_.holder()}});
  }
}

Task<> Leader::Do(LeaderElection::Step step) {
  KubernetesRequest request;
  request.method = MethodOf(step.kind);
  request.path = PathOf(step.kind);
  request.body = std::move(step.body);
  const auto answer = co_await client_.Call(std::move(request), loop_.Now() + kCallTimeout);
  const int status = answer.ok() ? answer->status : 0;
  if (status == 200 || status == 201) {
    Tell("");
    election_.OnLease(answer->body, loop_.Now());
  } else if (status == 404 && step.kind == Kind::kGet) {
    election_.OnAbsent(loop_.Now());
  } else if (status == 409) {
    election_.OnConflict(loop_.Now());
  } else {
    Tell(answer.ok() ? absl::StrCat(status, ": ", answer->body.substr(0, kShown))
                     : std::string(answer.status().message()));
    election_.OnFailed(loop_.Now());
  }
}

// Once until it is another.
void Leader::Tell(const std::string& trouble) {
  if (trouble == told_trouble_) return;
  told_trouble_ = trouble;
  if (trouble.empty()) return;
  Log(LogLevel::kWarning, "lease_not_reached",
      {{"lease", absl::StrCat(kNamespace, "/", kLease)},
       {"reason", trouble},
       {"effect", "no status is written"}});
}

}  // namespace weft
