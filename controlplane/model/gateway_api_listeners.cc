#include "controlplane/model/gateway_api_listeners.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/tls_secret.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::Server;
using istio::networking::v1alpha3::ServerTLSSettings;
using kubernetes::GatewayListener;
using kubernetes::SecretReference;

// Istio's option: how TLS ends, beyond what the API has words for.
constexpr char kTerminateMode[] = "gateway.istio.io/tls-terminate-mode";

std::vector<std::string> KindsOf(const GatewayListener& listener) {
  if (listener.protocol() == "HTTP" || listener.protocol() == "HTTPS") {
    return {"HTTPRoute", "GRPCRoute"};
  }
  if (listener.protocol() == "TCP") return {"TCPRoute"};
  if (listener.protocol() != "TLS") return {};
  if (listener.tls().mode() == "Passthrough") return {"TLSRoute"};
  return {"TLSRoute", "TCPRoute"};
}

class ListenerConversion {
 public:
  ListenerConversion(const World& world, const Backends& references,
                     const GatewayApiGateway& gateway, const GatewayListener& listener)
      : world_(world), references_(references), from_(listener) {
    to_.gateway = &gateway;
    to_.listener = &listener;
    to_.status.name = listener.name();
  }

  ConvertedListener Convert(const std::vector<ConvertedListener>& before) && {
    SetKinds();
    accepted_ = {"Accepted", true, "Accepted"};
    const std::vector<std::string> possible = KindsOf(from_);
    if (possible.empty()) {
      accepted_ = {"Accepted", false, "UnsupportedProtocol",
                   absl::StrCat("protocol ", from_.protocol(),
                                " is not served; HTTP, HTTPS, TLS and TCP are")};
    }
    const GatewayApiCondition conflicted = ConflictWith(before);
    if (accepted_.status && !conflicted.status) MakeServer();
    // What is broken serves nobody, and says so.
    const bool good = to_.server != nullptr;
    to_.status.conditions = {
        accepted_, conflicted, resolved_, {"Programmed", good, good ? "Programmed" : "Invalid"}};
    return std::move(to_);
  }

 private:
  void SetKinds() {
    const std::vector<std::string> possible = KindsOf(from_);
    const auto& asked = from_.allowed_routes().kinds();
    std::vector<std::string> unknown;
    for (const auto& kind : asked) {
      const bool ours = kind.group().empty() || kind.group() == kGatewayApiGroup;
      if (ours && std::find(possible.begin(), possible.end(), kind.kind()) != possible.end()) {
        to_.kinds.push_back(kind.kind());
      } else {
        unknown.push_back(kind.kind());
      }
    }
    if (asked.empty()) to_.kinds = possible;
    if (!unknown.empty()) {
      resolved_ = {
          "ResolvedRefs", false, "InvalidRouteKinds",
          absl::StrCat("allowedRoutes.kinds: ", absl::StrJoin(unknown, ", "),
                       " cannot be attached to a listener of protocol ", from_.protocol())};
    }
    to_.status.supported_kinds = to_.kinds;
  }

  // One port carries one protocol, and has a host name once; the first listener counts.
  GatewayApiCondition ConflictWith(const std::vector<ConvertedListener>& before) {
    for (const ConvertedListener& other : before) {
      const GatewayListener& first = *other.listener;
      if (first.port() != from_.port() || other.server == nullptr) continue;
      const auto secure = [](const GatewayListener& listener) {
        return listener.protocol() == "HTTPS" || listener.protocol() == "TLS";
      };
      if (first.protocol() != from_.protocol() && !(secure(first) && secure(from_))) {
        return Conflict("ProtocolConflict", first.name());
      }
      if (other.hostname() == to_.hostname()) return Conflict("HostnameConflict", first.name());
    }
    return {"Conflicted", false, "NoConflicts"};
  }

  GatewayApiCondition Conflict(const char* reason, const std::string& other) {
    std::string message =
        absl::StrCat("listener '", other, "' has port ", from_.port(), " already");
    accepted_ = {"Accepted", false, reason, message};
    return {"Conflicted", true, reason, std::move(message)};
  }

  void MakeServer() {
    auto server = std::make_shared<Server>();
    server->mutable_port()->set_number(from_.port());
    server->mutable_port()->set_name(from_.name());
    server->mutable_port()->set_protocol(from_.protocol());
    server->add_hosts(absl::StrCat("*/", to_.hostname()));
    if (from_.has_tls() && !SetTls(*server->mutable_tls())) return;
    to_.server = std::move(server);
  }

  bool SetTls(ServerTLSSettings& to) {
    if (from_.tls().mode() == "Passthrough") {
      to.set_mode(ServerTLSSettings::PASSTHROUGH);
      return true;
    }
    to.set_mode(ServerTLSSettings::SIMPLE);
    const auto mode = from_.tls().options().find(kTerminateMode);
    const bool stated = mode != from_.tls().options().end();
    if (stated && mode->second == "ISTIO_MUTUAL") {
      to.set_mode(ServerTLSSettings::ISTIO_MUTUAL);
      return true;
    }
    if (stated && mode->second == "MUTUAL") to.set_mode(ServerTLSSettings::MUTUAL);
    for (const SecretReference& reference : from_.tls().certificate_refs()) {
      if (!CheckSecret(reference, /*roots=*/false)) return false;
      to.add_credential_names(NameOf(reference));
    }
    return SetClientRoots(to);
  }

  bool SetClientRoots(ServerTLSSettings& to) {
    const auto& validation = from_.tls().frontend_validation();
    if (validation.ca_certificate_refs().empty()) return true;
    to.set_mode(validation.mode() == "AllowInsecureFallback" ? ServerTLSSettings::OPTIONAL_MUTUAL
                                                             : ServerTLSSettings::MUTUAL);
    const SecretReference& roots = validation.ca_certificate_refs(0);
    if (!CheckSecret(roots, /*roots=*/true)) return false;
    to.set_ca_cert_credential_name(NameOf(roots));
    return true;
  }

  std::string NamespaceOf(const SecretReference& reference) const {
    return reference.namespace_().empty() ? to_.gateway->key.namespace_ : reference.namespace_();
  }
  std::string NameOf(const SecretReference& reference) const {
    if (NamespaceOf(reference) == to_.gateway->key.namespace_) return reference.name();
    return SecretKey(NamespaceOf(reference), reference.name());
  }

  // Whether it may be named. One that is not there keeps the reference: it is what makes it be
  // looked for, and held back until it comes.
  bool CheckSecret(const SecretReference& reference, bool roots) {
    const std::string name = SecretKey(NamespaceOf(reference), reference.name());
    if (!reference.group().empty() || (!reference.kind().empty() && reference.kind() != "Secret")) {
      resolved_ = {"ResolvedRefs", false, "InvalidCertificateRef",
                   absl::StrCat(reference.kind(), " ", name, ": only Secrets are known")};
      return false;
    }
    if (!references_.Granted("Gateway", to_.gateway->key.namespace_, "Secret",
                             NamespaceOf(reference), reference.name())) {
      resolved_ = {"ResolvedRefs", false, "RefNotPermitted",
                   absl::StrCat("no ReferenceGrant of namespace ", NamespaceOf(reference),
                                " lets this Gateway use Secret ", name)};
      return false;
    }
    const auto found = world_.secrets.find(name);
    const bool there = found != world_.secrets.end() &&
                       !(roots ? found->second->ca : found->second->certificate).empty();
    if (!there) {
      resolved_ = {"ResolvedRefs", false, "InvalidCertificateRef",
                   absl::StrCat("Secret ", name, " is not there, or not of use")};
    }
    return true;
  }

  const World& world_;
  const Backends& references_;
  const GatewayListener& from_;
  ConvertedListener to_;
  GatewayApiCondition accepted_;
  GatewayApiCondition resolved_ = {"ResolvedRefs", true, "ResolvedRefs"};
};

bool Fits(const kubernetes::LabelSelector& selector, const Labels& labels) {
  for (const auto& [key, value] : selector.match_labels()) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  const auto& expressions = selector.match_expressions();
  return std::all_of(expressions.begin(), expressions.end(), [&](const auto& expression) {
    const auto found = labels.find(expression.key());
    const bool there = found != labels.end();
    if (expression.operator_() == "Exists") return there;
    if (expression.operator_() == "DoesNotExist") return !there;
    const auto& values = expression.values();
    const bool among =
        there && std::find(values.begin(), values.end(), found->second) != values.end();
    return expression.operator_() == "In" ? among : !among;
  });
}

}  // namespace

std::vector<ConvertedListener> ConvertListeners(const World& world, const Backends& references,
                                                const GatewayApiGateway& gateway) {
  std::vector<ConvertedListener> listeners;
  for (const GatewayListener& listener : gateway.spec->listeners()) {
    ConvertedListener converted =
        ListenerConversion(world, references, gateway, listener).Convert(listeners);
    listeners.push_back(std::move(converted));
  }
  return listeners;
}

bool AdmitsNamespace(const World& world, const ConvertedListener& listener,
                     const std::string& route_namespace) {
  const auto& namespaces = listener.listener->allowed_routes().namespaces();
  if (namespaces.from() == "All") return true;
  if (namespaces.from() == "None") return false;
  if (namespaces.from() != "Selector") return route_namespace == listener.gateway->key.namespace_;
  const auto found = world.namespaces.find(route_namespace);
  Labels labels = found == world.namespaces.end() ? Labels() : *found->second;
  labels["kubernetes.io/metadata.name"] = route_namespace;  // every namespace has it
  return Fits(namespaces.selector(), labels);
}

}  // namespace weft
