// apiserver: the test API server as a program, for trying things by hand and for tests of other
// processes. Prints its address, one line, when it listens.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "test/apiserver/manifest.h"
#include "test/apiserver/server.h"

namespace weft::apiserver {
namespace {

struct Flags {
  ApiServerOptions options;
  std::string tls_cert, tls_key, client_ca, token_file;
  std::vector<std::string> folders, services;
};

int Fail(const std::string& why) {
  fprintf(stderr, "apiserver: %s\n", why.c_str());
  return 1;
}

absl::Status ReadInto(const std::string& path, std::string& text) {
  if (path.empty()) return absl::OkStatus();
  auto read = certs::ReadFile(path);
  if (!read.ok()) return read.status();
  text = *std::move(read);
  return absl::OkStatus();
}

// CRDs, then namespaces, then the rest: what others need comes first.
int Order(const Json& object) {
  const std::string kind = object.value("kind", "");
  return kind == "CustomResourceDefinition" ? 0 : kind == "Namespace" ? 1 : 2;
}

absl::Status Load(const std::string& folder, std::vector<Json>& objects) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string extension = entry.path().extension();
    if (extension == ".yaml" || extension == ".yml" || extension == ".json") {
      paths.push_back(entry.path());
    }
  }
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::string text;
    if (absl::Status read = ReadInto(path, text); !read.ok()) return read;
    auto manifest = ReadManifest(text);
    if (!manifest.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", manifest.status().message()));
    }
    for (Json& object : *manifest) objects.push_back(std::move(object));
  }
  return absl::OkStatus();
}

absl::Status Complete(Flags& flags) {
  ApiServerOptions& options = flags.options;
  if (!flags.tls_cert.empty()) options.tls.emplace();
  if (options.tls.has_value()) {
    if (auto s = ReadInto(flags.tls_cert, options.tls->chain_pem); !s.ok()) return s;
    if (auto s = ReadInto(flags.tls_key, options.tls->key_pem); !s.ok()) return s;
  }
  if (auto s = ReadInto(flags.client_ca, options.client_ca_pem); !s.ok()) return s;
  if (auto s = ReadInto(flags.token_file, options.tokens); !s.ok()) return s;
  for (const std::string& folder : flags.folders) {
    if (auto s = Load(folder, options.objects); !s.ok()) return s;
  }
  std::multimap<int, Json> ordered;
  for (Json& object : options.objects) ordered.emplace(Order(object), std::move(object));
  options.objects.clear();
  for (auto& [order, object] : ordered) options.objects.push_back(std::move(object));
  for (const std::string& service : flags.services) {
    const size_t equals = service.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--service-address ", service, ": is not NAMESPACE/NAME:PORT=HOST:PORT"));
    }
    options.services[service.substr(0, equals)] = service.substr(equals + 1);
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("A Kubernetes API server for tests.");
  app.add_option("--listen", flags.options.listen, "ADDRESS:PORT; port 0: any");
  auto* cert = app.add_option("--tls-cert", flags.tls_cert, "PEM chain; without it plain HTTP");
  auto* key = app.add_option("--tls-key", flags.tls_key, "PEM key");
  cert->needs(key);
  key->needs(cert);
  app.add_option("--client-ca", flags.client_ca, "PEM roots of client certificates")->needs(cert);
  app.add_option("--token-file", flags.token_file, "lines of TOKEN,NAME,UID[,\"GROUPS\"]");
  app.add_option("--load", flags.folders, "folder of manifests that are there from the start");
  app.add_option("--service-address", flags.services,
                 "NAMESPACE/NAME:PORT=HOST:PORT, where a webhook's service listens");
  bool bare = false;
  app.add_flag("--no-mesh-crds", bare, "leave out Istio's kinds, the Gateway API, and MCS");
  CLI11_PARSE(app, argc, argv);
  flags.options.mesh_crds = !bare;
  if (auto s = Complete(flags); !s.ok()) return Fail(std::string(s.message()));

  signal(SIGPIPE, SIG_IGN);
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  auto server = ApiServer::Start(std::move(flags.options));
  if (!server.ok()) return Fail(std::string(server.status().message()));
  printf("%s\n", (*server)->url().c_str());
  fflush(stdout);
  int got = 0;
  sigwait(&stops, &got);
  return 0;
}

}  // namespace
}  // namespace weft::apiserver

int main(int argc, char** argv) { return weft::apiserver::Main(argc, argv); }
