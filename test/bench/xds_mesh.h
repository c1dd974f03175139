// The mesh that xds_bench's servers serve: made up, and the same each time.
//
// Services "s0", "s1", … take turns in the namespaces; where there are several, a Sidecar lets the
// proxies of each see its own only. A change carries its sequence as an address, 203.x.y.z, which
// the clients look for: of an endpoint, or in a header that a VirtualService sets.
#ifndef WEFT_TEST_BENCH_XDS_MESH_H_
#define WEFT_TEST_BENCH_XDS_MESH_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weft {

struct BenchMesh {
  int services = 0;
  int endpoints = 0;  // of each
  int namespaces = 1;
};

// The monotonic clock, the same in all processes.
int64_t NowNanoseconds();

// When each change was made, or reached a client.
using Moments = std::vector<std::pair<uint32_t, int64_t>>;  // sequence, nanoseconds

inline std::string SequenceAddress(uint32_t sequence) {
  return absl::StrCat("203.", sequence >> 16 & 255, ".", sequence >> 8 & 255, ".", sequence & 255);
}

inline std::string BenchNamespace(int number, const BenchMesh& mesh) {
  return absl::StrCat("n", number % mesh.namespaces);
}

std::string AddressOf(int service, int endpoint, const BenchMesh& mesh);
// An EndpointSlice; with a sequence the first endpoint is that.
std::string SliceYaml(int service, uint32_t sequence, const BenchMesh& mesh);
std::string VirtualServiceYaml(int service, uint32_t sequence, const BenchMesh& mesh);
std::string ServiceYaml(int service, const BenchMesh& mesh);
std::string SidecarYaml(int number);  // of a namespace

}  // namespace weft

#endif  // WEFT_TEST_BENCH_XDS_MESH_H_
