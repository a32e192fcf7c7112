#include "simulate/metrics_text.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace troupe::simulate;

namespace {

/// Private pages of a file (or, with -1, of none), all touched, for the life of the object.
class touched_pages {
public:
  touched_pages(int fd, std::size_t bytes)
      : bytes_{bytes},
        at_{::mmap(nullptr, bytes, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                   MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0)} {
    REQUIRE(at_ != MAP_FAILED);
    auto* bytes_at = static_cast<volatile char*>(at_);
    for (std::size_t i = 0; i < bytes; i += 4'096) {
      if (fd < 0)
        bytes_at[i] = 1;
      else
        static_cast<void>(bytes_at[i]);
    }
  }
  touched_pages(const touched_pages&) = delete;
  touched_pages& operator=(const touched_pages&) = delete;
  ~touched_pages() { ::munmap(at_, bytes_); }

private:
  std::size_t bytes_;
  void* at_;
};

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose notes are memory too
TEST_CASE("memory is what is resident and no page of a file") {
  const int program = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(program >= 0);
  struct stat found {};
  REQUIRE(::fstat(program, &found) == 0);
  const auto size = static_cast<std::size_t>(found.st_size);
  const auto memory = [] { return bytes_of_process(::getpid()).value(); };
  const auto before = memory();
  CHECK(before > 0);
  {
    const touched_pages of_file{program, size};
    CHECK(memory() < before + static_cast<double>(size) / 4);
  }
  ::close(program);
  const touched_pages own{-1, size};
  CHECK(memory() > before + static_cast<double>(size) / 4 * 3);
}
#endif

TEST_CASE("a process that is gone has no memory to tell") {
  CHECK_FALSE(bytes_of_process(-1));
}
