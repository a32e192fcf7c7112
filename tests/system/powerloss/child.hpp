#pragma once

#include "checker.hpp"
#include <sys/types.h>

namespace troupe::power {

/// A process that checks images for us, as a bad one may kill it (SIGBUS in a map, an assertion of
/// LMDB): then it is forked again.
class checking_child {
public:
  explicit checking_child(checker& with) : checker_{with} {}
  checking_child(const checking_child&) = delete;
  checking_child& operator=(const checking_child&) = delete;
  ~checking_child() { end(); }

  /// As `checker::check`; a child that dies or hangs is what is wrong with the image.
  expected<std::uint64_t> check(const std::filesystem::path& store, const bounds& within,
                                bool go_on);

private:
  struct question {
    bounds within;
    bool go_on;
  };
  struct answer {
    std::uint64_t commits;
    char wrong[240];  // empty: the image is fine
  };

  void start(const std::filesystem::path& store);
  [[noreturn]] void serve(int from, int to, const std::filesystem::path& store);
  /// Ends the child; answers how it ended.
  std::string end();

  checker& checker_;
  pid_t pid_ = -1;
  int ask_ = -1;
  int hear_ = -1;
};

}  // namespace troupe::power
