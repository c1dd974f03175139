#include "test/apiserver/store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::apiserver {
namespace {

Labels LabelsOf(const Json& metadata) {
  Labels labels;
  const auto found = metadata.find("labels");
  if (found == metadata.end() || !found->is_object()) return labels;
  for (const auto& [key, value] : found->items()) {
    if (value.is_string()) labels[key] = value.get<std::string>();
  }
  return labels;
}

StoredPtr MakeStored(Json object, Version version) {
  Json& metadata = object["metadata"];
  metadata["resourceVersion"] = absl::StrCat(version);
  auto stored = std::make_shared<Stored>();
  stored->ns = metadata.value("namespace", "");
  stored->name = metadata.value("name", "");
  stored->version = version;
  stored->labels = LabelsOf(metadata);
  object.erase("apiVersion");
  object.erase("kind");
  stored->text = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  return stored;
}

}  // namespace

void Stored::AppendTo(std::string& out, absl::string_view api_version,
                      absl::string_view kind) const {
  absl::StrAppend(&out, "{\"apiVersion\":\"", api_version, "\",\"kind\":\"", kind, "\",",
                  absl::string_view(text).substr(1));
}

Json Stored::Parse(absl::string_view api_version, absl::string_view kind) const {
  Json object = Json::parse(text, nullptr, false);
  object["apiVersion"] = std::string(api_version);
  object["kind"] = std::string(kind);
  return object;
}

const Store::Table& Store::Of(const std::string& resource) const {
  static const Table kNone;
  const auto found = tables_.find(resource);
  return found == tables_.end() ? kNone : found->second;
}

StoredPtr Store::Get(const std::string& resource, const std::string& ns,
                     const std::string& name) const {
  const Table& table = Of(resource);
  const auto found = table.objects.find({ns, name});
  return found == table.objects.end() ? nullptr : found->second;
}

void Store::Remember(Table& table, Change change) {
  table.history.push_back(std::move(change));
  while (table.history.size() > history_limit_) {
    table.compacted = table.history.front().version;
    table.history.pop_front();
  }
}

StoredPtr Store::Put(const std::string& resource, Json object) {
  StoredPtr now = MakeStored(std::move(object), ++version_);
  Table& table = tables_[resource];
  StoredPtr& place = table.objects[{now->ns, now->name}];
  Change change = {version_, place, now, nullptr};
  place = now;
  Remember(table, std::move(change));
  return now;
}

StoredPtr Store::Delete(const std::string& resource, const std::string& ns,
                        const std::string& name) {
  Table& table = tables_[resource];
  const auto found = table.objects.find({ns, name});
  if (found == table.objects.end()) return nullptr;
  const StoredPtr before = found->second;
  StoredPtr last = MakeStored(Json::parse(before->text, nullptr, false), ++version_);
  table.objects.erase(found);
  Remember(table, {version_, before, nullptr, last});
  return last;
}

Store::Page Store::List(const std::string& resource, const std::string& ns, Version at,
                        const std::optional<Key>& from, size_t limit) const {
  const Table& table = Of(resource);
  // What changed since, undone.
  std::map<Key, StoredPtr> earlier;
  for (auto change = table.history.rbegin(); change != table.history.rend() && change->version > at;
       ++change) {
    const Stored& object = change->now != nullptr ? *change->now : *change->last;
    earlier[{object.ns, object.name}] = change->before;
  }
  const Key begin = from.has_value() ? *from : Key(ns, "");
  auto now = from.has_value() ? table.objects.upper_bound(begin) : table.objects.lower_bound(begin);
  auto then = from.has_value() ? earlier.upper_bound(begin) : earlier.lower_bound(begin);
  const auto in_namespace = [&](const Key& key) { return ns.empty() || key.first == ns; };

  Page page;
  const auto take = [&](const StoredPtr& object) {
    if (object == nullptr) return;
    if (page.objects.size() < limit) {
      page.objects.push_back(object);
    } else {
      page.more = true;
      ++page.left;
    }
  };
  while (true) {
    const bool has_now = now != table.objects.end() && in_namespace(now->first);
    const bool has_then = then != earlier.end() && in_namespace(then->first);
    if (!has_now && !has_then) return page;
    if (has_then && (!has_now || then->first <= now->first)) {
      if (has_now && now->first == then->first) ++now;
      take(then->second);
      ++then;
    } else {
      take(now->second);
      ++now;
    }
  }
}

size_t Store::Count(const std::string& resource) const { return Of(resource).objects.size(); }

Version Store::oldest(const std::string& resource) const {
  return std::max(compacted_, Of(resource).compacted);
}

bool Store::Remembers(const std::string& resource, Version at) const {
  return at >= oldest(resource);
}

const std::deque<Change>& Store::History(const std::string& resource) const {
  return Of(resource).history;
}

size_t Store::FirstAfter(const std::string& resource, Version after) const {
  const std::deque<Change>& history = Of(resource).history;
  const auto first =
      std::upper_bound(history.begin(), history.end(), after,
                       [](Version v, const Change& change) { return v < change.version; });
  return static_cast<size_t>(first - history.begin());
}

void Store::Compact() {
  compacted_ = version_;
  for (auto& [resource, table] : tables_) table.history.clear();
}

}  // namespace weft::apiserver
