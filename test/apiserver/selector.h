// Selectors: which objects a list or a watch is about, by label and by field. Pure.
#ifndef WEFT_TEST_APISERVER_SELECTOR_H_
#define WEFT_TEST_APISERVER_SELECTOR_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "test/apiserver/resource.h"
#include "test/apiserver/store.h"

namespace weft::apiserver {

class LabelSelector {
 public:
  // "a=b,c!=d,e,!f,g in (h,i),j notin (k)"
  static Result<LabelSelector> Parse(absl::string_view text);
  // {matchLabels, matchExpressions}, as webhooks have it; null selects all.
  static LabelSelector FromJson(const Json& selector);
  bool Matches(const Labels& labels) const;
  bool empty() const { return terms_.empty(); }

 private:
  enum class Operator { kIn, kNotIn, kExists, kAbsent };
  struct Term {
    std::string key;
    Operator op = Operator::kExists;
    std::set<std::string> values;
  };
  std::vector<Term> terms_;
};

class FieldSelector {
 public:
  // "metadata.name=a,status.phase!=Running"; fields that `resource` is not indexed by are refused.
  static Result<FieldSelector> Parse(absl::string_view text, const Resource& resource);
  bool Matches(const Stored& object) const;
  bool empty() const { return terms_.empty(); }
  // The one name it asks for, or "".
  std::string name() const;

 private:
  struct Term {
    std::string field;
    bool equal = true;
    std::string value;
  };
  std::vector<Term> terms_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_SELECTOR_H_
