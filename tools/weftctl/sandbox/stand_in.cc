// Stands for weftd and weft-proxy in the test of the sandbox itself: says it is ready, where each
// of them would. As weftd it also leaves a root certificate, and finds a folder with a file called
// `invalid` invalid.
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace {

std::string FlagValue(int argc, char** argv, const char* flag) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], flag) == 0) return argv[i + 1];
  }
  return "";
}

bool HasFlag(int argc, char** argv, const char* flag) {
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], flag) == 0) return true;
  }
  return false;
}

void SayLive(evhttp_request* request, void*) {
  evbuffer_add(evhttp_request_get_output_buffer(request), "LIVE\n", 5);
  evhttp_send_reply(request, 200, "OK", nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  std::string registry = FlagValue(argc, argv, "--registry");
  if (HasFlag(argc, argv, "--validate")) {
    std::string invalid = registry.substr(strlen("dir:")) + "/invalid";
    if (access(invalid.c_str(), F_OK) != 0) return 0;
    fprintf(stderr, "%s: Service default/x: spec.ports[0].port: out of range\n", invalid.c_str());
    return 65;
  }
  bool weftd = !registry.empty();
  if (weftd) {
    std::ofstream(FlagValue(argc, argv, "--data-dir") + "/root-cert.pem")
        << "-----BEGIN CERTIFICATE-----\n"
        << FlagValue(argc, argv, "--cluster") << "\n-----END CERTIFICATE-----\n";
  }
  event_base* base = event_base_new();
  evhttp* server = evhttp_new(base);
  evhttp_set_gencb(server, &SayLive, nullptr);
  if (evhttp_bind_socket(server, "127.0.0.1", weftd ? 15014 : 15000) != 0) return 1;
  event_base_dispatch(base);
}
