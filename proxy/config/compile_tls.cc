#include "proxy/config/compile_tls.h"

#include <re2/re2.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "api/envoy/core.pb.h"
#include "api/envoy/raw_buffer.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/envoy/upstream_proxy_protocol.pb.h"
#include "api/weft/tunnel.pb.h"
#include "proxy/config/fields.h"
#include "proxy/config/listener_config.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace tls = envoy::extensions::transport_sockets::tls::v3;
using envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
using envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;

absl::StatusOr<std::string> ReadData(const core::DataSource& from, const Secrets& secrets) {
  switch (from.specifier_case()) {
    case core::DataSource::kInlineString:
      return from.inline_string();
    case core::DataSource::kInlineBytes:
      return from.inline_bytes();
    case core::DataSource::kFilename: {
      if (!secrets.read_file)
        return Invalid("filename", "files are not read here; use inline data");
      absl::StatusOr<std::string> bytes = secrets.read_file(from.filename());
      if (!bytes.ok()) return Invalid("filename", bytes.status().message());
      return bytes;
    }
    case core::DataSource::kEnvironmentVariable:
      return Invalid("environment_variable", "is not supported by this proxy");
    case core::DataSource::SPECIFIER_NOT_SET:
      return Invalid("", "needs one of filename, inline_string, inline_bytes");
  }
  return Invalid("", "unknown kind of data source");
}

absl::StatusOr<TlsCertificate> CompileCertificate(const tls::TlsCertificate& from,
                                                  const Secrets& secrets) {
  if (from.has_password()) return Invalid("password", "encrypted keys are not supported");
  if (from.has_pkcs12()) return Invalid("pkcs12", "is not supported by this proxy");
  if (from.has_ocsp_staple()) return Invalid("ocsp_staple", "is not supported by this proxy");
  absl::StatusOr<std::string> chain = ReadData(from.certificate_chain(), secrets);
  if (!chain.ok()) return Under("certificate_chain", chain.status());
  absl::StatusOr<std::string> key = ReadData(from.private_key(), secrets);
  if (!key.ok()) return Under("private_key", key.status());
  return TlsCertificate{*std::move(chain), *std::move(key)};
}

// A secret that has not come yet: the resource waits for it.
absl::Status Waiting(absl::string_view field, absl::string_view name) {
  return absl::FailedPreconditionError(
      absl::StrCat(field, ": secret '", name, "' has not come yet"));
}

// The first is what is used where no other fits better; none if none is configured.
absl::StatusOr<std::vector<TlsCertificate>> OwnCertificates(const tls::CommonTlsContext& from,
                                                            const Secrets& secrets) {
  std::vector<TlsCertificate> all;
  absl::Status status =
      CompileEach("tls_certificates", from.tls_certificates(), all,
                  [&](const tls::TlsCertificate& one) { return CompileCertificate(one, secrets); });
  if (!status.ok()) return status;
  for (int i = 0; i < from.tls_certificate_sds_secret_configs_size(); ++i) {
    const std::string& name = from.tls_certificate_sds_secret_configs(i).name();
    auto it = secrets.certificates.find(name);
    if (it == secrets.certificates.end()) {
      return Waiting(Index("tls_certificate_sds_secret_configs", i), name);
    }
    all.push_back(it->second);
  }
  return all;
}

SanMatch::Type SanType(tls::SubjectAltNameMatcher::SanType type) {
  switch (type) {
    case tls::SubjectAltNameMatcher::DNS:
      return SanMatch::Type::kDns;
    case tls::SubjectAltNameMatcher::URI:
      return SanMatch::Type::kUri;
    case tls::SubjectAltNameMatcher::IP_ADDRESS:
      return SanMatch::Type::kIp;
    default:
      return SanMatch::Type::kAny;
  }
}

absl::StatusOr<SanMatch> CompileSan(const envoy::type::matcher::v3::StringMatcher& from) {
  SanMatch to;
  to.ignore_case = from.ignore_case();
  switch (from.match_pattern_case()) {
    case envoy::type::matcher::v3::StringMatcher::kExact:
      to.kind = SanMatch::Kind::kExact;
      to.value = from.exact();
      return to;
    case envoy::type::matcher::v3::StringMatcher::kPrefix:
      to.kind = SanMatch::Kind::kPrefix;
      to.value = from.prefix();
      return to;
    case envoy::type::matcher::v3::StringMatcher::kSuffix:
      to.kind = SanMatch::Kind::kSuffix;
      to.value = from.suffix();
      return to;
    case envoy::type::matcher::v3::StringMatcher::kContains:
      to.kind = SanMatch::Kind::kContains;
      to.value = from.contains();
      return to;
    case envoy::type::matcher::v3::StringMatcher::kSafeRegex: {
      to.kind = SanMatch::Kind::kRegex;
      to.value = from.safe_regex().regex();
      auto regex = std::make_shared<const RE2>(to.value, RE2::Quiet);
      if (!regex->ok()) return Invalid("safe_regex.regex", regex->error());
      to.regex = std::move(regex);
      return to;
    }
    default:
      return Invalid("", "needs one of exact, prefix, suffix, contains, safe_regex");
  }
}

absl::StatusOr<SanMatch> CompileTypedSan(const tls::SubjectAltNameMatcher& from) {
  if (from.san_type() == tls::SubjectAltNameMatcher::EMAIL ||
      from.san_type() == tls::SubjectAltNameMatcher::OTHER_NAME) {
    return Invalid("san_type", "only DNS, URI and IP_ADDRESS are supported");
  }
  absl::StatusOr<SanMatch> to = CompileSan(from.matcher());
  if (!to.ok()) return Under("matcher", to.status());
  to->type = SanType(from.san_type());
  return to;
}

absl::Status CompileSpiffeValidator(const google::protobuf::Any& any, const Secrets& secrets,
                                    PeerTrust& to) {
  absl::StatusOr<tls::SPIFFECertValidatorConfig> from = Unpack<tls::SPIFFECertValidatorConfig>(any);
  if (!from.ok()) return from.status();
  certs::TrustBundles bundles;
  for (int i = 0; i < from->trust_domains_size(); ++i) {
    const auto& domain = from->trust_domains(i);
    absl::StatusOr<std::string> roots = ReadData(domain.trust_bundle(), secrets);
    if (!roots.ok())
      return Under(absl::StrCat("trust_domains[", i, "].trust_bundle"), roots.status());
    absl::Status status = bundles.Set(domain.name(), *roots);
    if (!status.ok()) return Invalid(Index("trust_domains", i), status.message());
  }
  if (from->trust_domains().empty()) return Invalid("trust_domains", "must not be empty");
  to.bundles = std::make_shared<const certs::TrustBundles>(std::move(bundles));
  return absl::OkStatus();
}

// Checks that are asked for and not made would let in whom the config keeps out.
absl::Status CheckUnsupported(const tls::CertificateValidationContext& from) {
  if (from.require_signed_certificate_timestamp().value()) {
    return Invalid("require_signed_certificate_timestamp", "is not supported by this proxy");
  }
  if (from.allow_expired_certificate()) {
    return Invalid("allow_expired_certificate", "is not supported by this proxy");
  }
  if (from.has_max_verify_depth()) {
    return Invalid("max_verify_depth", "is not supported by this proxy");
  }
  if (from.has_ca_certificate_provider_instance()) {
    return Invalid("ca_certificate_provider_instance", "is not supported by this proxy");
  }
  return absl::OkStatus();
}

// 64 hex digits, with or without colons between the bytes.
absl::StatusOr<std::string> CompileCertificateHash(const std::string& from) {
  std::string hex = absl::AsciiStrToLower(absl::StrReplaceAll(from, {{":", ""}}));
  const bool good =
      hex.size() == 64 && hex.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!good) return Invalid("", "expected the SHA-256 of a certificate, in hex");
  return hex;
}

absl::StatusOr<std::string> CompileKeyHash(const std::string& from) {
  std::string bytes;
  if (!absl::Base64Unescape(from, &bytes) || bytes.size() != 32) {
    return Invalid("", "expected the SHA-256 of a public key, in base64");
  }
  return from;
}

absl::Status CompilePins(const tls::CertificateValidationContext& from, PeerTrust& to) {
  absl::Status status = CompileEach("verify_certificate_hash", from.verify_certificate_hash(),
                                    to.certificate_hashes, CompileCertificateHash);
  if (!status.ok()) return status;
  return CompileEach("verify_certificate_spki", from.verify_certificate_spki(), to.key_hashes,
                     CompileKeyHash);
}

constexpr char kSystemRoots[] = "/etc/ssl/certs/ca-certificates.crt";  // Debian's bundle

absl::Status CompileRoots(const tls::CertificateValidationContext& from, const Secrets& secrets,
                          PeerTrust& to) {
  core::DataSource source = from.trusted_ca();
  if (from.has_system_root_certs()) source.set_filename(kSystemRoots);
  absl::StatusOr<std::string> roots = ReadData(source, secrets);
  if (!roots.ok()) {
    return Under(from.has_system_root_certs() ? "system_root_certs" : "trusted_ca", roots.status());
  }
  to.ca_pem = *std::move(roots);
  return absl::OkStatus();
}

// Adds what `from` says to `to`; nothing said, nothing changed.
absl::Status CompileValidation(const tls::CertificateValidationContext& from,
                               const Secrets& secrets, PeerTrust& to) {
  absl::Status status = CheckUnsupported(from);
  if (!status.ok()) return status;
  if (from.has_custom_validator_config()) {
    status = CompileSpiffeValidator(from.custom_validator_config().typed_config(), secrets, to);
    if (!status.ok()) return Under("custom_validator_config", status);
  } else if (from.has_trusted_ca() || from.has_system_root_certs()) {
    status = CompileRoots(from, secrets, to);
    if (!status.ok()) return status;
  }
  if (from.has_crl()) {
    absl::StatusOr<std::string> crl = ReadData(from.crl(), secrets);
    if (!crl.ok()) return Under("crl", crl.status());
    to.crl_pem = *std::move(crl);
    to.crl_of_leaf_only = from.only_verify_leaf_cert_crl();
  }
  status = CompilePins(from, to);
  if (!status.ok()) return status;
  if (from.trust_chain_verification() == tls::CertificateValidationContext::ACCEPT_UNTRUSTED) {
    to.accept_anyone = true;
  }
  status =
      CompileEach("match_subject_alt_names", from.match_subject_alt_names(), to.sans, CompileSan);
  if (!status.ok()) return status;
  return CompileEach("match_typed_subject_alt_names", from.match_typed_subject_alt_names(), to.sans,
                     CompileTypedSan);
}

bool Says(const PeerTrust& trust) {
  return trust.bundles != nullptr || !trust.ca_pem.empty() || trust.accept_anyone ||
         !trust.certificate_hashes.empty() || !trust.key_hashes.empty();
}

absl::Status TrustOfSecret(const std::string& name, const Secrets& secrets, PeerTrust& to) {
  auto it = secrets.trust.find(name);
  if (it == secrets.trust.end()) return Waiting("validation_context_sds_secret_config", name);
  const PeerTrust own = std::exchange(to, it->second);
  const auto add = [](const auto& from, auto& list) {
    list.insert(list.end(), from.begin(), from.end());
  };
  add(own.sans, to.sans);
  add(own.certificate_hashes, to.certificate_hashes);
  add(own.key_hashes, to.key_hashes);
  if (to.crl_pem.empty()) to.crl_pem = own.crl_pem;
  return absl::OkStatus();
}

// Nothing set: nothing said about trust.
absl::StatusOr<std::optional<PeerTrust>> TrustOf(const tls::CommonTlsContext& from,
                                                 const Secrets& secrets) {
  PeerTrust trust;
  absl::Status status;
  switch (from.validation_context_type_case()) {
    case tls::CommonTlsContext::kValidationContext:
      status = CompileValidation(from.validation_context(), secrets, trust);
      if (!status.ok()) return Under("validation_context", status);
      break;
    case tls::CommonTlsContext::kValidationContextSdsSecretConfig:
      status = TrustOfSecret(from.validation_context_sds_secret_config().name(), secrets, trust);
      if (!status.ok()) return status;
      break;
    case tls::CommonTlsContext::kCombinedValidationContext: {
      const auto& combined = from.combined_validation_context();
      status = CompileValidation(combined.default_validation_context(), secrets, trust);
      if (!status.ok()) {
        return Under("combined_validation_context.default_validation_context", status);
      }
      status =
          TrustOfSecret(combined.validation_context_sds_secret_config().name(), secrets, trust);
      if (!status.ok()) return Under("combined_validation_context", status);
      break;
    }
    case tls::CommonTlsContext::kValidationContextCertificateProviderInstance:
      return Invalid("validation_context_certificate_provider_instance",
                     "is not supported by this proxy");
    case tls::CommonTlsContext::VALIDATION_CONTEXT_TYPE_NOT_SET:
      return std::optional<PeerTrust>();
  }
  if (!Says(trust)) {
    if (trust.sans.empty()) return std::optional<PeerTrust>();
    return Invalid("validation_context", "names are to be matched, but no trusted_ca is given");
  }
  return std::optional(std::move(trust));
}

// Identities of the mesh are shown in TLS 1.3 only: before it, certificates cross in the clear.
bool Tls13Only(const tls::CommonTlsContext& from, const std::optional<PeerTrust>& trust) {
  return from.tls_params().tls_minimum_protocol_version() == tls::TlsParameters::TLSv1_3 ||
         (trust && trust->bundles != nullptr);
}

absl::StatusOr<TlsParameters> CompileParameters(const tls::TlsParameters& from) {
  TlsParameters to;
  const auto least = from.tls_minimum_protocol_version();
  const auto most = from.tls_maximum_protocol_version();
  if (least == tls::TlsParameters::TLSv1_0 || least == tls::TlsParameters::TLSv1_1) {
    return Invalid("tls_minimum_protocol_version", "TLS before 1.2 is not supported");
  }
  if (most == tls::TlsParameters::TLSv1_0 || most == tls::TlsParameters::TLSv1_1) {
    return Invalid("tls_maximum_protocol_version", "TLS before 1.2 is not supported");
  }
  to.tls12_only = most == tls::TlsParameters::TLSv1_2;
  if (to.tls12_only && least == tls::TlsParameters::TLSv1_3) {
    return Invalid("tls_maximum_protocol_version", "is below the minimum");
  }
  to.cipher_suites = absl::StrJoin(from.cipher_suites(), ":");
  to.curves = absl::StrJoin(from.ecdh_curves(), ":");
  to.signature_algorithms = absl::StrJoin(from.signature_algorithms(), ":");
  return to;
}

absl::StatusOr<TicketKey> CompileTicketKey(const core::DataSource& from, const Secrets& secrets) {
  absl::StatusOr<std::string> bytes = ReadData(from, secrets);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() != TicketKey::kSize) {
    return Invalid("", absl::StrCat("expected ", TicketKey::kSize, " bytes, got ", bytes->size()));
  }
  return TicketKey{bytes->substr(0, 16), bytes->substr(16, 32), bytes->substr(48)};
}

absl::Status CompileTickets(const tls::DownstreamTlsContext& from, const Secrets& secrets,
                            ServerTlsOptions& to) {
  if (from.has_session_timeout()) {
    const absl::Duration timeout = ToDuration(from.session_timeout());
    if (timeout < absl::ZeroDuration() || timeout >= absl::Seconds(4294967295)) {
      return Invalid("session_timeout", "must be 0 to 4294967294 seconds");
    }
    to.session_timeout = timeout;
  }
  switch (from.session_ticket_keys_type_case()) {
    case tls::DownstreamTlsContext::kSessionTicketKeys: {
      const auto& keys = from.session_ticket_keys().keys();
      if (keys.empty()) return Invalid("session_ticket_keys.keys", "must not be empty");
      return CompileEach(
          "session_ticket_keys.keys", keys, to.ticket_keys,
          [&](const core::DataSource& one) { return CompileTicketKey(one, secrets); });
    }
    case tls::DownstreamTlsContext::kSessionTicketKeysSdsSecretConfig:
      return Invalid("session_ticket_keys_sds_secret_config", "is not supported by this proxy");
    case tls::DownstreamTlsContext::kDisableStatelessSessionResumption:
      to.tickets = !from.disable_stateless_session_resumption();
      return absl::OkStatus();
    case tls::DownstreamTlsContext::SESSION_TICKET_KEYS_TYPE_NOT_SET:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

std::vector<std::string> AlpnOf(const tls::CommonTlsContext& from) {
  return {from.alpn_protocols().begin(), from.alpn_protocols().end()};
}

absl::StatusOr<ServerTlsOptions> ServerOptions(const tls::DownstreamTlsContext& from,
                                               const Secrets& secrets) {
  const tls::CommonTlsContext& common = from.common_tls_context();
  absl::StatusOr<std::vector<TlsCertificate>> certificates = OwnCertificates(common, secrets);
  if (!certificates.ok()) return Under("common_tls_context", certificates.status());
  if (certificates->empty()) {
    return Invalid("common_tls_context.tls_certificates", "must not be empty");
  }
  absl::StatusOr<std::optional<PeerTrust>> trust = TrustOf(common, secrets);
  if (!trust.ok()) return Under("common_tls_context", trust.status());
  absl::StatusOr<TlsParameters> parameters = CompileParameters(common.tls_params());
  if (!parameters.ok()) return Under("common_tls_context.tls_params", parameters.status());
  if (from.ocsp_staple_policy() != tls::DownstreamTlsContext::LENIENT_STAPLING) {
    return Invalid("ocsp_staple_policy", "OCSP is not supported by this proxy");
  }
  ServerTlsOptions to;
  absl::Status status = CompileTickets(from, secrets, to);
  if (!status.ok()) return status;
  to.certificate = std::move(certificates->front());
  certificates->erase(certificates->begin());
  to.more_certificates = *std::move(certificates);
  to.require_sni = from.require_sni().value();
  to.require_client_certificate = from.require_client_certificate().value();
  if (to.require_client_certificate && !*trust) {
    return Invalid("require_client_certificate", "needs a validation context to verify it by");
  }
  to.tls13_only = Tls13Only(common, *trust);
  to.parameters = *std::move(parameters);
  to.client_trust = *std::move(trust);
  to.alpn = AlpnOf(common);
  return to;
}

absl::StatusOr<ClientTlsOptions> ClientOptions(const tls::UpstreamTlsContext& from,
                                               const Secrets& secrets) {
  const tls::CommonTlsContext& common = from.common_tls_context();
  if (from.allow_renegotiation()) {
    return Invalid("allow_renegotiation", "is not supported by this proxy");
  }
  absl::StatusOr<std::vector<TlsCertificate>> certificates = OwnCertificates(common, secrets);
  if (!certificates.ok()) return Under("common_tls_context", certificates.status());
  if (certificates->size() > 1) {
    return Invalid("common_tls_context.tls_certificates", "one at most towards endpoints");
  }
  absl::StatusOr<std::optional<PeerTrust>> trust = TrustOf(common, secrets);
  if (!trust.ok()) return Under("common_tls_context", trust.status());
  absl::StatusOr<TlsParameters> parameters = CompileParameters(common.tls_params());
  if (!parameters.ok()) return Under("common_tls_context.tls_params", parameters.status());
  ClientTlsOptions to;
  if (!certificates->empty()) to.certificate = std::move(certificates->front());
  to.tls13_only = Tls13Only(common, *trust);
  to.parameters = *std::move(parameters);
  if (*trust) {
    to.server_trust = **std::move(trust);
  } else {
    to.server_trust.accept_anyone = true;  // Envoy: without a validation context, anyone will do
  }
  to.sni = from.sni();
  to.host_as_sni = from.auto_host_sni();
  to.verify_sni = from.auto_sni_san_validation();
  if (from.has_max_session_keys()) to.max_sessions = from.max_session_keys().value();
  to.alpn = AlpnOf(common);
  return to;
}

template <typename Context, typename Message, typename Options>
absl::StatusOr<std::shared_ptr<const Context>> CompileTls(
    const core::TransportSocket& from, const Secrets& secrets,
    absl::StatusOr<Options> (*compile)(const Message&, const Secrets&)) {
  const google::protobuf::Any& any = from.typed_config();
  if (any.Is<RawBuffer>() ||
      (from.name() == "envoy.transport_sockets.raw_buffer" && any.type_url().empty())) {
    return nullptr;
  }
  if (!any.Is<Message>()) {
    return Invalid("", absl::StrCat("unsupported transport socket '", from.name(), "' (",
                                    any.type_url(), ")"));
  }
  absl::StatusOr<Message> message = Unpack<Message>(any);
  if (!message.ok()) return message.status();
  absl::StatusOr<Options> options = compile(*message, secrets);
  if (!options.ok()) return options.status();
  absl::StatusOr<std::shared_ptr<const Context>> context = Context::Create(*std::move(options));
  if (!context.ok()) return Invalid("common_tls_context", context.status().message());
  return context;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ServerTlsContext>> CompileServerTls(
    const core::TransportSocket& from, const Secrets& secrets) {
  return CompileTls<ServerTlsContext, tls::DownstreamTlsContext, ServerTlsOptions>(from, secrets,
                                                                                   ServerOptions);
}

namespace {

// All that a context made of these has, with lengths, so that no two have the same.
std::string EverythingOf(const tls::UpstreamTlsContext& from, const ClientTlsOptions& options) {
  std::string all;
  const auto add = [&all](absl::string_view part) {
    absl::StrAppend(&all, part.size(), ":", part);
  };
  add(from.SerializeAsString());
  // What the message only names.
  if (options.certificate.has_value()) {
    add(options.certificate->chain_pem);
    add(options.certificate->key_pem);
  }
  const PeerTrust& trust = options.server_trust;
  // A context keeps its bundles alive, so while there is one no others are at that address.
  add(absl::StrCat(reinterpret_cast<uintptr_t>(trust.bundles.get())));
  add(trust.ca_pem);
  add(trust.crl_pem);
  for (const SanMatch& san : trust.sans) {
    add(absl::StrCat(static_cast<int>(san.type), " ", static_cast<int>(san.kind), " ",
                     static_cast<int>(san.ignore_case), " ", san.value));
  }
  for (const std::string& hash : trust.certificate_hashes) add(hash);
  for (const std::string& hash : trust.key_hashes) add(hash);
  return all;
}

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> CompileGatewayTls(
    const tls::UpstreamTlsContext& from, const Secrets& secrets) {
  absl::StatusOr<ClientTlsOptions> options = ClientOptions(from, secrets);
  if (!options.ok()) return options.status();
  std::string everything = EverythingOf(from, *options);
  const auto known = secrets.gateway_contexts.find(everything);
  if (known != secrets.gateway_contexts.end()) {
    std::shared_ptr<const ClientTlsContext> shared = known->second.lock();
    if (shared != nullptr) return shared;
  }
  auto context = ClientTlsContext::Create(*std::move(options));
  if (!context.ok()) return Invalid("common_tls_context", context.status().message());
  std::erase_if(secrets.gateway_contexts, [](const auto& one) { return one.second.expired(); });
  secrets.gateway_contexts.emplace(std::move(everything), *context);
  return context;
}

absl::StatusOr<UpstreamSocket> CompileTunnel(const proxy::v1::TunnelTransport& from,
                                             const Secrets& secrets) {
  if (from.authority().empty()) return Invalid("authority", "must not be empty");
  if (from.has_gateway() == !from.reverse_of().empty()) {
    return Invalid("gateway", "exactly one of gateway, reverse_of must be set");
  }
  UpstreamSocket to;
  if (from.has_inner()) {
    if (from.inner().typed_config().Is<proxy::v1::TunnelTransport>()) {
      return Invalid("inner", "is a tunnel itself");
    }
    absl::StatusOr<UpstreamSocket> inner = CompileUpstreamSocket(from.inner(), secrets);
    if (!inner.ok()) return Under("inner", inner.status());
    to = *std::move(inner);
  }
  auto tunnel = std::make_shared<TunnelConfig>();
  tunnel->authority = from.authority();
  tunnel->reverse_of = from.reverse_of();
  if (from.has_gateway()) {
    auto context = CompileGatewayTls(from.gateway(), secrets);
    if (!context.ok()) return Under("gateway", context.status());
    tunnel->gateway = *std::move(context);
  }
  to.tunnel = std::move(tunnel);
  return to;
}

}  // namespace

absl::StatusOr<UpstreamSocket> CompileUpstreamSocket(const core::TransportSocket& from,
                                                     const Secrets& secrets) {
  if (from.typed_config().Is<proxy::v1::TunnelTransport>()) {
    auto tunnel = Unpack<proxy::v1::TunnelTransport>(from.typed_config());
    return tunnel.ok() ? CompileTunnel(*tunnel, secrets) : tunnel.status();
  }
  UpstreamSocket to;
  const core::TransportSocket* inner = &from;
  ProxyProtocolUpstreamTransport proxied;
  if (from.typed_config().Is<ProxyProtocolUpstreamTransport>()) {
    absl::StatusOr<ProxyProtocolUpstreamTransport> unpacked =
        Unpack<ProxyProtocolUpstreamTransport>(from.typed_config());
    if (!unpacked.ok()) return unpacked.status();
    proxied = *std::move(unpacked);
    if (proxied.config().has_pass_through_tlvs()) {
      return Invalid("config.pass_through_tlvs", "TLVs are not sent by this proxy");
    }
    to.proxy_protocol = proxied.config().version() == core::ProxyProtocolConfig::V2
                            ? ProxyProtocolOut::kV2
                            : ProxyProtocolOut::kV1;
    inner = &proxied.transport_socket();
  }
  absl::StatusOr<std::shared_ptr<const ClientTlsContext>> tls =
      CompileTls<ClientTlsContext, tls::UpstreamTlsContext, ClientTlsOptions>(*inner, secrets,
                                                                              ClientOptions);
  if (!tls.ok()) {
    return inner == &from ? tls.status() : Under("transport_socket", tls.status());
  }
  to.tls = *std::move(tls);
  return to;
}

absl::StatusOr<std::vector<std::shared_ptr<const ClientTlsContext>>> CompileDialTls(
    const tls::UpstreamTlsContext& from, uint32_t connections, const Secrets& secrets) {
  std::vector<std::shared_ptr<const ClientTlsContext>> contexts;
  for (uint32_t i = 0; i < connections; ++i) {
    absl::StatusOr<ClientTlsOptions> options = ClientOptions(from, secrets);
    if (!options.ok()) return options.status();
    if (options->server_trust.accept_anyone) {
      return Invalid("common_tls_context.validation_context", "is needed: who is dialed is served");
    }
    options->sni = absl::StrCat(i, ".reverse.weft");
    options->alpn = {DialConfig::kAlpn};
    auto context = ClientTlsContext::Create(*std::move(options));
    if (!context.ok()) return Invalid("common_tls_context", context.status().message());
    contexts.push_back(*std::move(context));
  }
  return contexts;
}

absl::Status AddSecret(const tls::Secret& from, Secrets& secrets) {
  switch (from.type_case()) {
    case tls::Secret::kTlsCertificate: {
      absl::StatusOr<TlsCertificate> certificate =
          CompileCertificate(from.tls_certificate(), secrets);
      if (!certificate.ok()) return Under("tls_certificate", certificate.status());
      secrets.certificates[from.name()] = *std::move(certificate);
      return absl::OkStatus();
    }
    case tls::Secret::kValidationContext: {
      PeerTrust trust;
      absl::Status status = CompileValidation(from.validation_context(), secrets, trust);
      if (!status.ok()) return Under("validation_context", status);
      if (!Says(trust)) return Invalid("validation_context", "trusts nobody: no trusted_ca");
      secrets.trust[from.name()] = std::move(trust);
      return absl::OkStatus();
    }
    default:
      return Invalid("", "needs one of tls_certificate, validation_context");
  }
}

}  // namespace weft
