#pragma once

#include "api/access.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace troupe::api {

/// The streams that are open, so that those end whose principal may not have them any more. Any
/// thread.
class live_streams {
public:
  struct entry {
    identity who;
    std::function<void()> wake;
    std::atomic<bool> cut = false;  ///< it ends when it is asked for more
  };

  /// Known as long as the caller keeps it.
  std::shared_ptr<entry> add(identity who, std::function<void()> wake) {
    auto out = std::make_shared<entry>(std::move(who), std::move(wake));
    const std::lock_guard lock{mutex_};
    all_.push_back(out);
    return out;
  }

  /// Ends those whose identity `holds` refuses.
  void check(const std::function<bool(const identity&)>& holds) {
    std::vector<std::shared_ptr<entry>> present;
    {
      const std::lock_guard lock{mutex_};
      std::erase_if(all_, [](const auto& one) { return one.expired(); });
      for (const auto& one : all_)
        if (auto open = one.lock())
          present.push_back(std::move(open));
    }
    for (const auto& one : present) {
      if (holds(one->who))
        continue;
      one->cut = true;
      one->wake();
    }
  }

private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<entry>> all_;
};

}  // namespace troupe::api
