#pragma once

#include <troupe/messages/messages.hpp>

#include <caf/message.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace troupe::internal {

/// Requests that are answered, and the messages that they were moved out of.
struct spent_batch {
  std::vector<commit_request> requests{};
  std::vector<caf::message> messages{};

  [[nodiscard]] bool empty() const noexcept { return requests.empty() && messages.empty(); }
  void clear() {
    requests.clear();
    messages.clear();
  }
};

/// Batches until somebody lets go of them. Any thread.
class spent_batches {
public:
  static constexpr std::size_t most = 4;  // batches; then: no more are taken

  /// Takes what is in `batch` and leaves it empty, with the room of an earlier one. False: there
  /// are too many, and it is as it was.
  bool take(spent_batch& batch) {
    const std::scoped_lock held{mutex_};
    if (spent_.size() == most)
      return false;
    spent_.push_back(std::exchange(batch, std::exchange(room_, {})));
    return true;
  }

  void let_go() {
    auto all = taken();
    for (auto& batch : all)
      batch.clear();
    if (all.empty())
      return;
    const std::scoped_lock held{mutex_};
    room_ = std::move(all.back());
  }

private:
  std::vector<spent_batch> taken() {
    const std::scoped_lock held{mutex_};
    return std::exchange(spent_, {});
  }

  std::mutex mutex_;
  std::vector<spent_batch> spent_;
  spent_batch room_;
};

/// Has a worker let go of them: their memory is of the threads that decided, and whoever gives
/// hundreds of pieces back to another thread's heap waits for it, again and again. One actor's own.
class sweeper {
public:
  /// Leaves `batch` empty. When the workers do not keep up, the caller's thread lets go of it.
  template <class Self>
  void sweep(const Self& self, spent_batch& batch) {
    if (!spent_->take(batch))
      return batch.clear();
    if (!actor_)
      actor_ =
          self->home_system().spawn([spent = spent_](worker::pointer) -> worker::behavior_type {
            return {[spent](caf::tick_atom) { spent->let_go(); }};
          });
    compat::send(self, actor_, caf::tick_atom_v);
  }

private:
  using worker = caf::typed_actor<caf::result<void>(caf::tick_atom)>;

  std::shared_ptr<spent_batches> spent_ = std::make_shared<spent_batches>();
  worker actor_;
};

}  // namespace troupe::internal
