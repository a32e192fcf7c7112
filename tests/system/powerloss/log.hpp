#pragma once

#include <cstdint>

/// What the recorder writes and the campaign reads: a head, then `size` bytes. Lives as long as one
/// run, so it has no version.
namespace troupe::power {

enum class event : std::uint32_t {
  create = 1,    ///< of `file`; the bytes are its path
  write,         ///< the bytes went to `offset` of `file`
  synced_write,  ///< likewise, through a descriptor with O_DSYNC or O_SYNC: durable on return
  resize,        ///< of `file` to `offset` bytes
  sync,          ///< fsync of `file`
  data_sync,     ///< fdatasync of `file`
  make_dir,      ///< the bytes are a path
  rename,        ///< two paths with a zero byte between them
  remove,        ///< of a file or an empty directory; the bytes are its path
  sync_dir,      ///< fsync of a directory; the bytes are its path
  begin,         ///< the application begins its commit number `offset`
  ack,           ///< the application was told that commit number `offset` is durable
  unsupported,   ///< a call that the model of the disk does not know; the bytes name it
  sync_blocks,   ///< never recorded: the second half of `synced_write`, made by the reader
};

struct entry_head {
  event what;
  std::uint32_t size;
  std::uint64_t file;  ///< inode
  std::uint64_t offset;
};

}  // namespace troupe::power
