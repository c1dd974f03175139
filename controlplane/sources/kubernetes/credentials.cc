#include "controlplane/sources/kubernetes/credentials.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certs/file.h"
#include "controlplane/sources/kubernetes/command.h"

namespace weft {
namespace {

// Where Debian, and where Red Hat keeps the roots that the system trusts.
constexpr const char* kSystemRoots[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt"};

// Between looks at a plugin that another request runs: a Signal has one waiter only.
constexpr absl::Duration kPluginPoll = absl::Milliseconds(20);

absl::Status Annotate(absl::string_view what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
}

struct ResetAtEnd {
  bool& flag;
  ~ResetAtEnd() { flag = false; }
};

}  // namespace

absl::StatusOr<std::string> CachedFile::Get(const std::string& path) {
  if (path.empty()) return std::string();
  struct stat found = {};
  std::optional<Signature> now;
  if (stat(path.c_str(), &found) == 0) {
    now = Signature(found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
  }
  if (!now.has_value() || now != signature_) {
    absl::StatusOr<std::string> text = certs::ReadFile(path);
    if (!text.ok() && !text_.has_value()) return text.status();
    if (text.ok()) {
      text_ = *std::move(text);
      signature_ = now;
    }
  }
  return *text_;
}

Credentials::Credentials(EventLoop& loop, Kubeconfig config)
    : loop_(loop), config_(std::move(config)) {}

Task<absl::StatusOr<Credentials::Current>> Credentials::Get() {
  if (config_.exec.has_value()) {
    absl::Status refreshed = co_await RefreshPlugin();
    if (!refreshed.ok()) co_return refreshed;
  }
  Current current;
  auto authorization = Authorization();
  if (!authorization.ok()) co_return authorization.status();
  current.authorization = *std::move(authorization);
  auto tls = Tls();
  if (!tls.ok()) co_return tls.status();
  current.tls = *std::move(tls);
  co_return current;
}

bool Credentials::OnRefused() {
  ca_.Forget();
  certificate_.Forget();
  key_.Forget();
  token_.Forget();
  plugin_.reset();
  return config_.exec.has_value() || !config_.token_file.empty() ||
         !config_.certificate.file.empty();
}

// ---- Plugins.

Task<absl::Status> Credentials::RefreshPlugin() {
  const auto is_good = [this] {
    return plugin_.has_value() && absl::Now() + kRenewBefore < plugin_->expires;
  };
  if (is_good()) co_return absl::OkStatus();
  if (plugin_runs_) {
    while (plugin_runs_) co_await Sleep(loop_, kPluginPoll);
    co_return plugin_status_;
  }
  plugin_runs_ = true;
  ResetAtEnd reset{plugin_runs_};
  plugin_status_ = co_await RunPlugin();
  // Until it has really expired, what it gave before is still good.
  if (!plugin_status_.ok() && plugin_.has_value() && absl::Now() < plugin_->expires) {
    plugin_status_ = absl::OkStatus();
  }
  co_return plugin_status_;
}

Task<absl::Status> Credentials::RunPlugin() {
  const ExecPlugin& plugin = *config_.exec;
  const std::string name = absl::StrCat(config_.origin, ": exec ", plugin.command);
  absl::StatusOr<std::string> ca = Read(config_.ca, ca_);
  if (!ca.ok()) co_return ca.status();
  Command command;
  command.argv = plugin.args;
  command.argv.insert(command.argv.begin(), plugin.command);
  command.env = plugin.env;
  command.env.emplace_back("KUBERNETES_EXEC_INFO", ExecInfo(config_, *ca));
  absl::StatusOr<std::string> printed =
      co_await RunCommand(loop_, std::move(command), loop_.Now() + kPluginTimeout);
  if (absl::IsNotFound(printed.status()) && !plugin.install_hint.empty()) {
    co_return Annotate(name, absl::NotFoundError(absl::StrCat(printed.status().message(), "; ",
                                                              plugin.install_hint)));
  }
  if (!printed.ok()) co_return Annotate(name, printed.status());
  absl::StatusOr<ExecCredential> credential = ParseExecCredential(*std::move(printed), plugin);
  if (!credential.ok()) co_return Annotate(name, credential.status());
  plugin_ = *std::move(credential);
  co_return absl::OkStatus();
}

// ---- What is in force.

absl::StatusOr<std::string> Credentials::Authorization() {
  std::string token = config_.token;
  if (plugin_.has_value()) token = plugin_->token;
  if (!config_.token_file.empty()) {
    absl::StatusOr<std::string> text = token_.Get(config_.token_file);
    if (text.ok()) token = *std::move(text);
    if (!text.ok() && token.empty()) return text.status();
  }
  token = std::string(absl::StripAsciiWhitespace(token));
  if (token.find_first_of("\r\n") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(config_.origin, ": a token of several lines"));
  }
  if (!token.empty()) return absl::StrCat("Bearer ", token);
  if (config_.username.empty()) return std::string();
  return absl::StrCat("Basic ",
                      absl::Base64Escape(absl::StrCat(config_.username, ":", config_.password)));
}

absl::StatusOr<std::string> Credentials::Read(const PemSource& source, CachedFile& file) {
  if (!source.data.empty()) return source.data;
  return file.Get(source.file);
}

absl::StatusOr<std::string> Credentials::Roots() {
  if (!config_.ca.empty()) return Read(config_.ca, ca_);
  for (const char* path : kSystemRoots) {
    absl::StatusOr<std::string> roots = ca_.Get(path);
    if (roots.ok()) return roots;
  }
  return absl::NotFoundError(absl::StrCat(
      config_.origin, ": no certificate-authority, and the system has no roots of its own"));
}

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> Credentials::Tls() {
  if (!config_.tls) return nullptr;
  ClientTlsOptions options;
  if (config_.insecure) {
    options.server_trust.accept_anyone = true;
  } else {
    absl::StatusOr<std::string> roots = Roots();
    if (!roots.ok()) return roots.status();
    options.server_trust.ca_pem = *std::move(roots);
    options.server_trust.verify_host =
        config_.server_name.empty() ? config_.host : config_.server_name;
  }
  TlsCertificate own;
  if (plugin_.has_value() && !plugin_->key_pem.empty()) {
    own = {plugin_->certificate_pem, plugin_->key_pem};
  } else {
    absl::StatusOr<std::string> certificate = Read(config_.certificate, certificate_);
    absl::StatusOr<std::string> key = Read(config_.key, key_);
    if (!certificate.ok()) return certificate.status();
    if (!key.ok()) return key.status();
    own = {*std::move(certificate), *std::move(key)};
  }
  std::string made_of =
      absl::StrCat(options.server_trust.ca_pem, "\n", own.chain_pem, "\n", own.key_pem);
  if (tls_ != nullptr && made_of == tls_made_of_) return tls_;
  if (!own.key_pem.empty()) options.certificate = std::move(own);
  options.sni = config_.server_name.empty() ? config_.host : config_.server_name;
  options.alpn = {"http/1.1"};
  auto context = ClientTlsContext::Create(std::move(options));
  // Half of a rotation: certificate and key of two generations. The next request looks again.
  if (!context.ok() && tls_ != nullptr) return tls_;
  if (!context.ok()) return Annotate(config_.origin, context.status());
  tls_ = *std::move(context);
  tls_made_of_ = std::move(made_of);
  return tls_;
}

}  // namespace weft
