// What Telemetries say of access logs, as the access logs of a listener's filters.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ACCESS_LOGS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ACCESS_LOGS_H_

#include <string>

#include "api/envoy/listener.pb.h"
#include "controlplane/translate/mesh_settings.h"

namespace weft {

// Gives every HTTP connection manager and TCP proxy of the listener the logs that `logs` tells of
// (TelemetryIndex). A chain with a transport socket is one of mutual TLS. Providers that are not
// known log nothing; check_telemetry.h says so.
void AddAccessLogs(const MeshSettings& settings, const std::string& logs,
                   envoy::config::listener::v3::Listener& listener);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ACCESS_LOGS_H_
