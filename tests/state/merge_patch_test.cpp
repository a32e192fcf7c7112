#include <troupe/state/json.hpp>
#include <troupe/state/merge_patch.hpp>

#include "../support/generate.hpp"
#include "../support/naive.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>
#include <pthread.h>

#include <string>
#include <tuple>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

std::string merged(std::string_view target, std::string_view patch) {
  return to_json(merge_patch(*value_from_json(target), *value_from_json(patch)));
}

}  // namespace

TEST_CASE("a merge gives what RFC 7396 appendix A says") {
  const std::vector<std::tuple<const char*, const char*, const char*>> examples{
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", R"(null)", R"(null)"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& [target, patch, result] : examples) {
    CAPTURE(target);
    CAPTURE(patch);
    CHECK(merged(target, patch) == result);
  }
}

TEST_CASE("a merge keeps the order of keys and puts new ones behind") {
  CHECK(merged(R"({"z":1,"a":2,"m":3})", R"({"b":9,"a":8,"z":7})")
        == R"({"z":7,"a":8,"m":3,"b":9})");
  CHECK(merged(R"({"z":1,"a":2,"m":3})", R"({"q":1,"a":null,"p":2})")
        == R"({"z":1,"m":3,"q":1,"p":2})");
}

TEST_CASE("a null deletes only in a map and stays in an array and in the target") {
  CHECK(merged(R"({"a":1})", R"({"a":[null,{"b":null}]})") == R"({"a":[null,{"b":null}]})");
  CHECK(merged(R"({"a":{"b":null}})", R"({"a":{"c":1}})") == R"({"a":{"b":null,"c":1}})");
  CHECK(merged(R"({})", R"({"x":null})") == R"({})");
}

TEST_CASE("a map merges into what is no map as if there were nothing") {
  for (const char* target : {"1", "[1]", "\"x\"", "null", "true", R"({"a":1})"})
    CHECK(merged(R"({"k":)" + std::string{target} + "}", R"({"k":{"b":{"c":1,"d":null}}})")
          == (target[0] == '{' ? R"({"k":{"a":1,"b":{"c":1}}})" : R"({"k":{"b":{"c":1}}})"));
}

TEST_CASE("an empty patch changes nothing") {
  holds("empty patch", [] {
    const auto x = *any_map();
    RC_ASSERT(merge_patch(x, value::map({})).bytes() == x.bytes());
  });
}

TEST_CASE("a merge is the naive one of RFC 7396 byte for byte") {
  holds("merge", [](const value& target, const value& patch) {
    RC_ASSERT(merge_patch(target, patch).bytes() == naive_merge(target, patch).bytes());
  });
  holds("merge of maps", [] {
    const auto target = *any_map(4), patch = *any_map(4);
    const auto once = merge_patch(target, patch);
    RC_ASSERT(once.bytes() == naive_merge(target, patch).bytes());
    RC_ASSERT(merge_patch(once, patch) == once);
  });
}

TEST_CASE("a merge of maps with 1000 keys finds each one") {
  members target, patch;
  for (int i = 0; i < 1000; ++i) {
    target.emplace_back("k" + std::to_string(i * 7 % 1000), value{i});
    if (i % 3 == 0)
      patch.emplace_back("k" + std::to_string(i), i % 2 == 0 ? value{} : value{-i});
    if (i % 10 == 0)
      patch.emplace_back("new" + std::to_string(i), value{i});
  }
  CHECK(merge_patch(map_of(target), map_of(patch)).bytes()
        == naive_merge(map_of(target), map_of(patch)).bytes());
}

TEST_CASE("comparing and merging deep values needs no more than a small stack") {
  // A frame for each level would need many times the 256 KiB, and a pass over the rest for each
  // many minutes.
  struct work {
    bool ok = false;
    static void* run(void* self) {
      const auto nested = [](std::size_t depth, const value& innermost) {
        value_writer out;
        for (std::size_t i = 0; i < depth; ++i)
          out.begin_map(1).string("a");
        return out.raw(innermost).finish();
      };
      const auto old = value::map({{"x", 1}, {"y", 2}}), merged = value::map({{"x", 3}, {"y", 2}});
      const auto result =
          merge_patch(nested(100'000, old), nested(100'000, value::map({{"x", 3}})));
      const bool merges = result.bytes() == nested(100'000, merged).bytes();
      const bool compares = nested(20'000, merged) == nested(20'000, with_reversed_keys(merged))
                            && !(nested(20'000, merged) == nested(20'000, old));
      static_cast<work*>(self)->ok = merges && compares;
      return nullptr;
    }
  } done;
  pthread_attr_t small_stack;
  pthread_attr_init(&small_stack);
  REQUIRE(pthread_attr_setstacksize(&small_stack, 256 << 10) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &small_stack, work::run, &done) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&small_stack);
  CHECK(done.ok);
}
