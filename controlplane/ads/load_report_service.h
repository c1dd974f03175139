// The load reporting service (LRS): proxyless clients say how their calls went, and it is counted.
//
// Runs on gRPC's threads; touches nothing but Metrics, which is thread-safe.
#ifndef WEFT_CONTROLPLANE_ADS_LOAD_REPORT_SERVICE_H_
#define WEFT_CONTROLPLANE_ADS_LOAD_REPORT_SERVICE_H_

#include <memory>

#include "absl/time/time.h"
#include "controlplane/debug/metrics.h"
#include "controlplane/transport/connections.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace weft {

// How often clients are asked to report: about as often as Prometheus looks.
inline constexpr absl::Duration kLoadReportInterval = absl::Seconds(5);

// What is given must outlive the service. A client that came through a TlsFront has to have shown a
// certificate.
std::unique_ptr<grpc::Service> MakeLoadReportService(const Connections& connections,
                                                     Metrics& metrics,
                                                     absl::Duration interval = kLoadReportInterval);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_LOAD_REPORT_SERVICE_H_
