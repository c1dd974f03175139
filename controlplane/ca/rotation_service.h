// Rotations by the operator's word: weft.admin.v1.Authority/Rotate, on weftd's admin socket.
//
// The call begins a rotation, or follows one of the same kind that is under way, and tells its
// stages as they go. The rotation goes on whether anybody listens or not.
#ifndef WEFT_CONTROLPLANE_CA_ROTATION_SERVICE_H_
#define WEFT_CONTROLPLANE_CA_ROTATION_SERVICE_H_

#include "absl/time/time.h"
#include "controlplane/ca/rotator.h"
#include "controlplane/transport/grpc_port.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

inline constexpr absl::Duration kRotationNews = absl::Milliseconds(100);
// Of those that a stage waits for, to be named at once.
inline constexpr size_t kMostWaitingNamed = 10;

// Both must outlive the services' calls.
void AddRotationService(EventLoop& loop, Rotator& rotator, GrpcServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_ROTATION_SERVICE_H_
