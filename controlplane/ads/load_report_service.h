// The load reporting service (LRS): proxyless clients say how their calls went, and it is counted.
#ifndef WEFT_CONTROLPLANE_ADS_LOAD_REPORT_SERVICE_H_
#define WEFT_CONTROLPLANE_ADS_LOAD_REPORT_SERVICE_H_

#include "absl/time/time.h"
#include "controlplane/debug/metrics.h"
#include "controlplane/transport/grpc_port.h"

namespace weft {

// How often clients are asked to report: about as often as Prometheus looks.
inline constexpr absl::Duration kLoadReportInterval = absl::Seconds(5);

// `metrics` must outlive the services. Over TLS a client has to have shown a certificate.
void AddLoadReportService(Metrics& metrics, GrpcServices& services,
                          absl::Duration interval = kLoadReportInterval);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_LOAD_REPORT_SERVICE_H_
