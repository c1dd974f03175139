#!/usr/bin/env python3
"""What a change costs on its way from the registry to many proxies: weftd's parts against a bare
gRPC server that only copies. Prints each row as it is measured, then the targets beside them."""
import argparse
import subprocess
import sys
import threading
import time

from process import LOAD_CORE, PROXY_CORE, BenchError, built, others_percent

PATIENCE_S = 120


class Process:
    """One of our programs, spoken to by lines."""

    def __init__(self, core, argv):
        self.process = subprocess.Popen(["taskset", "-c", str(core)] + [str(a) for a in argv],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.deadline = threading.Timer(PATIENCE_S, self.process.kill)
        self.deadline.start()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self.process.args[3]} ended, or took longer than {PATIENCE_S} s")
        return line.split()

    def report(self):
        self.say("report")
        lines = []
        while (line := self.line()) != ["end"]:
            lines.append(line)
        return lines

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def rss_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(l.split()[1]) for l in f if l.startswith("VmRSS")) / 1024

    def stop(self):
        self.deadline.cancel()
        self.process.kill()
        self.process.wait()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(server, form, proxies, services, endpoints, rate, changes):
    """One run: starts both sides, makes the changes at the rate, and returns what came of it."""
    serving = Process(PROXY_CORE, [built("test/bench/xds_server"), server, services, endpoints])
    clients = None
    try:
        port = serving.line()[0]
        empty = serving.rss_mib()
        began = time.monotonic_ns()
        clients = Process(LOAD_CORE, [built("test/bench/xds_clients"), port, proxies, services,
                                      "floor" if server == "floor" else form])
        warm = (int(clients.line()[1]) - began) / 1e9
        time.sleep(0.5)
        cpu = serving.cpu_seconds()
        start = time.monotonic()
        for i in range(changes):
            time.sleep(max(0, start + i / rate - time.monotonic()))
            serving.say(f"change {i * 7 % services} {i + 1}")
        time.sleep(1)
        cpu = serving.cpu_seconds() - cpu
        made = {int(s): int(at) for s, at in serving.report()}
        deliveries = clients.report()
        sent = int(deliveries.pop()[1])
        took = [(int(at) - made[int(s)]) / 1e6 for s, at in deliveries]
        if not took:
            raise BenchError(f"{server}: no change arrived")
        # Coalesced changes of one service count once; of different ones, each.
        return {"p50": percentile(took, .5), "p99": percentile(took, .99), "warm": warm,
                "cpu": cpu / len(took) * 1e6, "rss": serving.rss_mib(), "empty": empty,
                "delivered": len(took), "expected": proxies * changes, "bytes": sent}
    finally:
        for process in (serving, clients):
            if process is not None:
                process.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of changes, for each row")
    parser.add_argument("--proxies", type=int, default=100)
    parser.add_argument("--large", action="store_true", help="rows that take minutes, too")
    options = parser.parse_args()
    if (busy := others_percent()) > 10:
        print(f"others use {busy:.0f} % of this machine: times will be too long", file=sys.stderr)

    rows = [(server, form, options.proxies, services, 10, rate)
            for services in (100, 1000) for rate in (1, 50)
            for server, form in (("floor", "sotw"), ("weftd", "sotw"), ("weftd", "delta"))]
    if options.large:
        rows += [(server, "delta", options.proxies, 10000, 10, 50) for server in ("floor", "weftd")]
        rows += [("weftd", "delta", options.proxies, 5000, 10, 1)]
    print(f"{'server':6} {'form':5} {'proxies':>7} {'services':>8} {'per s':>5} "
          f"{'p50 ms':>7} {'p99 ms':>7} {'us CPU':>7} {'warm s':>7} {'RSS MiB':>8} {'delivered':>10}")
    results = {}
    for row in rows:
        server, form, proxies, services, endpoints, rate = row
        try:
            result = measure(server, form, proxies, services, endpoints, rate,
                             max(3, int(rate * options.seconds)))
        except BenchError as e:
            print(f"{server:6} {form:5} {proxies:7} {services:8} {rate:5} n/a: {e}")
            continue
        results[server, form, services, rate] = result
        print(f"{server:6} {form:5} {proxies:7} {services:8} {rate:5} {result['p50']:7.2f} "
              f"{result['p99']:7.2f} {result['cpu']:7.1f} {result['warm']:7.2f} "
              f"{result['rss']:8.1f} {result['delivered']:5}/{result['expected']}", flush=True)

    print("\ntarget                                             limit    here")
    def target(what, limit, value):
        print(f"{what:50} {limit:>6} {value:7.2f}  {'ok' if value <= float(limit) else 'MISSED'}")
    for form in ("sotw", "delta"):
        for rate in (1, 50):
            result = results.get(("weftd", form, 1000, rate))
            floor = results.get(("floor", "sotw", 1000, rate))
            if result is None or floor is None:
                continue
            target(f"{form}, 1,000 x 10, {rate}/s: p50 ms", "5", result["p50"])
            target(f"{form}, 1,000 x 10, {rate}/s: p99 ms", "15", result["p99"])
            target(f"{form}, 1,000 x 10, {rate}/s: warm-up s", "1", result["warm"])
            target(f"{form}, 1,000 x 10, {rate}/s: CPU, x floor", "1.3",
                   result["cpu"] / max(floor["cpu"], 0.01))
    result = results.get(("weftd", "delta", 5000, 1))
    if result is not None:
        target("5,000 x 10: RSS MiB", "150", result["rss"])


if __name__ == "__main__":
    try:
        main()
    except BenchError as e:
        sys.exit(f"xds_bench: {e}")
