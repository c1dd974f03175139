// Checker: collects what is wrong with one object, knowing where in it one is.
//
//   const Checker::In in(check, "http", i);    // spec.http[0]
//   check.Port("port", match.port());          // spec.http[0].port: 70000 is out of range 1..65535
#ifndef WEFT_CONTROLPLANE_MODEL_CHECKER_H_
#define WEFT_CONTROLPLANE_MODEL_CHECKER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/decode.h"
#include "controlplane/model/problem.h"

namespace weft {

class Checker {
 public:
  // `object` must outlive this.
  Checker(const Object& object, absl::string_view root) : object_(object), path_(root) {}
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  const ObjectKey& key() const { return object_.key; }

  // A field below, for the time of a block.
  class In {
   public:
    In(Checker& check, absl::string_view field);
    In(Checker& check, absl::string_view list, size_t index);
    In(const In&) = delete;
    In& operator=(const In&) = delete;
    ~In() { check_.path_.resize(length_); }

   private:
    Checker& check_;
    const size_t length_;
  };

  // An empty `field` is the place itself.
  void Error(absl::string_view field, std::string message);
  void Warning(absl::string_view field, std::string message);
  void Info(absl::string_view field, std::string message);

  // Empty values are absent fields, and pass unless the name says otherwise.
  void RequiredPort(absl::string_view field, int64_t port);
  void Port(absl::string_view field, int64_t port);
  void Range(absl::string_view field, double value, double low, double high);
  void NotNegative(absl::string_view field, int64_t value);
  // "1.5s", "1h30m"; finite, not negative, in whole milliseconds.
  void Duration(absl::string_view field, absl::string_view text);
  void Regex(absl::string_view field, const std::string& regex);
  // DNS label: "v1", "blue-2".
  void Label(absl::string_view field, absl::string_view name);
  // Host name or IP; a first label "*" only with `wildcard`.
  void Host(absl::string_view field, absl::string_view host, bool wildcard);
  void HeaderName(absl::string_view field, absl::string_view name);
  void Ip(absl::string_view field, const std::string& address);
  // ".", "*", "~" or namespaces.
  template <typename Names>
  void ExportTo(const Names& names) {
    size_t i = 0;
    for (const std::string& name : names) ExportToName(i++, name);
  }
  template <typename Map>
  void SelectorLabels(absl::string_view field, const Map& labels) {
    for (const auto& [key, value] : labels) SelectorLabel(field, key, value);
  }

  std::vector<Problem> Take() { return std::move(problems_); }

 private:
  void Add(Severity severity, absl::string_view field, std::string message);
  void ExportToName(size_t index, const std::string& name);
  void SelectorLabel(absl::string_view field, const std::string& key, const std::string& value);

  const Object& object_;
  std::string path_;
  std::vector<Problem> problems_;
};

// IPv4 or IPv6.
bool IsIp(const std::string& text);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_CHECKER_H_
