#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {
namespace {

// A run of lines that holds one document, with the line that starts it if there is one.
struct Chunk {
  size_t begin = 0;  // Byte offsets in the text.
  size_t end = 0;
  int first_line = 0;  // From 0.
};

// "---" or "..." in the first column is a boundary anywhere, also inside a block or quoted scalar
// (YAML 1.2 section 9.1.2), which is what makes splitting by lines sound.
bool IsBoundary(absl::string_view line, absl::string_view marker) {
  return line.substr(0, 3) == marker && (line.size() == 3 || absl::ascii_isspace(line[3]));
}

std::vector<Chunk> SplitAtBoundaries(absl::string_view text) {
  std::vector<Chunk> chunks(1);
  int line_number = 0;
  for (size_t begin = 0; begin < text.size(); ++line_number) {
    const size_t newline = text.find('\n', begin);
    const size_t end = newline == absl::string_view::npos ? text.size() : newline + 1;
    const absl::string_view line = text.substr(begin, end - begin);
    if (IsBoundary(line, "---") || IsBoundary(line, "...")) {
      Chunk next;
      next.begin = begin;
      next.first_line = line_number;
      chunks.push_back(next);
    }
    chunks.back().end = end;
    begin = end;
  }
  return chunks;
}

absl::Status ErrorAt(int line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

// Characters that YAML has none of (YAML 1.2 section 5.1). yaml-cpp 0.7 takes some of them for the end
// of its input and looks for the end of an open quote for ever.
absl::Status CheckCharacters(absl::string_view text, int first_line) {
  int line = first_line + 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    const bool allowed = static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' || c == '\t';
    if (allowed && c != 0x7f) continue;
    return ErrorAt(line, absl::StrCat("the character U+00", absl::Hex(c, absl::kZeroPad2),
                                      " is not allowed in YAML; write it as an escape in quotes"));
  }
  return absl::OkStatus();
}

// The edge where yaml-cpp's exceptions become a Status. `first_line` is the line (from 0) of the
// text's start.
absl::StatusOr<std::vector<YAML::Node>> LoadAll(std::string text, int first_line) {
  if (absl::Status status = CheckCharacters(text, first_line); !status.ok()) return status;
  // yaml-cpp 0.7 takes the end of the text for the end of an open quote; a boundary it does not.
  absl::StrAppend(&text, text.empty() || text.back() == '\n' ? "" : "\n", "...\n");
  try {
    std::vector<YAML::Node> nodes = YAML::LoadAll(text);
    nodes.erase(std::remove_if(nodes.begin(), nodes.end(),
                               [](const YAML::Node& n) { return !n.IsDefined() || n.IsNull(); }),
                nodes.end());
    return nodes;
  } catch (const YAML::Exception& e) {
    return ErrorAt(first_line + std::max(0, e.mark.line) + 1, e.msg);
  } catch (const std::exception& e) {
    return ErrorAt(first_line + 1, e.what());
  }
}

// Directives stand before their document's boundary and belong to no chunk; there is nothing in
// them that the documents here need.
bool HoldsOnlyDirectives(absl::string_view chunk) {
  bool directive = false;
  for (absl::string_view line : absl::StrSplit(chunk, '\n')) {
    if (!line.empty() && line[0] == '%') {
      directive = true;
    } else if (absl::string_view rest = absl::StripLeadingAsciiWhitespace(line);
               !rest.empty() && rest[0] != '#') {
      return false;
    }
  }
  return directive;
}

// Overwrites all but the newlines, so that the lines after keep their numbers.
void Blank(const Chunk& chunk, std::string* text) {
  for (size_t i = chunk.begin; i < chunk.end; ++i) {
    if ((*text)[i] != '\n') (*text)[i] = ' ';
  }
}

}  // namespace

YamlStream ParseYamlStream(absl::string_view text) {
  YamlStream result;
  if (text.size() > kMaxYamlBytes) {
    result.errors.push_back(absl::InvalidArgumentError(absl::StrCat(
        "the text has ", text.size(), " bytes, more than the limit of ", kMaxYamlBytes)));
    return result;
  }
  std::string copy(text);
  absl::StatusOr<std::vector<YAML::Node>> all = LoadAll(copy, 0);
  if (all.ok()) {
    result.documents = *std::move(all);
    return result;
  }
  // Something is broken: look at each document alone, then load once more without the broken ones.
  for (const Chunk& chunk : SplitAtBoundaries(text)) {
    const absl::string_view body = text.substr(chunk.begin, chunk.end - chunk.begin);
    const absl::Status status = LoadAll(std::string(body), chunk.first_line).status();
    if (status.ok()) continue;
    if (!HoldsOnlyDirectives(body)) result.errors.push_back(status);
    Blank(chunk, &copy);
  }
  all = LoadAll(copy, 0);
  if (all.ok()) {
    result.documents = *std::move(all);
  } else {
    result.errors.push_back(all.status());
  }
  return result;
}

absl::StatusOr<std::vector<YAML::Node>> ParseYamlDocuments(absl::string_view text) {
  YamlStream stream = ParseYamlStream(text);
  if (!stream.errors.empty()) return stream.errors.front();
  return std::move(stream.documents);
}

}  // namespace weft
