"""The rows of the table: what is started, how it is loaded, and the target of each ratio.

A row is a function of the Bench (proxy_bench.py). It returns what was measured of each contestant,
{name: {unit: value}}, and its verdicts, [Verdict].
"""
import contextlib
import dataclasses
import os
import re
import socket
import statistics
import struct
import subprocess
import time

import configs
import load
from process import LOAD_CORE, PROXY_CORE, BenchError, Server, built, command, free_port

WEFT = "weft-proxy"
IDLE_CONNECTIONS = 4000
IDLE_CLUSTERS = 10000
SLOW_MS = 50  # of the one slow endpoint; the others answer at once
NO_ALLOCATION = 0.01  # a request; timers and counters of the process itself come to less


@dataclasses.dataclass
class Verdict:
    what: str
    value: float
    target: float

    @property
    def ok(self):
        return self.value <= self.target


# --- Proxies. Each takes the Bench and returns the Servers that stand in a request's way.

def start(bench, name, make_argv, probe, core=PROXY_CORE, env=None):
    return bench.keep(Server(name, core, bench.folder(name), make_argv, probe, env))


def start_weft(bench, probe, name=WEFT, env=None, make=configs.weft, **config):
    path = built("proxy/weft-proxy", bench.args.weft_proxy)

    def argv(server):
        text = make(server, free_port(), **config)
        return [path, "-c", server.write("bootstrap.json", text), "--concurrency", "1",
                "--log-level", "error"]
    return start(bench, name, argv, probe, env=env)


def start_haproxy(bench, probe, backend_port, name="haproxy", **config):
    path = command("haproxy", "haproxy", bench.args.haproxy)
    return start(bench, name, lambda s: [
        path, "-db", "-f", s.write("cfg", configs.haproxy(s, backend_port, **config))], probe)


def start_nginx(bench, probe, backend_port, **config):
    path = command("nginx", "nginx-light", bench.args.nginx)
    return start(bench, "nginx", lambda s: [
        path, "-p", s.folder, "-e", s.folder + "/start.log", "-c",
        s.write("conf", configs.nginx_proxy(s, backend_port, **config))], probe)


def start_floor(bench, probe, backend_port):
    path = built("test/bench/floor", bench.args.floor)
    return start(bench, "floor", lambda s: [path, str(s.port), str(backend_port)], probe)


# --- Backends.

def http_backend(bench):
    """nginx, shared by all rows."""
    path = command("nginx", "nginx-light", bench.args.nginx)
    return bench.once("backend", lambda: start(
        bench, "backend", lambda s: [
            path, "-p", s.folder, "-e", s.folder + "/start.log", "-c",
            s.write("conf", configs.nginx_backend(s))],
        lambda s: load.probe_http(s.port), core=LOAD_CORE))


def https_backend(bench, certs):
    path = command("nginx", "nginx-light", bench.args.nginx)
    return start(bench, "backend-tls", lambda s: [
        path, "-p", s.folder, "-e", s.folder + "/start.log", "-c",
        s.write("conf", configs.nginx_backend(s, certs))],
        lambda s: load.probe_http(s.port, tls=True), core=LOAD_CORE)


def our_backend(bench, *arguments, probe):
    return start(bench, "backend", lambda s: [built("test/bench/backend"), str(s.port),
                                              *map(str, arguments)], probe, core=LOAD_CORE)


# --- What rows have in common.

def contestants(bench, makers):
    """{name: [servers]}. Weft must be there; a peer that is not is left out, with a line."""
    found = {}
    for name, make in makers.items():
        try:
            made = make()
            found[name] = made if isinstance(made, list) else [made]
        except BenchError as e:
            if name.startswith(WEFT):
                raise
            bench.say(f"without {name}: {e}")
    return found


def measure(servers, run):
    """One round: what `run(port)` did, and what it cost all of `servers`."""
    before = [s.cpu_seconds() for s in servers]
    result = run(servers[0].port)
    cpu = sum(s.cpu_seconds() - b for s, b in zip(servers, before))
    result["us"] = cpu * 1e6 / result["requests"]
    result["rate"] = result["requests"] / result["seconds"]
    return result


def interleaved(bench, found, run):
    """The medians of rounds in which the contestants take turns; the first is not counted."""
    rounds = {name: [] for name in found}
    for number in range(bench.args.rounds + 1):
        for name, servers in found.items():
            result = measure(servers, run)
            if number > 0:
                rounds[name].append(result)
                bench.detail(f"round {number} {name:<16} {result['us']:8.2f} us "
                             f"{result['rate']:8.0f}/s")
    return {name: {key: statistics.median(r[key] for r in results) for key in results[0]}
            for name, results in rounds.items()}


def better(result, peers):
    """The cheaper of those of `peers` that were measured."""
    there = [name for name in peers if name in result]
    if not there:
        raise BenchError("no peer to compare with")
    return min(there, key=lambda name: result[name]["us"])


def cost(result, *targets):
    """Verdicts on CPU per request against the better of each target's peers."""
    verdicts = []
    for peers, most in targets:
        peer = better(result, peers)
        verdicts.append(Verdict(f"CPU / {peer}", result[WEFT]["us"] / result[peer]["us"], most))
    return verdicts


# --- The rows.

def http1(bench):
    backend = http_backend(bench).port
    probe = lambda s: load.probe_http(s.port)
    found = contestants(bench, {
        "floor": lambda: start_floor(bench, probe, backend),
        "nginx": lambda: start_nginx(bench, probe, backend),
        "haproxy": lambda: start_haproxy(bench, probe, backend),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend])})
    result = interleaved(bench, found, lambda port: load.wrk(
        port, bench.args.seconds, bench.args.connections))
    return result, cost(result, (["nginx", "haproxy"], 0.92), (["floor"], 1.10))


def https(bench):
    backend, certs = http_backend(bench).port, bench.certs()
    probe = lambda s: load.probe_http(s.port, tls=True)
    found = contestants(bench, {
        "nginx": lambda: start_nginx(bench, probe, backend, certs=certs),
        "haproxy": lambda: start_haproxy(bench, probe, backend, bind=f"ssl crt {certs}/both.pem"),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend], certs=certs)})
    result = interleaved(bench, found, lambda port: load.wrk(
        port, bench.args.seconds, bench.args.connections, tls=True))
    return result, cost(result, (["nginx", "haproxy"], 0.90))


def http2(bench):
    backend = http_backend(bench).port
    probe = lambda s: load.probe_h2(s.port)
    found = contestants(bench, {
        "nginx": lambda: start_nginx(bench, probe, backend, h2=True),
        "haproxy": lambda: start_haproxy(bench, probe, backend, bind="proto h2"),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend], h2=True)})
    result = interleaved(bench, found, lambda port: load.h2load(port, bench.args.seconds, 8, 8))
    return result, cost(result, (["nginx", "haproxy"], 0.85))


def tcp(bench):
    probe = lambda s: load.probe_echo(s.port)
    backend = our_backend(bench, "echo", probe=probe).port
    found = contestants(bench, {
        "floor": lambda: start_floor(bench, probe, backend),
        "haproxy": lambda: start_haproxy(bench, probe, backend, mode="tcp"),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend], tcp=True)})
    result = interleaved(bench, found, lambda port: load.client(
        port, bench.args.seconds, "--connections", bench.args.connections, "--exchange", 256))
    return result, cost(result, (["haproxy"], 0.95), (["floor"], 1.05))


def large(bench):
    backend = http_backend(bench).port
    probe = lambda s: load.probe_http(s.port, "/large", configs.LARGE_SIZE)
    found = contestants(bench, {
        "haproxy": lambda: start_haproxy(bench, probe, backend),
        "haproxy splice": lambda: start_haproxy(bench, probe, backend, name="haproxy-splice",
                                                more="option splice-auto"),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend])})
    result = interleaved(bench, found, lambda port: load.wrk(
        port, bench.args.seconds, 8, path="/large"))
    return result, cost(result, (["haproxy", "haproxy splice"], 0.90))


def _handshakes(bench, *flags):
    backend, certs = http_backend(bench).port, bench.certs()
    probe = lambda s: load.probe_http(s.port, tls=True)
    found = contestants(bench, {
        "nginx": lambda: start_nginx(bench, probe, backend, certs=certs),
        "haproxy": lambda: start_haproxy(bench, probe, backend, bind=f"ssl crt {certs}/both.pem"),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend], certs=certs)})
    result = interleaved(bench, found, lambda port: load.client(
        port, bench.args.seconds, "--connections", 16, "--tls", "--close", *flags))
    return result, cost(result, (["nginx", "haproxy"], 0.90))


def tls_full(bench):
    return _handshakes(bench)


def tls_resumed(bench):
    return _handshakes(bench, "--resume")


def pair(bench):
    backend, certs = http_backend(bench).port, bench.certs()
    probe_end = lambda s: load.probe_h2(s.port, certs)
    probe = lambda s: load.probe_http(s.port)

    def haproxies():
        tls = f"ssl crt {certs}/both.pem ca-file {certs}/ca.pem verify required alpn h2"
        far = start_haproxy(bench, probe_end, backend, name="haproxy-far", bind=tls)
        return [start_haproxy(bench, probe, far.port, server_line=tls), far]

    def wefts():
        far = start_weft(bench, probe_end, name="weft-far", backend_ports=[backend], certs=certs,
                         mutual=True, h2=True)
        return [start_weft(bench, probe, backend_ports=[far.port], upstream_h2=certs), far]

    found = contestants(bench, {"haproxy": haproxies, WEFT: wefts})
    result = interleaved(bench, found, lambda port: load.wrk(
        port, bench.args.seconds, bench.args.connections))
    return result, cost(result, (["haproxy"], 0.75))


def passthrough(bench):
    certs = bench.certs()
    backend = https_backend(bench, certs).port
    probe = lambda s: load.probe_http(s.port, "/large", configs.LARGE_SIZE, tls=True)
    found = contestants(bench, {
        "haproxy splice": lambda: start_haproxy(
            bench, probe, backend, name="haproxy-splice", mode="tcp",
            frontend=configs.HAPROXY_BY_SNI),
        WEFT: lambda: start_weft(bench, probe, make=configs.weft_by_sni, backend_port=backend)})
    result = interleaved(bench, found, lambda port: load.wrk(
        port, bench.args.seconds, 8, path="/large", tls=True))
    return result, cost(result, (["haproxy splice"], 1.10))


def tunnel(bench):
    """From sidecar to sidecar through a gateway of another cluster: all three are counted."""
    backend, certs = http_backend(bench).port, bench.certs()
    probe = lambda s: load.probe_http(s.port)
    # What stands behind is probed from in front: it wants mTLS, or tunnels.
    unseen = lambda s: socket.create_connection(("127.0.0.1", s.port), timeout=5).close()

    def haproxies():
        tls = f"ssl crt {certs}/both.pem ca-file {certs}/ca.pem verify required alpn http/1.1"
        far = start_haproxy(bench, unseen, backend, name="haproxy-far", bind=tls)
        gateway = start_haproxy(bench, unseen, far.port, name="haproxy-gateway", bind=tls,
                                server_line=tls)
        return [start_haproxy(bench, probe, gateway.port, server_line=tls), gateway, far]

    def wefts():
        far = start_weft(bench, unseen, name="weft-far", backend_ports=[backend], certs=certs,
                         mutual=True)
        gateway = start_weft(bench, unseen, name="weft-gateway", make=configs.weft_tunnel_gateway,
                             backend_port=far.port, certs=certs)
        near = start_weft(bench, probe, make=configs.weft_tunnel_client,
                          gateway_port=gateway.port, certs=certs)
        return [near, gateway, far]

    found = contestants(bench, {"haproxy": haproxies, WEFT: wefts})
    result = interleaved(bench, found, lambda port: load.wrk(
        port, bench.args.seconds, bench.args.connections))
    return result, cost(result, (["haproxy"], 0.60))


def latency(bench):
    backend = http_backend(bench).port
    probe = lambda s: load.probe_http(s.port)
    found = contestants(bench, {
        "haproxy": lambda: start_haproxy(bench, probe, backend),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend])})
    if "haproxy" not in found:
        raise BenchError("no peer to compare with")
    full = [measure(servers, lambda port: load.client(
        port, bench.args.seconds, "--connections", bench.args.connections))["rate"]
            for servers in found.values()]
    rate = int(min(full) / 2)
    bench.say(f"half load: {rate} requests/s")
    result = interleaved(bench, found, lambda port: load.client(
        port, bench.args.seconds, "--connections", bench.args.connections, "--rate", rate))
    ratio = result[WEFT]["p99_us"] / result["haproxy"]["p99_us"]
    return result, [Verdict("p99 / haproxy", ratio, 1.0)]


def memory(bench):
    backend = http_backend(bench).port
    probe = lambda s: load.probe_http(s.port)
    idle = start_weft(bench, lambda s: None, backend_ports=[backend])
    time.sleep(2)  # what the start needed has been given back
    idle_kib = idle.rss_kib()
    probe(idle)
    before_kib = idle.rss_kib()
    with load.Held(idle.port, IDLE_CONNECTIONS):
        time.sleep(1)
        per_connection = (idle.rss_kib() - before_kib) / IDLE_CONNECTIONS
    many = start_weft(bench, probe, name="weft-clusters", backend_ports=[backend],
                      idle_clusters=IDLE_CLUSTERS)
    time.sleep(2)
    per_cluster = (many.rss_kib() - idle_kib) / IDLE_CLUSTERS
    return ({WEFT: {"idle MB": idle_kib / 1024, "KB/connection": per_connection,
                    "KB/cluster": per_cluster}},
            [Verdict("idle RSS, MB", idle_kib / 1024, 10),
             Verdict(f"KB per idle connection of {IDLE_CONNECTIONS}", per_connection, 6),
             Verdict(f"KB per idle cluster of {IDLE_CLUSTERS}", per_cluster, 2)])


def _system_calls(server, run):
    """How many `server` makes while run(port) runs: by perf, which does not slow it down."""
    perf = command("perf", "linux-perf")
    counter = subprocess.Popen(
        [perf, "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(server.pid)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.2)
    result = run(server.port)
    counter.send_signal(2)
    found = re.search(r"^(\d+),,raw_syscalls", counter.communicate()[0], re.M)
    if found is None:
        raise BenchError("perf counts no system calls here")
    return int(found.group(1)) / result["requests"]


def calls(bench):
    backend = http_backend(bench).port
    probe = lambda s: load.probe_http(s.port)
    found = contestants(bench, {
        "floor": lambda: start_floor(bench, probe, backend),
        "haproxy": lambda: start_haproxy(bench, probe, backend),
        WEFT: lambda: start_weft(bench, probe, backend_ports=[backend])})
    run = lambda port: load.wrk(port, bench.args.seconds, bench.args.connections)
    result = {name: {"calls/request": _system_calls(servers[0], run)}
              for name, servers in found.items()}
    return result, [Verdict("system calls per request", result[WEFT]["calls/request"], 4.5)]


def allocations(bench):
    backend = http_backend(bench).port
    counts = os.path.join(bench.folder("allocations"), "count")
    os.makedirs(os.path.dirname(counts))
    server = start_weft(bench, lambda s: load.probe_http(s.port), name="weft-counted",
                        backend_ports=[backend], env={
                            "LD_PRELOAD": built("test/bench/libcount_allocations.so"),
                            "WEFT_ALLOCATIONS": counts})

    def counted():
        with open(counts, "rb") as f:
            return struct.unpack("Q", f.read(8))[0]

    load.wrk(server.port, bench.args.seconds, bench.args.connections)
    # Opening and closing connections is not steady state: what a run that is longer needs more.
    before = counted()
    short = load.wrk(server.port, 1, bench.args.connections)
    middle = counted()
    long = load.wrk(server.port, 1 + bench.args.seconds, bench.args.connections)
    more = (counted() - middle) - (middle - before)
    per_request = max(0, more) / (long["requests"] - short["requests"])
    return ({WEFT: {"allocations/request": per_request}},
            [Verdict("heap allocations per request", per_request, NO_ALLOCATION)])


def slow(bench):
    probe = lambda s: load.probe_http(s.port)
    ports = [our_backend(bench, "http", SLOW_MS if i == 0 else 0, probe=probe).port
             for i in range(10)]
    found = contestants(bench, {
        name: lambda policy=policy, name=name: start_weft(
            bench, probe, name=name, backend_ports=ports, policy=policy)
        for name, policy in ((WEFT, "LEAST_REQUEST"), (WEFT + " rr", "ROUND_ROBIN"))})
    result = interleaved(bench, found, lambda port: load.client(
        port, bench.args.seconds, "--connections", bench.args.connections, "--rate", 2000))
    ratio = result[WEFT]["p99_us"] / result[WEFT + " rr"]["p99_us"]
    return result, [Verdict("p99 / round robin's", ratio, 0.3)]


ROWS = {
    "http1": (http1, "HTTP/1.1 to HTTP/1.1, keep-alive, 1 KiB"),
    "https": (https, "HTTPS to HTTP/1.1, keep-alive, 1 KiB"),
    "http2": (http2, "HTTP/2 to HTTP/1.1, 8 streams on each of 8 connections, 1 KiB"),
    "tcp": (tcp, "TCP to TCP, exchanges of 256 bytes"),
    "large": (large, "HTTP/1.1, bodies of 1 MiB"),
    "tls-full": (tls_full, "a new TLS connection for each request, full handshake"),
    "tls-resumed": (tls_resumed, "a new TLS connection for each request, resumed"),
    "pair": (pair, "two proxies: HTTP/1.1 in, HTTP/2 over mutual TLS between, HTTP/1.1 out"),
    "passthrough": (passthrough, "TLS passed on by its SNI, bodies of 1 MiB"),
    "tunnel": (tunnel, "sidecar, gateway, sidecar: HTTP/1.1 over mTLS in a tunnel over mTLS; of "
                       "haproxy three with mTLS between them"),
    "latency": (latency, "p99 at half of full load"),
    "memory": (memory, "resident memory"),
    "calls": (calls, "system calls per request"),
    "allocations": (allocations, "heap allocations per request"),
    "slow": (slow, f"p99 with one of ten endpoints {SLOW_MS} ms slow"),
}
