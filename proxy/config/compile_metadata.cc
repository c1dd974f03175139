#include "proxy/config/compile_metadata.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace matcher = envoy::type::matcher::v3;

constexpr absl::string_view kJwtFilter = "envoy.filters.http.jwt_authn";
constexpr absl::string_view kIstioFilter = "istio_authn";

absl::Status CompileNumber(const matcher::DoubleMatcher& from, ValueMatch& to) {
  switch (from.match_pattern_case()) {
    case matcher::DoubleMatcher::kExact:
      to.kind = ValueMatch::Kind::kNumber;
      to.start = from.exact();
      return absl::OkStatus();
    case matcher::DoubleMatcher::kRange:
      to.kind = ValueMatch::Kind::kNumberRange;
      to.start = from.range().start();
      to.end = from.range().end();
      return absl::OkStatus();
    case matcher::DoubleMatcher::MATCH_PATTERN_NOT_SET:
      break;
  }
  return Invalid("double_match", "needs one of exact, range");
}

absl::Status CompileText(const matcher::StringMatcher& from, ValueMatch& to) {
  to.kind = ValueMatch::Kind::kString;
  absl::StatusOr<StringMatch> string = CompileStringMatch(from);
  if (!string.ok()) return Under("string_match", string.status());
  to.string = *std::move(string);
  return absl::OkStatus();
}

absl::Status CompileList(const matcher::ListMatcher& from, ValueMatch& to) {
  to.kind = ValueMatch::Kind::kListHas;
  absl::StatusOr<ValueMatch> one = CompileValueMatch(from.one_of());
  if (!one.ok()) return Under("list_match.one_of", one.status());
  to.of.push_back(*std::move(one));
  return absl::OkStatus();
}

absl::Status CompileOr(const matcher::OrMatcher& from, ValueMatch& to) {
  to.kind = ValueMatch::Kind::kOr;
  if (from.value_matchers().empty()) return Invalid("or_match.value_matchers", "must not be empty");
  return CompileEach("or_match.value_matchers", from.value_matchers(), to.of, CompileValueMatch);
}

absl::Status CompileValue(const matcher::ValueMatcher& from, ValueMatch& to) {
  switch (from.match_pattern_case()) {
    case matcher::ValueMatcher::kNullMatch:
      to.kind = ValueMatch::Kind::kNull;
      return absl::OkStatus();
    case matcher::ValueMatcher::kDoubleMatch:
      return CompileNumber(from.double_match(), to);
    case matcher::ValueMatcher::kStringMatch:
      return CompileText(from.string_match(), to);
    case matcher::ValueMatcher::kBoolMatch:
      to.kind = ValueMatch::Kind::kBool;
      to.flag = from.bool_match();
      return absl::OkStatus();
    case matcher::ValueMatcher::kPresentMatch:
      to.flag = from.present_match();
      return absl::OkStatus();
    case matcher::ValueMatcher::kListMatch:
      return CompileList(from.list_match(), to);
    case matcher::ValueMatcher::kOrMatch:
      return CompileOr(from.or_match(), to);
    case matcher::ValueMatcher::MATCH_PATTERN_NOT_SET:
      break;
  }
  return Invalid("", "needs a match");
}

// What Istio's filter name and first key stand for.
absl::Status CompileIstioSource(MetadataMatch& to) {
  const std::string key = to.path.front();
  to.path.erase(to.path.begin());
  if (key == "request.auth.claims") {
    to.source = MetadataMatch::Source::kIstioClaims;
    return absl::OkStatus();
  }
  if (!to.path.empty()) return Invalid("path[1]", "there is nothing below that key");
  if (key == "request.auth.principal") {
    to.source = MetadataMatch::Source::kIstioPrincipal;
  } else if (key == "request.auth.audiences") {
    to.source = MetadataMatch::Source::kIstioAudiences;
  } else if (key == "request.auth.presenter") {
    to.source = MetadataMatch::Source::kIstioPresenter;
  } else if (key == "source.principal") {
    to.source = MetadataMatch::Source::kIstioPeer;
  } else {
    return Invalid("path[0].key", absl::StrCat("'", key, "' is not known of ", kIstioFilter));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ValueMatch> CompileValueMatch(const matcher::ValueMatcher& from) {
  ValueMatch to;
  absl::Status status = CompileValue(from, to);
  if (!status.ok()) return status;
  return to;
}

absl::StatusOr<MetadataMatch> CompileMetadataMatch(const matcher::MetadataMatcher& from) {
  MetadataMatch to;
  if (from.path().empty()) return Invalid("path", "must not be empty");
  for (int i = 0; i < from.path_size(); ++i) {
    if (from.path(i).key().empty()) return Invalid(Index("path", i), "needs a key");
    to.path.push_back(from.path(i).key());
  }
  if (from.filter() == kIstioFilter) {
    absl::Status status = CompileIstioSource(to);
    if (!status.ok()) return status;
  } else if (from.filter() != kJwtFilter) {
    return Invalid(
        "filter", absl::StrCat("no filter of this proxy has metadata under '", from.filter(), "'"));
  }
  absl::StatusOr<ValueMatch> value = CompileValueMatch(from.value());
  if (!value.ok()) return Under("value", value.status());
  to.value = *std::move(value);
  to.invert = from.invert();
  return to;
}

}  // namespace weft
