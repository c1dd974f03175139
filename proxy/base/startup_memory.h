// ReleaseStartupMemory: gives back what only starting needed.
//
// Reading and compiling a bootstrap leaves a heap full of holes, and in memory the pages of code
// that will not run again (YAML, command line, descriptors of messages). Any thread; once.
#ifndef WEFT_PROXY_BASE_STARTUP_MEMORY_H_
#define WEFT_PROXY_BASE_STARTUP_MEMORY_H_

namespace weft {

void ReleaseStartupMemory();

}  // namespace weft

#endif  // WEFT_PROXY_BASE_STARTUP_MEMORY_H_
