// How weftctl talks to a sandbox's supervisor: over a Unix socket, one request a connection.
//
// A request is one line of JSON {"command": …}, with descriptors attached (SCM_RIGHTS) where a
// command needs the caller's terminal; the response is one line of JSON, {"error": "…"} when it
// failed. A client that goes away ends what it asked for.
#ifndef TOOLS_WEFTCTL_SANDBOX_CONTROL_H_
#define TOOLS_WEFTCTL_SANDBOX_CONTROL_H_

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/weftctl/sandbox/event_loop.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft::sandbox {

using Json = nlohmann::json;

// A string or integer member, or the default when it is absent or of another type.
std::string GetString(const Json& object, const char* key, const std::string& otherwise = "");
int GetInt(const Json& object, const char* key, int otherwise = 0);
bool GetBool(const Json& object, const char* key, bool otherwise = false);
std::vector<std::string> GetStrings(const Json& object, const char* key);

// The client's side: sends, waits, and returns the response, or its "error" as a Status.
// Unavailable when no supervisor listens.
absl::StatusOr<Json> Call(const std::string& socket_path, const Json& request,
                          const std::vector<int>& fds = {});

// The process on the other end, as this side's process namespace numbers it; 0 when none listens.
int PeerProcess(const std::string& socket_path);

// The supervisor's side of one connection.
class ControlConnection {
 public:
  const Json& request() const { return request_; }
  const std::vector<UniqueFd>& fds() const { return fds_; }
  // Answers and closes. Once; may destroy the connection.
  void Reply(const Json& response);
  void ReplyError(const absl::Status& status);
  // Called when the client goes away before the reply.
  std::function<void()> on_abandoned;

 private:
  friend class ControlServer;
  void Receive();

  class ControlServer* server_ = nullptr;
  int id_ = 0;
  UniqueFd socket_;
  std::unique_ptr<Watch> watch_;
  std::string received_;
  std::vector<UniqueFd> fds_;
  Json request_;
  bool asked_ = false;
};

class ControlServer {
 public:
  // `handler` gets each request; the connection lives until it replied or was abandoned.
  ControlServer(EventLoop* loop, std::function<void(ControlConnection*)> handler)
      : loop_(loop), handler_(std::move(handler)) {}
  absl::Status Listen(const std::string& socket_path);

 private:
  friend class ControlConnection;
  void Accept();

  EventLoop* loop_;
  std::function<void(ControlConnection*)> handler_;
  UniqueFd listener_;
  std::unique_ptr<Watch> watch_;
  int next_id_ = 0;
  std::map<int, std::unique_ptr<ControlConnection>> connections_;
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_CONTROL_H_
