// Dials: a worker's part of the connections that listeners with a Dial want
// (api/weft/tunnel.proto): this side cannot be dialed, so it dials, and is the HTTP/2 server then.
// What comes on such a connection is served by the listener's filter chain as if it had been
// accepted.
//
// Each connection is kept: one that ended is dialed again, with a growing pause; one whose
// certificate, trust or filter chain is another by now is replaced, the new one first. What nobody
// asks for any more drains. A gateway that falls silent is found by pings.
#ifndef WEFT_PROXY_SERVE_DIALS_H_
#define WEFT_PROXY_SERVE_DIALS_H_

#include <map>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/config/listener_config.h"
#include "proxy/net/address.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class Worker;
struct Dialed;

// Connection `index` to one gateway.
class Dial {
 public:
  Dial(Worker& worker, std::string listener, Address gateway, size_t index);
  // What is open drains.
  ~Dial();
  // The worker's config is another. Cuts at once what is not trusted any more.
  void Review();

 private:
  using Made = std::shared_ptr<Dialed>;

  std::shared_ptr<const ListenerConfig> Listener() const;
  Task<> Keep();
  Task<absl::StatusOr<Made>> Make(std::shared_ptr<const ListenerConfig> listener);
  Task<> Hold(Made made);
  // There is none that could be kept.
  bool Due() const;
  void Retire(Made& made);
  void CutUnlessTrusted(const Made& made, const DialConfig& dial);
  void Tell(const absl::Status& status);

  Worker& worker_;
  const std::string listener_;
  const Address gateway_;
  const size_t index_;
  Made current_;
  Made previous_;  // until `current_` has proven good
  std::string told_;
  Signal changed_;
  Scope keeping_;  // last: ends before what its task uses
};

class Dials {
 public:
  explicit Dials(Worker& worker) : worker_(worker) {}

  // Keeps from now on what the worker's config says of the listeners that `dials` holds for.
  void Follow(absl::FunctionRef<bool(const ListenerConfig&)> dials);

 private:
  Worker& worker_;
  std::map<std::string, std::unique_ptr<Dial>> dials_;  // by listener, gateway and index
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_DIALS_H_
