#include "responders/chat_completion.hpp"

#include <troupe/state/json.hpp>

#include "support/entities.hpp"
#include <doctest/doctest.h>

#include <string>
#include <string_view>

/// The protocol of chat completions as text.

using namespace troupe;
using responders::chat_request;
using responders::chat_stream;
using testing::json;

namespace {

/// A session with these items.
std::shared_ptr<entity_state> session(std::initializer_list<std::string_view> items) {
  auto out = std::make_shared<entity_state>();
  out->status = lifecycle::live;
  for (const auto item : items)
    out->items.append(out->last_seq += 1, timestamp{1}, json(item));
  return out;
}

/// The messages of a request, as JSON.
std::string messages(std::shared_ptr<const entity_state> of, std::size_t first = 0) {
  const auto body = json(chat_request({.session = std::move(of), .first = first}, "m"));
  return to_json(*body.view().find("messages"));
}

constexpr std::string_view streamed =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Gr\xc3\xbc\"}}]}\r\n\r\n"
    ": a comment\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"\xc3\x9f dich\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":"
    "{\"name\":\"find\",\"arguments\":\"{\\\"q\\\"\"}}]}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
    "\":1}\"}},{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"go\",\"arguments\":\"{}\"}}]}}]}"
    "\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n"
    "data: [DONE]\n\n";

}  // namespace

TEST_CASE("every message of the kept history is sent in order with nothing that is Troupe's") {
  CHECK(messages(session({R"({"role":"system","content":"Be kind."})",
                          R"({"role":"user","content":"Hi","note":1})", R"({"no":"message"})",
                          R"({"role":"assistant","content":"Hello"})",
                          R"({"role":"user","content":[{"type":"text","text":"more"}]})"}))
        == R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},)"
           R"({"role":"assistant","content":"Hello"},)"
           R"({"role":"user","content":[{"type":"text","text":"more"}]}])");
  CHECK(
      messages(session({R"({"role":"user","content":"1"})", R"({"role":"user","content":"2"})"}), 1)
      == R"([{"role":"user","content":"2"}])");
}

TEST_CASE("a tool call is sent with its results or not at all") {
  const auto* calls = R"({"role":"assistant","content":null,"tool_calls":[)"
                      R"({"id":"a","function":{"name":"f","arguments":{"x":1}}},)"
                      R"({"id":"b","function":{"name":"g","arguments":"{}"}}]})";
  CHECK(messages(session({R"({"role":"tool","tool_call_id":"z","content":"orphan"})", calls,
                          R"({"role":"tool","tool_call_id":"a","content":"1"})",
                          R"({"role":"tool","tool_call_id":"q","content":"nobody's"})",
                          R"({"role":"user","content":"so?"})"}))
        == R"([{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function",)"
           R"("function":{"name":"f","arguments":"{\"x\":1}"}}]},)"
           R"({"role":"tool","content":"1","tool_call_id":"a"},{"role":"user","content":"so?"}])");
  CHECK(messages(session({calls, R"({"role":"user","content":"x"})",
                          R"({"role":"tool","tool_call_id":"a","content":"late"})"}))
        == R"([{"role":"user","content":"x"}])");
}

TEST_CASE("a request has model and streams and tells the notebook and the tools of the session") {
  testing::entity_fixture s;
  s.begins();
  CHECK(chat_request({.session = std::make_shared<entity_state>(s.state())}, "m")
        == R"({"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}})");
  s.does(update_notebook{.id = "nb", .cell_count = 2, .variables = json(R"({"df":"DataFrame"})")},
         patch_state{{set_key{.key = "tools", .data = json(R"([{"type":"function"}])")}}});
  CHECK(
      chat_request({.session = std::make_shared<entity_state>(s.state())}, "m")
      == R"({"model":"m","messages":[{"role":"system","content":"The user's notebook: )"
         R"({\"notebook_id\":\"nb\",\"cell_count\":2,\"variables\":{\"df\":\"DataFrame\"}}"}],)"
         R"("tools":[{"type":"function"}],"stream":true,"stream_options":{"include_usage":true}})");
}

TEST_CASE("a stream is read whole wherever it is cut into parts") {
  for (std::size_t size = 1; size <= streamed.size(); size += size < 40 ? 1 : 97) {
    CAPTURE(size);
    chat_stream in;
    std::string said;
    for (std::size_t at = 0; at < streamed.size(); at += size) {
      const auto piece = in.take(streamed.substr(at, size));
      REQUIRE(piece);
      said += *piece;
    }
    const auto out = in.finish();
    REQUIRE(out);
    CHECK(said == "Gr\xc3\xbc\xc3\x9f dich");
    CHECK(out->text == said);
    CHECK(out->used == usage_counters{7, 3});
    REQUIRE(out->tool_calls.size() == 2);
    CHECK(out->tool_calls[0].id == "c1");
    CHECK(out->tool_calls[0].function.name == "find");
    CHECK(out->tool_calls[0].function.arguments == value{R"({"q":1})"});
    CHECK(out->tool_calls[1].function.name == "go");
  }
}

TEST_CASE("a stream that is cut off is no answer wherever it ends before its last words") {
  const auto last = streamed.find("data: {\"choices\":[{\"delta\":{},");
  for (std::size_t end = 0; end <= last; end += 7) {
    chat_stream in;
    const auto taken = in.take(streamed.substr(0, end));
    const auto out = taken ? in.finish() : tl::unexpected(taken.error());
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::responder_failed);
  }
}

TEST_CASE("what is no chunk and what is too long is refused") {
  const auto refused = [](std::string_view bytes) {
    chat_stream in;
    const auto out = in.take(bytes);
    return out ? std::string{} : out.error().message;
  };
  CHECK(refused("data: {\n") == "a chunk of the answer is no JSON object");
  CHECK(refused("data: 1\n") == "a chunk of the answer is no JSON object");
  CHECK(refused("data: {\"error\":{\"message\":\"overloaded\"}}\n")
        == "the endpoint broke off: overloaded");
  CHECK(refused(std::string(chat_stream::max_line + 1, 'x'))
        == "a line of the answer is longer than 1 MiB");
  const auto chunk = "data: {\"choices\":[{\"delta\":{\"content\":\""
                     + std::string(chat_stream::max_bytes + 1, 'x') + "\"}}]}\n";
  CHECK(refused(chunk) == "the answer is longer than 192 KiB");
  CHECK(
      refused("event: x\nretry: 1\ndata: {\"choices\":null}\ndata: {\"choices\":[{\"delta\":7}]}\n")
      == "");
}

TEST_CASE("a whole answer is read like a streamed one and errors in their own words") {
  const auto out = responders::whole_completion(
      R"({"choices":[{"message":{"role":"assistant","content":"Hi","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}}],"usage":{"prompt_tokens":2,"completion_tokens":1}})");
  REQUIRE(out);
  CHECK(out->text == "Hi");
  CHECK(out->tool_calls.size() == 1);
  CHECK(out->used == usage_counters{2, 1});
  for (const auto* bad : {"", "<html>", "{}", R"({"choices":[]})", R"({"choices":[{"message":1}]})",
                          R"({"error":"no"})"})
    CHECK_FALSE(responders::whole_completion(bad));
  CHECK(responders::error_text(R"({"error":{"message":"bad key"}})") == "bad key");
  CHECK(responders::error_text("<html>") == "");
}
