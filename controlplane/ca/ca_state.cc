#include "controlplane/ca/ca_state.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "controlplane/ca/authority.h"

namespace weft {
namespace {

using nlohmann::json;

constexpr Rotated kAllRotated[] = {Rotated::kLeaf, Rotated::kIntermediate, Rotated::kRoot};
constexpr RotationStage kAllStages[] = {RotationStage::kDistribute, RotationStage::kIssue,
                                        RotationStage::kRetire};

std::shared_ptr<const certs::Issuer> Share(certs::Issuer issuer) {
  return std::make_shared<const certs::Issuer>(std::move(issuer));
}

json ToJson(const certs::Issuer& issuer, const std::string& origin = "") {
  json text = {{"chain", issuer.ChainPem()}, {"key", issuer.KeyPem()}};
  if (!origin.empty()) text.update({{"origin", origin}, {"trustDomain", issuer.trust_domain()}});
  return text;
}

json ToJson(const std::vector<certs::Certificate>& certificates) {
  json list = json::array();
  for (const certs::Certificate& one : certificates) list.push_back(one.ToPem());
  return list;
}

absl::Status Malformed(absl::string_view field) {
  return absl::DataLossError(absl::StrCat("ca.json: ", field, ": missing or malformed"));
}

// Empty if there is no such text.
std::string TextOf(const json& object, const char* field) {
  const auto found = object.find(field);
  return found == object.end() || !found->is_string() ? "" : found->get<std::string>();
}

absl::StatusOr<std::shared_ptr<const certs::Issuer>> ReadIssuer(const json& from,
                                                                const char* field) {
  const auto found = from.find(field);
  if (found == from.end() || !found->is_object()) return Malformed(field);
  // Roots of ours name it themselves.
  const std::string trust_domain = TextOf(*found, "trustDomain");
  const std::string chain = TextOf(*found, "chain");
  const std::string key = TextOf(*found, "key");
  auto issuer = trust_domain.empty() ? certs::Issuer::FromPem(chain, key)
                                     : certs::Issuer::FromPem(chain, key, trust_domain);
  if (!issuer.ok()) return Malformed(field);
  return Share(*std::move(issuer));
}

absl::StatusOr<std::vector<certs::Certificate>> ReadCertificates(const json& from,
                                                                 const char* field) {
  std::vector<certs::Certificate> certificates;
  for (const json& one : from.value(field, json::array())) {
    auto parsed = certs::ParseCertificates(one.is_string() ? one.get<std::string>() : "");
    if (!parsed.ok()) return Malformed(field);
    certificates.push_back(parsed->front());
  }
  return certificates;
}

absl::StatusOr<std::optional<Rotation>> ReadRotation(const json& from) {
  const auto found = from.find("rotation");
  if (found == from.end()) return std::nullopt;
  if (!found->is_object()) return Malformed("rotation");
  const auto what = ParseRotated(TextOf(*found, "what"));
  if (!what.ok()) return Malformed("rotation");
  for (const RotationStage stage : kAllStages) {
    if (NameOf(stage) == TextOf(*found, "stage")) return Rotation{*what, stage};
  }
  return Malformed("rotation");
}

bool HasKeyOf(const certs::Issuer& a, const certs::Issuer& b) {
  return certs::SubjectKeyId(a.signer().x509()) == certs::SubjectKeyId(b.signer().x509());
}

// What its leaves are shown with. If that is the same, its root has the same key as well, and was
// only issued anew.
std::string BelowRoot(const certs::Issuer& issuer) {
  std::string chain = issuer.ChainPem();
  chain.resize(chain.size() - issuer.root().ToPem().size());
  return chain;
}

absl::Status UnderWay(const Rotation& rotation) {
  return absl::FailedPreconditionError(absl::StrCat("a rotation of the ", NameOf(rotation.what),
                                                    " is under way, at stage ",
                                                    NameOf(rotation.stage)));
}

absl::Status InFolder(const std::string& folder, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("CA in ", folder, ": ", status.message()));
}

absl::StatusOr<CaState> Load(const std::string& folder, absl::string_view trust_domain,
                             absl::Time now) {
  absl::StatusOr<std::string> text = certs::ReadFile(folder + "/ca.json");
  if (text.ok()) return CaState::Parse(*text);
  if (!absl::IsNotFound(text.status())) return text.status();
  absl::StatusOr<certs::Issuer> root = LoadOrCreateRoot(folder, trust_domain, now);
  if (!root.ok()) return root.status();
  absl::StatusOr<CaState> state = CaState::Adopt(*std::move(root), now);
  if (!state.ok()) return state.status();
  absl::Status saved = SaveCa(folder, *state);
  if (!saved.ok()) return saved;
  return state;
}

}  // namespace

absl::string_view NameOf(Rotated rotated) {
  switch (rotated) {
    case Rotated::kLeaf:
      return "leaf";
    case Rotated::kIntermediate:
      return "intermediate";
    case Rotated::kRoot:
      return "root";
  }
  return "";
}

absl::string_view NameOf(RotationStage stage) {
  switch (stage) {
    case RotationStage::kDistribute:
      return "distribute";
    case RotationStage::kIssue:
      return "issue";
    case RotationStage::kRetire:
      return "retire";
  }
  return "";
}

absl::StatusOr<Rotated> ParseRotated(absl::string_view name) {
  for (const Rotated rotated : kAllRotated) {
    if (NameOf(rotated) == name) return rotated;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" cannot be rotated: say leaf, intermediate or root"));
}

absl::StatusOr<CaState> CaState::Create(absl::string_view trust_domain, absl::Time now) {
  absl::StatusOr<certs::Issuer> root = certs::Issuer::CreateRoot(trust_domain, now);
  if (!root.ok()) return root.status();
  return Adopt(*std::move(root), now);
}

absl::StatusOr<CaState> CaState::Adopt(certs::Issuer root, absl::Time now) {
  CaState state;
  state.root_ = Share(std::move(root));
  absl::Status made = state.NewIntermediate(now);
  if (!made.ok()) state.issuer_ = state.root_;
  return state;
}

CaState CaState::PluggedIn(std::shared_ptr<const certs::Issuer> ca, std::string origin) {
  CaState state;
  state.root_ = state.issuer_ = std::move(ca);
  state.origin_ = std::move(origin);
  return state;
}

// By the root there is now.
absl::Status CaState::StartSigning(absl::Time now) {
  if (origin_.empty()) return NewIntermediate(now);
  issuer_ = root_;
  return absl::OkStatus();
}

absl::Status CaState::NewIntermediate(absl::Time now) {
  absl::StatusOr<certs::Issuer> made = root_->CreateIntermediate(now);
  if (!made.ok()) return made.status();
  issuer_ = Share(*std::move(made));
  return absl::OkStatus();
}

std::string CaState::BundlePem() const {
  std::string pem = root_->root().ToPem();
  if (other_root_ != nullptr) pem += other_root_->root().ToPem();
  return pem + revocations_pem_;
}

bool CaState::IntermediateIsDue(absl::Time now) const {
  // One that ends with its root may be the root itself, or was signed by one that is near its end.
  const bool another_lives_longer = issuer_->End() < root_->End();
  return !rotation_.has_value() && origin_.empty() && another_lives_longer &&
         issuer_->End() - now <= certs::kIntermediateValidity / 2;
}

absl::Status CaState::Begin(Rotated what, absl::Time now) {
  if (rotation_.has_value()) return UnderWay(*rotation_);
  if (what != Rotated::kRoot && !origin_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the CA came from ", origin_, ", so a new ", NameOf(what),
                     " has to come from there; a new root would be one of weftd's own"));
  }
  if (what == Rotated::kRoot) {
    absl::StatusOr<certs::Issuer> next = certs::Issuer::CreateRoot(root_->trust_domain(), now);
    if (!next.ok()) return next.status();
    other_root_ = Share(*std::move(next));
    rotation_ = Rotation{what, RotationStage::kDistribute};
    return absl::OkStatus();
  }
  const certs::Certificate outgoing = issuer_->signer();
  absl::Status made = NewIntermediate(now);
  if (!made.ok()) return made;
  outgoing_ = {outgoing};
  rotation_ = Rotation{what, RotationStage::kIssue};
  return absl::OkStatus();
}

absl::Status CaState::PlugIn(std::shared_ptr<const certs::Issuer> ca, std::string origin) {
  const bool same_root = ca->root().ToPem() == root_->root().ToPem();
  if (!same_root && HasKeyOf(*ca, *issuer_) && BelowRoot(*ca) != BelowRoot(*issuer_)) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin,
                     ": has the key of the CA before it, under another root; a CA of a new "
                     "root needs a new key"));
  }
  // By a root that is only told of yet nothing was signed: any other may take its place.
  const bool replaces = rotation_ == Rotation{Rotated::kRoot, RotationStage::kDistribute};
  const bool of_this_root = rotation_.has_value() && rotation_->what == Rotated::kRoot && same_root;
  if (rotation_.has_value() && !replaces && !of_this_root) return UnderWay(*rotation_);
  if (replaces) {
    rotation_.reset();
    other_root_.reset();
    other_origin_.clear();
  }
  if (same_root) {
    root_ = issuer_ = std::move(ca);
    origin_ = std::move(origin);
    return absl::OkStatus();
  }
  other_root_ = std::move(ca);
  other_origin_ = std::move(origin);
  rotation_ = Rotation{Rotated::kRoot, RotationStage::kDistribute};
  return absl::OkStatus();
}

bool CaState::Has(const certs::Issuer& ca) const {
  const bool to_come = rotation_ == Rotation{Rotated::kRoot, RotationStage::kDistribute};
  const certs::Issuer& newest = to_come ? *other_root_ : *issuer_;
  return newest.ChainPem() == ca.ChainPem();
}

absl::Status CaState::Advance(absl::Time now) {
  switch (rotation_->stage) {
    case RotationStage::kDistribute:
      std::swap(root_, other_root_);
      std::swap(origin_, other_origin_);
      rotation_->stage = RotationStage::kIssue;
      return StartSigning(now);
    case RotationStage::kIssue:
      rotation_->stage = RotationStage::kRetire;
      return Retire(now);
    case RotationStage::kRetire:
      rotation_.reset();
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status CaState::Retire(absl::Time now) {
  if (rotation_->what == Rotated::kRoot) {
    // What the old root took back, it takes along.
    other_root_.reset();
    other_origin_.clear();
    revoked_.clear();
    revocations_pem_.clear();
    return absl::OkStatus();
  }
  std::erase_if(revoked_,
                [&](const certs::Certificate& one) { return certs::NotAfter(one.x509()) <= now; });
  revoked_.insert(revoked_.end(), outgoing_.begin(), outgoing_.end());
  outgoing_.clear();
  absl::StatusOr<std::string> list = root_->Revoke(revoked_, now);
  if (!list.ok()) return list.status();
  revocations_pem_ = *std::move(list);
  return absl::OkStatus();
}

std::string CaState::Serialize() const {
  json text = {{"root", ToJson(*root_, origin_)},
               {"issuer", ToJson(*issuer_, origin_)},
               {"revoked", ToJson(revoked_)},
               {"outgoing", ToJson(outgoing_)},
               {"revocations", revocations_pem_}};
  if (other_root_ != nullptr) text["otherRoot"] = ToJson(*other_root_, other_origin_);
  if (rotation_.has_value()) {
    text["rotation"] = {{"what", NameOf(rotation_->what)}, {"stage", NameOf(rotation_->stage)}};
  }
  return text.dump(1) + "\n";
}

absl::StatusOr<CaState> CaState::Parse(absl::string_view text) {
  const json from = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!from.is_object()) return absl::DataLossError("ca.json: not a JSON object");
  CaState state;
  auto root = ReadIssuer(from, "root");
  if (!root.ok()) return root.status();
  state.root_ = *std::move(root);
  state.origin_ = TextOf(from["root"], "origin");
  auto issuer = ReadIssuer(from, "issuer");
  if (!issuer.ok()) return issuer.status();
  state.issuer_ = *std::move(issuer);
  if (from.contains("otherRoot")) {
    auto other = ReadIssuer(from, "otherRoot");
    if (!other.ok()) return other.status();
    state.other_root_ = *std::move(other);
    state.other_origin_ = TextOf(from["otherRoot"], "origin");
  }
  auto revoked = ReadCertificates(from, "revoked");
  if (!revoked.ok()) return revoked.status();
  state.revoked_ = *std::move(revoked);
  auto outgoing = ReadCertificates(from, "outgoing");
  if (!outgoing.ok()) return outgoing.status();
  state.outgoing_ = *std::move(outgoing);
  const auto list = from.find("revocations");
  if (list == from.end() || !list->is_string()) return Malformed("revocations");
  state.revocations_pem_ = list->get<std::string>();
  auto rotation = ReadRotation(from);
  if (!rotation.ok()) return rotation.status();
  state.rotation_ = *std::move(rotation);
  return state;
}

absl::StatusOr<CaState> LoadOrCreateCa(const std::string& folder, absl::string_view trust_domain,
                                       absl::Time now) {
  absl::StatusOr<CaState> state = Load(folder, trust_domain, now);
  if (!state.ok()) return InFolder(folder, state.status());
  absl::Status usable = CheckRoot(state->root(), trust_domain, now);
  if (!usable.ok()) return InFolder(folder, usable);
  return state;
}

bool AwaitsPluggedCa(const std::string& folder, absl::Time now) {
  const auto text = certs::ReadFile(folder + "/ca.json");
  if (absl::IsNotFound(text.status())) {
    return absl::IsNotFound(certs::ReadFile(folder + "/root-cert.pem").status());
  }
  if (!text.ok()) return false;
  const auto state = CaState::Parse(*text);
  return state.ok() && !state->origin().empty() && state->issuer().End() <= now;
}

absl::Status SaveCa(const std::string& folder, const CaState& state) {
  absl::Status saved = certs::WriteFileAtomically(folder + "/ca.json", state.Serialize(), 0600);
  if (saved.ok()) {
    saved = certs::WriteFileAtomically(folder + "/root-cert.pem", state.BundlePem(), 0644);
  }
  // The keys are in ca.json from now on; one that lies about is one to be stolen.
  if (saved.ok()) unlink((folder + "/root-key.pem").c_str());
  return saved;
}

}  // namespace weft
