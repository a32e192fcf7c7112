// Reads of one key, by id and through a reader.

#include <troupe/runtime/scopes.hpp>
#include <troupe/runtime/state_reader.hpp>

#include "tools.hpp"

#include <thread>

namespace troupe::bench {

namespace {

const key<std::int64_t> read_key{"key-1"};

/// Calls `make_look()` on each thread and what it returns until the time is over; answers how many
/// looks a second all threads made together.
template <class MakeLook>
double looks_per_second(std::size_t threads, double seconds, MakeLook make_look) {
  std::atomic<std::size_t> done = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> all;
  const auto start = clock_type::now();
  for (std::size_t t = 0; t < threads; ++t)
    all.emplace_back([&] {
      auto look = make_look();
      std::size_t mine = 0;
      while (!over) {
        for (int i = 0; i < 64; ++i, ++mine)
          look();
      }
      done += mine;
    });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  over = true;
  for (auto& one : all)
    one.join();
  return static_cast<double>(done) / seconds_since(start);
}

}  // namespace

void measure_reads(const plan& how) {
  const auto node = open(how.dir / "reads");
  create(*node, 1'000);
  must(node->execute(set_in_memory(7, 1, 8)).has_value(), "a command was refused");
  must(node->execute({session_ref(id_of(7)), {troupe::append_items{{value::map({})}}}}).has_value(),
       "a command was refused");  // durable, so that what was set before is committed, too
  const auto must_be = [](const expected<std::int64_t>& x) {
    must(x && *x == 1, "another value was read");
  };
  const auto by_id = [&] {
    return [&, which = session_ref(id_of(7))] {
      node->read(which, [&](const expected<runtime::snapshot>& found) {
        must(found.has_value(), "it is not there");
        must_be(get(**found, read_key, node->now()));
      });
    };
  };
  const auto by_reader = [&] {
    return [&, look = node->session(id_of(7)).reader()]() mutable { must_be(look.get(read_key)); };
  };
  for (const std::size_t threads : {1, 2}) {
    std::vector<double> ids, readers, written;
    for (int round = 0; round < how.rounds; ++round) {
      ids.push_back(looks_per_second(threads, how.seconds, by_id));
      readers.push_back(looks_per_second(threads, how.seconds, by_reader));
      std::atomic<bool> over = false;  // and while the session is written as often as may be
      std::thread writer{[&] {
        for (int n = 0; !over; ++n)
          must(node->execute(
                       {session_ref(id_of(7)), {patch_state{{set_key{.key = "other", .data = n}}}}})
                   .has_value(),
               "a command was refused");
      }};
      written.push_back(looks_per_second(threads, how.seconds, by_reader));
      over = true;
      writer.join();
    }
    const auto by = ",\"threads\":" + std::to_string(threads);
    print("reads_of_one_key", "by_id", rate(ids) + by);
    print("reads_of_one_key", "by_reader", rate(readers) + by);
    print("reads_of_one_key", "by_reader_while_it_is_written", rate(written) + by);
  }
}

}  // namespace troupe::bench
