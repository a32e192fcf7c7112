#pragma once

/// TLS from the client's side, on a blocking socket, and certificates to serve with.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace troupe::testing {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* x) const {
    Free(x);
  }
};

/// Writes a self-signed certificate of `name` and its key, which only the owner may read.
inline void write_certificate(const std::filesystem::path& certificate,
                              const std::filesystem::path& key, const std::string& name) {
  const std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>> pair{EVP_EC_gen("P-256")};
  const std::unique_ptr<X509, freed_by<X509_free>> made{X509_new()};
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3'600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 24L * 3'600);
  auto* subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(made.get(), subject);
  X509_set_pubkey(made.get(), pair.get());
  if (X509_sign(made.get(), pair.get(), EVP_sha256()) == 0)
    throw std::runtime_error{"cannot sign"};
  const auto write = [](const std::filesystem::path& to, auto&& how) {
    std::unique_ptr<std::FILE, freed_by<std::fclose>> file{std::fopen(to.c_str(), "w")};
    if (!file || how(file.get()) != 1)
      throw std::runtime_error{"cannot write " + to.string()};
  };
  write(certificate, [&](std::FILE* f) { return PEM_write_X509(f, made.get()); });
  write(key, [&](std::FILE* f) {
    return PEM_write_PrivateKey(f, pair.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  ::chmod(key.c_str(), 0600);
}

struct tls_options {
  int newest = 0;      ///< TLS1_1_VERSION, ...; 0: any
  std::string alpn{};  ///< in wire format
  std::uint32_t address = INADDR_LOOPBACK;
};

/// A client over TLS that believes any certificate. Every wait ends after five seconds.
class tls_peer {
public:
  explicit tls_peer(std::uint16_t port, const tls_options& how = {}) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(how.address);
    sockaddr generic{};
    std::memcpy(&generic, &to, sizeof to);
    if (::connect(socket_, &generic, sizeof generic) != 0)
      throw std::runtime_error{"connect"};
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_security_level(context_.get(),
                               0);  // so that what is too old is the server's to refuse
    if (how.newest != 0) {
      SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
      SSL_CTX_set_max_proto_version(context_.get(), how.newest);
    }
    if (!how.alpn.empty())
      SSL_CTX_set_alpn_protos(context_.get(),
                              reinterpret_cast<const unsigned char*>(how.alpn.data()),
                              static_cast<unsigned>(how.alpn.size()));
    connection_.reset(SSL_new(context_.get()));
    SSL_set_fd(connection_.get(), socket_);
    ERR_clear_error();
    connected_ = SSL_connect(connection_.get()) == 1;
  }
  tls_peer(const tls_peer&) = delete;
  tls_peer& operator=(const tls_peer&) = delete;
  ~tls_peer() {
    connection_.reset();
    ::close(socket_);
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] std::string version() const { return SSL_get_version(connection_.get()); }
  [[nodiscard]] std::string certificate_name() const {
    const std::unique_ptr<X509, freed_by<X509_free>> shown{
        SSL_get1_peer_certificate(connection_.get())};
    std::array<char, 128> name{};
    if (shown)
      X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name.data(),
                                name.size());
    return name.data();
  }
  [[nodiscard]] std::string protocol() const {
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(connection_.get(), &chosen, &size);
    return {reinterpret_cast<const char*>(chosen), size};
  }

  tls_peer& send(std::string_view bytes) {
    SSL_write(connection_.get(), bytes.data(), static_cast<int>(bytes.size()));
    return *this;
  }

  /// What comes up to and with `mark`; what there is when it does not come.
  std::string until(std::string_view mark) {
    std::size_t at = 0;
    while ((at = in_.find(mark)) == std::string::npos)
      if (!more())
        return std::exchange(in_, {});
    auto out = in_.substr(0, at + mark.size());
    in_.erase(0, out.size());
    return out;
  }

  /// The next answer whole, which says its length.
  std::string answer() {
    auto out = until("\r\n\r\n");
    const auto length = out.find("Content-Length: ");
    const auto size = length == std::string::npos ? 0 : std::stoul(out.substr(length + 16));
    while (in_.size() < size && more()) {
    }
    out += in_.substr(0, size);
    in_.erase(0, size);
    return out;
  }

  /// The server says that nothing more comes, as TLS wants it.
  bool ended() {
    while (more()) {
    }
    return in_.empty() && (SSL_get_shutdown(connection_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

private:
  bool more() {
    std::array<char, 16'384> part{};
    const auto n = SSL_read(connection_.get(), part.data(), static_cast<int>(part.size()));
    if (n > 0)
      in_.append(part.data(), static_cast<std::size_t>(n));
    return n > 0;
  }

  int socket_ = -1;
  std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, freed_by<SSL_free>> connection_;
  bool connected_ = false;
  std::string in_;
};

}  // namespace troupe::testing
