#pragma once

#include <troupe/state/expected.hpp>

#include <filesystem>
#include <memory>

namespace boost::asio::ssl {
class context;
}

namespace troupe::http {

/// What a server over TLS shows and proves itself with, both in PEM.
struct tls_files {
  std::filesystem::path certificate;  ///< the server's own, then those between it and the root
  std::filesystem::path key;          ///< readable by its owner only
};

/// TLS 1.2 and 1.3 as a server, HTTP/1.1 by ALPN, no renegotiation, no compression. Errors:
/// `invalid_value`, naming the file: it cannot be read, is none, others may read the key, or the
/// two do not belong together.
expected<std::shared_ptr<boost::asio::ssl::context>> load_tls(const tls_files& files);

}  // namespace troupe::http
