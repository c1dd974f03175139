#include "controlplane/sources/kubernetes/json_stream.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft {
namespace {

// How much of an object that is left out a message shows: enough for its name.
constexpr size_t kShown = 200;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not what an API server sends: ", what));
}

// The next byte that means something: the run before it is copied in one go.
size_t FindSpecial(absl::string_view bytes, size_t at, bool in_string) {
  for (; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c == '"') break;
    if (in_string ? c == '\\' : (c == '{' || c == '}' || c == '[' || c == ']')) break;
  }
  return at;
}

bool IsFiller(absl::string_view bytes, bool commas) {
  for (char c : bytes) {
    if (!absl::ascii_isspace(c) && !(commas && c == ',')) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> JsonStream::Feed(absl::string_view chunk) {
  std::vector<std::string> out;
  for (size_t at = 0; at < chunk.size();) {
    size_t end = escaped_ ? at + 1 : FindSpecial(chunk, at, in_string_);
    const bool special = !escaped_ && end < chunk.size();
    escaped_ = false;
    absl::Status status = OnPlain(chunk.substr(at, end - at));
    if (status.ok() && special) {
      const char c = chunk[end++];
      if (c == '{' || c == '[') {
        status = OnOpen(c);
      } else if (c == '}' || c == ']') {
        status = OnClose(c, &out);
      } else {
        escaped_ = c == '\\';
        if (c == '"') in_string_ = !in_string_;
        status = OnPlain(chunk.substr(end - 1, 1));
      }
    }
    if (!status.ok()) return status;
    at = end;
  }
  return out;
}

absl::Status JsonStream::OnPlain(absl::string_view bytes) {
  if (bytes.empty()) return absl::OkStatus();
  if (in_object_) {
    Keep(bytes);
    return absl::OkStatus();
  }
  if (in_items_ || depth_ == 0) {
    return IsFiller(bytes, in_items_) ? absl::OkStatus() : Malformed("expected an object");
  }
  if (envelope_.size() + bytes.size() > kMaxEnvelope) {
    return Malformed(absl::StrCat("a list of more than ", kMaxEnvelope, " bytes beside its items"));
  }
  absl::StrAppend(&envelope_, bytes);
  return absl::OkStatus();
}

bool JsonStream::BetweenObjects() const {
  return shape_ == Shape::kWatch ? depth_ == 0 : in_items_ && depth_ == 2;
}

// At depth 1 of a List, behind `"items":`. A name that only ends so has its quote escaped.
bool JsonStream::ItemsFollow() const {
  absl::string_view before = absl::StripTrailingAsciiWhitespace(envelope_);
  if (!absl::ConsumeSuffix(&before, ":")) return false;
  before = absl::StripTrailingAsciiWhitespace(before);
  return absl::ConsumeSuffix(&before, "\"items\"") && !absl::EndsWith(before, "\\");
}

absl::Status JsonStream::OnOpen(char c) {
  if (!in_object_ && BetweenObjects()) {
    if (c != '{') return Malformed("expected an object");
    in_object_ = true;
    base_ = depth_;
  }
  ++depth_;
  if (in_object_) {
    if (depth_ - base_ > kMaxDepth && !refused_) {
      Refuse(absl::StrCat("a nesting deeper than ", kMaxDepth, " levels"));
    }
    Keep(absl::string_view(&c, 1));
    return absl::OkStatus();
  }
  if (depth_ == 1 && (c != '{' || ended_)) return Malformed("expected one list");
  in_items_ = depth_ == 2 && c == '[' && ItemsFollow();
  if (!in_items_) return OnPlain(absl::string_view(&c, 1));
  absl::StrAppend(&envelope_, "[");
  return absl::OkStatus();
}

absl::Status JsonStream::OnClose(char c, std::vector<std::string>* out) {
  if (depth_ == 0) return Malformed("a bracket that closes nothing");
  if (in_object_) {
    Keep(absl::string_view(&c, 1));
    if (--depth_ > base_) return absl::OkStatus();
    in_object_ = false;
    if (!std::exchange(refused_, false)) out->push_back(std::move(object_));
    object_.clear();
    return absl::OkStatus();
  }
  if (in_items_ && c != ']') return Malformed("items that do not end");
  in_items_ = false;
  absl::Status status = OnPlain(absl::string_view(&c, 1));
  ended_ = --depth_ == 0;
  return status;
}

void JsonStream::Keep(absl::string_view bytes) {
  if (refused_) return;
  if (object_.size() + bytes.size() > kMaxObject) {
    return Refuse(absl::StrCat("more than ", kMaxObject, " bytes"));
  }
  absl::StrAppend(&object_, bytes);
}

void JsonStream::Refuse(absl::string_view why) {
  refused_ = true;
  refusals_.push_back(
      absl::StrCat("an object with ", why, ", which begins: ", object_.substr(0, kShown)));
  std::string().swap(object_);
}

std::vector<std::string> JsonStream::TakeRefusals() { return std::exchange(refusals_, {}); }

}  // namespace weft
