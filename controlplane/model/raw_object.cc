#include "controlplane/model/raw_object.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

// Groups whose kinds go by their plain name; no two of them share a kind's name.
constexpr std::array<absl::string_view, 11> kPlainGroups = {
    "",
    "apps",
    "batch",
    "discovery.k8s.io",
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
    "policy",
    "autoscaling",
    "multicluster.x-k8s.io",
};

constexpr std::array<absl::string_view, 15> kClusterScoped = {
    "APIService",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "GatewayClass",
    "IngressClass",
    "Link.weft.io",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
};

// RFC 1123 labels joined by dots: what Kubernetes accepts as a name. Names become parts of host
// names and identities, so nothing else gets in.
bool IsValidName(absl::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  char previous = '.';
  for (char c : name) {
    const bool alphanumeric = absl::ascii_islower(c) || absl::ascii_isdigit(c);
    if (!alphanumeric && c != '-' && c != '.') return false;
    if (c == '.' && (previous == '.' || previous == '-')) return false;
    if (c == '-' && previous == '.') return false;
    previous = c;
  }
  return previous != '.' && previous != '-';
}

// ClusterRoles and the like may be called "system:node"; they are of no interest here.
bool IsValidNameFor(absl::string_view kind, absl::string_view name) {
  return IsValidName(name) || absl::StrContains(kind, "Role");
}

// The line of an error that starts with "line 12: ", which is then cut off.
std::optional<int> TakeLine(absl::string_view* message) {
  absl::string_view rest = *message;
  if (!absl::ConsumePrefix(&rest, "line ")) return std::nullopt;
  const size_t colon = rest.find(": ");
  int line = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(0, colon), &line)) {
    return std::nullopt;
  }
  *message = rest.substr(colon + 2);
  return line;
}

std::string StringAt(const YamlNode& map, absl::string_view field) {
  return std::string(map[field].Scalar());
}

std::string GroupOf(const std::string& version) {
  const size_t slash = version.find('/');
  return slash == std::string::npos ? "" : version.substr(0, slash);
}

// Who the object is. After an error the key is filled as far as it could be read.
absl::Status ReadIdentity(const YamlNode& node, std::string version, std::string kind,
                          RawObject* object) {
  ObjectKey& key = object->key;
  key.kind = KindName(GroupOf(version), kind);
  object->api_version = std::move(version);
  const YamlNode metadata = node["metadata"];
  if (!metadata.IsMap()) {
    return absl::InvalidArgumentError("'metadata' is missing");
  }
  key.name = StringAt(metadata, "name");
  if (key.name.empty()) return absl::InvalidArgumentError("metadata.name: missing");
  if (!IsClusterScoped(key.kind)) {
    key.namespace_ = StringAt(metadata, "namespace");
    if (key.namespace_.empty()) key.namespace_ = "default";
    if (!IsValidName(key.namespace_)) {
      return absl::InvalidArgumentError("metadata.namespace: not a valid name");
    }
  }
  if (!IsValidNameFor(key.kind, key.name)) {
    return absl::InvalidArgumentError(
        "metadata.name: not a valid name: expected lower case letters, digits, '-' and '.'");
  }
  object->deleted = !StringAt(metadata, "deletionTimestamp").empty();
  return absl::OkStatus();
}

class ObjectReader {
 public:
  ObjectReader(absl::string_view name, ParsedObjects* out) : name_(name), out_(out) {}

  void ReadText(absl::string_view text) {
    const YamlStream stream = ParseYamlStream(text);
    for (const absl::Status& error : stream.errors) AddSyntaxError(error);
    for (const auto& document : stream.documents) {
      document_ = document;
      Read(document->root(), "", "");
    }
  }

 private:
  // Items of a typed list ("ServiceList") may leave out what the list's kind says.
  void Read(const YamlNode& node, const std::string& list_version, const std::string& list_kind) {
    if (!node.IsMap()) return AddError(node, {}, "not an object: expected a mapping with 'kind'");
    std::string version = StringAt(node, "apiVersion");
    if (version.empty()) version = list_version;
    std::string kind = StringAt(node, "kind");
    if (kind.empty()) kind = list_kind;
    if (kind.empty()) return AddError(node, {}, "'kind' is missing");
    if (version.empty()) return AddError(node, {kind, "", ""}, "'apiVersion' is missing");
    const YamlNode items = node["items"];
    if (absl::EndsWith(kind, "List") && items.IsDefined()) {
      return ReadItems(items, version, kind);
    }
    ReadObject(node, std::move(version), std::move(kind));
  }

  void ReadItems(const YamlNode& items, const std::string& version, const std::string& kind) {
    if (items.IsNull()) return;
    if (!items.IsSequence()) return AddError(items, {kind, "", ""}, "'items' is not a list");
    const std::string item_kind(absl::StripSuffix(kind, "List"));
    for (const YamlNode& item : items) {
      // No list of lists: that bounds the recursion.
      if (item.IsMap() && absl::EndsWith(StringAt(item, "kind"), "List")) {
        AddError(item, {kind, "", ""}, "a list inside a list");
      } else {
        Read(item, item_kind.empty() ? "" : version, item_kind);
      }
    }
  }

  void ReadObject(const YamlNode& node, std::string version, std::string kind) {
    auto object = std::make_shared<RawObject>();
    absl::Status status = ReadIdentity(node, std::move(version), std::move(kind), object.get());
    if (!status.ok()) return AddError(node, object->key, status.message());
    object->origin = Origin(node);
    object->body = {document_, node};
    out_->objects.push_back(std::move(object));
  }

  std::string Origin(const YamlNode& node) const { return absl::StrCat(name_, ":", node.line()); }

  void AddError(const YamlNode& node, ObjectKey key, absl::string_view message) {
    out_->problems.push_back(
        {Severity::kError, "", std::move(key), Origin(node), "", std::string(message)});
  }

  void AddSyntaxError(const absl::Status& error) {
    absl::string_view message = error.message();
    const std::optional<int> line = TakeLine(&message);
    const std::string origin = line.has_value() ? absl::StrCat(name_, ":", *line) : name_;
    out_->problems.push_back(
        {Severity::kError, "", {}, origin, "", absl::StrCat("not valid YAML: ", message)});
  }

  const std::string name_;
  ParsedObjects* out_;
  std::shared_ptr<const YamlDocument> document_;  // the one that is read
};

}  // namespace

std::string KindName(absl::string_view group, absl::string_view kind) {
  const bool plain =
      std::find(kPlainGroups.begin(), kPlainGroups.end(), group) != kPlainGroups.end();
  return plain || IsClusterScoped(kind) ? std::string(kind) : absl::StrCat(kind, ".", group);
}

bool IsClusterScoped(absl::string_view kind) {
  return std::binary_search(kClusterScoped.begin(), kClusterScoped.end(), kind);
}

ParsedObject ReadJsonObject(ObjectBody body, absl::string_view api_version, absl::string_view kind,
                            absl::string_view origin) {
  const YamlNode root = body.node;
  auto object = std::make_shared<RawObject>();
  object->origin = std::string(origin);
  object->body = std::move(body);
  std::string own_version = StringAt(root, "apiVersion");
  std::string own_kind = StringAt(root, "kind");
  if (own_version.empty()) own_version = std::string(api_version);
  if (own_kind.empty()) own_kind = std::string(kind);
  const absl::Status status =
      ReadIdentity(root, std::move(own_version), std::move(own_kind), object.get());
  ParsedObject parsed;
  parsed.resource_version = StringAt(root["metadata"], "resourceVersion");
  if (status.ok()) {
    parsed.object = std::move(object);
  } else {
    parsed.problem.key = object->key;
    parsed.problem.origin = object->origin;
    parsed.problem.message = std::string(status.message());
  }
  return parsed;
}

ParsedObjects ParseObjects(absl::string_view text, absl::string_view name) {
  ParsedObjects parsed;
  ObjectReader(name, &parsed).ReadText(text);
  return parsed;
}

}  // namespace weft
