#include "api/yaml/suggestion.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

// Names are short; anything longer is not a misspelling of one.
constexpr size_t kMaxName = 80;

// Levenshtein's distance.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t k = 0; k < b.size(); ++k) {
      const size_t substituted = diagonal + (a[i] == b[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({substituted, row[k] + 1, row[k + 1] + 1});
    }
  }
  return row[b.size()];
}

class Nearest {
 public:
  explicit Nearest(absl::string_view misspelt)
      : misspelt_(absl::AsciiStrToLower(misspelt)), distance_(misspelt.size() / 3 + 2) {}

  void Consider(const std::string& candidate) {
    if (misspelt_.size() > kMaxName) return;
    const size_t distance = EditDistance(misspelt_, absl::AsciiStrToLower(candidate));
    if (distance >= distance_) return;
    distance_ = distance;
    best_ = candidate;
  }

  std::string Text() const {
    return best_.empty() ? "" : absl::StrCat("; did you mean '", best_, "'?");
  }

 private:
  std::string misspelt_;
  size_t distance_;  // Only what is nearer than this.
  std::string best_;
};

}  // namespace

std::string SuggestField(absl::string_view misspelt, const google::protobuf::Descriptor& type) {
  Nearest nearest(misspelt);
  for (int i = 0; i < type.field_count(); ++i) {
    nearest.Consider(type.field(i)->json_name());
    nearest.Consider(type.field(i)->name());
  }
  return nearest.Text();
}

std::string SuggestValue(absl::string_view misspelt, const google::protobuf::EnumDescriptor& type) {
  Nearest nearest(misspelt);
  for (int i = 0; i < type.value_count(); ++i) nearest.Consider(type.value(i)->name());
  return nearest.Text();
}

}  // namespace weft
