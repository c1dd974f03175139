#include "tools/weftctl/sandbox/echo.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft::sandbox {
namespace {

using Json = nlohmann::ordered_json;

const char* MethodName(evhttp_cmd_type method) {
  switch (method) {
    case EVHTTP_REQ_GET:
      return "GET";
    case EVHTTP_REQ_POST:
      return "POST";
    case EVHTTP_REQ_HEAD:
      return "HEAD";
    case EVHTTP_REQ_PUT:
      return "PUT";
    case EVHTTP_REQ_DELETE:
      return "DELETE";
    case EVHTTP_REQ_OPTIONS:
      return "OPTIONS";
    case EVHTTP_REQ_TRACE:
      return "TRACE";
    case EVHTTP_REQ_CONNECT:
      return "CONNECT";
    case EVHTTP_REQ_PATCH:
      return "PATCH";
  }
  return "";
}

Json Headers(evhttp_request* request) {
  Json headers = Json::object();
  const evkeyvalq* list = evhttp_request_get_input_headers(request);
  for (const evkeyval* h = list->tqh_first; h != nullptr; h = h->next.tqe_next) {
    Json& value = headers[absl::AsciiStrToLower(h->key)];
    // A repeated header reads as one, its values joined (RFC 9110 section 5.3).
    value = value.is_string() ? value.get<std::string>() + ", " + h->value : std::string(h->value);
  }
  return headers;
}

void Answer(evhttp_request* request, void* argument) {
  const EchoOptions& self = *static_cast<const EchoOptions*>(argument);
  Json headers = Headers(request);
  std::string xfcc = headers.value("x-forwarded-client-cert", std::string());
  std::string identity = ClientIdentity(xfcc);
  Json body = {{"cluster", self.cluster},
               {"namespace", self.pod_namespace},
               {"pod", self.pod},
               {"workload", self.workload},
               {"version", self.version},
               {"service_account", self.service_account},
               {"method", MethodName(evhttp_request_get_command(request))},
               {"path", evhttp_request_get_uri(request)},
               {"headers", std::move(headers)},
               {"client_identity", identity.empty() ? Json(nullptr) : Json(identity)},
               {"xfcc", xfcc.empty() ? Json(nullptr) : Json(xfcc)}};
  std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  evhttp_add_header(evhttp_request_get_output_headers(request), "content-type", "application/json");
  evbuffer* buffer = evhttp_request_get_output_buffer(request);
  evbuffer_add(buffer, text.data(), text.size());
  evhttp_send_reply(request, 200, "OK", nullptr);
}

// Splits at a separator outside quotes; a backslash in quotes takes the next character as it is.
std::vector<absl::string_view> SplitUnquoted(absl::string_view text, char separator) {
  std::vector<absl::string_view> parts;
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  parts.push_back(text.substr(start));
  return parts;
}

}  // namespace

std::string ClientIdentity(absl::string_view forwarded_client_cert) {
  absl::string_view nearest = SplitUnquoted(forwarded_client_cert, ',').back();
  for (absl::string_view pair : SplitUnquoted(nearest, ';')) {
    pair = absl::StripAsciiWhitespace(pair);
    if (absl::StartsWithIgnoreCase(pair, "URI=")) return std::string(pair.substr(4));
  }
  return "";
}

// Beside a socket for IPv4; libevent's own would want the port for both. False only if the port is
// taken: where there is no IPv6 nobody calls over it.
bool BindIpv6(evhttp* server, int port) {
  UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return true;
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(port));
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return errno == EADDRNOTAVAIL;
  }
  if (listen(socket.get(), SOMAXCONN) != 0) return false;
  return evhttp_accept_socket(server, socket.Release()) == 0;
}

int RunEcho(const EchoOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  event_base* base = event_base_new();
  evhttp* server = evhttp_new(base);
  evhttp_set_allowed_methods(server, 0xffff);
  evhttp_set_gencb(server, &Answer, const_cast<EchoOptions*>(&options));
  for (int port : options.ports) {
    if (evhttp_bind_socket(server, "0.0.0.0", port) != 0 || !BindIpv6(server, port)) {
      fprintf(stderr, "echo: port %d: %s\n", port, strerror(errno));
      return 1;
    }
  }
  event_base_dispatch(base);
  return 0;
}

}  // namespace weft::sandbox
