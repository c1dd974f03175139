// Processes of an integration test: run one to its end, hold one, or be outlived by one.
#ifndef WEFT_TEST_INTEGRATION_PROCESS_H_
#define WEFT_TEST_INTEGRATION_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace weft::integration {

struct Result {
  int status = -1;  // as a shell has it: 128 + N for a signal; 124 when the time was up
  std::string out, err;
};

// Runs a command to its end. `environment` is added to the test's own.
Result RunCommand(const std::vector<std::string>& argv,
                  const std::vector<std::string>& environment = {}, const std::string& input = "",
                  absl::Duration timeout = absl::Seconds(60));

// A process that runs beside the test, reads from a pipe and writes to a file. Killed at the end.
class Process {
 public:
  Process(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
          const std::string& output_file);
  Process(const Process&) = delete;
  ~Process();

  void CloseInput();
  void Kill();
  // True when it ended within the time.
  bool Wait(absl::Duration timeout);

 private:
  pid_t pid_ = -1;
  int input_ = -1;
};

// Runs a command when this object, or the process that holds it, ends in whatever way.
class Watchdog {
 public:
  Watchdog(const std::vector<std::string>& argv, const std::vector<std::string>& environment);
  Watchdog(const Watchdog&) = delete;
  ~Watchdog();  // runs the command and waits for its end

 private:
  pid_t pid_ = -1;
  int lifeline_ = -1;
};

// Asks again and again until the condition holds; false when the time is up before.
bool Eventually(const std::function<bool()>& condition, absl::Duration timeout = absl::Seconds(10));

std::string ReadFile(const std::string& path);

}  // namespace weft::integration

#endif  // WEFT_TEST_INTEGRATION_PROCESS_H_
