// ClientSessions: TLS sessions to resume, of one thread. Kept by a key that stands for all that a
// session was made under: the context (so its certificate and trust), the server name, the address.
#ifndef WEFT_PROXY_TLS_CLIENT_SESSIONS_H_
#define WEFT_PROXY_TLS_CLIENT_SESSIONS_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <deque>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace weft {

class ClientSessions {
 public:
  // Servers whose sessions are kept; beyond that those least lately used go. About 2 KiB each.
  static constexpr size_t kMostServers = 1024;

  // This thread's.
  static ClientSessions& Mine();

  // The newest session, or null. One that may be used once (TLS 1.3) is taken out.
  bssl::UniquePtr<SSL_SESSION> Take(const std::string& key);
  // Keeps it; of one key the newest `most`.
  void Put(const std::string& key, bssl::UniquePtr<SSL_SESSION> session, size_t most);

  size_t servers() const { return servers_.size(); }

 private:
  struct Server {
    std::string key;
    std::deque<bssl::UniquePtr<SSL_SESSION>> sessions;  // the newest last
  };
  using Place = std::list<Server>::iterator;
  void Forget(Place place);

  std::list<Server> servers_;  // the one used last first
  absl::flat_hash_map<std::string, Place> places_;
};

}  // namespace weft

#endif  // WEFT_PROXY_TLS_CLIENT_SESSIONS_H_
