// What weftd says of links, for people. Pure.
#ifndef TOOLS_WEFTCTL_LINK_TABLES_H_
#define TOOLS_WEFTCTL_LINK_TABLES_H_

#include <string>

#include "api/weft/admin.pb.h"

namespace weft {

// A line for each link.
std::string LinkTable(const admin::v1::ListResponse& links);
// All that is known of one.
std::string LinkDetails(const admin::v1::Link& link);
// A line for each hop.
std::string HopTable(const admin::v1::TestResponse& test);

}  // namespace weft

#endif  // TOOLS_WEFTCTL_LINK_TABLES_H_
