// CaState: all that a cluster's CA has, and how far a rotation of it is. A value; pure over an
// explicit time but for the keys that it makes. As text it holds private keys.
//
// A root signs an intermediate, and that signs the leaves. A rotation goes through stages, and the
// next one is for when everybody has followed the last (ca/rotator.h):
//   distribute  a root only: the new one is trusted beside the old one, and signs nothing yet
//   issue       leaves are signed by a new intermediate; those of the old one are still good
//   retire      what was rotated out is trusted no more: the old root has left the bundle, or a
//               revocation list in it takes the old intermediate back
// A leaf is taken back with the intermediate that signed it, and its key is its proxy's own and is
// new with each certificate: so a rotation of leaves is one of the intermediate.
//
// A CA that others made (ca/plugged_ca.h) signs the leaves itself. It is rotated by another one in
// its place: at once if that has the same root, else through the stages of a new root.
#ifndef WEFT_CONTROLPLANE_CA_CA_STATE_H_
#define WEFT_CONTROLPLANE_CA_CA_STATE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certs/certificate.h"
#include "certs/issuer.h"

namespace weft {

enum class Rotated { kLeaf, kIntermediate, kRoot };
enum class RotationStage { kDistribute, kIssue, kRetire };

// "root", "distribute"; for messages, logs and what is kept on disk.
absl::string_view NameOf(Rotated rotated);
absl::string_view NameOf(RotationStage stage);
absl::StatusOr<Rotated> ParseRotated(absl::string_view name);

struct Rotation {
  Rotated what = Rotated::kRoot;
  RotationStage stage = RotationStage::kDistribute;

  friend bool operator==(const Rotation&, const Rotation&) = default;
};

class CaState {
 public:
  // With a new root.
  static absl::StatusOr<CaState> Create(absl::string_view trust_domain, absl::Time now);
  // With a root, or an intermediate of somebody else's root, that signs for us; if it may not sign
  // intermediates, it signs the leaves itself, and can be rotated only by its maker.
  static absl::StatusOr<CaState> Adopt(certs::Issuer root, absl::Time now);
  // With a CA that was plugged in, and whence: "Secret weft-system/cacerts".
  static CaState PluggedIn(std::shared_ptr<const certs::Issuer> ca, std::string origin);
  // What Serialize() made. Errors never show what is in it.
  static absl::StatusOr<CaState> Parse(absl::string_view text);
  std::string Serialize() const;

  const certs::Issuer& root() const { return *root_; }
  // Who signs leaves now.
  const certs::Issuer& issuer() const { return *issuer_; }
  // What others are to trust for our identities: PEM of roots and revocation lists
  // (certs/trust_bundle.h).
  std::string BundlePem() const;

  // Where the CA that signs came from; empty: it is our own.
  const std::string& origin() const { return origin_; }

  const std::optional<Rotation>& rotation() const { return rotation_; }
  // Whether the intermediate is to be rotated, as half of its life is over. Not if another one
  // would live no longer, nor if it is others' to replace. Roots are rotated by an operator's word
  // alone: several clusters may share one.
  bool IntermediateIsDue(absl::Time now) const;
  // FailedPrecondition if one is under way, or if the CA's certificate may not sign another. The
  // new root is always one of our own.
  absl::Status Begin(Rotated what, absl::Time now);
  // Signs with that CA from now on, or, if it has another root, begins a rotation to it.
  // FailedPrecondition: the rotation under way has to end first. InvalidArgument: it has the key of
  // the one that signs now, so who holds a certificate of which could not be told.
  absl::Status PlugIn(std::shared_ptr<const certs::Issuer> ca, std::string origin);
  // Whether PlugIn() of it was done.
  bool Has(const certs::Issuer& ca) const;
  // Into the next stage, or out of the last one. A rotation has to be under way.
  absl::Status Advance(absl::Time now);

 private:
  CaState() = default;
  absl::Status NewIntermediate(absl::Time now);
  absl::Status StartSigning(absl::Time now);
  absl::Status Retire(absl::Time now);

  std::shared_ptr<const certs::Issuer> root_;  // or what was plugged in, with its own chain
  std::string origin_;
  std::shared_ptr<const certs::Issuer> issuer_;
  // Of a rotation of the root: the one to come until it signs, then the one to go.
  std::shared_ptr<const certs::Issuer> other_root_;
  std::string other_origin_;
  // Intermediates of root_ that were taken back and would otherwise be good, PEM.
  std::vector<certs::Certificate> revoked_;
  // Intermediates that are to be taken back when this rotation is over.
  std::vector<certs::Certificate> outgoing_;
  std::string revocations_pem_;  // of root_, for revoked_; empty if there are none
  std::optional<Rotation> rotation_;
};

// The state kept in `folder` as ca.json (0600), with what others are to trust beside it in
// root-cert.pem. Where there is none, what is in root-cert.pem and root-key.pem is adopted, else a
// root is made. An error, never a new root, if what is there does not parse, has expired, or is of
// another trust domain: replacing a root cuts every workload off.
absl::StatusOr<CaState> LoadOrCreateCa(const std::string& folder, absl::string_view trust_domain,
                                       absl::Time now);
absl::Status SaveCa(const std::string& folder, const CaState& state);

// Whether a CA that was plugged in would be the first one of `folder`: there is none, or an earlier
// one of the kind that has expired, so that nobody is cut off.
bool AwaitsPluggedCa(const std::string& folder, absl::Time now);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CA_CA_STATE_H_
