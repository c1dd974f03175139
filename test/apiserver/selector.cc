#include "test/apiserver/selector.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::apiserver {
namespace {

// At commas outside of parentheses.
std::vector<absl::string_view> Terms(absl::string_view text) {
  std::vector<absl::string_view> terms;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    const absl::string_view term = absl::StripAsciiWhitespace(text.substr(start, i - start));
    if (!term.empty()) terms.push_back(term);
    start = i + 1;
  }
  return terms;
}

bool IsLabelKey(absl::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

struct SetTerm {
  absl::string_view key;
  bool in = true;
  std::set<std::string> values;
};

// "key in (a, b)" and "key notin (a)".
bool ReadSet(absl::string_view term, SetTerm& set) {
  const size_t open = term.find('(');
  if (open == absl::string_view::npos || term.back() != ')') return false;
  absl::string_view head = absl::StripAsciiWhitespace(term.substr(0, open));
  set.in = absl::EndsWith(head, " in");
  if (!set.in && !absl::EndsWith(head, " notin")) return false;
  head.remove_suffix(set.in ? 3 : 6);
  set.key = absl::StripAsciiWhitespace(head);
  const absl::string_view list = term.substr(open + 1, term.size() - open - 2);
  for (absl::string_view value : absl::StrSplit(list, ',')) {
    set.values.emplace(absl::StripAsciiWhitespace(value));
  }
  return true;
}

// The fields beside metadata.name and metadata.namespace, as Kubernetes indexes them.
std::vector<std::string> IndexedFields(const Resource& resource) {
  const std::string id = resource.Id();
  if (id == "pods") {
    return {"spec.nodeName",           "status.phase",       "status.podIP",
            "spec.restartPolicy",      "spec.schedulerName", "spec.serviceAccountName",
            "status.nominatedNodeName"};
  }
  if (id == "secrets") return {"type"};
  if (id == "nodes") return {"spec.unschedulable"};
  if (id == "namespaces") return {"status.phase"};
  if (id == "services") return {"spec.clusterIP", "spec.type"};
  if (id == "replicasets.apps") return {"status.replicas"};
  if (id == "events") {
    return {"involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "reason",
            "involvedObject.resourceVersion",
            "type",
            "source",
            "reportingComponent"};
  }
  return {};
}

std::string FieldOf(const Json& object, absl::string_view path) {
  const Json* at = &object;
  for (absl::string_view step : absl::StrSplit(path, '.')) {
    const auto next = at->find(std::string(step));
    if (next == at->end()) return "";
    at = &*next;
  }
  if (at->is_string()) return at->get<std::string>();
  return at->is_primitive() && !at->is_null() ? at->dump() : "";
}

}  // namespace

Result<LabelSelector> LabelSelector::Parse(absl::string_view text) {
  LabelSelector selector;
  for (absl::string_view term : Terms(text)) {
    Term parsed;
    SetTerm set;
    const size_t equals = term.find('=');
    if (ReadSet(term, set)) {
      parsed = {std::string(set.key), set.in ? Operator::kIn : Operator::kNotIn, set.values};
    } else if (equals != absl::string_view::npos) {
      absl::string_view key = term.substr(0, equals);
      absl::string_view value = term.substr(equals + 1);
      const bool negative = absl::ConsumeSuffix(&key, "!");
      absl::ConsumePrefix(&value, "=");
      parsed = {std::string(absl::StripAsciiWhitespace(key)),
                negative ? Operator::kNotIn : Operator::kIn,
                {std::string(absl::StripAsciiWhitespace(value))}};
    } else if (absl::ConsumePrefix(&term, "!")) {
      parsed = {std::string(absl::StripAsciiWhitespace(term)), Operator::kAbsent, {}};
    } else {
      parsed = {std::string(term), Operator::kExists, {}};
    }
    if (!IsLabelKey(parsed.key)) {
      return BadRequest(absl::StrCat("unable to parse requirement: '", term, "'"));
    }
    selector.terms_.push_back(std::move(parsed));
  }
  return selector;
}

LabelSelector LabelSelector::FromJson(const Json& json) {
  LabelSelector selector;
  if (!json.is_object()) return selector;
  if (const auto labels = json.find("matchLabels"); labels != json.end()) {
    for (const auto& [key, value] : labels->items()) {
      selector.terms_.push_back({key, Operator::kIn, {value.get<std::string>()}});
    }
  }
  if (const auto listed = json.find("matchExpressions"); listed != json.end()) {
    for (const Json& one : *listed) {
      const std::string op = one.value("operator", "");
      Term term;
      term.key = one.value("key", "");
      term.op = op == "In"       ? Operator::kIn
                : op == "NotIn"  ? Operator::kNotIn
                : op == "Exists" ? Operator::kExists
                                 : Operator::kAbsent;
      for (const std::string& value : one.value("values", std::vector<std::string>())) {
        term.values.insert(value);
      }
      selector.terms_.push_back(std::move(term));
    }
  }
  return selector;
}

bool LabelSelector::Matches(const Labels& labels) const {
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    const auto found = labels.find(term.key);
    const bool has = found != labels.end();
    switch (term.op) {
      case Operator::kIn:
        return has && term.values.count(found->second) > 0;
      case Operator::kNotIn:
        return !has || term.values.count(found->second) == 0;
      case Operator::kExists:
        return has;
      case Operator::kAbsent:
        return !has;
    }
    return false;
  });
}

Result<FieldSelector> FieldSelector::Parse(absl::string_view text, const Resource& resource) {
  FieldSelector selector;
  std::vector<std::string> known = IndexedFields(resource);
  known.push_back("metadata.name");
  if (resource.namespaced) known.push_back("metadata.namespace");
  for (absl::string_view term : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const size_t equals = term.find('=');
    if (equals == absl::string_view::npos) {
      return BadRequest(
          absl::StrCat("invalid selector: '", text, "'; can't understand '", term, "'"));
    }
    absl::string_view field = term.substr(0, equals);
    absl::string_view value = term.substr(equals + 1);
    const bool negative = absl::ConsumeSuffix(&field, "!");
    absl::ConsumePrefix(&value, "=");
    if (std::find(known.begin(), known.end(), field) == known.end()) {
      return BadRequest(absl::StrCat("field label not supported: ", field));
    }
    selector.terms_.push_back({std::string(field), !negative, std::string(value)});
  }
  return selector;
}

bool FieldSelector::Matches(const Stored& object) const {
  Json parsed;
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    if (term.field == "metadata.name") return (object.name == term.value) == term.equal;
    if (term.field == "metadata.namespace") return (object.ns == term.value) == term.equal;
    if (parsed.is_null()) parsed = Json::parse(object.text, nullptr, false);
    return (FieldOf(parsed, term.field) == term.value) == term.equal;
  });
}

std::string FieldSelector::name() const {
  for (const Term& term : terms_) {
    if (term.field == "metadata.name" && term.equal) return term.value;
  }
  return "";
}

}  // namespace weft::apiserver
