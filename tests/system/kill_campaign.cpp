// kill_campaign TROUPE [--kills N] [--seed S]
//
// Kills `troupe serve` with SIGKILL under write load at random moments, starts it again and
// compares what it answers with what it acknowledged: nothing acknowledged is lost, no batch and no
// patch is there in part, nothing is there twice, every start is clean. Few sessions may live and
// little journal is kept, so kills hit activation, hibernation, folding and compaction too. Of
// eight kills one hits the start, one `troupe compact` of the store, and two a node that `troupe
// backup` copies, and half of these the backup too: what got its name must verify. So must the
// store after the last kill. Prints the seed, and
// one JSON object at the end.

#include <troupe/state/json.hpp>

#include "http/client.hpp"
#include "support/child_process.hpp"
#include "support/temp_directory.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;
using namespace std::chrono_literals;
using testing::child_process;

namespace {

constexpr std::size_t writers = 8;
constexpr std::size_t sessions_each = 4;
const http::header json{"Content-Type", "application/json"};

[[noreturn]] void fail_campaign(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  std::exit(1);
}

/// A session as its only writer knows it. Item n of the session says that it is item n.
struct model {
  std::string id;
  bool created = false;
  std::uint64_t acked_items = 0;
  std::uint64_t acked_counter = 0;  // state keys x and y, always written together
  std::uint64_t sent_items = 0;     // of the batch whose answer is missing, else 0
  std::uint64_t sent_counter = 0;   // likewise
  std::uint64_t compared_items = 0;
};

struct node {
  child_process process;
  http::endpoint address;
};

/// With a short tail and few that live, so that kills hit more than commits.
std::vector<std::string> serve_command(const std::string& binary, const std::string& data) {
  return {binary,           "serve", "--data",         data,    "--listen",   "127.0.0.1:0",
          "--journal-tail", "65536", "--journal-kept", "65536", "--max-live", "6",
          "--idle",         "1"};
}

/// The exit code of a command that is left alone.
int run(const std::vector<std::string>& command) {
  return child_process{command}.wait();
}

void verify(const std::string& binary, const std::string& data, const char* when) {
  if (const auto code = run({binary, "verify", "--data", data}); code != 0)
    fail_campaign("troupe verify says " + std::to_string(code) + " " + when);
}

node start(const std::string& binary, const std::string& data) {
  child_process process{serve_command(binary, data)};
  const auto line = process.read_line();
  const std::string prefix = "listening on ";
  if (!line || !line->starts_with(prefix))
    fail_campaign("the node did not start: exit code " + std::to_string(process.wait()));
  const auto address = http::parse_url(line->substr(prefix.size()));
  if (!address)
    fail_campaign("the node printed: " + *line);
  return {std::move(process), *address};
}

http::client connect(const http::endpoint& to) {
  return {to.host, to.port, 20s};
}

std::string path(const model& m, const char* part = "") {
  return "/v1/sessions/" + m.id + part;
}

std::string batch_body(const model& m, std::uint64_t count) {
  std::string body = "{\"items\":[";
  for (std::uint64_t i = 1; i <= count; ++i) {
    body += i == 1 ? "" : ",";
    body += "{\"session\":\"" + m.id + "\",\"n\":" + std::to_string(m.acked_items + i)
            + ",\"pad\":\"" + std::string(40 * (i % 12), 'x') + "\"}";
  }
  return body + "]}";
}

/// Writes until the node is gone; what was sent and not answered stays noted in the model.
void write_until_killed(const http::endpoint& address, std::vector<model>& mine, std::uint64_t seed,
                        std::atomic<std::uint64_t>& acked) {
  std::mt19937_64 random{seed};
  auto client = connect(address);
  while (true) {
    auto& m = mine[random() % mine.size()];
    if (!m.created) {
      const auto answer = client.send({.method = "PUT", .target = path(m)});
      if (!answer)
        return;
      m.created = true;
    }
    const bool patch = random() % 4 == 0;
    expected<http::response> answer;
    if (patch) {
      m.sent_counter = m.acked_counter + 1;
      const auto n = std::to_string(m.sent_counter);
      answer = client.send({.method = "PATCH",
                            .target = path(m, "/state"),
                            .headers = {json},
                            .body = "{\"x\":" + n + ",\"y\":" + n + "}"});
    } else {
      m.sent_items = 1 + random() % 5;
      answer = client.send({.method = "POST",
                            .target = path(m, "/items"),
                            .headers = {json},
                            .body = batch_body(m, m.sent_items)});
    }
    if (!answer)
      return;
    if (answer->status != (patch ? 200 : 201))
      fail_campaign("answered " + std::to_string(answer->status) + ": " + answer->body);
    m.acked_items += std::exchange(m.sent_items, 0);
    m.acked_counter = patch ? std::exchange(m.sent_counter, 0) : m.acked_counter;
    ++acked;
  }
}

value get(http::client& client, const std::string& target) {
  const auto answer = client.send({.method = "GET", .target = target});
  if (!answer || answer->status != 200)
    fail_campaign("GET " + target + ": " + (answer ? answer->body : answer.error().message));
  auto body = value_from_json(answer->body, {.bytes = answer->body.size()});
  if (!body)
    fail_campaign("GET " + target + " is no JSON: " + body.error().message);
  return *std::move(body);
}

/// Compares what came back with the model, then takes what did land of the unanswered request into
/// the model.
void compare(http::client& client, model& m, bool from_start) {
  const auto info = client.send({.method = "GET", .target = path(m)});
  if (!info)
    fail_campaign("no answer after a restart: " + info.error().message);
  if (info->status == 404) {
    if (m.created)
      fail_campaign(m.id + " was acknowledged and is gone");
    return;
  }
  m.created = true;
  if (from_start)
    m.compared_items = 0;
  while (true) {
    const auto page =
        get(client, path(m, "/items") + "?limit=1000&after=" + std::to_string(m.compared_items));
    const auto items = *page.view().find("items");
    for (auto item = items.children(); item.next();) {
      ++m.compared_items;
      const auto fields = item.item();
      if (fields.find("seq")->as_uint64() != m.compared_items
          || fields.find("n")->as_uint64() != m.compared_items
          || fields.find("session")->as_string() != m.id)
        fail_campaign(m.id + " item " + std::to_string(m.compared_items) + " is "
                      + to_json(fields));
    }
    if (page.view().find("next_cursor")->is_null())
      break;
  }
  if (m.compared_items != m.acked_items && m.compared_items != m.acked_items + m.sent_items)
    fail_campaign(m.id + " has " + std::to_string(m.compared_items) + " items; acknowledged were "
                  + std::to_string(m.acked_items) + ", in flight " + std::to_string(m.sent_items));
  m.acked_items = m.compared_items;
  m.sent_items = 0;

  const auto body = get(client, path(m, "/state"));
  const auto state = *body.view().find("state");
  const auto key = [&](const char* name) {
    const auto x = state.find(name);
    return x ? x->as_uint64().value_or(0) : 0;
  };
  const bool landed = m.sent_counter != 0 && key("x") == m.sent_counter;
  if (key("x") != key("y") || (key("x") != m.acked_counter && !landed))
    fail_campaign(m.id + " has state " + to_json(state) + "; acknowledged was "
                  + std::to_string(m.acked_counter) + ", in flight "
                  + std::to_string(m.sent_counter));
  m.acked_counter = key("x");
  m.sent_counter = 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string binary;
  std::uint64_t kills = 200, seed = std::random_device{}();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--kills" && i + 1 < argc)
      kills = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--seed" && i + 1 < argc)
      seed = std::strtoull(argv[++i], nullptr, 10);
    else
      binary = word;
  }
  if (binary.empty() || kills == 0) {
    std::fprintf(stderr, "usage: kill_campaign TROUPE [--kills N] [--seed S]\n");
    return 2;
  }
  std::printf("kill_campaign: %llu kills, seed %llu\n", static_cast<unsigned long long>(kills),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);

  const testing::temp_directory directory;
  const auto data = directory.store().string();
  std::mt19937_64 random{seed};
  std::vector<std::vector<model>> models(writers);
  for (std::size_t w = 0; w < writers; ++w) {
    for (std::size_t s = 0; s < sessions_each; ++s)
      models[w].push_back({.id = "w" + std::to_string(w) + "s" + std::to_string(s)});
  }
  std::atomic<std::uint64_t> acked = 0;
  std::uint64_t unanswered_landed = 0, start_kills = 0, backup_kills = 0, backups = 0;
  std::uint64_t compact_kills = 0;

  for (std::uint64_t round = 0; round < kills; ++round) {
    if (round % 8 == 5) {
      child_process tool{{binary, "compact", data, "--journal-kept", "32768"}};
      std::this_thread::sleep_for(std::chrono::microseconds{random() % 120'000});
      if (const auto code = tool.kill(SIGKILL); code != 0 && code != 128 + SIGKILL)
        fail_campaign("troupe compact ended with " + std::to_string(code));
      ++compact_kills;
      continue;
    }
    if (round % 8 == 6) {  // during the start
      child_process starting{serve_command(binary, data)};
      std::this_thread::sleep_for(std::chrono::microseconds{random() % 30'000});
      starting.kill(SIGKILL);
      ++start_kills;
      continue;
    }
    auto running = start(binary, data);
    {
      auto client = connect(running.address);
      for (auto& mine : models) {
        for (auto& m : mine) {
          const auto before = m.acked_items + m.acked_counter;
          compare(client, m, false);
          unanswered_landed += m.acked_items + m.acked_counter != before;
        }
      }
    }
    std::vector<std::thread> threads;
    for (std::size_t w = 0; w < writers; ++w)
      threads.emplace_back(
          [&, w, s = random()] { write_until_killed(running.address, models[w], s, acked); });
    std::optional<child_process> copying;
    const auto backup = (directory.path() / "backup").string();
    std::this_thread::sleep_for(std::chrono::microseconds{5'000 + random() % 250'000});
    if (round % 4 == 3) {  // during a backup of the running node
      copying.emplace(std::vector<std::string>{binary, "backup", data, backup});
      std::this_thread::sleep_for(std::chrono::microseconds{random() % 120'000});
      ++backup_kills;
    }
    running.process.kill(SIGKILL);
    for (auto& t : threads)
      t.join();
    if (copying) {
      // It goes on without the node, or is killed too.
      if (const auto code = random() % 2 == 0 ? copying->wait() : copying->kill(SIGKILL);
          code != 0 && code != 128 + SIGKILL)
        fail_campaign("troupe backup ended with " + std::to_string(code));
      if (std::filesystem::exists(backup)) {
        verify(binary, backup, "of a backup");
        std::filesystem::remove_all(backup);
        ++backups;
      }
    }
  }

  verify(binary, data, "after the last kill");
  auto running = start(binary, data);
  auto client = connect(running.address);
  std::uint64_t items = 0;
  for (auto& mine : models) {
    for (auto& m : mine) {
      compare(client, m, true);
      items += m.acked_items;
    }
  }
  if (const auto code = running.process.kill(SIGTERM); code != 0)
    fail_campaign("SIGTERM ended the node with " + std::to_string(code));
  if (acked == 0)
    fail_campaign("nothing was ever acknowledged, so nothing was tested");
  verify(binary, data, "after a clean stop");
  const auto number = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
  std::printf(
      "{\"kills\":%llu,\"during_start\":%llu,\"during_backup\":%llu,\"backups_made\":%llu,"
      "\"during_compact\":%llu,\"acknowledged\":%llu,\"items\":%llu,\"landed_unanswered\":%llu,"
      "\"lost\":0}\n",
      number(kills), number(start_kills), number(backup_kills), number(backups),
      number(compact_kills), number(acked.load()), number(items), number(unanswered_landed));
}
