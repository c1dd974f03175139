#include "proxy/decide/normalise_path.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace weft {
namespace {

using EscapedSlashes = PathNormalisation::EscapedSlashes;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool IsUnreserved(unsigned char c) {
  return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool HasEscapedSlash(absl::string_view path) {
  for (const absl::string_view escape : {"%2f", "%2F", "%5c", "%5C"}) {
    if (absl::StrContains(path, escape)) return true;
  }
  return false;
}

// The byte that the escape at `at` stands for; -1 if there is none.
int EscapedByte(absl::string_view path, size_t at) {
  if (at + 2 >= path.size()) return -1;
  const int high = HexValue(path[at + 1]);
  const int low = HexValue(path[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Escapes of unreserved characters mean the same as the characters; everything else stays as it is
// ("/100%" too, as browsers and Envoy have it). False: an escaped NUL.
bool DecodeUnreserved(std::string& path) {
  std::string decoded;
  decoded.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    const int byte = path[i] == '%' ? EscapedByte(path, i) : -1;
    if (byte == 0) return false;
    if (byte > 0 && IsUnreserved(static_cast<unsigned char>(byte))) {
      decoded.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      decoded.push_back(path[i] == '\\' ? '/' : path[i]);
    }
  }
  path.swap(decoded);
  return true;
}

// RFC 3986 section 5.2.4: ".." at the root stays there. Empty segments are segments: "/a//../b" is
// "/a/b".
void RemoveDotSegments(std::string& path) {
  std::vector<absl::string_view> kept;
  const absl::string_view text = path;
  bool directory = false;  // the last segment names one: ends with '/'
  for (size_t start = 1; start <= text.size();) {
    size_t end = text.find('/', start);
    if (end == absl::string_view::npos) end = text.size();
    const absl::string_view segment = text.substr(start, end - start);
    const bool last = end == text.size();
    directory = last && (segment.empty() || segment == "." || segment == "..");
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (segment != "." && !(last && segment.empty())) {
      kept.push_back(segment);
    }
    start = end + 1;
  }
  std::string result;
  for (absl::string_view segment : kept) absl::StrAppend(&result, "/", segment);
  if (directory || result.empty()) result.push_back('/');
  path.swap(result);
}

// Whether any of the steps could change it: an escape, a backslash, a fragment, "//" or "/." ahead
// of the query. Most paths have nothing of that.
bool IsPlain(absl::string_view path_and_query) {
  char before = 0;
  bool in_query = false;
  for (const char c : path_and_query) {
    if (c == '#') return false;
    if (in_query) continue;
    if (c == '%' || c == '\\' || (before == '/' && (c == '/' || c == '.'))) return false;
    in_query = c == '?';
    before = c;
  }
  return true;
}

void MergeSlashes(std::string& path) {
  size_t to = 0;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '/' && to > 0 && path[to - 1] == '/') continue;
    path[to++] = path[i];
  }
  path.resize(to);
}

}  // namespace

PathVerdict NormalisePath(const PathNormalisation& how, std::string& path_and_query) {
  if (path_and_query.empty() || path_and_query[0] != '/') return PathVerdict::kUnchanged;
  if (IsPlain(path_and_query)) return PathVerdict::kUnchanged;
  const absl::string_view original = path_and_query;
  const absl::string_view whole = original.substr(0, original.find('#'));
  const size_t mark = whole.find('?');
  std::string path(whole.substr(0, mark));
  const absl::string_view query = mark == absl::string_view::npos ? "" : whole.substr(mark);

  const bool escaped_slashes =
      how.escaped_slashes != EscapedSlashes::kKeep && HasEscapedSlash(path);
  if (escaped_slashes) {
    if (how.escaped_slashes == EscapedSlashes::kReject) return PathVerdict::kReject;
    path = absl::StrReplaceAll(path, {{"%2f", "/"}, {"%2F", "/"}, {"%5c", "\\"}, {"%5C", "\\"}});
  }
  if (how.normalize) {
    if (!DecodeUnreserved(path)) return PathVerdict::kReject;
    RemoveDotSegments(path);
  }
  if (how.merge_slashes) MergeSlashes(path);

  std::string normal = absl::StrCat(path, query);
  if (normal == path_and_query) return PathVerdict::kUnchanged;
  path_and_query.swap(normal);
  return escaped_slashes && how.escaped_slashes == EscapedSlashes::kRedirect
             ? PathVerdict::kRedirect
             : PathVerdict::kChanged;
}

}  // namespace weft
