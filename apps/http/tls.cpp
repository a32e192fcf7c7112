#include "http/tls.hpp"

#include <boost/asio/ssl/context.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
#include <string>

namespace troupe::http {

namespace {

namespace ssl = boost::asio::ssl;

/// The newest of OpenSSL's errors of this thread.
std::string openssl_words() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return code == 0 ? "no reason given" : text.data();
}

unexpected wrong(const std::filesystem::path& file, const std::string& why) {
  return fail(errc::invalid_value, file.string() + ": " + why);
}

/// "http/1.1" or, where the client names others only, no connection. A client need not name any.
int select_protocol(SSL* /*connection*/, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void* /*unused*/) {
  static constexpr std::array<unsigned char, 9> ours{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, ours.data(), ours.size(), offered, offered_size)
      != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

expected<std::shared_ptr<ssl::context>> load_tls(const tls_files& files) {
  struct stat key {};
  if (::stat(files.key.c_str(), &key) != 0)
    return wrong(files.key, "there is no such file");
  if ((key.st_mode & 077) != 0)
    return wrong(files.key, "others may read this key; chmod 600 it");
  auto out = std::make_shared<ssl::context>(ssl::context::tls_server);
  auto* const context = out->native_handle();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
    return wrong(files.certificate, "no certificate in PEM: " + openssl_words());
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1
      || SSL_CTX_check_private_key(context) != 1)
    return wrong(files.key, "not the key of the certificate: " + openssl_words());
  return out;
}

}  // namespace troupe::http
