#include "tools/weftctl/table.h"

#include <algorithm>

namespace weft {

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string table;
  for (const auto& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      table += row[i];
      table.append(widths[i] - row[i].size() + 2, ' ');
    }
    table += row.back();
    table += '\n';
  }
  return table;
}

}  // namespace weft
