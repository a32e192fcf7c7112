#pragma once

#include "simulate/options.hpp"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace troupe::simulate {

/// The part of the command line that `troupe simulate` has. Outlives the parser.
class command_line {
public:
  using add_function = std::function<CLI::App*(const char* name, const char* what,
                                               std::function<simulate_options()>)>;

  /// `footer` makes the end of a help text of examples.
  void add_to(const add_function& add, const std::function<std::string(const char*)>& footer);

private:
  void add_run(CLI::App* sub);

  simulate_options chosen_;
  run_options run_;
  learn_options learn_;
  compare_options compare_;
  profiles_options profiles_;
  report_options report_;
  std::string file_, out_, peers_, duration_ = "30s", warm_up_ = "2s", idle_ = "600s",
                                   within_ = "14m";
  std::uint64_t sessions_ = 0;
  bool no_check_ = false;
};

}  // namespace troupe::simulate
