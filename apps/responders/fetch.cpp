#include "responders/fetch.hpp"

#include <curl/curl.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>

namespace troupe::responders {

namespace {

struct easy_deleter {
  void operator()(CURL* x) const { curl_easy_cleanup(x); }
};
struct multi_deleter {
  void operator()(CURLM* x) const { curl_multi_cleanup(x); }
};
struct list_deleter {
  void operator()(curl_slist* x) const { curl_slist_free_all(x); }
};

void set_up_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

/// One request on its way.
class transfer {
public:
  transfer(fetch_request what, fetcher::on_bytes bytes, fetcher::on_end end)
      : what_{std::move(what)},
        bytes_{std::move(bytes)},
        end_{std::move(end)},
        easy_{curl_easy_init()} {
    if (!easy_)
      throw std::runtime_error{"libcurl has no memory"};
    curl_slist* headers = nullptr;
    for (const auto& one : what_.headers)
      headers = curl_slist_append(headers, one.c_str());
    headers_.reset(headers);
    set(CURLOPT_URL, what_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTPHEADER, headers_.get());
    set(CURLOPT_POSTFIELDS, what_.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(what_.body.size()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(what_.timeout.count()));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(what_.connect_timeout.count()));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_USERAGENT, "troupe");
    set(CURLOPT_ERRORBUFFER, said_);
    set(CURLOPT_WRITEFUNCTION, &transfer::on_write);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PRIVATE, this);
    if (!what_.ca_file.empty())
      set(CURLOPT_CAINFO, what_.ca_file.c_str());
  }
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;

  [[nodiscard]] CURL* easy() const { return easy_.get(); }

  void finish(CURLcode code) {
    fetch_end out{.head = head()};
    if (code != CURLE_OK) {
      out.is = of(code);
      out.why = *said_ != '\0' ? said_ : curl_easy_strerror(code);
    }
    end_(std::move(out));
  }

private:
  template <class T>
  void set(CURLoption option, T what) {
    curl_easy_setopt(easy_.get(), option, what);
  }

  static std::size_t on_write(const char* data, std::size_t, std::size_t size, void* self) {
    auto& me = *static_cast<transfer*>(self);
    me.bytes_(me.head(), {data, size});
    return size;
  }

  [[nodiscard]] fetch_end::what of(CURLcode code) const {
    curl_off_t sent = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
    long request = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &request);
    if (sent == 0 && request == 0)
      return fetch_end::what::not_connected;
    return code == CURLE_OPERATION_TIMEDOUT ? fetch_end::what::timed_out : fetch_end::what::broken;
  }

  [[nodiscard]] fetch_head head() const {
    fetch_head out;
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    out.status = static_cast<int>(status);
    const char* type = nullptr;
    curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_TYPE, &type);
    out.content_type = type != nullptr ? type : "";
    curl_off_t wait = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &wait);
    if (wait > 0)
      out.retry_after = std::chrono::seconds{wait};
    return out;
  }

  fetch_request what_;
  fetcher::on_bytes bytes_;
  fetcher::on_end end_;
  char said_[CURL_ERROR_SIZE]{};
  std::unique_ptr<curl_slist, list_deleter> headers_;
  std::unique_ptr<CURL, easy_deleter> easy_;
};

}  // namespace

class fetcher::impl {
public:
  impl() {
    set_up_curl();
    multi_.reset(curl_multi_init());
    if (!multi_)
      throw std::runtime_error{"libcurl has no memory"};
    curl_multi_setopt(multi_.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
    thread_ = std::thread{[this] { run(); }};
  }
  ~impl() {
    ending_ = true;
    curl_multi_wakeup(multi_.get());
    thread_.join();
  }

  void start(std::unique_ptr<transfer> what) {
    {
      const std::lock_guard lock{mutex_};
      waiting_.push_back(std::move(what));
    }
    curl_multi_wakeup(multi_.get());
  }

private:
  /// Until 7.87, libcurl's TLS writes without MSG_NOSIGNAL, and a peer that hangs up would end the
  /// process.
  static void block_broken_pipes() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }

  void run() {
    block_broken_pipes();
    while (!ending_) {
      take_new();
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      finish_done();
      constexpr int longest_ms = 60'000;  // a timeout of curl's own, or a wake-up, ends it earlier
      curl_multi_poll(multi_.get(), nullptr, 0, longest_ms, nullptr);
    }
    for (const auto& [easy, one] : under_way_)
      curl_multi_remove_handle(multi_.get(), easy);
    under_way_.clear();
  }

  void take_new() {
    std::vector<std::unique_ptr<transfer>> taken;
    {
      const std::lock_guard lock{mutex_};
      taken.swap(waiting_);
    }
    for (auto& one : taken) {
      curl_multi_add_handle(multi_.get(), one->easy());
      under_way_.emplace(one->easy(), std::move(one));
    }
  }

  void finish_done() {
    int left = 0;
    while (const auto* told = curl_multi_info_read(multi_.get(), &left)) {
      if (told->msg != CURLMSG_DONE)
        continue;
      const auto code = told->data.result;
      auto found = under_way_.extract(told->easy_handle);
      curl_multi_remove_handle(multi_.get(), found.key());
      found.mapped()->finish(code);
    }
  }

  std::unique_ptr<CURLM, multi_deleter> multi_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<transfer>> waiting_;
  std::unordered_map<CURL*, std::unique_ptr<transfer>> under_way_;  // the thread's alone
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

fetcher::fetcher() : impl_{std::make_unique<impl>()} {}
fetcher::~fetcher() = default;

void fetcher::start(fetch_request what, on_bytes bytes, on_end end) {
  impl_->start(std::make_unique<transfer>(std::move(what), std::move(bytes), std::move(end)));
}

}  // namespace troupe::responders
