#include "test/apiserver/ownership.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "test/apiserver/patch.h"

namespace weft::apiserver {
namespace {

// A set of fields as FieldsV1 writes it: {"f:spec":{"f:ports":{"k:{\"port\":80}":{"f:name":{}}}}}.
// A field without members is a leaf: the value is owned whole.
using Fields = Json;

// What no manager owns.
bool IsSystemField(absl::string_view parent, absl::string_view field) {
  if (parent.empty()) return field == "apiVersion" || field == "kind";
  if (parent != "metadata") return false;
  return field == "name" || field == "namespace" || field == "uid" || field == "resourceVersion" ||
         field == "creationTimestamp" || field == "generation" || field == "managedFields" ||
         field == "deletionTimestamp" || field == "selfLink";
}

// Walks values and sets of fields alike: the members of an object, and the elements of a list that
// has a key, are each a child with a name.
class Shape {
 public:
  explicit Shape(absl::string_view kind) : kind_(kind) {}

  struct Child {
    std::string name;   // as in FieldsV1
    std::string field;  // of an object's member
    const Json* value;
  };

  // Whether a value is owned by its children rather than whole. `parent` and `field` are where it
  // is.
  bool HasChildren(const Json& value, absl::string_view parent, absl::string_view field) const {
    if (value.is_object()) return !value.empty();
    return value.is_array() && !value.empty() && MergeKeyOf(kind_, parent, field).merges();
  }

  std::vector<Child> Children(const Json& value, absl::string_view parent,
                              absl::string_view field) const {
    std::vector<Child> children;
    if (value.is_object()) {
      for (const auto& [name, member] : value.items()) {
        if (!IsSystemField(field, name)) children.push_back({"f:" + name, name, &member});
      }
      return children;
    }
    const MergeKey key = MergeKeyOf(kind_, parent, field);
    for (const Json& element : value) {
      children.push_back({NameOf(element, key), std::string(field), &element});
    }
    return children;
  }

  static std::string NameOf(const Json& element, const MergeKey& key) {
    if (key.primitive) return "v:" + element.dump();
    Json named = Json::object();
    if (element.is_object() && element.contains(key.key)) named[key.key] = element[key.key];
    return "k:" + named.dump();
  }

  // The child of that name, or null.
  const Json* Find(const Json& value, const std::string& name, absl::string_view parent,
                   absl::string_view field) const {
    for (const Child& child : Children(value, parent, field)) {
      if (child.name == name) return child.value;
    }
    return nullptr;
  }

  absl::string_view kind() const { return kind_; }

 private:
  const std::string kind_;
};

// Where a child is: elements of a list are within the member that holds the list.
struct Place {
  std::string parent;
  std::string field;

  Place Of(const Shape::Child& child, bool in_list) const {
    return in_list ? Place{field, field} : Place{field, child.field};
  }
};

Fields FieldsOf(const Shape& shape, const Json& value, const Place& at) {
  Fields fields = Json::object();
  if (!shape.HasChildren(value, at.parent, at.field)) return fields;
  for (const Shape::Child& child : shape.Children(value, at.parent, at.field)) {
    const Place below = at.Of(child, value.is_array());
    Fields inner = FieldsOf(shape, *child.value, below);
    // Of metadata, often nothing is left but what nobody owns.
    const bool nothing =
        inner.empty() && shape.HasChildren(*child.value, below.parent, below.field);
    if (!nothing) fields[child.name] = std::move(inner);
  }
  return fields;
}

// The leaves of `after` whose value differs in `before`, or is not there. Null: none.
Fields Changed(const Shape& shape, const Json* before, const Json& after, const Place& at) {
  if (before != nullptr && *before == after) return nullptr;
  // Merged into an object, an empty one says nothing.
  if (before != nullptr && before->is_object() && after.is_object() && after.empty()) return nullptr;
  if (!shape.HasChildren(after, at.parent, at.field)) return Json::object();
  Fields fields = nullptr;
  for (const Shape::Child& child : shape.Children(after, at.parent, at.field)) {
    const Json* was =
        before == nullptr ? nullptr : shape.Find(*before, child.name, at.parent, at.field);
    Fields changed = Changed(shape, was, *child.value, at.Of(child, after.is_array()));
    if (!changed.is_null()) fields[child.name] = std::move(changed);
  }
  return fields;
}

Fields Union(Fields a, const Fields& b) {
  if (!b.is_object()) return a;
  if (!a.is_object()) return b;
  for (const auto& [name, below] : b.items()) {
    a[name] = a.contains(name) ? Union(a[name], below) : below;
  }
  return a;
}

// The leaves of `a` that are not in `b`. Null if none is left.
Fields Without(const Fields& a, const Fields& b) {
  if (!a.is_object()) return nullptr;
  if (!b.is_object()) return a;
  if (a.empty() || b.empty()) return nullptr;
  Fields left = nullptr;
  for (const auto& [name, below] : a.items()) {
    Fields rest = b.contains(name) ? Without(below, b[name]) : below;
    if (!rest.is_null()) left[name] = std::move(rest);
  }
  return left;
}

// The leaves of `a` that are in `b` too. Null if there is none.
Fields Within(const Fields& a, const Fields& b) { return Without(a, Without(a, b)); }

void Leaves(const Fields& fields, const std::string& path, std::vector<std::string>& paths) {
  if (fields.empty()) {
    paths.push_back(path);
    return;
  }
  for (const auto& [name, below] : fields.items()) {
    const bool member = absl::StartsWith(name, "f:");
    Leaves(below, absl::StrCat(path, member ? "." : "[", name.substr(2), member ? "" : "]"), paths);
  }
}

// Takes the leaves out of `value`, and what is empty then. True if nothing is left.
bool Remove(const Shape& shape, Json& value, const Fields& fields, const Place& at) {
  if (fields.empty()) return true;
  if (value.is_object()) {
    for (const auto& [name, below] : fields.items()) {
      const std::string field = name.substr(2);
      if (!absl::StartsWith(name, "f:") || !value.contains(field)) continue;
      if (Remove(shape, value[field], below, {at.field, field})) value.erase(field);
    }
    return value.empty();
  }
  if (!value.is_array()) return false;
  const MergeKey key = MergeKeyOf(shape.kind(), at.parent, at.field);
  Json kept = Json::array();
  for (Json& element : value) {
    const std::string name = Shape::NameOf(element, key);
    // Of an element that is given up the key alone is nothing.
    const bool gone =
        fields.contains(name) && (Remove(shape, element, fields[name], {at.field, at.field}) ||
                                  (element.is_object() && element.size() == 1));
    if (!gone) kept.push_back(std::move(element));
  }
  value = std::move(kept);
  return value.empty();
}

void Merge(const Shape& shape, Json& into, const Json& from, const Place& at) {
  if (from.is_object() && into.is_object()) {
    for (const auto& [name, value] : from.items()) {
      if (into.contains(name)) {
        Merge(shape, into[name], value, {at.field, name});
      } else {
        into[name] = value;
      }
    }
    return;
  }
  const MergeKey key = MergeKeyOf(shape.kind(), at.parent, at.field);
  if (!from.is_array() || !into.is_array() || !key.merges()) {
    into = from;
    return;
  }
  for (const Json& element : from) {
    const std::string name = Shape::NameOf(element, key);
    const auto found = std::find_if(
        into.begin(), into.end(), [&](const Json& old) { return Shape::NameOf(old, key) == name; });
    if (found == into.end()) {
      into.push_back(element);
    } else {
      Merge(shape, *found, element, {at.field, at.field});
    }
  }
}

Json Entry(const Apply& by, const char* operation, Fields fields) {
  return {{"manager", by.manager}, {"operation", operation},   {"apiVersion", by.api_version},
          {"time", by.now},        {"fieldsType", "FieldsV1"}, {"fieldsV1", std::move(fields)}};
}

bool IsBy(const Json& entry, const Apply& by, const char* operation) {
  return entry.value("manager", "") == by.manager && entry.value("operation", "") == operation;
}

std::vector<Json> EntriesOf(const Json& object) {
  const Json::json_pointer at("/metadata/managedFields");
  if (!object.is_object() || !object.contains(at) || !object.at(at).is_array()) return {};
  return {object.at(at).begin(), object.at(at).end()};
}

Fields SetOf(const Json& entry) { return entry.value("fieldsV1", Json::object()); }

Failure ApplyConflict(const Subject& subject, const std::vector<Json>& causes) {
  std::vector<std::string> lines;
  for (const Json& cause : causes) {
    lines.push_back(
        absl::StrCat(cause["message"].get<std::string>(), ": ", cause["field"].get<std::string>()));
  }
  Failure failure = ConflictOver(subject, "");
  failure.message = absl::StrCat("Apply failed with ", lines.size(), " conflict",
                                 lines.size() == 1 ? "" : "s", ": ", absl::StrJoin(lines, "; "));
  failure.details["causes"] = causes;
  return failure;
}

}  // namespace

Result<Json> ApplyTo(const Json& live, const Json& applied, const Apply& apply) {
  const Shape shape(apply.subject.kind);
  const Fields wanted = FieldsOf(shape, applied, {});
  std::vector<Json> entries = EntriesOf(live);
  Fields mine = nullptr, others = nullptr;
  std::vector<Json> causes, kept;
  const Fields differing = live.is_null() ? nullptr : Changed(shape, &live, applied, {});
  for (Json& entry : entries) {
    if (IsBy(entry, apply, "Apply")) {
      mine = SetOf(entry);
      continue;
    }
    Fields theirs = SetOf(entry);
    const Fields disputed = Within(theirs, differing);
    std::vector<std::string> paths;
    if (!disputed.is_null()) Leaves(disputed, "", paths);
    for (const std::string& path : paths) {
      causes.push_back(
          {{"reason", "FieldManagerConflict"},
           {"message", absl::StrCat("conflict with \"", entry.value("manager", ""), "\"")},
           {"field", path}});
    }
    theirs = Without(theirs, disputed);
    if (theirs.is_null()) continue;
    others = Union(std::move(others), theirs);
    entry["fieldsV1"] = std::move(theirs);
    kept.push_back(std::move(entry));
  }
  if (!causes.empty() && !apply.force) return ApplyConflict(apply.subject, causes);

  Json object = live.is_null() ? Json::object() : live;
  const Fields given_up = Without(Without(mine, wanted), others);
  if (!given_up.is_null()) Remove(shape, object, given_up, {});
  Merge(shape, object, applied, {});
  kept.push_back(Entry(apply, "Apply", wanted));
  object["metadata"]["managedFields"] = kept;
  return object;
}

void NoteWrite(const Json& before, Json& after, const Apply& write) {
  std::vector<Json> entries = EntriesOf(before);
  if (entries.empty()) return;
  const Shape shape(write.subject.kind);
  const Fields changed = Changed(shape, &before, after, {});
  const Fields present = FieldsOf(shape, after, {});
  Fields mine = changed;
  std::vector<Json> kept;
  for (Json& entry : entries) {
    if (IsBy(entry, write, "Update")) {
      mine = Union(std::move(mine), Within(SetOf(entry), present));
      continue;
    }
    Fields left = Within(Without(SetOf(entry), changed), present);
    if (left.is_null()) continue;
    entry["fieldsV1"] = std::move(left);
    kept.push_back(std::move(entry));
  }
  if (!mine.is_null()) kept.push_back(Entry(write, "Update", std::move(mine)));
  after["metadata"]["managedFields"] = kept;
}

}  // namespace weft::apiserver
