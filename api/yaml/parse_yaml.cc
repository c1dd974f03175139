// YAML text to YamlDocuments, by libyaml's events: the reader that Kubernetes' own is a port of, so
// that what kubectl takes is taken here and the other way round.
#include <yaml.h>

#include <map>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/yaml/document.h"
#include "api/yaml/scalar.h"

namespace weft {

using Kind = YamlNode::Kind;

namespace {

constexpr absl::string_view kByteOrderMark = "\xef\xbb\xbf";

absl::Status ErrorAt(size_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

// Lines of the text that hold one document, with the directives before it.
struct Chunk {
  absl::string_view text;  // not null
  size_t first_line = 0;   // from 0
};

// "---" or "..." in the first column is a boundary anywhere, also inside a quoted scalar (YAML 1.2
// section 9.1.2), which is what makes splitting by lines sound.
bool IsBoundary(absl::string_view line, absl::string_view marker) {
  return absl::StartsWith(line, marker) &&
         (line.size() == marker.size() || absl::ascii_isspace(line[marker.size()]));
}

// Nothing but directives and comments, which belong to the document that follows.
bool IsPrologue(absl::string_view text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view rest = absl::StripLeadingAsciiWhitespace(line);
    if (!rest.empty() && rest[0] != '#' && line[0] != '%') return false;
  }
  return true;
}

std::vector<Chunk> SplitAtBoundaries(absl::string_view text) {
  std::vector<Chunk> chunks = {{""}};  // libyaml asserts that an empty text is somewhere, too
  size_t begin = 0;                    // of the last chunk
  size_t line_number = 0;
  for (size_t at = 0; at < text.size(); ++line_number) {
    const size_t newline = text.find('\n', at);
    const size_t end = newline == absl::string_view::npos ? text.size() : newline + 1;
    const absl::string_view line = text.substr(at, end - at);
    const bool ends = IsBoundary(line, "...");
    if (ends || (IsBoundary(line, "---") && !IsPrologue(chunks.back().text))) {
      begin = ends ? at + 3 : at;  // the mark that ends a document is no part of the next
      chunks.push_back({"", line_number});
    }
    chunks.back().text = text.substr(begin, end - begin);
    at = end;
  }
  return chunks;
}

// libyaml refuses these too, but cannot say in which line.
absl::Status CheckCharacters(const Chunk& chunk) {
  size_t line = chunk.first_line + 1;
  for (const char c : chunk.text) {
    if (c == '\n') ++line;
    const bool allowed =
        static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' || c == '\t';
    if (allowed && c != 0x7f) continue;
    return ErrorAt(line, absl::StrCat("the character U+00", absl::Hex(c, absl::kZeroPad2),
                                      " is not allowed in YAML; write it as an escape in quotes"));
  }
  if (IsValidUtf8(chunk.text)) return absl::OkStatus();
  line = chunk.first_line + 1;
  for (const absl::string_view each : absl::StrSplit(chunk.text, '\n')) {
    if (!IsValidUtf8(each)) return ErrorAt(line, "not valid UTF-8");
    ++line;
  }
  return absl::OkStatus();
}

bool IsNull(absl::string_view plain) {
  return plain.empty() || plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

absl::string_view View(const yaml_char_t* text) {
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

// Quoted and block scalars are strings whatever they hold, unless a tag says otherwise.
Kind ScalarKindOf(const yaml_event_t& event, absl::string_view text) {
  const absl::string_view tag = View(event.data.scalar.tag);
  if (tag.empty() && event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return Kind::kString;
  if (tag == "!" || tag == YAML_STR_TAG) return Kind::kString;
  if (IsNull(text)) return Kind::kNull;
  if (ParseBool(text)) return Kind::kBool;
  return IsNumber(text) ? Kind::kNumber : Kind::kString;
}

}  // namespace

// Reads the one document of a chunk.
class YamlParser {
 public:
  explicit YamlParser(const Chunk& chunk) : chunk_(chunk), document_(new YamlDocument) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(
        &parser_, reinterpret_cast<const unsigned char*>(chunk.text.data()), chunk.text.size());
  }
  ~YamlParser() { yaml_parser_delete(&parser_); }
  YamlParser(const YamlParser&) = delete;
  YamlParser& operator=(const YamlParser&) = delete;

  // Null if there is nothing in it.
  absl::StatusOr<std::shared_ptr<const YamlDocument>> Parse() {
    for (bool more = true; more;) {
      yaml_event_t event;
      if (yaml_parser_parse(&parser_, &event) == 0) return Error();
      const absl::Cleanup free = [&event] { yaml_event_delete(&event); };
      more = event.type != YAML_STREAM_END_EVENT;
      if (absl::Status status = Take(event); !status.ok()) return status;
    }
    if (values().empty() || document_->root().IsNull()) return nullptr;
    return std::shared_ptr<const YamlDocument>(std::move(document_));
  }

 private:
  std::vector<YamlDocument::Value>& values() { return document_->values_; }

  size_t LineOf(const yaml_mark_t& mark) const { return chunk_.first_line + mark.line + 1; }

  absl::Status Error() const {
    std::string what = parser_.problem == nullptr ? "not YAML" : parser_.problem;
    if (parser_.context != nullptr) {
      absl::StrAppend(&what, " ", parser_.context, " that begins in line ",
                      LineOf(parser_.context_mark));
    }
    return ErrorAt(LineOf(parser_.problem_mark), what);
  }

  absl::Status Take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_SCALAR_EVENT: {
        const absl::string_view text(reinterpret_cast<const char*>(event.data.scalar.value),
                                     event.data.scalar.length);
        Name(event.data.scalar.anchor);
        Add(event, ScalarKindOf(event, text));
        values().back().begin = static_cast<uint32_t>(document_->text_.size());
        values().back().size = static_cast<uint32_t>(text.size());
        document_->text_.append(text.data(), text.size());
        return absl::OkStatus();
      }
      case YAML_SEQUENCE_START_EVENT:
        Name(event.data.sequence_start.anchor);
        return Open(event, Kind::kSequence);
      case YAML_MAPPING_START_EVENT:
        Name(event.data.mapping_start.anchor);
        return Open(event, Kind::kMap);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        values()[open_.back()].next = static_cast<uint32_t>(values().size());
        open_.pop_back();
        return absl::OkStatus();
      case YAML_ALIAS_EVENT:
        return AddAlias(event);
      default:
        return absl::OkStatus();  // the stream's and the document's begin and end
    }
  }

  void Add(const yaml_event_t& event, Kind kind) {
    YamlDocument::Value value;
    value.next = static_cast<uint32_t>(values().size()) + 1;
    value.line = static_cast<uint32_t>(LineOf(event.start_mark));
    value.kind = kind;
    values().push_back(value);
  }

  absl::Status Open(const yaml_event_t& event, Kind kind) {
    if (open_.size() > kMaxYamlDepth) {
      return ErrorAt(LineOf(event.start_mark),
                     absl::StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
    }
    open_.push_back(static_cast<uint32_t>(values().size()));
    Add(event, kind);
    return absl::OkStatus();
  }

  // What comes next can be referred to by this name.
  void Name(const yaml_char_t* anchor) {
    if (anchor == nullptr) return;
    anchors_[std::string(View(anchor))] = static_cast<uint32_t>(values().size());
  }

  // An alias within what it stands for makes a document without end, which the bounds of whoever
  // walks it end.
  absl::Status AddAlias(const yaml_event_t& event) {
    const absl::string_view name = View(event.data.alias.anchor);
    const auto anchor = anchors_.find(name);
    if (anchor == anchors_.end()) {
      return ErrorAt(LineOf(event.start_mark),
                     absl::StrCat("the alias '*", name, "' stands for nothing before it"));
    }
    Add(event, Kind::kNull);
    values().back().alias = true;
    values().back().begin = anchor->second;
    return absl::OkStatus();
  }

  const Chunk chunk_;
  yaml_parser_t parser_;
  std::shared_ptr<YamlDocument> document_;
  std::vector<uint32_t> open_;  // the containers around what comes next
  std::map<std::string, uint32_t, std::less<>> anchors_;
};

YamlStream ParseYamlStream(absl::string_view text) {
  YamlStream stream;
  if (text.size() > kMaxYamlBytes) {
    stream.errors.push_back(absl::InvalidArgumentError(absl::StrCat(
        "the text has ", text.size(), " bytes, more than the limit of ", kMaxYamlBytes)));
    return stream;
  }
  absl::ConsumePrefix(&text, kByteOrderMark);
  for (const Chunk& chunk : SplitAtBoundaries(text)) {
    if (absl::Status status = CheckCharacters(chunk); !status.ok()) {
      stream.errors.push_back(std::move(status));
      continue;
    }
    auto document = YamlParser(chunk).Parse();
    if (!document.ok()) {
      stream.errors.push_back(document.status());
    } else if (*document != nullptr) {
      stream.documents.push_back(*std::move(document));
    }
  }
  return stream;
}

absl::StatusOr<std::vector<std::shared_ptr<const YamlDocument>>> ParseYamlDocuments(
    absl::string_view text) {
  YamlStream stream = ParseYamlStream(text);
  if (!stream.errors.empty()) return stream.errors.front();
  return std::move(stream.documents);
}

}  // namespace weft
