#include "proxy/tls/client_sessions.h"

#include <utility>

namespace weft {

ClientSessions& ClientSessions::Mine() {
  // By thread rather than by Worker: BoringSSL hands sessions out in the middle of reads.
  static thread_local ClientSessions sessions;
  return sessions;
}

void ClientSessions::Forget(Place place) {
  places_.erase(place->key);
  servers_.erase(place);
}

bssl::UniquePtr<SSL_SESSION> ClientSessions::Take(const std::string& key) {
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  const Place place = found->second;
  servers_.splice(servers_.begin(), servers_, place);
  SSL_SESSION* newest = place->sessions.back().get();
  if (!SSL_SESSION_should_be_single_use(newest)) return bssl::UpRef(newest);
  bssl::UniquePtr<SSL_SESSION> taken = std::move(place->sessions.back());
  place->sessions.pop_back();
  if (place->sessions.empty()) Forget(place);
  return taken;
}

void ClientSessions::Put(const std::string& key, bssl::UniquePtr<SSL_SESSION> session,
                         size_t most) {
  auto found = places_.find(key);
  if (found == places_.end()) {
    if (servers_.size() >= kMostServers) Forget(std::prev(servers_.end()));
    servers_.push_front(Server{key, {}});
    found = places_.emplace(key, servers_.begin()).first;
  }
  auto& sessions = found->second->sessions;
  sessions.push_back(std::move(session));
  while (sessions.size() > most) sessions.pop_front();
}

}  // namespace weft
