#include <troupe/state/internal/compression.hpp>

#include <zstd.h>

#include <memory>

namespace troupe::internal {

namespace {

constexpr int level = 1;
constexpr std::string_view magic{"\x28\xb5\x2f\xfd", 4};

/// A context is 100s of KB to set up: each thread keeps one.
ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context{ZSTD_createCCtx(),
                                                                                  &ZSTD_freeCCtx};
  return context.get();
}

ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context{ZSTD_createDCtx(),
                                                                                  &ZSTD_freeDCtx};
  return context.get();
}

}  // namespace

std::string compressed(std::string bytes, std::size_t threshold) {
  if (bytes.size() < threshold || compressor() == nullptr)
    return bytes;
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const auto size =
      ZSTD_compressCCtx(compressor(), out.data(), out.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(size) != 0 || size >= bytes.size())
    return bytes;
  out.resize(size);
  out.shrink_to_fit();
  return out;
}

bool is_compressed(std::string_view bytes) noexcept {
  return bytes.starts_with(magic);
}

expected<std::string> decompressed(std::string_view bytes, std::size_t max_bytes) {
  // One whole frame, and no more than its blocks can hold (a block is at least four bytes): before
  // memory is taken.
  const auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > max_bytes
      || size / ZSTD_BLOCKSIZE_MAX > bytes.size() / 4)
    return fail(errc::damaged, "a compressed record does not say a size that can be");
  if (ZSTD_findFrameCompressedSize(bytes.data(), bytes.size()) != bytes.size())
    return fail(errc::damaged, "a compressed record is cut off or longer than it says");
  if (decompressor() == nullptr)
    return fail(errc::internal, "no memory to decompress");
  std::string out(size, '\0');
  const auto got =
      ZSTD_decompressDCtx(decompressor(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0 || got != size)
    return fail(errc::damaged, "a compressed record is not what it says");
  return out;
}

}  // namespace troupe::internal
