#include "controlplane/debug/http_port.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

// A client that is slower than this at anything is dropped.
constexpr int kTimeoutSeconds = 10;
constexpr int kMaxHead = 16 << 10;

std::map<std::string, std::string> ReadQuery(const evhttp_uri* uri) {
  std::map<std::string, std::string> query;
  const char* text = evhttp_uri_get_query(uri);
  evkeyvalq pairs;
  if (text == nullptr || evhttp_parse_query_str(text, &pairs) != 0) return query;
  for (const evkeyval* pair = pairs.tqh_first; pair != nullptr; pair = pair->next.tqe_next) {
    query[pair->key] = pair->value;
  }
  evhttp_clear_headers(&pairs);
  return query;
}

void Send(evhttp_request* request, const HttpAnswer& answer) {
  evhttp_add_header(evhttp_request_get_output_headers(request), "content-type",
                    answer.content_type.c_str());
  evbuffer* body = evbuffer_new();
  evbuffer_add(body, answer.body.data(), answer.body.size());
  evhttp_send_reply(request, answer.code, nullptr, body);
  evbuffer_free(body);
}

}  // namespace

struct HttpPort::State {
  std::map<std::string, Handler> handlers;
  evhttp* server = nullptr;
  Address address;

  ~State() {
    if (server != nullptr) evhttp_free(server);
  }

  static void OnRequest(evhttp_request* request, void* self) {
    Send(request, static_cast<State*>(self)->Answer(request));
  }
  HttpAnswer Answer(evhttp_request* request) const {
    HttpAnswer answer;
    const evhttp_uri* uri = evhttp_request_get_evhttp_uri(request);
    const char* path = uri == nullptr ? nullptr : evhttp_uri_get_path(uri);
    auto handler = handlers.find(path == nullptr ? "" : path);
    if (handler != handlers.end()) return handler->second(ReadQuery(uri));
    answer.code = HTTP_NOTFOUND;
    answer.body = "not found; there are:\n";
    for (const auto& [known, unused] : handlers) absl::StrAppend(&answer.body, known, "\n");
    return answer;
  }
};

absl::StatusOr<std::unique_ptr<HttpPort>> HttpPort::Listen(
    EventLoop& loop, const Address& address, std::map<std::string, Handler> handlers) {
  auto state = std::make_unique<State>();
  state->handlers = std::move(handlers);
  state->server = evhttp_new(loop.base());
  evhttp_set_allowed_methods(state->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
  evhttp_set_timeout(state->server, kTimeoutSeconds);
  evhttp_set_max_headers_size(state->server, kMaxHead);
  evhttp_set_max_body_size(state->server, 0);
  evhttp_set_gencb(state->server, State::OnRequest, state.get());
  evhttp_bound_socket* bound =
      evhttp_bind_socket_with_handle(state->server, address.ip().c_str(), address.port());
  if (bound == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("listen on ", address.ToString(), ": ", strerror(errno)));
  }
  sockaddr_storage name;
  socklen_t length = sizeof(name);
  getsockname(evhttp_bound_socket_get_fd(bound), reinterpret_cast<sockaddr*>(&name), &length);
  state->address = Address::FromSockaddr(reinterpret_cast<sockaddr*>(&name), length);
  return std::unique_ptr<HttpPort>(new HttpPort(std::move(state)));
}

HttpPort::HttpPort(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpPort::~HttpPort() = default;
const Address& HttpPort::address() const { return state_->address; }

}  // namespace weft
