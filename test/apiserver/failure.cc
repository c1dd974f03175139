#include "test/apiserver/failure.h"

#include "absl/strings/str_cat.h"

namespace weft::apiserver {
namespace {

Json DetailsOf(const Subject& subject, const std::string& kind) {
  Json details = Json::object();
  if (!subject.name.empty()) details["name"] = subject.name;
  if (!subject.group.empty()) details["group"] = subject.group;
  if (!kind.empty()) details["kind"] = kind;
  return details;
}

// "virtualservices.networking.istio.io", "services".
std::string Qualified(const std::string& name, const std::string& group) {
  return group.empty() ? name : absl::StrCat(name, ".", group);
}

Failure About(int code, const char* reason, const Subject& subject, absl::string_view what) {
  Failure failure;
  failure.code = code;
  failure.reason = reason;
  failure.message =
      absl::StrCat(Qualified(subject.plural, subject.group), " \"", subject.name, "\" ", what);
  failure.details = DetailsOf(subject, subject.plural);
  return failure;
}

Failure Plain(int code, const char* reason, std::string message) {
  Failure failure;
  failure.code = code;
  failure.reason = reason;
  failure.message = std::move(message);
  return failure;
}

}  // namespace

Json Failure::ToStatus() const {
  Json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
                 {"status", "Failure"}, {"message", message}, {"code", code}};
  if (!reason.empty()) status["reason"] = reason;
  if (!details.is_null()) status["details"] = details;
  if (retry_after > 0) status["details"]["retryAfterSeconds"] = retry_after;
  if (!continue_token.empty()) status["metadata"]["continue"] = continue_token;
  return status;
}

Failure NotFound(const Subject& subject) { return About(404, "NotFound", subject, "not found"); }

Failure AlreadyExists(const Subject& subject) {
  return About(409, "AlreadyExists", subject, "already exists");
}

Failure ConflictOver(const Subject& subject, absl::string_view why) {
  Failure failure = About(409, "Conflict", subject, "");
  failure.message =
      absl::StrCat("Operation cannot be fulfilled on ", Qualified(subject.plural, subject.group),
                   " \"", subject.name, "\": ", why);
  return failure;
}

Failure ModifiedMeanwhile(const Subject& subject) {
  return ConflictOver(subject,
                      "the object has been modified; please apply your changes to the latest "
                      "version and try again");
}

Failure Invalid(const Subject& subject, absl::string_view field, absl::string_view why) {
  Failure failure = About(422, "Invalid", subject, "");
  failure.message = absl::StrCat(Qualified(subject.kind, subject.group), " \"", subject.name,
                                 "\" is invalid: ", field, ": ", why);
  failure.details = DetailsOf(subject, subject.kind);
  failure.details["causes"] = Json::array({{{"reason", "FieldValueInvalid"},
                                            {"message", std::string(why)},
                                            {"field", std::string(field)}}});
  return failure;
}

Failure NoSuchPath() {
  Failure failure = Plain(404, "NotFound", "the server could not find the requested resource");
  failure.details = Json::object();
  return failure;
}

Failure BadRequest(std::string message) { return Plain(400, "BadRequest", std::move(message)); }
Failure Unauthorized() { return Plain(401, "Unauthorized", "Unauthorized"); }

Failure Forbidden(const Subject& subject, absl::string_view why) {
  return About(403, "Forbidden", subject, absl::StrCat("is forbidden: ", why));
}

Failure MethodNotAllowed() {
  return Plain(405, "MethodNotAllowed",
               "the server does not allow this method on the requested resource");
}

Failure UnsupportedMediaType(absl::string_view type) {
  return Plain(415, "UnsupportedMediaType",
               absl::StrCat("the body of the request was in an unknown format - accepted media "
                            "types include: application/json, application/yaml; got ",
                            type));
}

Failure InternalError(absl::string_view why) {
  return Plain(500, "InternalError", absl::StrCat("Internal error occurred: ", why));
}

Failure ExpiredVersion(uint64_t asked, uint64_t oldest) {
  return Plain(410, "Expired",
               absl::StrCat("too old resource version: ", asked, " (", oldest, ")"));
}

Failure ExpiredContinue(std::string go_on_with) {
  Failure failure = Plain(
      410, "Expired",
      "The provided continue parameter is too old to display a consistent list result. You can "
      "start a new list without the continue parameter, or use the continue token in this response "
      "to retrieve the remainder of the results, which may be inconsistent.");
  failure.continue_token = std::move(go_on_with);
  return failure;
}

Failure TooLargeVersion(uint64_t asked, uint64_t current) {
  Failure failure =
      Plain(504, "Timeout",
            absl::StrCat("Timeout: Too large resource version: ", asked, ", current: ", current));
  failure.details = Json::object();
  failure.details["causes"] = Json::array(
      {{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}});
  failure.retry_after = 1;
  return failure;
}

}  // namespace weft::apiserver
