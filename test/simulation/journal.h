// Journal: what happened last, for the report of a failure.
#ifndef WEFT_TEST_SIMULATION_JOURNAL_H_
#define WEFT_TEST_SIMULATION_JOURNAL_H_

#include <cstdio>
#include <deque>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "test/simulation/virtual_time.h"

namespace weft::simulation {

class Journal {
 public:
  // `verbose`: each line goes to stdout as well.
  Journal(const VirtualTime& time, bool verbose) : time_(time), verbose_(verbose) {}

  template <typename... Parts>
  void Note(const Parts&... parts) {
    lines_.push_back(absl::StrCat(time_.steps(), " ", absl::FormatDuration(time_.now()), " ",
                                  parts...));
    if (verbose_) printf("%s\n", lines_.back().c_str());
    if (lines_.size() > kKept) lines_.pop_front();
  }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  static constexpr size_t kKept = 50;

  const VirtualTime& time_;
  const bool verbose_;
  std::deque<std::string> lines_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_JOURNAL_H_
