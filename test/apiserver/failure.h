// Failure: why a request was refused, and the Status object by which Kubernetes says so. Result<T>:
// a value, or the Failure in its place.
//
// The words are Kubernetes', since clients show them and some match on them. Pure.
#ifndef WEFT_TEST_APISERVER_FAILURE_H_
#define WEFT_TEST_APISERVER_FAILURE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/string_view.h"

namespace weft::apiserver {

using Json = nlohmann::json;

struct Failure {
  int code = 500;
  std::string reason;  // "NotFound"; may be empty
  std::string message;
  Json details = nullptr;
  int retry_after = 0;         // seconds, for the header and the details; 0: not said
  std::string continue_token;  // to go on with after an expired one

  Json ToStatus() const;
};

// What is refused: "services" of group "" and kind "Service", by name.
struct Subject {
  std::string group;
  std::string plural;
  std::string kind;
  std::string name;
};

Failure NotFound(const Subject& subject);
Failure AlreadyExists(const Subject& subject);
// The object changed since it was read.
Failure ModifiedMeanwhile(const Subject& subject);
Failure ConflictOver(const Subject& subject, absl::string_view why);
Failure Invalid(const Subject& subject, absl::string_view field, absl::string_view why);
Failure NoSuchPath();
Failure BadRequest(std::string message);
Failure Unauthorized();
Failure Forbidden(const Subject& subject, absl::string_view why);
Failure MethodNotAllowed();
Failure UnsupportedMediaType(absl::string_view type);
Failure InternalError(absl::string_view why);
// A version older than what is remembered: of a list, or of a watch.
Failure ExpiredVersion(uint64_t asked, uint64_t oldest);
Failure ExpiredContinue(std::string go_on_with);
Failure TooLargeVersion(uint64_t asked, uint64_t current);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: like StatusOr
  Result(Failure failure) : held_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT
  bool ok() const { return held_.index() == 0; }
  T& operator*() { return std::get<0>(held_); }
  const T& operator*() const { return std::get<0>(held_); }
  T* operator->() { return &std::get<0>(held_); }
  const T* operator->() const { return &std::get<0>(held_); }
  const Failure& failure() const { return std::get<1>(held_); }

 private:
  std::variant<T, Failure> held_;
};

// What reads a client's objects meets any type anywhere; the library throws where it is the wrong
// one. Here that becomes a 400.
template <typename Call>
auto Guard(Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const Json::exception& e) {
    return BadRequest(e.what());
  }
}

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_FAILURE_H_
