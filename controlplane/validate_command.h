// weftd --validate: what is wrong with the registry's folders, one line each on stderr.
#ifndef WEFT_CONTROLPLANE_VALIDATE_COMMAND_H_
#define WEFT_CONTROLPLANE_VALIDATE_COMMAND_H_

#include <string>
#include <vector>

namespace weft {

// 0 if nothing is wrong, 65 (EX_DATAERR) if something is. Warnings are printed and do not count.
// `linked`: the folders of linked clusters, whose services may be referred to.
int ValidateFolders(const std::vector<std::string>& folders,
                    const std::vector<std::string>& linked);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_VALIDATE_COMMAND_H_
