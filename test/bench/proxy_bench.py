#!/usr/bin/env python3
"""Measures what a proxied request costs: weft-proxy, nginx, haproxy and the floor, in turn.

One backend (nginx, a body of 1 KiB), one load generator (wrk, HTTP/1.1, keep-alive); the proxy has
core 0 to itself, load and backend share core 1. The proxies take turns in short rounds, so that
what else the machine does hits all of them; the medians are printed. README.md says how to read
them.
"""
import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PROXY_CORE = 0
LOAD_CORE = 1
BODY = "w" * 1024
START_TIMEOUT_S = 10
BUSY_PERCENT = 10  # of all cores; above it, caches and clock are no longer the proxies' own
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Where the system keeps what is not a proxy's business; {dir} is the process's own folder.
NGINX_COMMON = """
daemon off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log crit;
{user}
events {{ worker_connections 4096; }}
"""
NGINX_HTTP_COMMON = """
  access_log off;
  tcp_nodelay on;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
"""
BACKEND = NGINX_COMMON + """
http {{""" + NGINX_HTTP_COMMON + """
  server {{
    listen 127.0.0.1:{port} reuseport;
    default_type text/plain;
    location / {{ return 200 "{body}"; }}
  }}
}}
"""
NGINX = NGINX_COMMON + """
http {{""" + NGINX_HTTP_COMMON + """
  upstream backend {{
    server 127.0.0.1:{backend};
    keepalive 64;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{port} reuseport;
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
HAPROXY = """
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  server s 127.0.0.1:{backend}
"""
WEFT_PROXY = """
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            name: in
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: /}}
                route: {{cluster: out}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: out
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: out
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {backend}}}}}
"""


class BenchError(Exception):
    """Something the user can put right; its text says how."""


def command(name, override, package):
    """The path of a system command, or an error that says how to get it."""
    path = shutil.which(override or name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise BenchError(f"{override or name}: not found; apt install {package}, or tools/setup")
    return path


def built(flag, candidates, target):
    """The path of one of our binaries, or an error that says how to build it."""
    for path in [flag] if flag else candidates:
        if os.access(path, os.X_OK):
            return path
    raise BenchError(f"{flag or candidates[0]}: not found; bazel build {target}")


def bazel_candidates(relative):
    """Beside this script in a runfiles tree, or in the workspace's bazel-bin."""
    return [os.path.join(ROOT, "bazel-bin", relative), os.path.join(ROOT, relative)]


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def process_tree(pid):
    pids = [pid]
    for parent in pids:
        try:
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
                pids += [int(child) for child in f.read().split()]
        except FileNotFoundError:
            pass
    return pids


def cpu_seconds(pid):
    """utime + stime of the process and its children, all threads of each."""
    ticks = 0
    for each in process_tree(pid):
        with open(f"/proc/{each}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def others_percent():
    """How busy the machine is with other things, as a share of all its cores."""
    def idle_and_all():
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(t) for t in f.readline().split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)
    idle, total = idle_and_all()
    time.sleep(1)
    idle_then, total_then = idle_and_all()
    return 100 - 100 * (idle_then - idle) / max(1, total_then - total)


def rss_mb(pid):
    kib = 0
    for each in process_tree(pid):
        with open(f"/proc/{each}/status", encoding="utf-8") as f:
            found = re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M)
        kib += int(found.group(1)) if found else 0
    return kib / 1024


class Server:
    """A running process that answers HTTP on a port of its own; pinned to one core."""

    def __init__(self, name, core, folder, make_argv):
        self.name = name
        self.port = free_port()
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core)] + make_argv(self),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        try:
            self.wait_until_it_answers()
        except BenchError:
            self.stop()
            raise

    def write(self, name, text, **values):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.format(dir=self.folder, port=self.port, **values))
        return path

    def wait_until_it_answers(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        answer = "nothing"
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("GET", "/")
                response = connection.getresponse()
                body = response.read()
                connection.close()
                if response.status == 200 and body == BODY.encode():
                    return
                answer = f"status {response.status} with {len(body)} bytes"
            except (OSError, http.client.HTTPException) as e:
                answer = str(e)
            time.sleep(0.02)
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            lines = "".join("\n    " + line.rstrip() for line in f.readlines()[-8:])
        code = self.process.poll()
        how = f"ended with status {code}" if code is not None else f"answers wrongly ({answer})"
        raise BenchError(f"{self.name} {how}; its last lines:{lines or ' none'}")

    def stop(self):
        tree = process_tree(self.pid)
        self.process.terminate()
        try:
            self.process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            for pid in tree:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def seconds(text):
    """wrk's times: 12.34us, 1.20ms, 2.00s, 1.00m."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def measure(server, wrk, connections, duration):
    """One round: the load for `duration` seconds, and what it cost the proxy."""
    before = cpu_seconds(server.pid)
    start = time.monotonic()
    run = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), wrk, "-t1", f"-c{connections}", f"-d{duration}s",
         "--latency", f"http://127.0.0.1:{server.port}/"],
        capture_output=True, text=True, check=False)
    elapsed = time.monotonic() - start
    cpu = cpu_seconds(server.pid) - before
    out = run.stdout
    requests = re.search(r"(\d+) requests in ([\d.]+m?s)", out)
    if run.returncode != 0 or requests is None or int(requests.group(1)) == 0:
        raise BenchError(f"wrk against {server.name} measured nothing:\n{out}{run.stderr}")
    bad = re.search(r"(Socket errors: .*|Non-2xx or 3xx responses: \d+)", out)
    if bad:
        raise BenchError(f"{server.name} failed requests: {bad.group(1)}")
    count = int(requests.group(1))
    percentile = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+[a-z]+)$", out, re.M))
    return {
        "requests_per_second": count / seconds(requests.group(2)),
        "cpu_us_per_request": cpu * 1e6 / count,
        "core_percent": 100 * cpu / elapsed,
        "p50_us": seconds(percentile["50"]) * 1e6,
        "p99_us": seconds(percentile["99"]) * 1e6,
        "rss_mb": rss_mb(server.pid),
    }


def launchers(args, backend):
    """For each proxy: a function that finds its binary and returns what makes its command line."""
    user = f"user {os.environ.get('USER', 'root')};" if os.geteuid() == 0 else ""

    def floor():
        path = built(args.floor, bazel_candidates("test/bench/floor"), "//test/bench:floor")
        return lambda s: [path, str(s.port), str(backend.port)]

    def nginx():
        path = command("nginx", args.nginx, "nginx-light")
        return lambda s: [path, "-p", s.folder, "-e", s.folder + "/start.log", "-c",
                          s.write("conf", NGINX, user=user, backend=backend.port)]

    def haproxy():
        path = command("haproxy", args.haproxy, "haproxy")
        return lambda s: [path, "-db", "-f", s.write("cfg", HAPROXY, backend=backend.port)]

    def weft_proxy():
        path = built(args.weft_proxy, bazel_candidates("proxy/weft-proxy"), "//proxy:weft-proxy")
        return lambda s: [path, "-c", s.write("bootstrap.yaml", WEFT_PROXY, backend=backend.port,
                                              admin=free_port()),
                          "--concurrency", "1", "--log-level", "error"]

    return {"floor": floor, "nginx": nginx, "haproxy": haproxy, "weft-proxy": weft_proxy}


def start_backend(args, folder):
    path = command("nginx", args.nginx, "nginx-light")
    user = f"user {os.environ.get('USER', 'root')};" if os.geteuid() == 0 else ""
    return Server("backend", LOAD_CORE, folder, lambda s: [
        path, "-p", s.folder, "-e", s.folder + "/start.log", "-c",
        s.write("conf", BACKEND, user=user, body=BODY)])


def start_proxies(args, folder, backend, stack):
    """The chosen proxies; one that nobody asked for by name may be missing."""
    proxies = []
    for name, find in launchers(args, backend).items():
        if args.only and name not in args.only:
            continue
        try:
            make_argv = find()
        except BenchError as e:
            if args.only:
                raise
            print(f"skipped {name}: {e}", flush=True)
            continue
        server = Server(name, PROXY_CORE, folder, make_argv)
        stack.callback(server.stop)
        proxies.append(server)
    return proxies


def run_rounds(args, proxies, wrk):
    rounds = {server.name: [] for server in proxies}
    for server in proxies:
        measure(server, wrk, args.connections, 1)  # connections, caches and pools, not counted
    for number in range(1, args.rounds + 1):
        for server in proxies:
            result = measure(server, wrk, args.connections, args.seconds)
            rounds[server.name].append(result)
            print(f"round {number}/{args.rounds} {server.name:<10} "
                  f"{result['requests_per_second']:8.0f} requests/s "
                  f"{result['cpu_us_per_request']:6.2f} us/request", flush=True)
    return rounds


def medians(rounds):
    return {name: {key: statistics.median(r[key] for r in results) for key in results[0]}
            for name, results in rounds.items()}


def ratios(result):
    """Of weft-proxy's CPU per request and rate to the others'; what was not measured is left out."""
    weft = result.get("weft-proxy")
    if weft is None:
        return {}
    found = {}
    peers = [n for n in ("nginx", "haproxy") if n in result]
    if peers:
        best = min(peers, key=lambda n: result[n]["cpu_us_per_request"])
        fastest = max(peers, key=lambda n: result[n]["requests_per_second"])
        found["better_peer"] = best
        found["cpu_to_better_peer"] = (weft["cpu_us_per_request"] /
                                       result[best]["cpu_us_per_request"])
        found["rate_to_better_peer"] = (weft["requests_per_second"] /
                                        result[fastest]["requests_per_second"])
    if "floor" in result:
        found["cpu_to_floor"] = weft["cpu_us_per_request"] / result["floor"]["cpu_us_per_request"]
    return found


def print_table(result, ratio):
    print(f"\n{'proxy':<12}{'requests/s':>11}{'CPU us/req':>12}{'core %':>8}{'p50 ms':>9}"
          f"{'p99 ms':>9}{'RSS MB':>8}")
    for name, r in result.items():
        print(f"{name:<12}{r['requests_per_second']:>11.0f}{r['cpu_us_per_request']:>12.2f}"
              f"{r['core_percent']:>8.0f}{r['p50_us'] / 1000:>9.2f}{r['p99_us'] / 1000:>9.2f}"
              f"{r['rss_mb']:>8.1f}")
    print()
    if "cpu_to_better_peer" in ratio:
        print(f"weft-proxy / {ratio['better_peer']} (the better): "
              f"{ratio['cpu_to_better_peer']:.2f} x CPU per request (target <= 1.00), "
              f"{ratio['rate_to_better_peer']:.2f} x requests/s")
    if "cpu_to_floor" in ratio:
        print(f"weft-proxy / floor: {ratio['cpu_to_floor']:.2f} x CPU per request")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", type=lambda s: s.split(","), metavar="A,B",
                        help="of floor, nginx, haproxy, weft-proxy; each must then be there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--json", metavar="FILE", help="write medians, ratios and rounds here")
    for name in ("floor", "nginx", "haproxy", "weft-proxy"):
        parser.add_argument(f"--{name}", metavar="PATH", help="binary to use")
    args = parser.parse_args()
    unknown = set(args.only or []) - {"floor", "nginx", "haproxy", "weft-proxy"}
    if unknown:
        parser.error(f"--only {','.join(sorted(unknown))}: use floor, nginx, haproxy, weft-proxy")
    for flag in ("rounds", "seconds", "connections"):
        if getattr(args, flag) < 1:
            parser.error(f"--{flag} {getattr(args, flag)}: at least 1")
    return args


def bench(args):
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise BenchError(f"cores {PROXY_CORE} and {LOAD_CORE} are needed; this process may use "
                         f"{sorted(os.sched_getaffinity(0))}")
    wrk = command("wrk", None, "wrk")
    command("taskset", None, "util-linux")
    others = others_percent()
    if others > BUSY_PERCENT:
        print(f"other processes use {others:.0f}% of this machine: the numbers will be noise")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-bench-"))
        backend = start_backend(args, folder)
        stack.callback(backend.stop)
        proxies = start_proxies(args, folder, backend, stack)
        if not proxies:
            raise BenchError("no proxy to measure")
        rounds = run_rounds(args, proxies, wrk)
    result = medians(rounds)
    ratio = ratios(result)
    print_table(result, ratio)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"connections": args.connections, "seconds": args.seconds,
                       "others_percent": others, "median": result, "ratios": ratio, "rounds": rounds}, f, indent=2)
            f.write("\n")


def main():
    args = parse_arguments()
    # So that the servers are stopped, and the folder removed, also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bench(args)
    except BenchError as e:
        print(f"proxy_bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
