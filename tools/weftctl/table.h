// Tables as kubectl prints them: columns as wide as their widest cell, the last one ragged.
#ifndef TOOLS_WEFTCTL_TABLE_H_
#define TOOLS_WEFTCTL_TABLE_H_

#include <string>
#include <vector>

namespace weft {

// Rows of the same number of cells, the first of them being the heads; ends with a line's end.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_TABLE_H_
