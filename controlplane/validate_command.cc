#include "controlplane/validate_command.h"

#include <sysexits.h>

#include <cstdio>

#include "controlplane/model/problem.h"
#include "controlplane/sources/validate_directories.h"

namespace weft {
namespace {

void Print(const std::string& line) { fprintf(stderr, "%s\n", line.c_str()); }

}  // namespace

int ValidateFolders(const std::vector<std::string>& folders,
                    const std::vector<std::string>& linked) {
  const Validation validation = Validate(folders, linked);
  for (const Problem& problem : validation.problems) Print(ToString(problem));
  return HasErrors(validation.problems) ? EX_DATAERR : EX_OK;
}

}  // namespace weft
