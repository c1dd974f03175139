#include <set>

#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/weft/tunnel.pb.h"
#include "controlplane/translate/check.h"

namespace weft {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::core::v3::TransportSocket;
using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
using envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;

class ResourceCheck {
 public:
  ResourceCheck(const Resources& resources, const Resources* beside)
      : resources_(resources), beside_(beside) {}

  std::vector<std::string> Run() && {
    CheckClusters();
    CheckRoutes();
    CheckListeners();
    return std::move(complaints_);
  }

 private:
  template <typename Message>
  bool Decode(const std::string& name, const std::string& bytes, Message& message) {
    google::protobuf::Any any;
    if (any.ParseFromString(bytes) && any.UnpackTo(&message)) return true;
    Complain(absl::StrCat("'", name, "': not a ", message.GetDescriptor()->full_name()));
    return false;
  }

  bool Has(EncodedResources Resources::* type, const std::string& name) const {
    return (resources_.*type).contains(name) ||
           (beside_ != nullptr && (beside_->*type).contains(name));
  }

  void CheckClusters() {
    std::set<std::string> assigned;
    for (const auto& [name, bytes] : resources_.clusters) {
      Cluster cluster;
      if (!Decode(name, *bytes, cluster)) continue;
      if (cluster.type() == Cluster::EDS) {
        const std::string& assignment = cluster.eds_cluster_config().service_name();
        assigned.insert(assignment);
        if (!Has(&Resources::endpoints, assignment)) {
          Complain(absl::StrCat("cluster '", name, "': no assignment '", assignment, "'"));
        }
      }
      CheckSocket<UpstreamTlsContext>(cluster.transport_socket(), name);
      for (const auto& match : cluster.transport_socket_matches()) {
        CheckSocket<UpstreamTlsContext>(match.transport_socket(), name);
      }
    }
    for (const auto& [name, bytes] : resources_.endpoints) {
      if (assigned.count(name) == 0) Complain(absl::StrCat("assignment '", name, "': no cluster"));
    }
  }

  template <typename TlsContext>
  void CheckSocket(const TransportSocket& socket, const std::string& name) {
    TlsContext tls;
    proxy::v1::TunnelTransport tunnel;
    if (socket.typed_config().Is<TlsContext>() && socket.typed_config().UnpackTo(&tls)) {
      CheckTls(tls, name);
    } else if (socket.typed_config().UnpackTo(&tunnel)) {
      CheckTls(tunnel.gateway(), name);
      CheckSocket<TlsContext>(tunnel.inner(), name);
    }
  }

  template <typename TlsContext>
  void CheckTls(const TlsContext& tls, const std::string& name) {
    for (const auto& own : tls.common_tls_context().tls_certificate_sds_secret_configs()) {
      // Its identity a proxy has of itself.
      if (own.name() == "default" || Has(&Resources::secrets, own.name())) continue;
      Complain(absl::StrCat("'", name, "': no secret '", own.name(), "'"));
    }
    const auto& combined = tls.common_tls_context().combined_validation_context();
    const std::string& secret = combined.validation_context_sds_secret_config().name();
    if (!secret.empty() && !Has(&Resources::secrets, secret)) {
      Complain(absl::StrCat("'", name, "': no secret '", secret, "'"));
    }
  }

  void CheckRoutes() {
    for (const auto& [name, bytes] : resources_.routes) {
      RouteConfiguration routes;
      if (Decode(name, *bytes, routes)) CheckRouteConfiguration(routes);
    }
  }

  void CheckRouteConfiguration(const RouteConfiguration& routes) {
    std::set<std::string> domains;
    for (const auto& host : routes.virtual_hosts()) {
      for (const std::string& domain : host.domains()) {
        if (!domains.insert(domain).second) {
          Complain(absl::StrCat("routes '", routes.name(), "': domain '", domain, "' twice"));
        }
      }
      if (host.domains().empty() || host.routes().empty()) {
        Complain(absl::StrCat("routes '", routes.name(), "': nothing in '", host.name(), "'"));
      }
      for (const auto& route : host.routes()) {
        CheckAction(route, absl::StrCat("routes '", routes.name(), "' host '", host.name(), "'"));
      }
    }
  }

  void CheckAction(const envoy::config::route::v3::Route& route, const std::string& where) {
    // What a header names, nobody knows before the request.
    if (!route.has_route() || route.route().has_cluster_header()) return;
    if (route.route().has_weighted_clusters()) {
      for (const auto& share : route.route().weighted_clusters().clusters()) {
        CheckCluster(share.name(), where);
      }
    } else {
      CheckCluster(route.route().cluster(), where);
    }
    for (const auto& mirror : route.route().request_mirror_policies()) {
      CheckCluster(mirror.cluster(), where);
    }
  }

  void CheckListeners() {
    for (const auto& [name, bytes] : resources_.listeners) {
      Listener listener;
      if (!Decode(name, *bytes, listener)) continue;
      std::set<std::string> matches;
      for (const FilterChain& chain : listener.filter_chains()) {
        if (!matches.insert(chain.filter_chain_match().SerializeAsString()).second) {
          Complain(absl::StrCat("listener '", name, "': two chains match the same as '",
                                chain.name(), "'"));
        }
        CheckChain(chain, name);
      }
      if (listener.has_default_filter_chain()) CheckChain(listener.default_filter_chain(), name);
    }
  }

  void CheckChain(const FilterChain& chain, const std::string& listener) {
    CheckSocket<DownstreamTlsContext>(chain.transport_socket(), listener);
    const std::string where = absl::StrCat("listener '", listener, "'");
    for (const Filter& filter : chain.filters()) {
      HttpConnectionManager http;
      TcpProxy tcp;
      if (filter.typed_config().UnpackTo(&http)) {
        CheckHttp(http, where);
      } else if (filter.typed_config().UnpackTo(&tcp)) {
        if (!tcp.has_weighted_clusters()) CheckCluster(tcp.cluster(), where);
        for (const auto& share : tcp.weighted_clusters().clusters()) {
          CheckCluster(share.name(), where);
        }
      }
    }
  }

  void CheckHttp(const HttpConnectionManager& http, const std::string& where) {
    if (http.has_route_config()) return CheckRouteConfiguration(http.route_config());
    const std::string& routes = http.rds().route_config_name();
    if (!Has(&Resources::routes, routes)) {
      Complain(absl::StrCat(where, ": no routes '", routes, "'"));
    }
  }

  void CheckCluster(const std::string& cluster, const std::string& where) {
    if (Has(&Resources::clusters, cluster)) return;
    Complain(absl::StrCat(where, ": no cluster '", cluster, "'"));
  }

  void Complain(std::string complaint) { complaints_.push_back(std::move(complaint)); }

  const Resources& resources_;
  const Resources* const beside_;
  std::vector<std::string> complaints_;
};

}  // namespace

std::vector<std::string> CheckResources(const Resources& resources, const Resources* beside) {
  return ResourceCheck(resources, beside).Run();
}

}  // namespace weft
