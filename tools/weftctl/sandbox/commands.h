// The commands of weftctl that talk to a sandbox that is up. Each returns an exit status and says
// on standard error what went wrong.
#ifndef TOOLS_WEFTCTL_SANDBOX_COMMANDS_H_
#define TOOLS_WEFTCTL_SANDBOX_COMMANDS_H_

#include <string>
#include <vector>

namespace weft::sandbox {

// `target` is CLUSTER/POD, CLUSTER/WORKLOAD or CLUSTER/NAMESPACE/WORKLOAD throughout.
int ShowStatus(const std::string& name, const std::string& format);  // "table" or "json"
int Exec(const std::string& name, const std::string& target,
         const std::vector<std::string>& command);
int ApplyOrDelete(const std::string& name, const std::string& command, const std::string& cluster,
                  const std::vector<std::string>& files);
int KillOrRestart(const std::string& name, const std::string& command, const std::string& target);
int ShowLogs(const std::string& name, const std::string& target, const std::string& container);
int Down(const std::string& name);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_COMMANDS_H_
