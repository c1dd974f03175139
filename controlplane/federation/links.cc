#include "controlplane/federation/links.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/weft/link.pb.h"
#include "certs/digest.h"
#include "certs/file.h"
#include "certs/secret.h"
#include "controlplane/federation/cluster_description.h"
#include "controlplane/federation/peer_folder.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr size_t kIdBytes = 8;

std::string TokensFile(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/link-tokens.json");
}

// What the fingerprints of a cluster begin with; no name of a cluster has a colon in it.
std::string FingerprintPrefix(const std::string& cluster) { return cluster + ":"; }

// Tells a joiner from any other one, and from itself with anything changed. A joiner proves nothing
// but the token, so whoever stole it may repeat what was said, and must not say where else that
// cluster is reached.
std::string Fingerprint(const peer::v1::ClusterDescription& joiner) {
  return FingerprintPrefix(joiner.cluster()) + certs::Sha256Hex(joiner.SerializeAsString());
}

absl::Status NoLink(const std::string& cluster) {
  return absl::NotFoundError(
      absl::StrCat("there is no link with \"", absl::CHexEscape(cluster), "\""));
}

PeerFolder Read(const std::string& folder, const ClusterIdentity& self) {
  PeerFolder links(folder, self.cluster);
  links.Poll();
  return links;
}

}  // namespace

// A file that cannot be read holds no token that could be shown: they are made anew in a moment.
LinkTokens Links::LoadTokens() const {
  const std::string path = TokensFile(options_.data_folder);
  const auto text = certs::ReadFile(path);
  if (absl::IsNotFound(text.status())) return {};
  auto tokens = text.ok() ? LinkTokens::FromJson(*text) : text.status();
  if (tokens.ok()) return *std::move(tokens);
  Log(LogLevel::kError, "link_tokens_lost",
      {{"file", path}, {"reason", std::string(tokens.status().message())}});
  return {};
}

absl::Status Links::SaveTokens(const LinkTokens& tokens, absl::Time now) const {
  return certs::WriteFileAtomically(TokensFile(options_.data_folder), tokens.ToJson(now), 0600);
}

peer::v1::ClusterDescription Links::Describe() const {
  peer::v1::ClusterDescription description;
  ToWire(*options_.self(), description);
  return description;
}

absl::StatusOr<std::string> Links::MakeToken(absl::Duration life, absl::Time now) {
  const std::shared_ptr<const ClusterIdentity> self = options_.self();
  if (self->outbound_only || self->gateways.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(self->cluster, self->outbound_only ? " cannot be dialed" : " has no gateway",
                     ": make the token at the other cluster, and join from here"));
  }
  if (life == absl::ZeroDuration()) life = kLinkTokenLife;
  if (life < absl::Seconds(1) || life > kLongestLinkTokenLife) {
    return absl::InvalidArgumentError(absl::StrCat("a token is valid for a second to ",
                                                   absl::FormatDuration(kLongestLinkTokenLife)));
  }
  peer::v1::LinkToken token;
  token.set_id(absl::BytesToHexString(certs::RandomBytes(kIdBytes)));
  token.set_secret(certs::RandomBytes(kLinkTokenSecret));
  token.set_expires(absl::ToUnixSeconds(now + life));
  *token.mutable_issuer() = Describe();
  LinkTokens tokens = LoadTokens();
  absl::Status added = tokens.Add(token.id(), token.secret(), now + life, now);
  if (added.ok()) added = SaveTokens(tokens, now);
  if (!added.ok()) return added;
  Log(LogLevel::kInfo, "link_token_made",
      {{"token", token.id()}, {"valid", absl::FormatDuration(life)}});
  options_.on_change();
  return EncodeLinkToken(token);
}

absl::StatusOr<peer::v1::ClusterDescription> Links::Accept(const peer::v1::JoinRequest& request,
                                                           absl::Time now) {
  const LinkTokens before = LoadTokens();
  LinkTokens tokens = before;
  const absl::Status redeemed =
      tokens.Redeem(request.token_id(), request.secret(), Fingerprint(request.joiner()), now);
  if (!redeemed.ok()) {
    const absl::Status saved = tokens == before ? absl::OkStatus() : SaveTokens(tokens, now);
    return saved.ok() ? redeemed : saved;
  }
  absl::StatusOr<Peer> joiner = FromWire(request.joiner());
  if (!joiner.ok()) return joiner.status();
  absl::Status allowed = Check(*joiner);
  // Before the link: that a token was used has to be known after any crash.
  if (allowed.ok()) allowed = SaveTokens(tokens, now);
  if (allowed.ok()) allowed = Add(*std::move(joiner));
  if (!allowed.ok()) return allowed;
  return Describe();
}

std::map<std::string, Peer> Links::All() const {
  std::map<std::string, Peer> all = Read(options_.peers_folder, *options_.self()).peers();
  for (auto& [cluster, peer] : all) {
    const std::shared_ptr<const Peer> current = options_.current(cluster);
    if (current == nullptr || current->trust_domain != peer.trust_domain) continue;
    peer.roots_pem = current->roots_pem;
  }
  return all;
}

absl::Status Links::Check(const Peer& peer) const {
  const PeerFolder links = Read(options_.peers_folder, *options_.self());
  for (const auto& [file, problem] : links.problems()) {
    return absl::FailedPreconditionError(
        absl::StrCat("mend or remove ", options_.peers_folder, "/", file, " first: ", problem));
  }
  return MayBeLinked(peer, *options_.self(), All());
}

absl::Status Links::Write(const Peer& peer) {
  if (mkdir(options_.peers_folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("make the folder ", options_.peers_folder));
  }
  const PeerFolder links = Read(options_.peers_folder, *options_.self());
  const std::vector<std::string> files = links.FilesOf(peer.cluster);
  const std::string path = files.empty()
                               ? absl::StrCat(options_.peers_folder, "/", peer.cluster, ".yaml")
                               : files.front();
  if (files.empty() && access(path.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is in the way: it is of no such cluster"));
  }
  absl::Status written = certs::WriteFileAtomically(path, FormatPeer(peer), 0644);
  if (written.ok()) options_.on_change();
  return written;
}

absl::Status Links::Add(Peer peer) {
  absl::Status allowed = Check(peer);
  if (!allowed.ok()) return allowed;
  const std::map<std::string, Peer> all = All();
  if (const auto known = all.find(peer.cluster); known != all.end()) {
    peer.cost = known->second.cost;
    peer.accept_config = known->second.accept_config;
  }
  return Write(peer);
}

absl::Status Links::Remove(const std::string& cluster) {
  const auto files = Read(options_.peers_folder, *options_.self()).FilesOf(cluster);
  if (files.empty()) return NoLink(cluster);
  const absl::Time now = absl::Now();
  const LinkTokens before = LoadTokens();
  LinkTokens tokens = before;
  tokens.Forget(FingerprintPrefix(cluster));
  if (tokens != before) {
    // Before the link: after a crash between the two it can be removed again.
    absl::Status saved = SaveTokens(tokens, now);
    if (!saved.ok()) return saved;
  }
  for (const std::string& path : files) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return absl::ErrnoToStatus(errno, absl::StrCat("remove ", path));
    }
  }
  options_.on_change();
  return absl::OkStatus();
}

absl::Status Links::SetCost(const std::string& cluster, uint32_t cost) {
  const PeerFolder links = Read(options_.peers_folder, *options_.self());
  const auto known = links.peers().find(cluster);
  if (known == links.peers().end()) return NoLink(cluster);
  Peer changed = known->second;
  changed.cost = cost;
  return Write(changed);
}

}  // namespace weft
