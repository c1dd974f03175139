"""The loads, and the probes that see to it that an answer is right before it is timed."""
import http.client
import json
import re
import socket
import ssl
import subprocess

import configs
from process import LOAD_CORE, BenchError, built, command


def _run(argv):
    return subprocess.run(["taskset", "-c", str(LOAD_CORE), *argv], capture_output=True, text=True,
                          check=False)


def _seconds(text):
    """As wrk and h2load write times: 12.34us, 1.20ms, 2.00s, 1.00m."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def wrk(port, seconds, connections, path="/", tls=False):
    run = _run([command("wrk", "wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                f"http{'s' if tls else ''}://127.0.0.1:{port}{path}"])
    found = re.search(r"(\d+) requests in ([\d.]+m?s)", run.stdout)
    if run.returncode != 0 or found is None or int(found.group(1)) == 0:
        raise BenchError(f"wrk measured nothing: {run.stdout.strip()}{run.stderr.strip()}")
    bad = re.search(r"(Socket errors: .*|Non-2xx or 3xx responses: \d+)", run.stdout)
    if bad:
        raise BenchError(f"requests failed: {bad.group(1)}")
    percentile = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+[a-z]+)$", run.stdout, re.M))
    return {"requests": int(found.group(1)), "seconds": _seconds(found.group(2)),
            "p50_us": _seconds(percentile["50"]) * 1e6, "p99_us": _seconds(percentile["99"]) * 1e6}


def h2load(port, seconds, connections, streams):
    run = _run([command("h2load", "nghttp2-client"), "-t1", f"-c{connections}", f"-m{streams}",
                f"-D{seconds}", f"http://127.0.0.1:{port}/"])
    done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", run.stdout)
    good = re.search(r"status codes: (\d+) 2xx", run.stdout)
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+(\S+)", run.stdout)
    if done is None or int(done.group(1)) == 0:
        raise BenchError(f"h2load measured nothing: {run.stdout.strip()[-200:]}")
    if int(done.group(2)) + int(done.group(3)) > 0 or good is None:
        raise BenchError(f"requests failed: {done.group(0)}")
    return {"requests": int(done.group(1)), "seconds": seconds,
            "mean_us": _seconds(mean.group(1)) * 1e6}


def client(port, seconds, *flags):
    """Our own load, load.cc."""
    run = _run([built("test/bench/load"), "--port", str(port), "--seconds", str(seconds),
                *map(str, flags)])
    if run.returncode != 0:
        raise BenchError(f"load ended with {run.returncode}: {run.stderr.strip()}")
    result = json.loads(run.stdout)
    if result["failed"] > 0 or result["requests"] == 0:
        raise BenchError(f"{result['failed']} requests failed, {result['requests']} did not")
    if "--resume" in flags and result["resumed"] < 0.9 * result["requests"]:
        raise BenchError(f"only {result['resumed']} of {result['requests']} sessions were resumed")
    return result


class Held:
    """Connections that have carried one request and are idle, until it is left."""

    def __init__(self, port, connections):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(LOAD_CORE), built("test/bench/load"), "--port", str(port),
             "--connections", str(connections), "--hold"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        result = json.loads(self.process.stdout.readline() or '{"failed": -1}')
        if result["failed"] != 0:
            raise BenchError(f"holding idle connections failed: {result}")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def _check(status, body, size):
    if status != 200 or len(body) != size or body.strip(b"w"):
        raise BenchError(f"status {status} with {len(body)} bytes")


def probe_http(port, path="/", size=configs.BODY_SIZE, tls=False):
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        _check(response.status, response.read(), size)
    except http.client.HTTPException as e:
        raise BenchError(repr(e)) from e
    finally:
        connection.close()


def probe_h2(port, certs=None):
    """By HTTP/2: in clear with prior knowledge, or over mutual TLS."""
    how = (["--http2", "-k", "--cert", f"{certs}/leaf.pem", "--key", f"{certs}/key.pem",
            f"https://localhost:{port}/"] if certs else
           ["--http2-prior-knowledge", f"http://127.0.0.1:{port}/"])
    run = subprocess.run([command("curl", "curl"), "-s", "-m5", "-w", "\n%{http_version} %{http_code}",
                          *how], capture_output=True, check=False)
    body, _, last = run.stdout.rpartition(b"\n")
    version, _, status = last.decode().partition(" ")
    if version != "2":
        raise BenchError("no HTTP/2" if run.returncode == 0 else f"curl ended with {run.returncode}")
    _check(int(status), body, configs.BODY_SIZE)


def probe_echo(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"hello")
        got = b""
        while len(got) < 5:
            piece = s.recv(100)
            if not piece:
                break
            got += piece
        if got != b"hello":
            raise BenchError(f"echo of {got!r}")
