#include "test/apiserver/cluster.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "test/apiserver/prepare.h"

namespace weft::apiserver {
namespace {

constexpr char kNamespaces[] = "namespaces";
constexpr char kCrds[] = "customresourcedefinitions.apiextensions.k8s.io";

// The range of Services: 10.96.0.0/12, as kubeadm has it. The first ones are the cluster's own.
constexpr uint32_t kServiceRange = 10u << 24 | 96u << 16;
constexpr uint32_t kServiceRangeSize = 1u << 20;
constexpr uint32_t kReservedAddresses = 16;

bool HasFinalizers(const Json& object) {
  const Json::json_pointer at("/metadata/finalizers");
  return object.contains(at) && !object.at(at).empty();
}

bool IsDeleting(const Json& object) {
  return object.contains(Json::json_pointer("/metadata/deletionTimestamp"));
}

Json Whole(const Resource& resource, const Stored& stored) {
  return stored.Parse(resource.ApiVersion(resource.versions.front()), resource.kind);
}

// Equal but for the times at which managers wrote.
bool SameContent(Json a, Json b) {
  for (Json* object : {&a, &b}) {
    object->erase("apiVersion");
    (*object)["metadata"].erase("resourceVersion");
    const auto entries = (*object)["metadata"].find("managedFields");
    if (entries == (*object)["metadata"].end() || !entries->is_array()) continue;
    for (Json& entry : *entries) entry.erase("time");
  }
  return a == b;
}

}  // namespace

Cluster::Cluster(bool mesh_crds) {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    (void)Put({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}});
  }
  if (!mesh_crds) return;
  for (Json& crd : MeshCrds()) (void)Put(std::move(crd));
}

std::string Cluster::NewUid() {
  const uint64_t high = absl::Uniform<uint64_t>(random_);
  const uint64_t low = absl::Uniform<uint64_t>(random_);
  // Version 4 of RFC 4122.
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%012x", high >> 32, high >> 16 & 0xffff,
                         high & 0xfff, 0x8000 | (low >> 48 & 0x3fff), low & 0xffffffffffff);
}

std::string Cluster::NewSuffix() {
  // What Kubernetes takes: no vowels, nothing that looks like something else.
  constexpr absl::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < 5; ++i) suffix += kLetters[absl::Uniform(random_, 0u, kLetters.size())];
  return suffix;
}

std::string Cluster::NewAddress() {
  const uint32_t ip =
      kServiceRange + kReservedAddresses + addresses_++ % (kServiceRangeSize - kReservedAddresses);
  return absl::StrCat(ip >> 24, ".", ip >> 16 & 255, ".", ip >> 8 & 255, ".", ip & 255);
}

Result<StoredPtr> Cluster::Get(const Resource& resource, const std::string& ns,
                               const std::string& name) {
  StoredPtr found = store_.Get(resource.Id(), resource.namespaced ? ns : "", name);
  if (found == nullptr) return NotFound(resource.Named(name));
  return found;
}

std::optional<Failure> Cluster::CheckNamespace(const Resource& resource, const std::string& ns,
                                               const std::string& name) {
  if (!resource.namespaced) return std::nullopt;
  const StoredPtr found = store_.Get(kNamespaces, "", ns);
  if (found == nullptr) return NotFound({"", kNamespaces, "Namespace", ns});
  if (!IsDeleting(Json::parse(found->text, nullptr, false))) return std::nullopt;
  return Forbidden(resource.Named(name), absl::StrCat("unable to create new content in namespace ",
                                                      ns, " because it is being terminated"));
}

Result<Json> Cluster::PrepareNew(const Resource& resource, const std::string& ns, Json object) {
  if (auto wrong = CheckIdentity(object, resource, ns, NewSuffix())) return *wrong;
  Json& metadata = object["metadata"];
  const std::string name = metadata["name"].get<std::string>();
  if (auto wrong = CheckNamespace(resource, ns, name)) return *wrong;
  if (!metadata.value("resourceVersion", "").empty()) {
    return BadRequest("resourceVersion should not be set on objects to be created");
  }
  StampNew(object, resource, NewUid(), absl::Now());
  if (auto wrong = Validate(object, resource)) return *wrong;
  SetDefaults(object, resource, [this] { return NewAddress(); });
  if (resource.Id() == kCrds) {
    auto kind = ResourceOfCrd(object);
    if (!kind.ok()) return kind.failure();
  }
  return object;
}

Result<StoredPtr> Cluster::CommitNew(const Resource& resource, Json object) {
  if (auto wrong = Validate(object, resource)) return *wrong;
  const std::string ns = object["metadata"].value("namespace", "");
  const std::string name = object["metadata"].value("name", "");
  if (store_.Get(resource.Id(), ns, name) != nullptr) return AlreadyExists(resource.Named(name));
  StoredPtr now = store_.Put(resource.Id(), std::move(object));
  Changed(resource, now);
  return now;
}

Result<Json> Cluster::PrepareChange(const Resource& resource, const Json& before, Json object,
                                    bool status_only) {
  const Json& old = before["metadata"];
  const std::string name = old["name"].get<std::string>();
  if (auto wrong = CheckIdentity(object, resource, old.value("namespace", ""), "")) return *wrong;
  if (object["metadata"]["name"].get<std::string>() != name) {
    return BadRequest("the name of the object does not match the name on the URL");
  }
  const std::string version = object["metadata"].value("resourceVersion", "");
  if (!version.empty() && version != old["resourceVersion"].get<std::string>()) {
    return ModifiedMeanwhile(resource.Named(name));
  }
  const std::string uid = object["metadata"].value("uid", "");
  if (!uid.empty() && uid != old["uid"].get<std::string>()) {
    return ConflictOver(resource.Named(name),
                        absl::StrCat("Precondition failed: UID in precondition: ", uid,
                                     ", UID in object meta: ", old["uid"].get<std::string>()));
  }
  StampChanged(before, object, resource, status_only);
  // A Service keeps its address though a manifest does not name one.
  if (resource.Id() == "services" && object.contains("spec") && object["spec"].is_object() &&
      before.contains("spec")) {
    for (const char* field : {"clusterIP", "clusterIPs"}) {
      if (!object["spec"].contains(field) && before["spec"].contains(field)) {
        object["spec"][field] = before["spec"][field];
      }
    }
  }
  if (auto wrong = Validate(object, resource)) return *wrong;
  if (!status_only) SetDefaults(object, resource, [this] { return NewAddress(); });
  if (resource.Id() == kCrds) {
    auto kind = ResourceOfCrd(object);
    if (!kind.ok()) return kind.failure();
  }
  return object;
}

Result<StoredPtr> Cluster::CommitChange(const Resource& resource, const Stored& before,
                                        Json object) {
  const StoredPtr current = store_.Get(resource.Id(), before.ns, before.name);
  if (current == nullptr) return NotFound(resource.Named(before.name));
  if (current->version != before.version) return ModifiedMeanwhile(resource.Named(before.name));
  if (auto wrong = Validate(object, resource)) return *wrong;
  if (SameContent(object, Whole(resource, *current))) return current;
  const bool released =
      IsDeleting(object) && !HasFinalizers(object) && resource.Id() != kNamespaces;
  StoredPtr now = store_.Put(resource.Id(), std::move(object));
  if (released) {
    Remove(resource, now->ns, now->name);
    return now;
  }
  Changed(resource, now);
  return now;
}

Result<Cluster::Deletion> Cluster::Delete(const Resource& resource, const std::string& ns,
                                          const std::string& name, const std::string& uid) {
  auto found = Get(resource, ns, name);
  if (!found.ok()) return found.failure();
  Json object = Whole(resource, **found);
  if (!uid.empty() && uid != object["metadata"].value("uid", "")) {
    return ConflictOver(resource.Named(name), "Precondition failed: UID in precondition");
  }
  const bool is_namespace = resource.Id() == kNamespaces;
  if (!HasFinalizers(object) && !is_namespace) {
    Remove(resource, (*found)->ns, name);
    return Deletion{*found, true};
  }
  if (!IsDeleting(object)) {
    object["metadata"]["deletionTimestamp"] = Rfc3339(absl::Now());
    object["metadata"]["deletionGracePeriodSeconds"] = 0;
    if (is_namespace) object["status"]["phase"] = "Terminating";
    *found = store_.Put(resource.Id(), std::move(object));
    Changed(resource, *found);
  }
  if (is_namespace) EmptyNamespace(name);
  return Deletion{*found, store_.Get(resource.Id(), (*found)->ns, name) == nullptr};
}

void Cluster::Remove(const Resource& resource, const std::string& ns, const std::string& name) {
  if (store_.Delete(resource.Id(), ns, name) == nullptr) return;
  Changed(resource, nullptr);
  if (resource.Id() == kCrds) UninstallCrd(name);
  if (!ns.empty()) FinishNamespace(ns);
}

void Cluster::EmptyNamespace(const std::string& ns) {
  for (const auto& resource : catalog_.All()) {
    if (!resource->namespaced || !resource->stored) continue;
    const Store::Page all = store_.List(resource->Id(), ns, store_.version(), std::nullopt,
                                        std::numeric_limits<size_t>::max());
    for (const StoredPtr& object : all.objects) (void)Delete(*resource, ns, object->name);
  }
  FinishNamespace(ns);
}

// A namespace that is being deleted goes when nothing is left in it.
void Cluster::FinishNamespace(const std::string& ns) {
  const StoredPtr found = store_.Get(kNamespaces, "", ns);
  if (found == nullptr) return;
  const Json object = Json::parse(found->text, nullptr, false);
  if (!IsDeleting(object) || HasFinalizers(object)) return;
  for (const auto& resource : catalog_.All()) {
    if (!resource->namespaced) continue;
    const auto rest = store_.List(resource->Id(), ns, store_.version(), std::nullopt, 1);
    if (!rest.objects.empty()) return;
  }
  store_.Delete(kNamespaces, "", ns);
  Changed(*catalog_.FindById(kNamespaces), nullptr);
}

void Cluster::UninstallCrd(const std::string& name) {
  const auto resource = catalog_.FindById(name);
  if (resource == nullptr) return;
  const Store::Page all =
      store_.List(name, "", store_.version(), std::nullopt, std::numeric_limits<size_t>::max());
  for (const StoredPtr& object : all.objects) store_.Delete(name, object->ns, object->name);
  catalog_.Remove(name);
  Changed(*resource, nullptr);
}

// `now`: null for what was removed.
void Cluster::Changed(const Resource& resource, const StoredPtr& now) {
  if (resource.Id() == kCrds && now != nullptr) {
    auto kind = ResourceOfCrd(Json::parse(now->text, nullptr, false));
    if (kind.ok()) catalog_.Set(*kind);
  }
  const auto [first, last] = followers_.equal_range(resource.Id());
  for (auto follower = first; follower != last; ++follower) follower->second->Notify();
}

Result<StoredPtr> Cluster::Put(Json object) {
  const std::string api_version = object.value("apiVersion", "");
  const std::string kind = object.value("kind", "");
  const auto resource = catalog_.FindKind(api_version, kind);
  if (resource == nullptr) {
    return BadRequest(
        absl::StrCat("no matches for kind \"", kind, "\" in version \"", api_version, "\""));
  }
  Json& metadata = object["metadata"];
  const std::string ns = resource->namespaced ? metadata.value("namespace", "default") : "";
  const StoredPtr before = store_.Get(resource->Id(), ns, metadata.value("name", ""));
  if (before == nullptr) {
    metadata.erase("resourceVersion");
    auto prepared = PrepareNew(*resource, ns, std::move(object));
    if (!prepared.ok()) return prepared.failure();
    return CommitNew(*resource, *std::move(prepared));
  }
  const Json old = Whole(*resource, *before);
  const Json status = object.value("status", Json());
  auto prepared = PrepareChange(*resource, old, std::move(object), false);
  if (!prepared.ok()) return prepared.failure();
  if (!status.is_null()) (*prepared)["status"] = status;
  return CommitChange(*resource, *before, *std::move(prepared));
}

void Cluster::Follow(const std::string& resource, Signal* signal) {
  followers_.emplace(resource, signal);
}

void Cluster::Unfollow(const std::string& resource, Signal* signal) {
  const auto [first, last] = followers_.equal_range(resource);
  for (auto follower = first; follower != last; ++follower) {
    if (follower->second != signal) continue;
    followers_.erase(follower);
    return;
  }
}

void Cluster::WakeAll() {
  for (const auto& [resource, signal] : followers_) signal->Notify();
}

}  // namespace weft::apiserver
