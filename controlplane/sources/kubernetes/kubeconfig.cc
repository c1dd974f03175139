#include "controlplane/sources/kubernetes/kubeconfig.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/kubernetes/kubeconfig.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "certs/file.h"

namespace weft {
namespace {

using File = kubernetes::Kubeconfig;

absl::Status Invalid(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

// The entry of that name, with the path of its contents for messages.
template <typename Entries>
const typename Entries::value_type* Find(const Entries& entries, const std::string& name) {
  const auto it = std::find_if(entries.begin(), entries.end(),
                               [&](const auto& entry) { return entry.name() == name; });
  return it == entries.end() ? nullptr : &*it;
}

std::string PathIn(absl::string_view list, absl::string_view name, absl::string_view field) {
  return absl::StrCat(list, "[", name, "].", field);
}

std::string Resolve(const std::string& folder, const std::string& path) {
  return path.empty() || path[0] == '/' ? path : absl::StrCat(folder, "/", path);
}

absl::Status ReadHostAndPort(absl::string_view authority, Kubeconfig* config) {
  absl::string_view host = authority;
  absl::string_view port;
  const size_t bracket = authority.find(']');
  if (!authority.empty() && authority[0] == '[' && bracket != absl::string_view::npos) {
    host = authority.substr(1, bracket - 1);
    absl::string_view rest = authority.substr(bracket + 1);
    if (!rest.empty() && !absl::ConsumePrefix(&rest, ":")) {
      return absl::InvalidArgumentError("expected https://HOST:PORT");
    }
    port = rest;
  } else if (const size_t colon = authority.rfind(':'); colon != absl::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
  }
  uint32_t number = config->tls ? 443 : 80;
  if (!port.empty() && (!absl::SimpleAtoi(port, &number) || number == 0 || number > 65535)) {
    return absl::InvalidArgumentError(absl::StrCat("not a port: \"", port, "\""));
  }
  if (host.empty()) return absl::InvalidArgumentError("names no host");
  config->host = std::string(host);
  config->port = static_cast<uint16_t>(number);
  return absl::OkStatus();
}

absl::Status ReadUrl(absl::string_view url, Kubeconfig* config) {
  absl::string_view rest = url;
  config->tls = absl::ConsumePrefix(&rest, "https://");
  if (!config->tls && !absl::ConsumePrefix(&rest, "http://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected https://HOST:PORT, found \"", url, "\""));
  }
  if (rest.find_first_of("?#@ ") != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected https://HOST:PORT/PATH and nothing else, found \"", url, "\""));
  }
  const size_t slash = rest.find('/');
  if (slash != absl::string_view::npos) {
    config->path = std::string(absl::StripSuffix(rest.substr(slash), "/"));
    rest = rest.substr(0, slash);
  }
  return ReadHostAndPort(rest, config);
}

PemSource ReadPem(const std::string& data, const std::string& file, const std::string& folder) {
  return {data, data.empty() ? Resolve(folder, file) : ""};
}

absl::Status ReadCluster(const File::NamedCluster& entry, const std::string& folder,
                         Kubeconfig* config) {
  const auto at = [&](absl::string_view field) {
    return PathIn("clusters", entry.name(), absl::StrCat("cluster.", field));
  };
  const File::Cluster& cluster = entry.cluster();
  if (cluster.server().empty()) return Invalid(at("server"), "is missing");
  if (absl::Status status = ReadUrl(cluster.server(), config); !status.ok()) {
    return Invalid(at("server"), status.message());
  }
  if (!cluster.proxy_url().empty()) {
    return Invalid(at("proxy-url"), "is not supported: weftd has to reach the server directly");
  }
  config->ca =
      ReadPem(cluster.certificate_authority_data(), cluster.certificate_authority(), folder);
  config->insecure = cluster.insecure_skip_tls_verify();
  config->server_name = cluster.tls_server_name();
  if (config->insecure && !config->ca.empty()) {
    return Invalid(at("insecure-skip-tls-verify"),
                   "contradicts the certificate authority beside it; remove one of the two");
  }
  return absl::OkStatus();
}

absl::StatusOr<ExecPlugin> ReadExec(const File::Exec& exec, const std::string& folder) {
  if (exec.api_version() != "client.authentication.k8s.io/v1" &&
      exec.api_version() != "client.authentication.k8s.io/v1beta1") {
    return Invalid("apiVersion", absl::StrCat("unknown version '", exec.api_version(),
                                              "'; expected client.authentication.k8s.io/v1 or "
                                              "client.authentication.k8s.io/v1beta1"));
  }
  if (exec.command().empty()) return Invalid("command", "is missing");
  if (exec.interactive_mode() == "Always") {
    return Invalid("interactiveMode", "is Always, but nobody can answer weftd's questions");
  }
  ExecPlugin plugin;
  plugin.api_version = exec.api_version();
  // As kubectl: a bare name is for PATH, a relative path starts at the file.
  plugin.command =
      absl::StrContains(exec.command(), '/') ? Resolve(folder, exec.command()) : exec.command();
  plugin.args.assign(exec.args().begin(), exec.args().end());
  for (const File::ExecEnv& variable : exec.env()) {
    if (variable.name().empty() || absl::StrContains(variable.name(), '=')) {
      return Invalid("env", absl::StrCat("not the name of a variable: \"", variable.name(), "\""));
    }
    plugin.env.emplace_back(variable.name(), variable.value());
  }
  plugin.install_hint = exec.install_hint();
  plugin.provide_cluster_info = exec.provide_cluster_info();
  return plugin;
}

absl::Status ReadUser(const File::NamedUser& entry, const std::string& folder, Kubeconfig* config) {
  const auto at = [&](absl::string_view field) {
    return PathIn("users", entry.name(), absl::StrCat("user.", field));
  };
  const File::User& user = entry.user();
  if (user.has_auth_provider()) {
    return Invalid(at("auth-provider"),
                   absl::StrCat("'", user.auth_provider().name(),
                                "' is not supported; Kubernetes removed these in 1.26: use exec"));
  }
  if (!user.as().empty() || !user.as_uid().empty() || user.as_groups_size() > 0 ||
      user.has_as_user_extra()) {
    return Invalid(at("as"), "impersonation is not supported; give weftd a user of its own");
  }
  config->certificate = ReadPem(user.client_certificate_data(), user.client_certificate(), folder);
  config->key = ReadPem(user.client_key_data(), user.client_key(), folder);
  if (config->certificate.empty() != config->key.empty()) {
    return Invalid(at(config->key.empty() ? "client-key" : "client-certificate"),
                   "is missing: certificate and key go together");
  }
  config->token = user.token();
  config->token_file = Resolve(folder, user.token_file());
  config->username = user.username();
  config->password = user.password();
  const bool token = !user.token().empty() || !user.token_file().empty();
  if (token && !user.username().empty()) {
    return Invalid(at("username"), "contradicts the token beside it; remove one of the two");
  }
  if (user.has_exec()) {
    auto exec = ReadExec(user.exec(), folder);
    if (!exec.ok()) {
      return absl::InvalidArgumentError(at(absl::StrCat("exec.", exec.status().message())));
    }
    config->exec = *std::move(exec);
  }
  return absl::OkStatus();
}

absl::StatusOr<Kubeconfig> ReadCurrent(const File& file, const std::string& folder) {
  if (file.current_context().empty()) {
    return Invalid("current-context", "is missing: which of the contexts to use");
  }
  const auto* context = Find(file.contexts(), file.current_context());
  if (context == nullptr) {
    return Invalid("current-context",
                   absl::StrCat("there is no context '", file.current_context(), "'"));
  }
  const std::string& cluster_name = context->context().cluster();
  const auto* cluster = Find(file.clusters(), cluster_name);
  if (cluster == nullptr) {
    return Invalid(PathIn("contexts", context->name(), "context.cluster"),
                   absl::StrCat("there is no cluster '", cluster_name, "'"));
  }
  Kubeconfig config;
  if (absl::Status status = ReadCluster(*cluster, folder, &config); !status.ok()) return status;
  const std::string& user_name = context->context().user();
  if (user_name.empty()) return config;
  const auto* user = Find(file.users(), user_name);
  if (user == nullptr) {
    return Invalid(PathIn("contexts", context->name(), "context.user"),
                   absl::StrCat("there is no user '", user_name, "'"));
  }
  if (absl::Status status = ReadUser(*user, folder, &config); !status.ok()) return status;
  return config;
}

absl::StatusOr<Kubeconfig> ParseIn(absl::string_view text, const std::string& folder) {
  auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) return documents.status();
  if (documents->size() != 1) return absl::InvalidArgumentError("expected one document");
  File file;
  absl::Status status = YamlToMessage(documents->front()->root(), UnknownFields::kSkip, &file);
  if (!status.ok()) return status;
  if (file.kind() != "Config") {
    return Invalid("kind", absl::StrCat("expected Config, found '", file.kind(), "'"));
  }
  return ReadCurrent(file, folder);
}

std::string FolderOf(const std::string& file) {
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

std::string InBrackets(const std::string& host) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host;
}

}  // namespace

std::string Kubeconfig::Url() const {
  return absl::StrCat(tls ? "https://" : "http://", Authority(), path);
}

std::string Kubeconfig::Authority() const {
  return port == (tls ? 443 : 80) ? InBrackets(host) : absl::StrCat(InBrackets(host), ":", port);
}

absl::StatusOr<Kubeconfig> ParseKubeconfig(absl::string_view text, const std::string& file) {
  auto config = ParseIn(text, FolderOf(file));
  if (!config.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", config.status().message()));
  }
  config->origin = file;
  return config;
}

absl::StatusOr<Kubeconfig> LoadKubeconfig(const std::string& file) {
  auto text = certs::ReadFile(file);
  if (!text.ok()) return text.status();
  return ParseKubeconfig(*text, file);
}

absl::StatusOr<Kubeconfig> InClusterConfig(const std::string& host, const std::string& port,
                                           const std::string& folder) {
  if (host.empty() || port.empty()) {
    return absl::FailedPreconditionError(
        "this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; outside "
        "of a cluster name a kubeconfig file");
  }
  Kubeconfig config;
  config.origin = "in-cluster";
  absl::Status status = ReadUrl(absl::StrCat("https://", InBrackets(host), ":", port), &config);
  if (!status.ok()) return Invalid("KUBERNETES_SERVICE_HOST", status.message());
  config.ca.file = absl::StrCat(folder, "/ca.crt");
  config.token_file = absl::StrCat(folder, "/token");
  return config;
}

}  // namespace weft
