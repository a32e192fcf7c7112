#include <troupe/state/decide.hpp>
#include <troupe/state/items.hpp>
#include <troupe/state/schema.hpp>
#include <troupe/state/typed.hpp>

#include "../support/generate.hpp"

#include <limits>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

// doc:begin bound-type
struct step_log {
  std::string tool;
  std::optional<int> exit_code;

  static constexpr auto fields = std::tuple{troupe::field{"tool", &step_log::tool},
                                            troupe::field{"exit_code", &step_log::exit_code}};
};

struct plan {
  std::string goal;
  std::vector<step_log> steps;
  std::uint32_t budget = 10;

  static constexpr auto fields =
      std::tuple{troupe::field{"goal", &plan::goal}, troupe::defaulted{"steps", &plan::steps},
                 troupe::defaulted{"budget", &plan::budget}};
};
// doc:end bound-type

// doc:begin typed-keys
constexpr troupe::key<int> attempts{"attempts"};
constexpr troupe::key<plan> current_plan{"plan"};

/// One more attempt, unless somebody else counted in between; the key is forgotten after an hour.
troupe::expected<troupe::command> try_again(const troupe::entity_ref& session,
                                            const troupe::entity_state& state,
                                            troupe::timestamp now) {
  const auto seen = troupe::get_or(state, attempts, now, 0);
  if (!seen)
    return tl::unexpected(seen.error());  // somebody keeps something else there
  auto count = troupe::set(
      attempts, *seen + 1,
      {.ttl_ms = 3'600'000, .expected_revision = troupe::revision_of(state, attempts, now)});
  return troupe::command{session, {troupe::patch_state{{std::move(count)}}}};
}
// doc:end typed-keys

// doc:begin typed-schema
troupe::expected<void> register_plans(troupe::schema_registry& schemas) {
  return schemas.add("plans",
                     {{.version = 1, .keys = troupe::schema_keys(attempts, current_plan)}});
}
// doc:end typed-schema

bool operator==(const step_log& a, const step_log& b) {
  return a.tool == b.tool && a.exit_code == b.exit_code;
}
bool operator==(const plan& a, const plan& b) {
  return a.goal == b.goal && a.steps == b.steps && a.budget == b.budget;
}

enum class colour { red, green, unnamed };

struct point {  // not ours to change
  int x = 0, y = 0;
  friend bool operator==(const point&, const point&) = default;
};

struct tree {
  std::string name{};
  std::vector<tree> children{};
  static constexpr auto fields =
      std::tuple{field{"name", &tree::name}, field{"children", &tree::children}};
  friend bool operator==(const tree&, const tree&) = default;
};

struct everything {
  bool flag = false;
  std::int8_t small = 0;
  std::uint64_t large = 0;
  double real = 0;
  std::string text{};
  value any{};
  colour shade = colour::red;
  std::optional<int> maybe{};
  std::optional<value> anything{};
  std::vector<point> points{};
  std::map<std::string, std::vector<bool>> table{};
  timestamp at{};
  std::chrono::sys_time<std::chrono::milliseconds> when{};
  std::chrono::milliseconds took{};
  value more = value::map({});

  using self = everything;
  static constexpr auto fields =
      std::tuple{field{"flag", &self::flag},         field{"small", &self::small},
                 field{"large", &self::large},       field{"real", &self::real},
                 field{"text", &self::text},         field{"any", &self::any},
                 field{"shade", &self::shade},       field{"maybe", &self::maybe},
                 field{"anything", &self::anything}, field{"points", &self::points},
                 field{"table", &self::table},       field{"at", &self::at},
                 field{"when", &self::when},         field{"took", &self::took},
                 other_members{&self::more}};
  friend bool operator==(const everything&, const everything&) = default;
};

struct settings {
  std::string model{};
  std::optional<double> temperature{};
  std::vector<std::string> tools{};
  static constexpr auto fields =
      std::tuple{field{"model", &settings::model}, field{"temperature", &settings::temperature},
                 defaulted{"tools", &settings::tools}};
  friend bool operator==(const settings&, const settings&) = default;
};

}  // namespace

template <>
struct troupe::names_of<colour> {
  static constexpr std::pair<colour, std::string_view> value[] = {{colour::red, "red"},
                                                                  {colour::green, "green"}};
};
template <>
struct troupe::fields_of<point> {
  static constexpr auto value =
      std::tuple{troupe::field{"x", &point::x}, troupe::field{"y", &point::y}};
};

namespace {

value json(std::string_view text) {
  auto out = value_from_json(text);
  REQUIRE_MESSAGE(out.has_value(), text);
  return *out;
}

template <class T>
error refused(std::string_view text, unknown_members unknown = unknown_members::ignored) {
  CAPTURE(text);
  const auto out = from_value<T>(json(text), unknown);
  REQUIRE_FALSE(out.has_value());
  return out.error();
}

/// A session that is told what to do.
struct session_fixture {
  entity_ref ref = session_ref("s");
  entity_state state{};
  timestamp now{1'000};
  const schema_registry* schemas = nullptr;

  explicit session_fixture(entity_info info = {}, const schema_registry* known = nullptr)
      : schemas{known} {
    does(create{.info = std::move(info)});
  }
  expected<decision> tries(operation op) {
    return decide(state, {ref, {std::move(op)}}, {.now = now, .schemas = schemas});
  }
  void does(operation op) {
    auto decided = tries(std::move(op));
    REQUIRE_MESSAGE(decided.has_value(), (decided ? error{} : decided.error()));
    state = decided->next;
  }
  void does(state_op op) { does(operation{patch_state{{std::move(op)}}}); }
  error refuses(operation op) {
    auto decided = tries(std::move(op));
    REQUIRE_FALSE(decided.has_value());
    return decided.error();
  }
  error refuses(state_op op) { return refuses(operation{patch_state{{std::move(op)}}}); }
};

constexpr key<int> count{"count"};
constexpr key<std::string> title{"title"};
constexpr key<bool> done{"done"};
constexpr key<double> score{"score"};
constexpr key<std::uint8_t> small{"small"};
constexpr key<std::optional<int>> maybe{"maybe"};
constexpr key<std::vector<std::string>> tools{"tools"};
constexpr key<colour> shade{"shade"};

// What must not compile. `requires` sees what an overload would take.
template <class Key, class X>
concept can_set = requires(Key k, X x) { set(k, x); };
template <class Key, class X>
concept can_add = requires(Key k, X x) { add(k, x); };
template <class Key, class X>
concept can_append = requires(Key k, X x) { append(k, x); };
template <class Key, class X>
concept can_compare = requires(Key k, X x) { set_if(k, x, x); };

static_assert(can_set<key<int>, int> && can_set<key<int>, std::uint64_t>);
static_assert(!can_set<key<int>, double> && !can_set<key<int>, bool> && !can_set<key<int>, char>);
static_assert(!can_set<key<int>, const char*> && !can_set<key<int>, value>);
static_assert(!can_set<key<bool>, const char*> && !can_set<key<bool>, int>);
static_assert(can_set<key<double>, double> && !can_set<key<double>, int>);
static_assert(can_set<key<std::string>, const char*> && !can_set<key<std::string>, int>);
static_assert(!can_set<key<std::string>, std::nullptr_t>);
static_assert(can_set<key<colour>, colour> && !can_set<key<colour>, int>);
static_assert(can_set<key<std::optional<int>>, std::nullopt_t>);
static_assert(can_set<key<std::optional<int>>, int>
              && !can_set<key<std::optional<int>>, std::string>);
static_assert(can_set<key<value>, int> && can_set<key<value>, const char*>);
static_assert(!can_set<key<point>, tree>);
static_assert(can_compare<key<int>, int> && !can_compare<key<int>, double>);
static_assert(can_add<key<int>, int> && can_add<key<double>, double>);
static_assert(!can_add<key<std::string>, int> && !can_add<key<bool>, bool>);
static_assert(!can_add<key<int>, double>);
static_assert(can_append<key<std::vector<std::string>>, const char*>);
static_assert(!can_append<key<std::vector<std::string>>, int> && !can_append<key<int>, int>);

enum class nameless { a };
struct plain {
  int x = 0;
};
static_assert(bindable<everything> && bindable<tree> && bindable<point> && bindable<colour>);
static_assert(!bindable<float> && !bindable<char> && !bindable<const char*> && !bindable<nameless>
              && !bindable<plain> && !bindable<std::vector<plain>>);
static_assert(!bindable<std::optional<std::optional<int>>>);
static_assert(!bindable<std::chrono::sys_time<std::chrono::microseconds>>
              && !bindable<std::chrono::seconds>);

struct twice {
  int a = 0, b = 0;
  static constexpr auto fields = std::tuple{field{"x", &twice::a}, field{"x", &twice::b}};
};
static_assert(internal::fields_are_distinct<everything>());
static_assert(!internal::fields_are_distinct<twice>());

}  // namespace

TEST_CASE("every bindable type comes back as what it was") {
  everything x{
      .flag = true,
      .small = -128,
      .large = std::numeric_limits<std::uint64_t>::max(),
      .real = -0.0,
      .text = std::string{"a\0b", 3},
      .any = json("[1,1.0,null]"),
      .shade = colour::green,
      .maybe = 7,
      .anything = value{},
      .points = {{1, -2}, {3, 4}},
      .table = {{"", {}}, {"k", {true, false}}},
      .at = {1'767'323'045'678},
      .when = std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{-1}},
      .took = std::chrono::milliseconds{-5},
      .more = value::map({{"later", 1}})};
  const auto written = to_value(x);
  CHECK(
      to_json(written)
      == R"({"flag":true,"small":-128,"large":18446744073709551615,"real":-0.0,"text":"a\u0000b",)"
         R"("any":[1,1.0,null],"shade":"green","maybe":7,"anything":null,)"
         R"("points":[{"x":1,"y":-2},{"x":3,"y":4}],"table":{"":[],"k":[true,false]},)"
         R"("at":"2026-01-02T03:04:05.678Z","when":"1969-12-31T23:59:59.999Z","took":-5,)"
         R"("later":1})");
  const auto read = from_value<everything>(written, unknown_members::refused);
  REQUIRE_MESSAGE(read.has_value(), (read ? error{} : read.error()));
  CHECK(*read == x);
  CHECK(std::signbit(read->real));

  x.maybe.reset();
  x.anything.reset();
  const auto shorter = to_value(x);
  CHECK_FALSE(shorter.view().find("maybe"));
  CHECK_FALSE(shorter.view().find("anything"));
  CHECK(from_value<everything>(shorter).value() == x);
}

TEST_CASE("a type may hold itself") {
  const tree x{"root", {{"a", {}}, {"b", {{"c", {}}}}}};
  CHECK(from_value<tree>(to_value(x)).value() == x);
  const auto e = refused<tree>(R"({"name":"r","children":[{"name":"a","children":[{"name":1}]}]})");
  CHECK(e.path == "/children/0/children/0/name");
}

TEST_CASE("nothing is converted on the way in") {
  CHECK(refused<int>("1.0").message == "an integer is expected, found a real");
  CHECK(refused<double>("1").message == "a real is expected, found an integer");
  CHECK(refused<bool>("1").code == errc::wrong_type);
  CHECK(refused<std::string>("null").message == "a string is expected, found null");
  CHECK(refused<std::vector<int>>("{}").message == "an array is expected, found an object");
  CHECK(refused<point>("[]").message == "an object is expected, found an array");
  CHECK(refused<std::optional<int>>("\"1\"").code == errc::wrong_type);
  CHECK(from_value<std::optional<int>>(value{}).value() == std::nullopt);
}

TEST_CASE("an integer that the type cannot hold is refused") {
  CHECK(from_value<std::int8_t>(value{-128}).value() == -128);
  CHECK(from_value<std::uint64_t>(value{~0ull}).value() == ~0ull);
  CHECK(from_value<std::int64_t>(value{std::numeric_limits<std::int64_t>::min()}).value()
        == std::numeric_limits<std::int64_t>::min());
  const auto e = refused<std::int8_t>("128");
  CHECK(e.code == errc::invalid_value);
  CHECK(e.message == "an integer of -128 to 127 is expected, found 128");
  CHECK(refused<std::uint8_t>("-1").message == "an integer of 0 to 255 is expected, found -1");
  CHECK(refused<std::int64_t>("18446744073709551615").code == errc::invalid_value);
  CHECK(refused<std::uint64_t>("-1").code == errc::invalid_value);
}

TEST_CASE("an enum is read by its names only") {
  CHECK(from_value<colour>(value{"green"}).value() == colour::green);
  const auto e = refused<colour>("\"blue\"");
  CHECK(e.code == errc::invalid_value);
  CHECK(e.message == "one of red, green is expected, found \"blue\"");
  CHECK(refused<colour>("0").code == errc::wrong_type);
  CHECK(to_value(colour::unnamed).is_null());
  const auto long_name = '"' + std::string(100, 'x') + '"';
  CHECK(refused<colour>(long_name).message == "one of red, green is expected, found a string");
}

TEST_CASE("a time is RFC 3339 text and nothing else") {
  const auto e = refused<timestamp>("\"2026-01-02\"");
  CHECK(e.code == errc::invalid_value);
  CHECK(e.message == R"(a time like "2026-01-02T03:04:05.678Z" is expected, found "2026-01-02")");
  CHECK(refused<timestamp>("1767323045678").code == errc::wrong_type);
}

TEST_CASE("a fault below names the whole path to it") {
  const auto e = refused<std::map<std::string, std::vector<step_log>>>(
      R"({"x":[{"tool":"a"},{"tool":"b"},{"tool":"c"},{"name":"d"}]})");
  CHECK(e.path == "/x/3/tool");
  CHECK(e.code == errc::wrong_type);
  CHECK(e.message == "`tool` is missing");
  CHECK(refused<std::map<std::string, int>>(R"({"a/b~c":"x"})").path == "/a~1b~0c");
  CHECK(refused<plan>(R"({"goal":"g","steps":[{"tool":"a","exit_code":"x"}]})").path
        == "/steps/0/exit_code");
}

TEST_CASE("a defaulted member may be absent and keeps its default") {
  const auto read = from_value<plan>(json(R"({"goal":"g"})"));
  REQUIRE(read.has_value());
  CHECK(read->budget == 10);
  CHECK(read->steps.empty());
  CHECK(refused<plan>(R"({"goal":"g","budget":null})").path == "/budget");
}

TEST_CASE("an unknown member is ignored or refused or kept as the caller wants") {
  constexpr std::string_view text = R"({"x":1,"y":2,"z":3})";
  CHECK(from_value<point>(json(text)).value() == point{1, 2});
  const auto e = refused<point>(text, unknown_members::refused);
  CHECK(e.code == errc::unknown_field);
  CHECK(e.path == "/z");
  CHECK(refused<std::vector<point>>(R"([{"x":1,"y":2,"z":3}])", unknown_members::refused).path
        == "/0/z");
  const auto item = json(R"({"role":"user","content":"hi","model":{"a":[1]},"cost":0.5})");
  const auto message = from_value<chat_message>(item, unknown_members::refused);
  REQUIRE(message.has_value());
  CHECK(to_value(*message) == item);
}

TEST_CASE("what stands among the other members never doubles a field") {
  chat_message message{.role = "user", .more = value::map({{"role", "other"}, {"x", 1}})};
  CHECK(to_json(to_value(message)) == R"({"role":"user","x":1})");
  message.more = value{7};
  CHECK(to_json(to_value(message)) == R"({"role":"user"})");
}

TEST_CASE("every integer comes back from every type that can hold it and from no other") {
  holds("integers", [] {
    const value x = *any_integer();
    const auto wide = x.view().as_int64();
    const auto s = from_value<std::int16_t>(x);
    RC_ASSERT(s.has_value() == (wide && *wide >= -32768 && *wide <= 32767));
    RC_ASSERT((!s || *s == *wide));
    const auto u = from_value<std::uint64_t>(x);
    RC_ASSERT(u.has_value() == x.view().as_uint64().has_value());
    RC_ASSERT((!u || to_value(*u).bytes() == x.bytes()));
    RC_ASSERT((!wide || to_value(*wide).bytes() == x.bytes()));
  });
}

TEST_CASE("reading any value as any type answers and never crashes") {
  holds("any value", [](const value& x) {
    const auto strict = from_value<everything>(x, unknown_members::refused);
    RC_ASSERT((!strict || from_value<everything>(to_value(*strict)).value() == *strict));
    const auto map = from_value<std::map<std::string, std::vector<value>>>(x);
    RC_ASSERT((!map || to_value(*map) == x));
    const auto message = from_value<chat_message>(x);
    RC_ASSERT((!message || from_value<chat_message>(to_value(*message)).value() == *message));
  });
}

TEST_CASE("an absent key is told from one of another type") {
  session_fixture s;
  CHECK(get(s.state, count, s.now).error().code == errc::not_found);
  CHECK(get(s.state, count, s.now).error().path == "/count");
  s.does(set(count, 3));
  CHECK(get(s.state, count, s.now).value() == 3);
  s.does(set(key<std::string>{"count"}, "three"));
  const auto e = get(s.state, count, s.now).error();
  CHECK(e.code == errc::wrong_type);
  CHECK(e.path == "/count");
  CHECK(get(s.state, maybe, s.now).value() == std::nullopt);
  CHECK(get(entity_state{}, count, s.now).error().code == errc::not_found);
}

TEST_CASE("a fallback stands in for an absent key and never for a wrong one") {
  session_fixture s;
  CHECK(get_or(s.state, count, s.now, 9).value() == 9);
  s.does(set(title, "x"));
  CHECK(get_or(s.state, title, s.now, "y").value() == "x");
  CHECK(get_or(s.state, key<int>{"title"}, s.now, 9).error().code == errc::wrong_type);
}

TEST_CASE("an expired key is absent") {
  session_fixture s;
  s.does(set(count, 3, {.ttl_ms = 10}));
  CHECK(get(s.state, count, {s.now.ms + 9}).value() == 3);
  CHECK(get(s.state, count, {s.now.ms + 10}).error().code == errc::not_found);
  CHECK(get_or(s.state, count, {s.now.ms + 10}, 1).value() == 1);
}

TEST_CASE("a key is read from the nearest scope that has it") {
  session_fixture near, far;
  far.does(set(count, 1));
  const std::vector<scope_view> chain{
      {near.ref, &near.state}, {far.ref, nullptr}, {far.ref, &far.state}};
  CHECK(get(chain, count, near.now).value() == 1);
  near.does(set(count, 2));
  CHECK(get(chain, count, near.now).value() == 2);
  CHECK(get(chain, title, near.now).error().code == errc::not_found);
}

TEST_CASE("a set keeps an integer as it is whatever its type") {
  CHECK(set(small, 300).data == value{300});
  CHECK(set(key<std::uint64_t>{"k"}, -1).data == value{-1});
  session_fixture s;
  s.does(set(small, 300));
  CHECK(get(s.state, small, s.now).error().code == errc::invalid_value);
}

TEST_CASE("each operation says its key and data and conditions") {
  CHECK(set(score, 1.0f).data == value{1.0});
  CHECK(set(maybe, 5).data == value{5});
  CHECK(set(maybe, std::nullopt).data == value{});
  CHECK(set(done, true).key == "done");
  CHECK(set(shade, colour::green).data == value{"green"});
  CHECK(set(tools, {"a", "b"}).data == value::array({"a", "b"}));
  CHECK(unset(count, 4).expected_revision == 4u);
  CHECK(set_if_absent(count, 1).expected == std::nullopt);
  session_fixture s;
  s.does(set_if_absent(count, 1));
  CHECK(s.refuses(set_if_absent(count, 1)).code == errc::cas_mismatch);
  CHECK(s.refuses(set_if(count, 2, 3)).code == errc::cas_mismatch);
  s.does(set_if(count, 1, 3));
  s.does(add(count, 4));
  CHECK(get(s.state, count, s.now).value() == 7);
  s.does(append(tools, "grep"));
  s.does(append(tools, std::string{"sed"}));
  CHECK(get(s.state, tools, s.now).value() == std::vector<std::string>{"grep", "sed"});
  CHECK(s.refuses(set(count, 1, {.expected_revision = 1})).code == errc::cas_mismatch);
  s.does(unset(count));
  CHECK(get(s.state, count, s.now).error().code == errc::not_found);
}

TEST_CASE("a whole scope is one type") {
  session_fixture s;
  CHECK(get_all<settings>(s.state, s.now).error().path == "/model");
  const settings x{"large", 0.5, {"grep"}};
  s.does(set_all(x));
  CHECK(get_all<settings>(s.state, s.now).value() == x);
  s.does(set(count, 1));
  CHECK(get_all<settings>(s.state, s.now).value() == x);
  CHECK(get_all<settings>(s.state, s.now, unknown_members::refused).error().path == "/count");
  s.does(set_all(settings{"small", {}, {}}));
  CHECK(get_all<settings>(s.state, s.now).value() == settings{"small", {}, {}});
  CHECK(get(s.state, count, s.now).value() == 1);
  s.does(set(key<int>{"temperature"}, 1));
  CHECK(get_all<settings>(s.state, s.now).error().path == "/temperature");
}

TEST_CASE("a read through the registry sees the newest version and nothing of an unknown schema") {
  schema_registry writer;
  REQUIRE(writer.add("settings", {{.version = 1}}));
  session_fixture s{{.schema = schema_id{"settings", 1}}, &writer};
  s.does(set(key<std::string>{"name"}, "large"));
  s.does(set(key<int>{"attempts"}, 3));
  schema_registry reader;
  REQUIRE(reader.add("settings",
                     {{.version = 1}, {.version = 2, .migrate = [](const value& old) {
                                         return expected<value>{
                                             value::map({{"model", value{*old.view().find("name")}},
                                                         {"tools", value::array({})}})};
                                       }}}));
  const key<std::string> model{"model"};
  CHECK(get(s.state, model, s.now).error().code == errc::not_found);
  CHECK(get(reader, s.state, model, s.now).value() == "large");
  CHECK(get(reader, s.state, key<int>{"model"}, s.now).error().path == "/model");
  CHECK(get(reader, s.state, key<int>{"attempts"}, s.now).error().code == errc::not_found);
  CHECK(get(reader, s.state, key<std::optional<int>>{"attempts"}, s.now).value() == std::nullopt);
  CHECK(get_all<settings>(s.state, s.now).error().path == "/model");
  CHECK(get_all<settings>(reader, s.state, s.now).value() == settings{"large", {}, {}});
  const schema_registry stranger;
  CHECK(get(stranger, s.state, key<std::optional<int>>{"none"}, s.now).error().code
        == errc::unknown_schema);
  CHECK(get_all<settings>(stranger, s.state, s.now).error().code == errc::unknown_schema);
}

TEST_CASE("writing a scope back touches only what differs and loses to nobody") {
  session_fixture s;
  s.does(set_all(settings{"large", 0.5, {"grep"}}));
  s.does(set(key<std::string>{"model"}, "large", {.ttl_ms = 50}));
  auto x = get_all<settings>(s.state, s.now).value();
  CHECK(set_changes(s.state, x, s.now).ops.empty());
  x.tools.push_back("sed");
  x.temperature.reset();
  const auto mine = set_changes(s.state, x, s.now);
  REQUIRE(mine.ops.size() == 2);
  auto other = s;
  s.does(mine);
  CHECK(get_all<settings>(s.state, s.now).value() == x);
  CHECK(find(s.state, section::state, "model", s.now)->expires.ms == s.now.ms + 50);
  other.does(append(tools, "awk"));
  CHECK(other.refuses(mine).code == errc::cas_mismatch);
  session_fixture empty;
  const auto first = set_changes(empty.state, x, s.now);
  REQUIRE(first.ops.size() == 2);
  CHECK(std::get<set_key>(first.ops[0]).expected_revision == 0u);
}

TEST_CASE("a schema made of a type refuses other types with path and reason") {
  schema_registry schemas;
  REQUIRE(schemas.add("settings", {{.version = 1, .keys = schema_keys<settings>()}}));
  session_fixture s{{.schema = schema_id{"settings", 1}}, &schemas};
  s.does(set_all(settings{"large", 0.5, {"grep"}}));
  const auto e = s.refuses(state_op{set_key{"tools", json(R"(["a",1])")}});
  CHECK(e.code == errc::invalid_by_schema);
  CHECK(e.path == "/tools/1");
  CHECK(e.message == "a string is expected, found an integer");
  CHECK(s.refuses(state_op{set_key{"temperature", value{1}}}).path == "/temperature");
  s.does(state_op{set_key{"temperature", value{}}});
  s.does(state_op{set_key{"free", value{1}}});
}

TEST_CASE("a schema of single keys checks those") {
  schema_registry schemas;
  REQUIRE(register_plans(schemas));
  session_fixture s{{.schema = schema_id{"plans", 1}}, &schemas};
  s.does(set(attempts, 1));
  CHECK(s.refuses(set(attempts, 1'000'000'000'000)).code == errc::invalid_by_schema);
  CHECK(s.refuses(state_op{set_key{"plan", json(R"({"goal":1})")}}).path == "/plan/goal");
  s.does(set(current_plan, plan{"win", {{"grep", 0}, {"sed", {}}}, 3}));
  CHECK(get(s.state, current_plan, s.now).value() == plan{"win", {{"grep", 0}, {"sed", {}}}, 3});
}

TEST_CASE("the example of the documentation counts attempts and notices a rival") {
  session_fixture s;
  const auto first = try_again(s.ref, s.state, s.now);
  REQUIRE(first.has_value());
  s.does(first->operations.front());
  CHECK(get(s.state, attempts, s.now).value() == 1);
  CHECK(s.refuses(first->operations.front()).code == errc::cas_mismatch);
  s.does(set(key<bool>{"attempts"}, true));
  CHECK(try_again(s.ref, s.state, s.now).error().code == errc::wrong_type);
}

TEST_CASE("a chat message is read from an item and written back whole") {
  session_fixture s;
  const auto item = json(
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":)"
      R"({"name":"look","arguments":"{\"x\":1}","strict":true},"index":0}],"logprobs":[0.5]})");
  s.does(append_items{{item, json(R"({"role":"tool","tool_call_id":"c1","content":"42"})")}});
  s.does(append_all<chat_message>(
      {{.role = "user",
        .content = json(R"([{"type":"text","text":"a"},{"type":"image"},{"text":"b"}])"),
        .name = "ann"}}));
  const auto call = item_as<chat_message>(s.state.items[0]);
  REQUIRE(call.has_value());
  REQUIRE(call->tool_calls->size() == 1);
  CHECK(call->tool_calls->front().function.name == "look");
  CHECK(call->tool_calls->front().more == value::map({{"index", 0}}));
  CHECK(call->text().empty());
  CHECK(to_value(*call) == item);
  CHECK(item_as<chat_message>(s.state.items[1])->text() == "42");
  CHECK(item_as<chat_message>(s.state.items[2])->text() == "ab");
  CHECK(item_as<chat_message>(s.state.items[2])->name == "ann");
  CHECK(refused<chat_message>(R"({"content":"x"})").path == "/role");
}

TEST_CASE("a null in a chat message is still there when it is written back") {
  const auto item = json(
      R"({"role":"assistant","content":"hi","name":null,"tool_calls":null,"tool_call_id":null})");
  auto read = from_value<chat_message>(item);
  REQUIRE(read.has_value());
  CHECK_FALSE(read->tool_calls);
  CHECK(to_value(*read) == item);
  CHECK(from_value<chat_message>(to_value(*read)).value() == *read);
  read->name = "ann";
  CHECK(to_value(*read)
        == json(R"({"role":"assistant","content":"hi","name":"ann","tool_calls":null,)"
                R"("tool_call_id":null})"));
  const auto calls = json(R"({"role":"assistant","tool_calls":[{"id":null,"function":{"name":"f",)"
                          R"("arguments":null}}]})");
  CHECK(to_value(from_value<chat_message>(calls).value()) == calls);
}

TEST_CASE("an exchange that Go wrote is read") {
  const auto item =
      json(R"({"timestamp":"2026-01-02T04:34:05.678901234+01:30","user_request":"why","agent":"a",)"
           R"("response":"so","escalations":[{"source_agent":"a","target_agent":"b","reason":"r",)"
           R"("timestamp":"2026-01-02T03:04:05Z"}],"duration":1500999999})");
  const auto read = from_value<exchange>(item);
  REQUIRE_MESSAGE(read.has_value(), (read ? error{} : read.error()));
  CHECK(read->at.ms == 1'767'323'045'678);
  CHECK(read->escalations.front().at.ms == 1'767'323'045'000);
  CHECK(read->duration == std::chrono::milliseconds{1500});
  const auto written = to_value(*read);
  CHECK(written.view().find("timestamp")->as_string() == "2026-01-02T03:04:05.678Z");
  CHECK(written.view().find("duration_ms")->as_int64() == 1500);
  CHECK(written.view().find("duration")->as_int64() == 1'500'999'999);
  CHECK(from_value<exchange>(written).value() == *read);
  CHECK(refused<exchange>(R"({"timestamp":"2026-01-02","user_request":"","agent":""})").path
        == "/timestamp");
  const auto both = from_value<exchange>(
      json(R"({"timestamp":"2026-01-02T03:04:05Z","user_request":"","agent":"","duration":9000000,)"
           R"("duration_ms":7})"));
  CHECK(both->duration == std::chrono::milliseconds{7});
}

TEST_CASE("an exchange is read from an item and written back whole") {
  const auto item =
      json(R"({"timestamp":"2026-01-02T03:04:05.678Z","user_request":"why","agent":"a","response":)"
           R"({"text":"so"},"escalations":[{"source_agent":"a","target_agent":"b","reason":"hard",)"
           R"("timestamp":"2026-01-02T03:04:05.679Z","level":2}],"duration_ms":1500,"cost":0.1})");
  const auto read = from_value<exchange>(item);
  REQUIRE_MESSAGE(read.has_value(), (read ? error{} : read.error()));
  CHECK(read->duration == std::chrono::milliseconds{1500});
  CHECK(read->escalations.front().target_agent == "b");
  CHECK(read->at.ms == 1'767'323'045'678);
  CHECK(to_value(*read) == item);
  const auto bare = from_value<exchange>(
      json(R"({"timestamp":"2026-01-02T03:04:05.678Z","user_request":"why","agent":"a"})"));
  REQUIRE(bare.has_value());
  CHECK(bare->response.is_null());
  CHECK(
      refused<exchange>(
          R"({"timestamp":"2026-01-02T03:04:05.678Z","user_request":"","agent":"","duration_ms":1.5})")
          .path
      == "/duration_ms");
}
