// What every compile_*.cc does: read protobuf's wrapper values, and name the field of an error.
//
// An error's text starts with the path of its field as a reader of the config would write it:
// "filter_chains[0].filters[1].name: unsupported …". The leaf makes it by Invalid(), each level
// above adds its part by Under(). Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_FIELDS_H_
#define WEFT_PROXY_CONFIG_FIELDS_H_

#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft {

inline absl::Status Invalid(absl::string_view field, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", problem));
}

inline absl::Status Under(absl::string_view field, const absl::Status& status) {
  const char* dot = status.message().empty() || status.message()[0] == ':' ? "" : ".";
  return absl::Status(status.code(), absl::StrCat(field, dot, status.message()));
}

inline std::string Index(absl::string_view field, int index) {
  return absl::StrCat(field, "[", index, "]");
}

// Compiles each of `from` by `compile(const In&) -> StatusOr<Out>` onto the end of `to`.
template <typename List, typename Out, typename Compile>
absl::Status CompileEach(absl::string_view field, const List& from, std::vector<Out>& to,
                         Compile compile) {
  to.reserve(to.size() + from.size());
  for (int i = 0; i < from.size(); ++i) {
    absl::StatusOr<Out> one = compile(from[i]);
    if (!one.ok()) return Under(Index(field, i), one.status());
    to.push_back(*std::move(one));
  }
  return absl::OkStatus();
}

inline absl::Duration ToDuration(const google::protobuf::Duration& d) {
  return absl::Seconds(d.seconds()) + absl::Nanoseconds(d.nanos());
}

// Timeouts where 0 says "none".
inline absl::Duration ToTimeout(const google::protobuf::Duration& d) {
  const absl::Duration timeout = ToDuration(d);
  return timeout <= absl::ZeroDuration() ? absl::InfiniteDuration() : timeout;
}

// The message of `any`, which the type URL must name.
template <typename Message>
absl::StatusOr<Message> Unpack(const google::protobuf::Any& any) {
  Message message;
  if (!any.Is<Message>()) {
    return Invalid("typed_config", absl::StrCat("expected type ", message.GetTypeName(), ", got '",
                                                any.type_url(), "'"));
  }
  if (!message.ParseFromString(any.value())) {
    return Invalid("typed_config", absl::StrCat("not a valid ", message.GetTypeName()));
  }
  return message;
}

// The message's full name out of a type URL.
inline absl::string_view TypeOf(const google::protobuf::Any& any) {
  const absl::string_view url(any.type_url());
  return url.substr(url.rfind('/') + 1);
}

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_FIELDS_H_
