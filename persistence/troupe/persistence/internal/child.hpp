#pragma once

#include <troupe/state/expected.hpp>

#include <functional>
#include <string>

namespace troupe::internal {

/// Does in a child process what a damaged file might make the process die of, and answers what the
/// child answered. Errors: those of `work`; `damaged` when the child died of it, with the signal;
/// `store_failed` when there can be no child. The child is a copy of the calling thread alone: the
/// work takes no lock that another thread may hold.
expected<std::string> run_in_child(const std::function<expected<std::string>()>& work);

}  // namespace troupe::internal
