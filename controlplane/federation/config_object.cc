#include "controlplane/federation/config_object.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/yaml/to_json.h"
#include "certs/digest.h"
#include "controlplane/federation/peer_wire.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/proxy_refusal.h"
#include "controlplane/model/validate.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr size_t kRevisionSize = 16;  // of a hash, in hex: nobody has a reason to forge one

// Annotations that change what an object does, wherever it is.
constexpr const char* kAnnotationsThatCount[] = {"istio.io/dry-run"};

bool IsSystemNamespace(const std::string& name) {
  return name == "weft-system" || name == "istio-system" || absl::StartsWith(name, "kube-");
}

absl::Status InvalidMark(const char* annotation, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(annotation, ": ", what));
}

// "west, north"
absl::StatusOr<std::set<std::string>> ReadClusters(const char* annotation, absl::string_view text) {
  std::set<std::string> clusters;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    const std::string cluster(absl::StripAsciiWhitespace(part));
    if (!IsDnsLabel(cluster)) {
      return InvalidMark(annotation, absl::StrCat("\"", cluster, "\" is no name of a cluster"));
    }
    clusters.insert(cluster);
  }
  return clusters;
}

// "west; north, south"; a cluster stays in the first wave that names it.
absl::Status ReadOrder(absl::string_view text, std::vector<std::set<std::string>>& order) {
  std::set<std::string> known;
  for (absl::string_view part : absl::StrSplit(text, ';')) {
    auto wave = ReadClusters(kDistributeOrder, part);
    if (!wave.ok()) return wave.status();
    std::erase_if(*wave, [&](const std::string& one) { return !known.insert(one).second; });
    if (!wave->empty()) order.push_back(*std::move(wave));
  }
  return absl::OkStatus();
}

absl::Status ReadPause(absl::string_view text, absl::Duration& pause) {
  if (!absl::ParseDuration(text, &pause) || pause < kLeastPause || pause > kLongestPause) {
    return InvalidMark(kDistributePause, absl::StrCat("\"", text, "\" is no duration from ",
                                                      absl::FormatDuration(kLeastPause), " to ",
                                                      absl::FormatDuration(kLongestPause)));
  }
  return absl::OkStatus();
}

std::string Compact(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json MetadataOf(const RawObject& object) {
  const YamlNode from = object.body.node["metadata"];
  Json metadata = {{"name", object.key.name}, {"namespace", object.key.namespace_}};
  const absl::string_view created = from["creationTimestamp"].Scalar();
  if (!created.empty()) metadata["creationTimestamp"] = std::string(created);
  for (const char* name : kAnnotationsThatCount) {
    const absl::string_view value = from["annotations"][name].Scalar();
    if (!value.empty()) metadata["annotations"][name] = std::string(value);
  }
  return metadata;
}

// The first error, or nothing.
absl::Status FirstError(const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    if (problem.severity != Severity::kError) continue;
    return absl::InvalidArgumentError(problem.field.empty()
                                          ? problem.message
                                          : absl::StrCat(problem.field, ": ", problem.message));
  }
  return absl::OkStatus();
}

}  // namespace

bool MayBeDistributed(const ObjectKey& key) {
  return (key.kind == "VirtualService" || key.kind == "DestinationRule" ||
          key.kind == "AuthorizationPolicy") &&
         !IsSystemNamespace(key.namespace_);
}

absl::StatusOr<std::optional<DistributionMark>> MarkOf(const RawObject& object) {
  const YamlNode annotations = object.body.node["metadata"]["annotations"];
  const absl::string_view to = annotations[kDistributeTo].Scalar();
  if (to.empty()) return std::nullopt;
  DistributionMark mark;
  if (absl::StripAsciiWhitespace(to) == "*") {
    mark.to_all = true;
  } else {
    auto clusters = ReadClusters(kDistributeTo, to);
    if (!clusters.ok()) return clusters.status();
    mark.to = *std::move(clusters);
  }
  const absl::string_view order = annotations[kDistributeOrder].Scalar();
  absl::Status read = order.empty() ? absl::OkStatus() : ReadOrder(order, mark.order);
  const absl::string_view pause = annotations[kDistributePause].Scalar();
  if (read.ok() && !pause.empty()) read = ReadPause(pause, mark.pause);
  if (!read.ok()) return read;
  return mark;
}

std::string ConfigRevision(const std::string& json) {
  return certs::Sha256Hex(json).substr(0, kRevisionSize);
}

absl::StatusOr<std::shared_ptr<const ConfigText>> ConfigTextOf(const RawObject& object) {
  const auto spec = ToJson(object.body.node["spec"]);
  if (!spec.ok()) return spec.status();
  auto text = std::make_shared<ConfigText>();
  text->json = Compact({{"apiVersion", object.api_version},
                        {"kind", object.key.kind},
                        {"metadata", MetadataOf(object)},
                        {"spec", *spec}});
  if (text->json.size() > kMaxConfigBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(kDistributeTo, ": the object is larger than ", kMaxConfigBytes, " bytes"));
  }
  text->revision = ConfigRevision(text->json);
  return text;
}

absl::StatusOr<ReceivedConfig> ReadConfig(const ObjectKey& key, std::string json,
                                          const std::string& cluster) {
  if (json.size() > kMaxConfigBytes) return absl::InvalidArgumentError("too large");
  ReceivedConfig config;
  config.revision = ConfigRevision(json);
  auto document = YamlDocument::ParseJson(json);
  if (!document.ok()) return document.status();
  const YamlNode root = (*document)->root();
  ParsedObject parsed =
      ReadJsonObject({*std::move(document), root}, "", "", absl::StrCat("cluster ", cluster));
  if (parsed.object == nullptr) return absl::InvalidArgumentError(parsed.problem.message);
  if (parsed.object->key != key) return absl::InvalidArgumentError("it is another object");
  auto object = Decode(*parsed.object);
  if (!object.ok()) return object.status();
  absl::Status valid = FirstError(Validate(*object));
  if (!valid.ok()) return valid;
  config.json = std::move(json);
  config.object = *std::move(object);
  config.names = NamesToProxies(key, root["spec"]);
  return config;
}

absl::string_view NameOf(ConfigReport::State state) {
  switch (state) {
    case ConfigReport::State::kApplied:
      return "applied";
    case ConfigReport::State::kRejected:
      return "rejected";
    case ConfigReport::State::kConflict:
      return "conflict";
    case ConfigReport::State::kNotAccepted:
      return "not accepted";
  }
  return "";
}

}  // namespace weft
