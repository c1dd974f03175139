#include "proxy/config/compile_tls.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/core.pb.h"
#include "api/envoy/raw_buffer.pb.h"
#include "api/envoy/tls.pb.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace tls = envoy::extensions::transport_sockets::tls::v3;
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

absl::StatusOr<std::optional<TlsCertificate>> OwnCertificate(const tls::CommonTlsContext& from,
                                                             const Secrets& secrets) {
  if (from.tls_certificates_size() > 0) {
    absl::StatusOr<TlsCertificate> certificate =
        CompileCertificate(from.tls_certificates(0), secrets);
    if (!certificate.ok()) return Under("tls_certificates[0]", certificate.status());
    return std::optional(*std::move(certificate));
  }
  if (from.tls_certificate_sds_secret_configs_size() == 0) return std::optional<TlsCertificate>();
  const std::string& name = from.tls_certificate_sds_secret_configs(0).name();
  auto it = secrets.certificates.find(name);
  if (it == secrets.certificates.end()) {
    return Waiting("tls_certificate_sds_secret_configs[0]", name);
  }
  return std::optional(it->second);
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
  if (from.ignore_case())
    return Invalid("ignore_case", "is not supported for names of certificates");
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
    default:
      return Invalid("", "needs one of exact, prefix, suffix");
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
  if (!from.verify_certificate_hash().empty() || !from.verify_certificate_spki().empty()) {
    return Invalid("verify_certificate_hash", "certificate pins are not supported by this proxy");
  }
  if (from.has_crl()) return Invalid("crl", "is not supported by this proxy");
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
  } else if (from.has_trusted_ca()) {
    absl::StatusOr<std::string> roots = ReadData(from.trusted_ca(), secrets);
    if (!roots.ok()) return Under("trusted_ca", roots.status());
    to.ca_pem = *std::move(roots);
  }
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
  return trust.bundles != nullptr || !trust.ca_pem.empty() || trust.accept_anyone;
}

absl::Status TrustOfSecret(const std::string& name, const Secrets& secrets, PeerTrust& to) {
  auto it = secrets.trust.find(name);
  if (it == secrets.trust.end()) return Waiting("validation_context_sds_secret_config", name);
  std::vector<SanMatch> sans = std::move(to.sans);
  to = it->second;
  to.sans.insert(to.sans.end(), sans.begin(), sans.end());
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

std::vector<std::string> AlpnOf(const tls::CommonTlsContext& from) {
  return {from.alpn_protocols().begin(), from.alpn_protocols().end()};
}

absl::StatusOr<ServerTlsOptions> ServerOptions(const tls::DownstreamTlsContext& from,
                                               const Secrets& secrets) {
  const tls::CommonTlsContext& common = from.common_tls_context();
  absl::StatusOr<std::optional<TlsCertificate>> certificate = OwnCertificate(common, secrets);
  if (!certificate.ok()) return Under("common_tls_context", certificate.status());
  if (!*certificate) return Invalid("common_tls_context.tls_certificates", "must not be empty");
  absl::StatusOr<std::optional<PeerTrust>> trust = TrustOf(common, secrets);
  if (!trust.ok()) return Under("common_tls_context", trust.status());
  ServerTlsOptions to;
  to.certificate = **std::move(certificate);
  to.require_client_certificate = from.require_client_certificate().value();
  if (to.require_client_certificate && !*trust) {
    return Invalid("require_client_certificate", "needs a validation context to verify it by");
  }
  to.tls13_only = Tls13Only(common, *trust);
  to.client_trust = *std::move(trust);
  to.alpn = AlpnOf(common);
  return to;
}

absl::StatusOr<ClientTlsOptions> ClientOptions(const tls::UpstreamTlsContext& from,
                                               const Secrets& secrets) {
  const tls::CommonTlsContext& common = from.common_tls_context();
  absl::StatusOr<std::optional<TlsCertificate>> certificate = OwnCertificate(common, secrets);
  if (!certificate.ok()) return Under("common_tls_context", certificate.status());
  absl::StatusOr<std::optional<PeerTrust>> trust = TrustOf(common, secrets);
  if (!trust.ok()) return Under("common_tls_context", trust.status());
  ClientTlsOptions to;
  to.certificate = *std::move(certificate);
  to.tls13_only = Tls13Only(common, *trust);
  if (*trust) {
    to.server_trust = **std::move(trust);
  } else {
    to.server_trust.accept_anyone = true;  // Envoy: without a validation context, anyone will do
  }
  to.sni = from.sni();
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

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> CompileClientTls(
    const core::TransportSocket& from, const Secrets& secrets) {
  return CompileTls<ClientTlsContext, tls::UpstreamTlsContext, ClientTlsOptions>(from, secrets,
                                                                                 ClientOptions);
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
