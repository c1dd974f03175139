// Liar: a weftd in wrong hands. It holds its own keys, and says over its own streams whatever may do
// harm; what it says of its own services is nobody else's business.
#ifndef WEFT_TEST_SIMULATION_LIAR_H_
#define WEFT_TEST_SIMULATION_LIAR_H_

#include <cstdint>
#include <map>
#include <vector>

#include "api/weft/peer.pb.h"
#include "test/simulation/context.h"

namespace weft::simulation {

class Liar {
 public:
  Liar(Context& context, int cluster, int clusters)
      : context_(context), cluster_(cluster), clusters_(clusters) {}

  // Puts lies among what is to be said to a peer, and numbers all of it anew, so that it is heard.
  void Tamper(int peer, std::vector<peer::v1::PeerMessage>& messages);

 private:
  std::vector<peer::v1::PeerMessage> Lies();
  void Pretend(peer::v1::Hello& hello);
  std::vector<peer::v1::PeerMessage> Flood();

  Context& context_;
  const int cluster_;
  const int clusters_;
  std::map<int, uint64_t> sequences_;  // by peer
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_LIAR_H_
