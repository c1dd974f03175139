#include "test/xds/weftd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "certs/token.h"
#include "gtest/gtest.h"

namespace weft::test {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr char kTokenKey[] = "3031323334353637383961626364656630313233343536373839616263646566";

// Its path is short enough for a socket in it.
std::string NewFolder() {
  char pattern[] = "/tmp/weftd-XXXXXX";
  const std::string path = mkdtemp(pattern);
  mkdir((path + "/registry").c_str(), 0700);
  std::ofstream(path + "/token-key") << kTokenKey;
  return path;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The body of an HTTP page; "" if nobody answers.
std::string Fetch(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0) {
    const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
    if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char buffer[4096];
      for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, n);
    }
  }
  close(fd);
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

}  // namespace

int FreePort() {
  static std::set<int> given;
  while (true) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    socklen_t length = sizeof(address);
    bind(fd, reinterpret_cast<sockaddr*>(&address), length);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    close(fd);
    const int port = ntohs(address.sin_port);
    if (given.insert(port).second) return port;
  }
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

Weftd::Weftd(WeftdOptions options)
    : options_(std::move(options)),
      folder_(NewFolder()),
      plain_port_(FreePort()),
      xds_port_(FreePort()),
      peer_port_(FreePort()),
      monitoring_port_(FreePort()),
      debug_port_(FreePort()),
      webhook_port_(FreePort()) {
  if (!options_.ca.empty()) {
    std::filesystem::create_directory(data_folder());
    std::filesystem::copy(options_.ca + "/ca.json", data_folder());
  }
  Start();
}

Weftd::~Weftd() {
  Stop();
  std::filesystem::remove_all(folder_);
}

bool Weftd::Ready() const { return absl::StartsWith(Fetch(monitoring_port_, "/ready"), "ready\n"); }

std::string Weftd::Warning() const {
  return std::string(absl::StripPrefix(Fetch(monitoring_port_, "/ready"), "ready\n"));
}

void Weftd::Start() {
  const std::string loopback = "127.0.0.1:";
  const std::string registry =
      options_.registry.empty() ? absl::StrCat("dir:", folder_, "/registry") : options_.registry;
  std::vector<std::string> argv = {"controlplane/weftd",
                                   "--cluster",
                                   options_.cluster,
                                   "--registry",
                                   registry,
                                   "--data-dir",
                                   absl::StrCat(folder_, "/data"),
                                   "--xds-listen",
                                   absl::StrCat(loopback, xds_port_),
                                   "--xds-plain",
                                   absl::StrCat(loopback, plain_port_),
                                   "--peer-listen",
                                   absl::StrCat(loopback, peer_port_),
                                   "--monitoring",
                                   absl::StrCat(loopback, monitoring_port_),
                                   "--debug-listen",
                                   absl::StrCat(loopback, debug_port_),
                                   "--webhook-listen",
                                   absl::StrCat(loopback, webhook_port_)};
  if (options_.own_tokens) {
    argv.insert(argv.end(), {"--token-key", absl::StrCat(folder_, "/token-key")});
  }
  argv.insert(argv.end(), options_.flags.begin(), options_.flags.end());
  const std::vector<char*> pointers = Pointers(argv);
  pid_ = fork();
  if (pid_ == 0) {
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  if (options_.wait_until_ready) ASSERT_TRUE(Eventually([&] { return Ready(); }));
}

void Weftd::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Weftd::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  pid_ = -1;
}

std::string Weftd::Token(const std::string& name_space, const std::string& account) const {
  certs::TokenClaims claims;
  claims.namespace_ = name_space;
  claims.service_account = account;
  claims.pod = account;
  claims.expiry = absl::Now() + absl::Hours(1);
  return *certs::SignToken(absl::HexStringToBytes(kTokenKey), claims);
}

void Weftd::Write(const std::string& file, const std::string& yaml) {
  const std::string path = absl::StrCat(folder_, "/registry/", file);
  const std::string temporary = absl::StrCat(folder_, "/", file, ".tmp");
  std::ofstream(temporary) << yaml;
  ASSERT_EQ(rename(temporary.c_str(), path.c_str()), 0);
}

void Weftd::Remove(const std::string& file) {
  ASSERT_EQ(unlink(absl::StrCat(folder_, "/registry/", file).c_str()), 0);
}

std::string Weftd::Metrics() const { return Fetch(monitoring_port_, "/metrics"); }
std::string Weftd::Debug(const std::string& page) const {
  return Fetch(debug_port_, absl::StrCat("/debug/", page));
}

std::string ServiceYaml(const std::string& name, int port,
                        const std::map<std::string, std::string>& pods) {
  std::string yaml = absl::StrReplaceAll(R"(
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: grpc, port: PORT}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME-1, namespace: default, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
ports: [{name: grpc, port: PORT}]
)",
                                         {{"NAME", name}, {"PORT", absl::StrCat(port)}});
  absl::StrAppend(&yaml, "endpoints:", pods.empty() ? " []\n" : "\n");
  const auto pod_name = [&](const std::string& address) {
    return absl::StrCat(name, "-", absl::StrReplaceAll(address, {{".", "-"}}));
  };
  for (const auto& [address, version] : pods) {
    absl::StrAppend(&yaml, "- {addresses: [", address,
                    "], conditions: {ready: true}, targetRef: {kind: Pod, name: ",
                    pod_name(address), ", namespace: default}}\n");
  }
  for (const auto& [address, version] : pods) {
    absl::StrAppend(&yaml, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: ", pod_name(address),
                    ", namespace: default, labels: {app: ", name, ", version: ", version,
                    "}}\nspec: {serviceAccountName: ", name,
                    ", containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: ",
                    address, "}\n");
  }
  return yaml;
}

LineProcess::LineProcess(const std::vector<std::string>& argv,
                         const std::vector<std::string>& environment) {
  int to[2];
  int from[2];
  EXPECT_EQ(pipe2(to, O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(from, O_CLOEXEC), 0);
  std::vector<std::string> all = environment;
  for (char** variable = environ; *variable != nullptr; ++variable) all.push_back(*variable);
  const std::vector<char*> arguments = Pointers(argv);
  const std::vector<char*> variables = Pointers(all);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    execvpe(arguments[0], arguments.data(), variables.data());
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  in_ = fdopen(to[1], "w");
  out_ = fdopen(from[0], "r");
}

LineProcess::~LineProcess() {
  fclose(in_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  fclose(out_);
}

std::string LineProcess::Ask(const std::string& line) {
  fputs(absl::StrCat(line, "\n").c_str(), in_);
  fflush(in_);
  char answer[4096];
  if (fgets(answer, sizeof(answer), out_) == nullptr) return "";
  std::string text = answer;
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// ---- Servers.

}  // namespace weft::test

// libgrpc hands calls from thread to thread where a race detector does not see it.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "race:libgrpc"; }

namespace weft::test {
namespace {

class Answer : public grpc::ServerGenericBidiReactor {
 public:
  explicit Answer(const std::string& name) : answer_(MakeAnswer(name)) { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (ok) {
      StartWriteAndFinish(&answer_, {}, grpc::Status::OK);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  static grpc::ByteBuffer MakeAnswer(const std::string& name) {
    const grpc::Slice slice(name);
    return grpc::ByteBuffer(&slice, 1);
  }
  grpc::ByteBuffer request_;
  grpc::ByteBuffer answer_;
};

class Named : public grpc::CallbackGenericService {
 public:
  explicit Named(std::string name) : name_(std::move(name)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Answer(name_);
  }

 private:
  const std::string name_;
};

}  // namespace

struct NamedServer::State {
  explicit State(const std::string& name) : service(name) {}
  Named service;
  std::unique_ptr<grpc::Server> server;
};

NamedServer::NamedServer(const std::string& name, const std::string& address, int port)
    : state_(std::make_unique<State>(name)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat(address, ":", port), grpc::InsecureServerCredentials());
  builder.RegisterCallbackGenericService(&state_->service);
  state_->server = builder.BuildAndStart();
  EXPECT_NE(state_->server, nullptr) << address << ":" << port;
}

NamedServer::~NamedServer() {
  if (state_->server != nullptr) state_->server->Shutdown(std::chrono::system_clock::now());
}

std::string WriteGrpcBootstrap(const Weftd& weftd, const std::string& node_id) {
  const std::string path = absl::StrCat(getenv("TEST_TMPDIR"), "/bootstrap-", node_id, ".json");
  std::ofstream(path) << absl::StrReplaceAll(
      R"({"xds_servers": [{"server_uri": "127.0.0.1:PORT",
          "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
          "node": {"id": "NODE", "metadata": {"GENERATOR": "grpc", "NAMESPACE": "default"},
                   "locality": {"region": "eu", "zone": "eu-1"}}})",
      {{"PORT", absl::StrCat(weftd.port())}, {"NODE", node_id}});
  return path;
}

}  // namespace weft::test
