#include "controlplane/sources/jwks_fetcher.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/jwks.h"
#include "controlplane/sources/http_get.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/tls/tls_context.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

void LogFailed(const std::string& uri, const absl::Status& status) {
  Log(LogLevel::kWarning, "jwks_failed",
      {{"uri", uri},
       {"error", std::string(status.message())},
       {"effect", "the last keys stay; where there are none, tokens of this issuer are refused"}});
}

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> TlsFor(const JwksUri& uri,
                                                               const std::string& roots_pem) {
  ClientTlsOptions tls;
  tls.server_trust.ca_pem = roots_pem;
  tls.server_trust.verify_host = uri.host;
  tls.sni = uri.host;
  tls.alpn = {"http/1.1"};
  tls.max_sessions = 0;
  return ClientTlsContext::Create(std::move(tls));
}

// Of a discovery document.
absl::StatusOr<JwksUri> KeySetUriIn(const std::string& document) {
  const auto json = nlohmann::json::parse(document, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("the discovery document is not a JSON object");
  }
  const auto uri = json.find("jwks_uri");
  if (uri == json.end() || !uri->is_string()) {
    return absl::InvalidArgumentError("the discovery document names no jwks_uri");
  }
  return ParseJwksUri(uri->get_ref<const std::string&>());
}

}  // namespace

JwksFetcher::JwksFetcher(EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      resolver_(loop, options_.dns),
      random_(static_cast<uint32_t>(options_.seed | 1)) {}

void JwksFetcher::Follow(const std::map<std::string, absl::Duration>& uris) {
  for (auto it = followed_.begin(); it != followed_.end();) {
    const auto wanted = uris.find(it->first);
    const bool stays = wanted != uris.end() && wanted->second == it->second.timeout;
    it = stays ? std::next(it) : followed_.erase(it);
  }
  for (const auto& [uri, timeout] : uris) {
    auto [it, is_new] = followed_.try_emplace(uri);
    if (!is_new) continue;
    it->second.timeout = timeout;
    it->second.task = std::make_unique<Scope>();
    it->second.task->Spawn(KeepFetched(uri, timeout));
  }
}

Task<> JwksFetcher::KeepFetched(std::string uri, absl::Duration timeout) {
  // Not at once: whoever calls Follow() may not be ready to be told.
  co_await Sleep(loop_, absl::ZeroDuration());
  const absl::StatusOr<JwksUri> parsed = ParseJwksUri(uri);
  if (!parsed.ok()) {  // validation lets none through
    LogFailed(uri, parsed.status());
    co_return;
  }
  std::string last;
  absl::Duration pause = options_.first_pause;
  while (true) {
    const absl::StatusOr<std::string> jwks = co_await Fetch(*parsed, loop_.Now() + timeout);
    if (jwks.ok()) {
      pause = options_.first_pause;
      if (*jwks != last) {
        last = *jwks;
        Log(LogLevel::kInfo, "jwks_fetched", {{"uri", uri}});
        options_.on_keys(uri, last);
      }
      co_await Sleep(loop_, Jittered(options_.refresh));
      continue;
    }
    // Once for each time it goes away, not at each attempt.
    if (pause == options_.first_pause) LogFailed(uri, jwks.status());
    co_await Sleep(loop_, Jittered(pause));
    pause = std::min(2 * pause, options_.longest_pause);
  }
}

Task<absl::StatusOr<std::string>> JwksFetcher::Get(JwksUri uri, MonotonicTime deadline) {
  auto stream = co_await ConnectTo(uri, deadline);
  if (!stream.ok()) co_return stream.status();
  HttpGetRequest request{uri.authority(), uri.path, certs::Jwks::kMaxBytes};
  absl::StatusOr<std::string> text =
      co_await HttpGet(loop_, **stream, std::move(request), deadline);
  co_return text;
}

Task<absl::StatusOr<std::string>> JwksFetcher::Fetch(JwksUri uri, MonotonicTime deadline) {
  absl::StatusOr<std::string> text = co_await Get(uri, deadline);
  if (text.ok() && IsDiscoveryUri(uri)) {
    const absl::StatusOr<JwksUri> named = KeySetUriIn(*text);
    if (!named.ok()) co_return named.status();
    text = co_await Get(*named, deadline);
  }
  if (!text.ok()) co_return text.status();
  const auto keys = certs::Jwks::Parse(*text);
  if (!keys.ok()) co_return keys.status();
  co_return text;
}

// Those of the host's that may be gone to.
Task<absl::StatusOr<std::vector<Address>>> JwksFetcher::AddressesOf(JwksUri uri) {
  std::vector<Address> addresses;
  const absl::StatusOr<Address> literal = Address::Ip(uri.host, uri.port);
  if (literal.ok()) {
    addresses.push_back(*literal);
  } else {
    dns::Lookup lookup;
    lookup.name = uri.host;
    auto found = co_await resolver_.Resolve(std::move(lookup));
    if (!found.ok()) co_return found.status();
    for (const Address& address : found->addresses) addresses.push_back(address.WithPort(uri.port));
  }
  std::erase_if(addresses, [&](const Address& one) { return options_.forbidden(one.ip_bytes()); });
  if (!addresses.empty()) co_return addresses;
  co_return absl::PermissionDeniedError(
      absl::StrCat("'", uri.host,
                   "' leads to a loopback, link-local or reserved address: weftd "
                   "goes to none"));
}

Task<absl::StatusOr<std::unique_ptr<ByteStream>>> JwksFetcher::ConnectTo(JwksUri uri,
                                                                         MonotonicTime deadline) {
  auto addresses = co_await AddressesOf(uri);
  if (!addresses.ok()) co_return addresses.status();
  std::shared_ptr<const ClientTlsContext> tls;
  if (uri.tls) {
    auto made = TlsFor(uri, options_.roots_pem);
    if (!made.ok()) co_return made.status();
    tls = *std::move(made);
  }
  absl::Status status;
  for (const Address& address : *addresses) {
    ConnectOptions options;
    options.deadline = deadline;
    auto connected = co_await Connect(loop_, address, options);
    status = connected.status();
    if (!connected.ok()) continue;
    std::unique_ptr<ByteStream> stream = *std::move(connected);
    if (tls == nullptr) co_return stream;
    auto secured = co_await TlsStream::Connect(loop_, std::move(stream), tls, deadline);
    status = secured.status();
    if (!secured.ok()) continue;
    stream = *std::move(secured);
    co_return stream;
  }
  co_return status;
}

// Control planes that lost an issuer together must not come back to it together.
absl::Duration JwksFetcher::Jittered(absl::Duration duration) {
  return duration * std::uniform_real_distribution<double>(0.75, 1.25)(random_);
}

}  // namespace weft
