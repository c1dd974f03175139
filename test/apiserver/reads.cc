#include "test/apiserver/reads.h"

#include <limits>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace weft::apiserver {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

// Where and how much of a collection is read.
struct Range {
  Version at = 0;
  std::optional<Store::Key> after;
  size_t limit = kNoLimit;
};

Failure NotTogether(const std::string& why) {
  Failure failure = BadRequest(why);
  failure.code = 422;
  failure.reason = "Invalid";
  return failure;
}

Result<Range> RangeOfToken(Cluster& cluster, const Target& target, const std::string& text) {
  const auto token = ContinueToken::Decode(text);
  if (!token.has_value()) return BadRequest("continue key is not valid: illegal base64 data");
  Range range;
  range.after = token->after;
  range.at = token->version == 0 ? cluster.store().version() : token->version;
  if (!cluster.store().Remembers(target.resource->Id(), range.at)) {
    return ExpiredContinue(ContinueToken{0, token->after}.Encode());
  }
  return range;
}

// What resourceVersion and resourceVersionMatch ask for.
Result<Range> RangeOfVersion(Cluster& cluster, const Target& target, const Request& request,
                             bool limited) {
  const std::string match = request.Query("resourceVersionMatch");
  auto asked = ReadVersion(request.Query("resourceVersion"));
  if (!asked.ok()) return asked.failure();
  if (!match.empty() && match != "Exact" && match != "NotOlderThan") {
    return NotTogether(absl::StrCat("resourceVersionMatch: Unsupported value: \"", match, "\""));
  }
  if (!match.empty() && !asked->has_value()) {
    return NotTogether(
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
        "resourceVersion is provided");
  }
  Range range;
  range.at = cluster.store().version();
  if (!asked->has_value()) return range;
  const Version version = **asked;
  if (match == "Exact" && version == 0) {
    return NotTogether(
        "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is "
        "forbidden for resourceVersion \"0\"");
  }
  if (version > range.at) return TooLargeVersion(version, range.at);
  // A limited list of a version, without a match, is of exactly that one.
  if (match == "Exact" || (match.empty() && limited && version != 0)) {
    if (!cluster.store().Remembers(target.resource->Id(), version)) {
      return ExpiredVersion(version, cluster.store().oldest(target.resource->Id()));
    }
    range.at = version;
  }
  return range;
}

Result<Range> ReadRange(Cluster& cluster, const Target& target, const Request& request) {
  int64_t limit = 0;
  if (request.Has("limit") && !absl::SimpleAtoi(request.Query("limit"), &limit)) {
    return BadRequest("limit: not a number");
  }
  const std::string token = request.Query("continue");
  auto range = token.empty() ? RangeOfVersion(cluster, target, request, limit > 0)
                             : RangeOfToken(cluster, target, token);
  if (range.ok() && limit > 0) range->limit = static_cast<size_t>(limit);
  return range;
}

// The selected objects of the range.
Store::Page ReadPage(Cluster& cluster, const Target& target, const Selection& selection,
                     const Range& range) {
  const size_t limit = selection.empty() ? range.limit : kNoLimit;
  Store::Page page =
      cluster.store().List(target.resource->Id(), target.ns, range.at, range.after, limit);
  if (selection.empty()) return page;
  std::vector<StoredPtr> selected;
  page.more = false;
  for (StoredPtr& object : page.objects) {
    if (!selection.Matches(*object)) continue;
    if (selected.size() == range.limit) {
      page.more = true;
      break;
    }
    selected.push_back(std::move(object));
  }
  page.objects = std::move(selected);
  return page;
}

Json ListMetadata(const Store::Page& page, const Range& range, bool whole) {
  Json metadata = {{"resourceVersion", absl::StrCat(range.at)}};
  if (!page.more) return metadata;
  const Stored& last = *page.objects.back();
  metadata["continue"] = ContinueToken{range.at, {last.ns, last.name}}.Encode();
  if (whole) metadata["remainingItemCount"] = page.left;
  return metadata;
}

}  // namespace

std::string ContinueToken::Encode() const {
  const Json token = {
      {"v", "meta.k8s.io/v1"}, {"rv", version}, {"ns", after.first}, {"start", after.second}};
  return absl::WebSafeBase64Escape(token.dump());
}

std::optional<ContinueToken> ContinueToken::Decode(const std::string& text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(text, &bytes)) return std::nullopt;
  const Json token = Json::parse(bytes, nullptr, false);
  if (!token.is_object() || !token.contains("rv") || !token["rv"].is_number_unsigned()) {
    return std::nullopt;
  }
  return ContinueToken{token["rv"].get<Version>(),
                       {token.value("ns", ""), token.value("start", "")}};
}

Result<Selection> ReadSelection(const Target& target, const Request& request) {
  auto labels = LabelSelector::Parse(request.Query("labelSelector"));
  if (!labels.ok()) return labels.failure();
  auto fields = FieldSelector::Parse(request.Query("fieldSelector"), *target.resource);
  if (!fields.ok()) return fields.failure();
  return Selection{*std::move(labels), *std::move(fields)};
}

std::optional<RowObject> WantsTable(const Request& request) {
  for (absl::string_view type : absl::StrSplit(request.accept, ',')) {
    if (absl::StrContains(type, "as=Table")) {
      if (!absl::StrContains(type, "v=v1") || absl::StrContains(type, "v=v1beta1")) continue;
      const std::string object = request.Query("includeObject");
      if (object == "None") return RowObject::kNone;
      return object == "Object" ? RowObject::kWhole : RowObject::kMetadata;
    }
    if (absl::StrContains(type, "application/json") || absl::StrContains(type, "*/*")) break;
  }
  return std::nullopt;
}

Result<std::optional<Version>> ReadVersion(const std::string& text) {
  if (text.empty()) return std::optional<Version>();
  Version version = 0;
  if (!absl::SimpleAtoi(text, &version)) {
    return BadRequest(absl::StrCat("Invalid value: \"", text, "\": resourceVersion is not valid"));
  }
  return std::optional<Version>(version);
}

Response GetObject(Cluster& cluster, const Target& target, const Request& request) {
  auto found = cluster.Get(*target.resource, target.ns, target.name);
  if (!found.ok()) return Response(found.failure());
  if (const auto rows = WantsTable(request)) {
    const TableWriter table(*target.resource, target.version, *rows, absl::Now());
    return Response(table.Table({*found}, {{"resourceVersion", absl::StrCat((*found)->version)}}));
  }
  Response response;
  (*found)->AppendTo(response.body, target.api_version(), target.resource->kind);
  response.body += "\n";
  return response;
}

Response ListObjects(Cluster& cluster, const Target& target, const Request& request) {
  auto selection = ReadSelection(target, request);
  if (!selection.ok()) return Response(selection.failure());
  auto range = ReadRange(cluster, target, request);
  if (!range.ok()) return Response(range.failure());
  const Store::Page page = ReadPage(cluster, target, *selection, *range);
  Json metadata = ListMetadata(page, *range, selection->empty());
  if (const auto rows = WantsTable(request)) {
    const TableWriter table(*target.resource, target.version, *rows, absl::Now());
    return Response(table.Table(page.objects, std::move(metadata)));
  }
  Response response;
  size_t size = 0;
  for (const StoredPtr& object : page.objects) size += object->text.size() + 128;
  response.body.reserve(size);
  absl::StrAppend(&response.body, "{\"kind\":\"", target.resource->kind, "List\",\"apiVersion\":\"",
                  target.api_version(), "\",\"metadata\":", metadata.dump(), ",\"items\":[");
  for (size_t i = 0; i < page.objects.size(); ++i) {
    if (i > 0) response.body += ',';
    // Of built-in kinds, items say neither apiVersion nor kind.
    if (target.resource->custom) {
      page.objects[i]->AppendTo(response.body, target.api_version(), target.resource->kind);
    } else {
      response.body += page.objects[i]->text;
    }
  }
  response.body += "]}\n";
  return response;
}

}  // namespace weft::apiserver
