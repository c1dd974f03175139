// For tests: the API servers of cluster "east", whose weftd it is, and of "west", which has none
// and which a Secret may name.
#ifndef WEFT_TEST_KUBERNETES_TWO_CLUSTERS_H_
#define WEFT_TEST_KUBERNETES_TWO_CLUSTERS_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {

using Addresses = std::vector<std::string>;  // IP:PORT

// The service web with an injected pod at 10.2.0.1:8080, and a gateway at 192.0.2.1 for those of
// other networks than west-net.
extern const char kWest[];
// The namespace weft-system, whose label says on which network the cluster is.
std::string NamespaceYaml(const std::string& network);

// West has kWest, on west-net.
class TwoClusters : public testing::Test {
 protected:
  TwoClusters();

  void Start(std::vector<std::string> flags = {}) { weftd_ = east_.StartWeftd(std::move(flags)); }
  // As `istioctl create-remote-secret` writes it.
  void PutSecret(const std::string& kubeconfig, const std::string& cluster = "west");
  // Where a sidecar at `address` of the cluster finds web, at this moment; in order.
  Addresses Dialed(const std::string& address = "10.0.0.9", const std::string& cluster = "");
  // As if nothing listened there, but what it stores stays.
  void TakeDownWest();

  Cluster east_;
  Cluster west_;
  std::unique_ptr<Weftd> weftd_;
};

}  // namespace weft::test

#endif  // WEFT_TEST_KUBERNETES_TWO_CLUSTERS_H_
