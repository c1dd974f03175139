#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/document.h"

namespace weft {

using Kind = YamlNode::Kind;

// Reads the text of one document. Recursive, within kMaxYamlDepth.
class JsonParser {
 public:
  explicit JsonParser(YamlDocument* document)
      : text_(document->text_), values_(document->values_) {}

  absl::Status ParseAll() {
    if (absl::Status status = ParseValue(0); !status.ok()) return status;
    SkipSpace();
    return at_ == text_.size() ? absl::OkStatus() : Error("more after the end of the value");
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("not valid JSON: byte ", at_, ": ", what));
  }

  void SkipSpace() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  bool Consume(char c) {
    SkipSpace();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void AddScalar(Kind kind, size_t begin, size_t size) {
    const uint32_t next = static_cast<uint32_t>(values_.size()) + 1;
    values_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(size), next, 0, kind});
  }

  absl::Status ParseValue(int depth) {
    if (depth > kMaxYamlDepth) {
      return absl::InvalidArgumentError(
          absl::StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
    }
    SkipSpace();
    if (at_ == text_.size()) return Error("ends where a value should be");
    switch (text_[at_]) {
      case '{':
        return ParseContainer(Kind::kMap, '}', depth);
      case '[':
        return ParseContainer(Kind::kSequence, ']', depth);
      case '"':
        return ParseString();
      case 't':
        return ParseWord("true", Kind::kBool);
      case 'f':
        return ParseWord("false", Kind::kBool);
      case 'n':
        return ParseWord("null", Kind::kNull);
      default:
        return ParseNumber();
    }
  }

  absl::Status ParseContainer(Kind kind, char close, int depth) {
    ++at_;
    const size_t self = values_.size();
    AddScalar(kind, 0, 0);
    if (!Consume(close)) {
      do {
        if (kind == Kind::kMap) {
          SkipSpace();
          if (at_ == text_.size() || text_[at_] != '"') return Error("expected a name in quotes");
          if (absl::Status status = ParseString(); !status.ok()) return status;
          if (!Consume(':')) return Error("expected ':'");
        }
        if (absl::Status status = ParseValue(depth + 1); !status.ok()) return status;
      } while (Consume(','));
      if (!Consume(close))
        return Error(absl::StrCat("expected ',' or '", std::string(1, close), "'"));
    }
    values_[self].next = static_cast<uint32_t>(values_.size());
    return absl::OkStatus();
  }

  absl::Status ParseWord(absl::string_view word, Kind kind) {
    if (absl::string_view(text_).substr(at_, word.size()) != word) return Error("expected a value");
    AddScalar(kind, at_, word.size());
    at_ += word.size();
    return absl::OkStatus();
  }

  size_t SkipDigits() {
    const size_t from = at_;
    while (at_ < text_.size() && absl::ascii_isdigit(text_[at_])) ++at_;
    return at_ - from;
  }

  bool ConsumeAny(absl::string_view of) {
    if (at_ == text_.size() || of.find(text_[at_]) == absl::string_view::npos) return false;
    ++at_;
    return true;
  }

  absl::Status ParseNumber() {
    const size_t begin = at_;
    ConsumeAny("-");
    const size_t first = at_;
    const size_t digits = SkipDigits();
    if (digits == 0) return Error("expected a value");
    if (digits > 1 && text_[first] == '0') return Error("a number must not start with 0");
    if (ConsumeAny(".") && SkipDigits() == 0) return Error("digits are missing");
    if (ConsumeAny("eE")) {
      ConsumeAny("+-");
      if (SkipDigits() == 0) return Error("digits are missing");
    }
    AddScalar(Kind::kNumber, begin, at_ - begin);
    return absl::OkStatus();
  }

  // Unescapes in place: no escape is shorter than what it stands for.
  absl::Status ParseString() {
    const size_t begin = ++at_;
    size_t out = begin;
    for (;; ++at_) {
      if (at_ == text_.size()) return Error("ends inside a string");
      const char c = text_[at_];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) return Error("a control character in a string");
      if (c != '\\') {
        text_[out++] = c;
      } else if (!Unescape(&out)) {
        return Error("not an escape");
      }
    }
    ++at_;
    AddScalar(Kind::kString, begin, out - begin);
    return absl::OkStatus();
  }

  // At a backslash; leaves at_ on the last character of the escape.
  bool Unescape(size_t* out) {
    if (++at_ == text_.size()) return false;
    static constexpr absl::string_view kNames = "\"\\/bfnrt";
    static constexpr absl::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char name = text_[at_];
    if (name == 'u') return UnescapeCodePoint(out);
    const size_t index = kNames.find(name);
    if (index == absl::string_view::npos) return false;
    text_[(*out)++] = kMeanings[index];
    return true;
  }

  // Four hexadecimal digits from `from`; nothing if they are not there.
  bool ReadHex(size_t from, uint32_t* value) const {
    if (text_.size() - from < 4) return false;
    *value = 0;
    for (size_t i = from; i < from + 4; ++i) {
      const char c = text_[i];
      if (!absl::ascii_isxdigit(c)) return false;
      *value = *value * 16 + (absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10);
    }
    return true;
  }

  // Half a pair without its other half becomes U+FFFD, as in most readers.
  bool UnescapeCodePoint(size_t* out) {
    uint32_t code;
    if (!ReadHex(at_ + 1, &code)) return false;
    at_ += 4;
    if (code >= 0xD800 && code < 0xE000) {
      uint32_t low = 0;
      const bool pair = code < 0xDC00 && text_.size() - at_ > 6 && text_[at_ + 1] == '\\' &&
                        text_[at_ + 2] == 'u' && ReadHex(at_ + 3, &low) && low >= 0xDC00 &&
                        low < 0xE000;
      if (pair) at_ += 6;
      code = pair ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
    }
    PutUtf8(code, out);
    return true;
  }

  void PutUtf8(uint32_t code, size_t* out) {
    const auto put = [&](uint32_t byte) { text_[(*out)++] = static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
      put(0xC0 | code >> 6);
    } else {
      if (code < 0x10000) {
        put(0xE0 | code >> 12);
      } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
      }
      put(0x80 | (code >> 6 & 0x3F));
    }
    put(0x80 | (code & 0x3F));
  }

  std::string& text_;
  std::vector<YamlDocument::Value>& values_;
  size_t at_ = 0;
};

absl::StatusOr<std::shared_ptr<const YamlDocument>> YamlDocument::ParseJson(std::string text) {
  if (text.size() > kMaxYamlBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the text has ", text.size(), " bytes, more than the limit of ", kMaxYamlBytes));
  }
  std::shared_ptr<YamlDocument> document(new YamlDocument);
  document->text_ = std::move(text);
  if (absl::Status status = JsonParser(document.get()).ParseAll(); !status.ok()) return status;
  return std::shared_ptr<const YamlDocument>(std::move(document));
}

}  // namespace weft
