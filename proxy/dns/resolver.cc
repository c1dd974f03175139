#include "proxy/dns/resolver.h"

#include <ares.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft::dns {
namespace {

// How long one server has for one question; another try doubles it. All of it is bounded by
// Options::timeout.
constexpr int kTryMs = 1000;
constexpr int kTries = 3;
// A name with more addresses is a mistake, or somebody's attack; the first ones serve.
constexpr size_t kMostAddresses = 512;

Resolution ToResolution(const ares_addrinfo& found) {
  Resolution to;
  int ttl = -1;
  for (const ares_addrinfo_node* node = found.nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != AF_INET && node->ai_family != AF_INET6) continue;
    const Address address =
        Address::FromSockaddr(node->ai_addr, static_cast<socklen_t>(node->ai_addrlen)).WithPort(0);
    if (to.addresses.size() == kMostAddresses) break;
    if (std::find(to.addresses.begin(), to.addresses.end(), address) != to.addresses.end()) {
      continue;
    }
    to.addresses.push_back(address);
    ttl = ttl < 0 ? node->ai_ttl : std::min(ttl, node->ai_ttl);
  }
  to.ttl = absl::Seconds(std::max(ttl, 0));
  return to;
}

absl::Status Failure(const Lookup& lookup, absl::string_view reason) {
  return absl::UnavailableError(absl::StrCat("resolve '", lookup.name, "': ", reason));
}

}  // namespace

// Shared by the lookup that waits and by c-ares, which cannot take back a single question.
struct Resolver::Answer {
  Resolver* resolver;
  bool arrived = false;
  int status = ARES_SUCCESS;
  Resolution resolution;
  Signal signal;
};

Resolver::Resolver(EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}

Resolver::~Resolver() { Close(); }

absl::Status Resolver::Open() {
  if (channel_ != nullptr && reopen_ && asking_ == 0) Close();
  if (channel_ != nullptr) return absl::OkStatus();
  ares_options options = {};
  options.timeout = kTryMs;
  options.tries = kTries;
  options.sock_state_cb = OnSocketState;
  options.sock_state_cb_data = this;
  char hosts_then_dns[] = "fb";
  options.lookups = hosts_then_dns;
  const int opened = ares_init_options(
      &channel_, &options,
      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS);
  if (opened != ARES_SUCCESS) {
    channel_ = nullptr;
    return absl::UnavailableError(absl::StrCat("start the resolver: ", ares_strerror(opened)));
  }
  ares_set_socket_configure_callback(channel_, OnSocketMade, this);
  if (!options_.servers.empty()) {
    const std::string servers = absl::StrJoin(
        options_.servers, ",",
        [](std::string* out, const Address& address) { absl::StrAppend(out, address.ToString()); });
    ares_set_servers_ports_csv(channel_, servers.c_str());
  }
  timer_ = evtimer_new(loop_.base(), OnTimer, this);
  reopen_ = false;
  return absl::OkStatus();
}

void Resolver::Close() {
  if (channel_ == nullptr) return;
  ares_destroy(channel_);  // answers what is open, and closes its sockets: OnSocketState frees them
  channel_ = nullptr;
  for (auto& [fd, socket] : sockets_) event_free(socket);
  sockets_.clear();
  event_free(timer_);
  timer_ = nullptr;
}

Task<absl::StatusOr<Resolution>> Resolver::Resolve(Lookup lookup) {
  const MonotonicTime deadline = loop_.Now() + options_.timeout;
  switch (lookup.family) {
    case LookupFamily::kV4Only:
      co_return co_await Ask(lookup, AF_INET, deadline);
    case LookupFamily::kV6Only:
      co_return co_await Ask(lookup, AF_INET6, deadline);
    case LookupFamily::kAll:
      co_return co_await Ask(lookup, AF_UNSPEC, deadline);
    case LookupFamily::kV4Preferred:
      break;
  }
  absl::StatusOr<Resolution> found = co_await Ask(lookup, AF_INET, deadline);
  if (found.ok() || loop_.Now() >= deadline) co_return found;
  absl::StatusOr<Resolution> other = co_await Ask(lookup, AF_INET6, deadline);
  // Of two failures the first is the one to tell: mostly there is no IPv6 to begin with.
  if (other.ok()) co_return other;
  co_return found;
}

Task<absl::StatusOr<Resolution>> Resolver::Ask(const Lookup& lookup, int family,
                                               MonotonicTime deadline) {
  absl::Status opened = Open();
  if (!opened.ok()) co_return opened;
  auto answer = std::make_shared<Answer>();
  answer->resolver = this;
  ares_addrinfo_hints hints = {};
  hints.ai_family = family;
  // Without this, c-ares sorts by what it can connect to, with sockets that we could not mark.
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_socktype = SOCK_STREAM;
  ++asking_;
  ares_getaddrinfo(channel_, lookup.name.c_str(), nullptr, &hints, OnAnswer,
                   new std::shared_ptr<Answer>(answer));
  Rearm();
  if (!answer->arrived) co_await Wait(loop_, {&answer->signal}, deadline);
  reopen_ = !answer->arrived || answer->status != ARES_SUCCESS;
  if (!answer->arrived) {
    co_return Failure(lookup,
                      absl::StrCat("no answer in ", absl::FormatDuration(options_.timeout)));
  }
  if (answer->status != ARES_SUCCESS) co_return Failure(lookup, ares_strerror(answer->status));
  if (answer->resolution.addresses.empty()) co_return Failure(lookup, "it has no address");
  co_return std::move(answer->resolution);
}

void Resolver::OnAnswer(void* argument, int status, int, ares_addrinfo* found) {
  std::unique_ptr<std::shared_ptr<Answer>> answer(static_cast<std::shared_ptr<Answer>*>(argument));
  Answer& to = **answer;
  --to.resolver->asking_;
  to.arrived = true;
  to.status = status;
  if (found != nullptr) {
    to.resolution = ToResolution(*found);
    ares_freeaddrinfo(found);
  }
  to.signal.Notify();
}

// c-ares tells what it waits for; both zero: it is about to close the socket.
void Resolver::OnSocketState(void* self, int fd, int readable, int writable) {
  Resolver& resolver = *static_cast<Resolver*>(self);
  auto known = resolver.sockets_.find(fd);
  if (known != resolver.sockets_.end()) {
    event_free(known->second);
    resolver.sockets_.erase(known);
  }
  if (!readable && !writable) return;
  const short what = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) | EV_PERSIST;
  event* socket = event_new(resolver.loop_.base(), fd, what, OnEvent, self);
  event_add(socket, nullptr);
  resolver.sockets_[fd] = socket;
}

// Called before the socket connects, so that TCP's first packet is marked as well.
int Resolver::OnSocketMade(int fd, int, void* self) {
  const std::optional<uint32_t>& mark = static_cast<Resolver*>(self)->options_.mark;
  if (!mark.has_value()) return ARES_SUCCESS;
  const bool marked = setsockopt(fd, SOL_SOCKET, SO_MARK, &*mark, sizeof(uint32_t)) == 0;
  return marked ? ARES_SUCCESS : -1;
}

void Resolver::OnEvent(int fd, short what, void* self) {
  Resolver& resolver = *static_cast<Resolver*>(self);
  ares_process_fd(resolver.channel_, what & EV_READ ? fd : ARES_SOCKET_BAD,
                  what & EV_WRITE ? fd : ARES_SOCKET_BAD);
  resolver.Rearm();
}

void Resolver::OnTimer(int, short, void* self) {
  Resolver& resolver = *static_cast<Resolver*>(self);
  ares_process_fd(resolver.channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  resolver.Rearm();
}

void Resolver::Rearm() {
  timeval storage;
  const timeval* next = ares_timeout(channel_, nullptr, &storage);
  if (next == nullptr) {
    evtimer_del(timer_);
  } else {
    evtimer_add(timer_, next);
  }
}

}  // namespace weft::dns
