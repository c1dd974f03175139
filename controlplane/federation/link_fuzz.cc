// Whatever a token or another cluster's description of itself says: it is refused, or it is a peer
// whose file reads back as that peer and as nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/weft/link.pb.h"
#include "certs/issuer.h"
#include "controlplane/federation/cluster_description.h"
#include "controlplane/federation/link_tokens.h"
#include "controlplane/federation/peer_folder.h"

namespace weft {
namespace {

const std::string& Root() {
  static const std::string* root =
      new std::string(certs::Issuer::CreateRoot("west.weft", absl::Now())->ChainPem());
  return *root;
}

// No chance makes a certificate, so there is one, with what came around it.
void Describe(const std::string& bytes) {
  peer::v1::ClusterDescription said;
  if (!said.ParseFromString(bytes)) return;
  const std::string around = said.roots_pem_size() > 0 ? said.roots_pem(0) : "";
  said.clear_roots_pem();
  said.add_roots_pem(absl::StrCat(around, "\n", Root(), around));
  if (said.cluster().empty()) said.set_cluster("west");
  if (said.network().empty()) said.set_network("west-net");
  if (said.trust_domain().empty()) said.set_trust_domain("west.weft");
  const auto peer = FromWire(said);
  if (!peer.ok()) return;
  const auto read = ParsePeer(FormatPeer(*peer));
  if (!read.ok() || !(*read == *peer)) abort();
}

void Show(const std::string& text) {
  const auto token = DecodeLinkToken(text);
  if (!token.ok()) return;
  if (token->secret().size() != kLinkTokenSecret) abort();
  const auto again = DecodeLinkToken(EncodeLinkToken(*token));
  if (!again.ok() || again->id() != token->id() || again->secret() != token->secret()) abort();
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  weft::Describe(bytes);
  weft::Show(bytes);
  weft::Show("weft1." + bytes);
  const auto tokens = weft::LinkTokens::FromJson(bytes);
  if (tokens.ok()) {
    const auto again = weft::LinkTokens::FromJson(tokens->ToJson(absl::InfinitePast()));
    if (!again.ok() || !(*again == *tokens)) abort();
  }
  return 0;
}
