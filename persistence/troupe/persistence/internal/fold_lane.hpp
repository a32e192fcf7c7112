#pragma once

#include <troupe/persistence/store.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace troupe::internal {

/// Where a store's owner puts the job that is folded beside it. Whoever comes first runs it: the
/// worker, or the owner when it cannot go on without. Any thread.
class fold_lane {
public:
  void offer(std::unique_ptr<fold_job> job) {
    const std::scoped_lock held{mutex_};
    job_ = std::move(job);
    ran_ = false;
  }

  /// Runs the job unless that was done; waits for who does it now.
  void run() {
    const std::scoped_lock held{mutex_};
    if (job_ == nullptr || ran_)
      return;
    job_->run();
    ran_ = true;
  }

  /// Whether it was run: then nobody has to wait for it.
  [[nodiscard]] bool ran() const noexcept { return ran_; }

  /// The job, which was run then; null: there is none.
  [[nodiscard]] std::unique_ptr<fold_job> take() {
    run();
    return drop();
  }

  /// The job, as it is; waits for who runs it.
  std::unique_ptr<fold_job> drop() {
    const std::scoped_lock held{mutex_};
    ran_ = false;
    return std::move(job_);
  }

private:
  std::mutex mutex_;
  std::unique_ptr<fold_job> job_;
  std::atomic<bool> ran_ = false;
};

}  // namespace troupe::internal
