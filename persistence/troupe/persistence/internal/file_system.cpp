#include <troupe/persistence/internal/file_system.hpp>

#include <sys/vfs.h>

namespace troupe::internal {

std::string_view remote_file_system(std::uint64_t magic) noexcept {
  switch (magic) {
    case 0x6969: return "NFS";
    case 0x517b: return "SMB";
    case 0xff534d42: return "CIFS";
    case 0xfe534d42: return "SMB2";
    case 0x01021997: return "9p";
    case 0x65735546: return "FUSE";
    case 0x00c36400: return "Ceph";
    case 0x5346414f: return "AFS";
    case 0x6b414653: return "AFS";
    case 0x73757245: return "Coda";
    case 0x564c: return "NCP";
    case 0x0bd00bd0: return "Lustre";
    case 0x47504653: return "GPFS";
    case 0x01161970: return "GFS2";
    case 0x7461636f: return "OCFS2";
    case 0xaad7aaea: return "PanFS";
    case 0x19830326: return "BeeGFS";
    case 0x786f4256: return "VirtualBox shared folders";
    default: return {};
  }
}

std::uint64_t file_system_of(int fd) noexcept {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0)
    return 0;
  return static_cast<std::uint32_t>(info.f_type);  // the numbers have 32 bits, some a sign
}

}  // namespace troupe::internal
