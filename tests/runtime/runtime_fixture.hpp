#pragma once

/// A runtime over a store that is gone with the test, on a clock that the test moves.

#include <troupe/runtime/scopes.hpp>

#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

namespace troupe::testing {

struct runtime_fixture {
  runtime_fixture() { reopen(); }

  void reopen(runtime_options options = {}) {
    open.reset();
    options.data = directory.store();
    options.now = [this] { return timestamp{clock_ms}; };
    auto opened = runtime::open(std::move(options));
    REQUIRE_MESSAGE(opened, opened.error().message);
    open = *std::move(opened);
  }

  runtime& host() { return *open; }

  /// What it answers, or the test ends with the error.
  template <class T>
  static T answer(call<T> what) {
    auto got = std::move(what).get();
    REQUIRE_MESSAGE(got, got.error().message);
    return *std::move(got);
  }
  template <class T>
  static error refusal(call<T> what) {
    auto got = std::move(what).get();
    REQUIRE(!got);
    return got.error();
  }

  temp_directory directory;
  std::atomic<std::int64_t> clock_ms = 1'000'000;
  std::unique_ptr<runtime> open;
};

}  // namespace troupe::testing
