#include "test/xds/proxy_process.h"

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::test {
namespace {

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

bool EnterOwnNetwork() {
  const std::string user = absl::StrCat("0 ", getuid(), " 1");
  const std::string group = absl::StrCat("0 ", getgid(), " 1");
  const bool root = getuid() == 0;
  if (unshare(root ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  if (!root) {
    WriteFile("/proc/self/setgroups", "deny");
    WriteFile("/proc/self/uid_map", user);
    WriteFile("/proc/self/gid_map", group);
  }
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
  request.ifr_flags = IFF_UP;
  const bool up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  close(fd);
  return up;
}

ProxyProcess::ProxyProcess(const Weftd& weftd, const std::string& role, const ProxyPod& pod) {
  const std::string token =
      absl::StrCat(getenv("TEST_TMPDIR"), "/token-", pod.cluster, "-", getpid());
  WriteFile(token, pod.token);
  const std::string discovery = absl::StrCat("127.0.0.1:", weftd.xds_port());
  const std::string root = absl::StrCat(weftd.data_folder(), "/root-cert.pem");
  const std::pair<const char*, std::string> variables[] = {{"POD_NAME", pod.name},
                                                           {"POD_NAMESPACE", pod.namespace_},
                                                           {"INSTANCE_IP", pod.address},
                                                           {"SERVICE_ACCOUNT", pod.account},
                                                           {"WEFT_CLUSTER_ID", pod.cluster},
                                                           {"WEFT_NETWORK", pod.network},
                                                           {"WEFT_MESH_ID", "mesh"},
                                                           {"WEFT_TRUST_DOMAIN", "east.weft"},
                                                           {"WEFT_DISCOVERY_ADDRESS", discovery},
                                                           {"WEFT_TOKEN_PATH", token},
                                                           {"WEFT_ROOT_CERT_PATH", root},
                                                           {"WEFT_CONCURRENCY", "1"}};
  pid_ = fork();
  if (pid_ != 0) return;
  for (const auto& [name, value] : variables) setenv(name, value.c_str(), 1);
  execl("proxy/weft-proxy", "weft-proxy", role.c_str(), nullptr);
  _exit(127);
}

ProxyProcess::~ProxyProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace weft::test
