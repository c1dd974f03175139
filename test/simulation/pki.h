// Pki: real keys and certificates of all clusters, each with roots of its own. Keys are made once a
// process and shared by all runs: nothing depends on what their bytes are.
#ifndef WEFT_TEST_SIMULATION_PKI_H_
#define WEFT_TEST_SIMULATION_PKI_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "certs/certificate.h"
#include "certs/issuer.h"

namespace weft::simulation {

using Chain = std::vector<certs::Certificate>;

// What the clocks of clusters show when a run starts, unless they are wrong.
absl::Time StartOfTime();

std::string DomainOf(int cluster);  // "c3.test"
// The root of a cluster's n-th generation.
const certs::Issuer& RootOf(int cluster, int generation);
// The first `generations` of them.
std::string RootsPem(int cluster, int generations);

// Of the cluster's weftd, by its root, as issued at `now`.
Chain ControlPlaneChain(int cluster, int generation, absl::Time now);
// Of a workload, valid for a day from StartOfTime() on.
const Chain& WorkloadChain(int cluster, int generation, const std::string& namespace_,
                           const std::string& service_account);
// What a thief can make: the identity is of `claimed`, whoever's it is; the root that signed it is
// of `signer`.
const Chain& ForgedChain(int signer, const std::string& claimed_uri);

// A sidecar's own key and certificate, in PEM.
struct KeyPair {
  std::string chain_pem;
  std::string key_pem;
};
const KeyPair& ProxyKeyPair(int cluster);

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_PKI_H_
