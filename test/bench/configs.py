"""The configs of the proxies and backends, each as someone who knows it would write it for this:
one worker, upstream keep-alive, no logs, limits of requests per connection out of the way.
weft-proxy's defaults are left alone, so that it also counts and stamps what it always does.
"""
import json
import os
import subprocess

BODY_SIZE = 1024
LARGE_SIZE = 1 << 20


def make_certificates(folder):
    """A CA and one leaf that serves as server and client, P-256, in `folder`."""
    def run(*argv):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)
    os.makedirs(folder)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=bench CA", "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign")
    run("req", *new_key, "-keyout", "key.pem", "-out", "leaf.csr", "-subj", "/CN=localhost")
    with open(os.path.join(folder, "leaf.ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:localhost,URI:spiffe://bench/ns/a/sa/b\n"
                "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n")
    run("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "leaf.ext", "-out", "leaf.pem")
    with open(os.path.join(folder, "both.pem"), "w", encoding="ascii") as both:
        for part in ("leaf.pem", "key.pem"):
            with open(os.path.join(folder, part), encoding="ascii") as f:
                both.write(f.read())


def nginx(server, http):
    user = f"user {os.environ.get('USER', 'root')};" if os.geteuid() == 0 else ""
    folder = server.folder
    return f"""
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/pid;
error_log {folder}/error.log crit;
{user}
events {{ worker_connections 8192; }}
http {{
  access_log off;
  tcp_nodelay on;
  sendfile on;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  http2_max_requests 100000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
}}
"""


def nginx_backend(server, certs=None):
    """/ has BODY_SIZE bytes, /large LARGE_SIZE; over TLS with the certificate in `certs`."""
    tls = f"""
    ssl_certificate {certs}/leaf.pem;
    ssl_certificate_key {certs}/key.pem;
    ssl_protocols TLSv1.3;""" if certs else ""
    with open(os.path.join(server.folder, "large"), "w", encoding="ascii") as f:
        f.write("w" * LARGE_SIZE)
    return nginx(server, f"""
  server {{
    listen 127.0.0.1:{server.port} reuseport{' ssl' if certs else ''};{tls}
    default_type text/plain;
    location = / {{ return 200 "{'w' * BODY_SIZE}"; }}
    location = /large {{ root {server.folder}; }}
  }}""")


def nginx_proxy(server, backend_port, certs=None, h2=False):
    tls = f"""
    ssl_certificate {certs}/leaf.pem;
    ssl_certificate_key {certs}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;""" if certs else ""
    return nginx(server, f"""
  upstream backend {{
    server 127.0.0.1:{backend_port};
    keepalive 128;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{server.port} reuseport{' ssl' if certs else ''}{' http2' if h2 else ''};{tls}
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}""")


def haproxy(server, backend_port, bind="", server_line="", mode="http", more="", frontend=""):
    return f"""
global
  nbthread 1
  maxconn 4096
  ssl-server-verify none
defaults
  mode {mode}
  timeout connect 2s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  {'option http-keep-alive' if mode == 'http' else ''}
  {'http-reuse always' if mode == 'http' else ''}
  {more}
frontend in
  bind 127.0.0.1:{server.port} {bind}
  {frontend}
  default_backend out
backend out
  server s 127.0.0.1:{backend_port} {server_line}
"""


HAPROXY_BY_SNI = """
  option splice-auto
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  tcp-request content reject if !{ req.ssl_sni -i localhost }
"""


_TYPES = "type.googleapis.com/envoy.extensions."


def _common_tls(certs, alpn, mutual):
    context = {
        "tls_certificates": [{"certificate_chain": {"filename": f"{certs}/leaf.pem"},
                              "private_key": {"filename": f"{certs}/key.pem"}}]}
    if mutual:
        context["validation_context"] = {"trusted_ca": {"filename": f"{certs}/ca.pem"}}
    if alpn:
        context["alpn_protocols"] = alpn
    return context


def _http_manager(h2):
    manager = {
        "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"name": "in", "virtual_hosts": [
            {"name": "all", "domains": ["*"],
             "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "out"}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": _TYPES + "filters.http.router.v3.Router"}}]}
    if h2:
        manager["codec_type"] = "HTTP2"
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _tcp_proxy(cluster="out"):
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": {
        "@type": _TYPES + "filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "in", "cluster": cluster}}


def _upstream_tls(certs, alpn):
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": _TYPES + "transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "localhost", "common_tls_context": _common_tls(certs, alpn, True)}}


def _bootstrap(server, admin_port, listener, clusters):
    listener = {"name": "in", "address": {"socket_address": {
        "address": "127.0.0.1", "port_value": server.port}}, **listener}
    return json.dumps({
        "admin": {"address": {"socket_address": {"address": "127.0.0.1",
                                                 "port_value": admin_port}}},
        "static_resources": {"listeners": [listener], "clusters": clusters}})


def weft_by_sni(server, admin_port, backend_port):
    """Passes TLS on, unread, to the cluster that is named as its SNI."""
    inspector = {"name": "envoy.filters.listener.tls_inspector", "typed_config": {
        "@type": _TYPES + "filters.listener.tls_inspector.v3.TlsInspector"}}
    by_sni = {"name": "envoy.filters.network.sni_cluster", "typed_config": {
        "@type": _TYPES + "filters.network.sni_cluster.v3.SniCluster"}}
    chain = {"filter_chain_match": {"transport_protocol": "tls"}, 
             "filters": [by_sni, _tcp_proxy("localhost")]}
    return _bootstrap(server, admin_port,
                      {"listener_filters": [inspector], "filter_chains": [chain]},
                      [_cluster("localhost", [backend_port])])


def weft_tunnel_client(server, admin_port, gateway_port, certs):
    """HTTP/1.1 in; out by tunnels through the gateway, mTLS with the proxy behind it within them."""
    out = _cluster("out", [gateway_port])
    outer = _upstream_tls(certs, ["h2"])
    out["transport_socket"] = {"name": "weft.transport_sockets.tunnel", "typed_config": {
        "@type": "type.googleapis.com/weft.proxy.v1.TunnelTransport", "authority": "backend",
        "gateway": {key: value for key, value in outer["typed_config"].items() if key != "@type"},
        "inner": _upstream_tls(certs, [])}}
    return _bootstrap(server, admin_port, {"filter_chains": [{"filters": [_http_manager(False)]}]},
                      [out])


def weft_tunnel_gateway(server, admin_port, backend_port, certs):
    """Ends tunnels; what they carry goes on to the backend as it is."""
    manager = _http_manager(True)
    config = manager["typed_config"]
    config["upgrade_configs"] = [{"upgrade_type": "CONNECT"}]
    config["route_config"]["virtual_hosts"][0]["routes"] = [
        {"match": {"connect_matcher": {}},
         "route": {"cluster": "out", "timeout": "0s", "upgrade_configs": [
             {"upgrade_type": "CONNECT", "connect_config": {}}]}}]
    config["http_filters"].insert(0, {"name": "weft.filters.http.tunnel", "typed_config": {
        "@type": "type.googleapis.com/weft.proxy.v1.TunnelTermination"}})
    tls = {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": _TYPES + "transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": _common_tls(certs, ["h2"], True),
        "require_client_certificate": True}}
    return _bootstrap(server, admin_port,
                      {"filter_chains": [{"filters": [manager], "transport_socket": tls}]},
                      [_cluster("out", [backend_port])])


def _cluster(name, ports):
    return {"name": name, "type": "STATIC", "connect_timeout": "2s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {
                "address": "127.0.0.1", "port_value": port}}}} for port in ports]}]}}


def weft(server, admin_port, backend_ports, certs=None, mutual=False, h2=False, upstream_h2=False,
         tcp=False, policy=None, idle_clusters=0):
    """An Envoy v3 bootstrap: one listener to one cluster. JSON is YAML as well.

    certs: the listener terminates TLS, `mutual` with client certificates. upstream_h2: the cluster
    is spoken to by HTTP/2 over mutual TLS with the certificates in this folder.
    """
    chain = {"filters": [_tcp_proxy() if tcp else _http_manager(h2)]}
    if certs:
        tls = {"@type": _TYPES + "transport_sockets.tls.v3.DownstreamTlsContext",
               "common_tls_context": _common_tls(certs, ["h2"] if h2 else [], mutual)}
        if mutual:
            tls["require_client_certificate"] = True
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
    out = _cluster("out", backend_ports)
    if policy:
        out["lb_policy"] = policy
    if upstream_h2:
        out["transport_socket"] = _upstream_tls(upstream_h2, ["h2"])
        out["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPES + "upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}}}}
    clusters = [out] + [_cluster(f"idle-{i}", backend_ports) for i in range(idle_clusters)]
    return _bootstrap(server, admin_port, {"filter_chains": [chain]}, clusters)
