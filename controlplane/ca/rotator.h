// Rotator: takes the CA through a rotation, stage by stage; each one begins when everybody who
// needs to has followed the one before. What is begun is on disk first, so that a weftd that starts
// again goes on where it was.
//
// A CA that others made (ca/ca_source.h) is taken up as soon as the rotation under way allows it.
// An intermediate of our own is rotated by itself, long before it ends.
//
// It waits as long as it takes: a peer that is away would be cut off by what it did not hear, so
// the operator decides (progress() names whom it waits for): bring it back, or remove the link.
//
// Belongs to one loop's thread.
#ifndef WEFT_CONTROLPLANE_CA_ROTATOR_H_
#define WEFT_CONTROLPLANE_CA_ROTATOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controlplane/ca/ca_state.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class Rotator {
 public:
  // From the last acknowledgement to the next stage: proxies hand what they acknowledged to their
  // workers, and requests under way on connections of before come to their end.
  static constexpr absl::Duration kSettle = absl::Seconds(2);
  static constexpr absl::Duration kLook = absl::Milliseconds(100);

  // Everybody who is concerned, by names for the operator. On the loop's thread.
  struct Fleet {
    // Who does not yet trust by `bundle_pem`.
    std::function<std::vector<std::string>(const std::string& bundle_pem)> without_trust;
    // Who shows a certificate of another issuer; it is asked to get a new one.
    std::function<std::vector<std::string>(const certs::Issuer& issuer)> with_old_certificate;
    // What to sign with and what to trust from now on.
    std::function<void(const CaState&)> adopt;
  };

  // `state` is in force already. A rotation that is under way is gone on with.
  Rotator(EventLoop& loop, std::string folder, CaState state, Fleet fleet,
          absl::Duration settle = kSettle);
  Rotator(const Rotator&) = delete;
  Rotator& operator=(const Rotator&) = delete;

  const CaState& state() const { return state_; }
  // FailedPrecondition if one is under way, or as CaState::Begin(), or if the CA is somebody else's
  // to replace.
  absl::Status Begin(Rotated what);
  // The CA is to come from `origin`, and be `ca`, if that is not null. An empty origin: from
  // nowhere; then what came from there stays, until a root of our own is asked for.
  void Follow(std::string origin, std::shared_ptr<const certs::Issuer> ca);
  // Of the rotation under way: whom the present stage waits for.
  const std::vector<std::string>& waiting_for() const { return waiting_for_; }
  // Why the last step failed; it is tried again. Empty if it did not.
  const std::string& error() const { return error_; }

 private:
  Task<> Run();
  Task<> Stage();
  bool TakeUp();
  void RenewIfDue();
  void Delay(const absl::Status& status);
  std::vector<std::string> Missing() const;
  absl::Status Adopt(CaState next);

  EventLoop& loop_;
  const std::string folder_;
  CaState state_;
  const Fleet fleet_;
  const absl::Duration settle_;
  std::string origin_;
  std::shared_ptr<const certs::Issuer> plugged_in_;
  std::vector<std::string> waiting_for_;
  std::string error_;
  Signal begun_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_ROTATOR_H_
