#include "proxy/xds/identity.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/certificate.h"
#include "certs/csr.h"
#include "certs/file.h"
#include "certs/key.h"
#include "proxy/base/log.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/net/tcp.h"
#include "proxy/tls/tls_stream.h"
#include "proxy/xds/csr_client.h"

namespace weft {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);
constexpr absl::Duration kRequestTimeout = absl::Seconds(10);
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLongestBackoff = absl::Seconds(5);
constexpr absl::Duration kValidity = absl::Hours(24);
// Never renew in a tight loop, whatever the CA hands out.
constexpr absl::Duration kSoonestRenewal = absl::Seconds(5);
constexpr absl::Duration kBetweenRenewals = absl::Seconds(1);

absl::StatusOr<absl::Time> ExpiryOf(const std::string& chain_pem) {
  auto chain = certs::ParseCertificates(chain_pem);
  if (!chain.ok()) return chain.status();
  if (chain->empty()) return absl::InvalidArgumentError("the CA sent no certificate");
  return certs::NotAfter(chain->front().x509());
}

}  // namespace

Identity::Identity(EventLoop& loop, IdentityOptions options,
                   std::function<void(const TlsCertificate&)> on_certificate)
    : loop_(loop), options_(std::move(options)), on_certificate_(std::move(on_certificate)) {}

Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Identity::ConnectToControlPlane() {
  auto roots = certs::ReadFile(options_.root_cert_path);
  if (!roots.ok()) co_return roots.status();
  auto bundles = std::make_shared<certs::TrustBundles>();
  if (options_.announced_roots) absl::StrAppend(&*roots, "\n", options_.announced_roots());
  absl::Status trusted = bundles->Set(options_.id.trust_domain, *roots);
  if (!trusted.ok()) co_return trusted;
  ClientTlsOptions tls;
  if (has_certificate()) tls.certificate = certificate_;
  tls.server_trust.bundles = bundles;
  const certs::SpiffeId weftd{options_.id.trust_domain, "weft-system", "weftd"};
  SanMatch name;
  name.type = SanMatch::Type::kUri;
  name.value = weftd.ToString();
  tls.server_trust.sans.push_back(name);
  tls.alpn = {"h2"};
  tls.tls13_only = true;
  auto context = ClientTlsContext::Create(std::move(tls));
  if (!context.ok()) co_return context.status();

  ConnectOptions connect;
  connect.mark = options_.mark;
  connect.deadline = loop_.Now() + kConnectTimeout;
  auto connected = co_await Connect(loop_, options_.discovery, connect);
  if (!connected.ok()) co_return connected.status();
  auto secured =
      co_await TlsStream::Connect(loop_, std::move(*connected), *context, connect.deadline);
  if (!secured.ok()) {
    co_return absl::Status(secured.status().code(), absl::StrCat("TLS with the control plane at ",
                                                                 options_.discovery.ToString(),
                                                                 ": ", secured.status().message()));
  }
  co_return std::unique_ptr<ByteStream>(std::move(*secured));
}

Task<absl::StatusOr<TlsCertificate>> Identity::Request() {
  auto token = certs::ReadFile(options_.token_path);
  if (!token.ok()) co_return token.status();
  auto stream = co_await ConnectToControlPlane();
  if (!stream.ok()) co_return stream.status();
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  CertificateRequest request;
  request.csr = certs::MakeCsr(key, options_.id);
  request.validity = kValidity;
  request.token = std::string(absl::StripAsciiWhitespace(*token));
  request.cluster = options_.cluster;
  GrpcConnection::Options grpc;
  grpc.scheme = "https";
  GrpcConnection connection(loop_, std::move(*stream), grpc);
  auto chain =
      co_await CreateCertificate(connection, std::move(request), loop_.Now() + kRequestTimeout);
  if (!chain.ok()) co_return chain.status();
  TlsCertificate certificate;
  // The root comes last and is not shown to peers: they have their own.
  if (chain->size() > 1) chain->pop_back();
  certificate.chain_pem = absl::StrJoin(*chain, "");
  certificate.key_pem = key.ToPem();
  co_return certificate;
}

Task<> Identity::Run() {
  absl::BitGen random;
  absl::Duration backoff = kFirstBackoff;
  while (true) {
    auto certificate = co_await Request();
    absl::StatusOr<absl::Time> expiry =
        certificate.ok() ? ExpiryOf(certificate->chain_pem) : certificate.status();
    if (!expiry.ok()) {
      Log(LogLevel::kWarning, "certificate_request_failed",
          {{"identity", options_.id.ToString()},
           {"error", std::string(expiry.status().message())}});
      co_await Sleep(loop_, backoff * absl::Uniform(random, 0.5, 1.0));
      backoff = std::min(backoff * 2, kLongestBackoff);
      continue;
    }
    backoff = kFirstBackoff;
    certificate_ = std::move(*certificate);
    Log(LogLevel::kInfo, "certificate_issued",
        {{"identity", options_.id.ToString()}, {"expires", absl::FormatTime(*expiry)}});
    on_certificate_(certificate_);
    // At half life, give or take a tenth, so that a fleet does not renew at one time.
    const absl::Duration left = *expiry - absl::Now();
    co_await WaitForRenewal(std::max(left * absl::Uniform(random, 0.45, 0.55), kSoonestRenewal));
  }
}

void Identity::Renew() {
  renew_ = true;
  renewal_.Notify();
}

Task<> Identity::WaitForRenewal(absl::Duration at_most) {
  const MonotonicTime due = loop_.Now() + at_most;
  // What was asked for before this certificate came is answered by it.
  renew_ = false;
  co_await Sleep(loop_, kBetweenRenewals);
  while (!renew_ && loop_.Now() < due) co_await Wait(loop_, {&renewal_}, due);
}

}  // namespace weft
