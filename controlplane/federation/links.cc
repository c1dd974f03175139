#include "controlplane/federation/links.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/weft/link.pb.h"
#include "certs/digest.h"
#include "certs/secret.h"
#include "controlplane/federation/cluster_description.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

constexpr size_t kIdBytes = 8;

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

// Strangers are not told what is wrong with our store.
absl::Status NotNow(const absl::Status& why) {
  Log(LogLevel::kError, "link_tokens_not_read", {{"reason", std::string(why.message())}});
  return absl::UnavailableError("the cluster cannot look at its tokens now");
}

Task<absl::Status> UntilDecided(std::function<Task<absl::Status>()> attempt) {
  absl::Status status = co_await attempt();
  for (int made = 1; made < Links::kMostAttempts && absl::IsAborted(status); ++made) {
    status = co_await attempt();
  }
  co_return status;
}

}  // namespace

peer::v1::ClusterDescription Links::Describe() const {
  peer::v1::ClusterDescription description;
  ToWire(*options_.self(), description);
  return description;
}

// ---- Tokens.

Task<absl::StatusOr<std::string>> Links::MakeToken(absl::Duration life, absl::Time now) {
  const std::shared_ptr<const ClusterIdentity> self = options_.self();
  if (self->outbound_only || self->gateways.empty()) {
    co_return absl::FailedPreconditionError(
        absl::StrCat(self->cluster, self->outbound_only ? " cannot be dialed" : " has no gateway",
                     ": make the token at the other cluster, and join from here"));
  }
  if (life == absl::ZeroDuration()) life = kLinkTokenLife;
  if (life < absl::Seconds(1) || life > kLongestLinkTokenLife) {
    co_return absl::InvalidArgumentError(absl::StrCat("a token is valid for a second to ",
                                                      absl::FormatDuration(kLongestLinkTokenLife)));
  }
  peer::v1::LinkToken token;
  token.set_id(absl::BytesToHexString(certs::RandomBytes(kIdBytes)));
  token.set_secret(certs::RandomBytes(kLinkTokenSecret));
  token.set_expires(absl::ToUnixSeconds(now + life));
  *token.mutable_issuer() = Describe();
  const std::function<Task<absl::Status>()> attempt = [&] { return TryToKeep(token, now); };
  absl::Status kept = co_await UntilDecided(attempt);
  if (!kept.ok()) co_return kept;
  Log(LogLevel::kInfo, "link_token_made",
      {{"token", token.id()}, {"valid", absl::FormatDuration(life)}});
  options_.on_token();
  co_return EncodeLinkToken(token);
}

Task<absl::Status> Links::TryToKeep(const peer::v1::LinkToken& token, absl::Time now) {
  absl::StatusOr<StoredTokens> stored = co_await store_->LoadTokens();
  if (!stored.ok()) co_return stored.status();
  const absl::Time expires = absl::FromUnixSeconds(token.expires());
  absl::Status added = stored->tokens.Add(token.id(), token.secret(), expires, now);
  if (!added.ok()) co_return added;
  co_return co_await store_->SaveTokens(std::move(stored->tokens), std::move(stored->version), now);
}

Task<absl::StatusOr<peer::v1::ClusterDescription>> Links::Accept(peer::v1::JoinRequest request,
                                                                 absl::Time now) {
  const std::function<Task<absl::Status>()> attempt = [&] { return TryToAccept(request, now); };
  absl::Status accepted = co_await UntilDecided(attempt);
  if (!accepted.ok()) co_return accepted;
  co_return Describe();
}

Task<absl::Status> Links::TryToAccept(const peer::v1::JoinRequest& request, absl::Time now) {
  absl::StatusOr<StoredTokens> stored = co_await store_->LoadTokens();
  if (!stored.ok()) co_return NotNow(stored.status());
  LinkTokens tokens = stored->tokens;
  const absl::Status redeemed =
      tokens.Redeem(request.token_id(), request.secret(), Fingerprint(request.joiner()), now);
  if (!redeemed.ok()) {
    if (tokens == stored->tokens) co_return redeemed;
    absl::Status saved = co_await store_->SaveTokens(std::move(tokens), stored->version, now);
    co_return saved.ok() ? redeemed : saved;
  }
  absl::StatusOr<Peer> joiner = FromWire(request.joiner());
  if (!joiner.ok()) co_return joiner.status();
  absl::Status allowed = co_await Check(*joiner);
  // Before the link: that a token was used has to be known after any crash.
  if (allowed.ok()) {
    allowed = co_await store_->SaveTokens(std::move(tokens), stored->version, now);
  }
  if (allowed.ok()) allowed = co_await TryToAdd(*joiner);
  co_return allowed;
}

// ---- Links.

std::map<std::string, Peer> Links::AsOfNow(std::map<std::string, Peer> peers) const {
  for (auto& [cluster, peer] : peers) {
    const std::shared_ptr<const Peer> current = options_.current(cluster);
    if (current == nullptr || current->trust_domain != peer.trust_domain) continue;
    peer.roots_pem = current->roots_pem;
  }
  return peers;
}

Task<absl::StatusOr<std::map<std::string, Peer>>> Links::All() const {
  absl::StatusOr<StoredLinks> read = co_await store_->LoadLinks();
  if (!read.ok()) co_return read.status();
  co_return AsOfNow(std::move(read->peers));
}

Task<absl::StatusOr<StoredLinks>> Links::LinksBeside(const Peer& peer) const {
  absl::StatusOr<StoredLinks> read = co_await store_->LoadLinks();
  if (!read.ok()) co_return read.status();
  for (const auto& [place, problem] : read->problems) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("mend or remove ", place, " first: ", problem));
  }
  absl::Status allowed = MayBeLinked(peer, *options_.self(), AsOfNow(read->peers));
  if (!allowed.ok()) co_return allowed;
  co_return read;
}

Task<absl::Status> Links::Check(Peer peer) const {
  const absl::StatusOr<StoredLinks> beside = co_await LinksBeside(peer);
  co_return beside.status();
}

Task<absl::Status> Links::Add(Peer peer) {
  const std::function<Task<absl::Status>()> attempt = [&] { return TryToAdd(peer); };
  co_return co_await UntilDecided(attempt);
}

Task<absl::Status> Links::TryToAdd(const Peer& peer) {
  const absl::StatusOr<StoredLinks> beside = co_await LinksBeside(peer);
  if (!beside.ok()) co_return beside.status();
  Peer added = peer;
  const auto known = beside->peers.find(peer.cluster);
  if (known != beside->peers.end()) {
    added.cost = known->second.cost;
    added.accept_config = known->second.accept_config;
  }
  co_return co_await store_->PutLink(std::move(added), *beside);
}

Task<absl::Status> Links::Remove(std::string cluster) {
  const absl::StatusOr<StoredLinks> read = co_await store_->LoadLinks();
  if (!read.ok()) co_return read.status();
  if (!read->peers.contains(cluster) && !read->versions.contains(cluster))
    co_return NoLink(cluster);
  const absl::Time now = absl::Now();
  // Before the link: after a crash between the two it can be removed again.
  const std::function<Task<absl::Status>()> attempt = [&] { return TryToForget(cluster, now); };
  absl::Status forgotten = co_await UntilDecided(attempt);
  if (!forgotten.ok()) co_return forgotten;
  absl::Status removed = co_await store_->RemoveLink(cluster);
  co_return absl::IsNotFound(removed) ? NoLink(cluster) : removed;
}

Task<absl::Status> Links::TryToForget(const std::string& cluster, absl::Time now) {
  absl::StatusOr<StoredTokens> stored = co_await store_->LoadTokens();
  if (!stored.ok()) co_return stored.status();
  LinkTokens tokens = stored->tokens;
  tokens.Forget(FingerprintPrefix(cluster));
  if (tokens == stored->tokens) co_return absl::OkStatus();
  co_return co_await store_->SaveTokens(std::move(tokens), stored->version, now);
}

Task<absl::Status> Links::SetCost(std::string cluster, uint32_t cost) {
  const std::function<Task<absl::Status>()> attempt = [&] { return TryToSetCost(cluster, cost); };
  co_return co_await UntilDecided(attempt);
}

Task<absl::Status> Links::TryToSetCost(const std::string& cluster, uint32_t cost) {
  const absl::StatusOr<StoredLinks> read = co_await store_->LoadLinks();
  if (!read.ok()) co_return read.status();
  const auto known = read->peers.find(cluster);
  if (known == read->peers.end()) co_return NoLink(cluster);
  Peer changed = known->second;
  changed.cost = cost;
  co_return co_await store_->PutLink(std::move(changed), *read);
}

}  // namespace weft
