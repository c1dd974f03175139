#!/usr/bin/env python3
"""What a change costs on its way from the registry to many proxies: weftd's parts against a bare
gRPC server that only copies. Prints each row as it is measured, then the targets beside them."""
import argparse
import dataclasses
import sys

import xds_rows
from process import BenchError, others_percent
from xds_rows import Mesh


class Table:
    """Rows as they are measured; then targets, each beside what came."""

    def __init__(self):
        self.targets = []
        print(f"{'form':5} {'proxies':>7} {'services':>8} {'what':>8} {'per s':>5} {'p50 ms':>7} "
              f"{'p99 ms':>7} {'us CPU':>7} {'core':>5} {'warm s':>7} {'RSS MiB':>8} {'delivered':>12}")

    def changes(self, mesh, rate, seconds, verb="endpoint", patience=120):
        head = f"{mesh.form:5} {mesh.proxies:7} {mesh.services:8} {verb:>8} {rate:5}"
        try:
            r = xds_rows.changes(mesh, rate, seconds, verb, patience)
        except BenchError as e:
            print(f"{head} n/a: {e}", flush=True)
            return None
        print(f"{head} {r['p50']:7.2f} {r['p99']:7.2f} {r['cpu']:7.1f} {r['busy']:5.0%} "
              f"{r['warm']:7.2f} {r['rss']:8.1f} {r['delivered']:6}/{r['expected']}", flush=True)
        return r

    def other(self, what, measure):
        """A row of its own shape; the value, or None."""
        try:
            value = measure()
        except (BenchError, OSError) as e:
            print(f"{what}: n/a: {e}", flush=True)
            return None
        print(f"{what}: {value}", flush=True)
        return value

    def target(self, what, limit, value):
        self.targets.append((what, limit, value))

    def print_targets(self):
        print(f"\n{'target':62} {'limit':>6} {'here':>8}")
        for what, limit, value in self.targets:
            met = "ok" if value <= limit else "MISSED"
            print(f"{what:62} {limit:6} {value:8.2f}  {met}")


def endpoint_rows(table, proxies, seconds):
    """The same changes at two sizes and two rates, and what each form costs over the floor."""
    ms = {}
    for services in (100, 1000):
        for rate in (1, 50):
            floor = table.changes(Mesh(services, proxies=proxies, form="floor"), rate, seconds)
            for form in ("sotw", "delta"):
                r = table.changes(Mesh(services, proxies=proxies, form=form), rate, seconds)
                ms[services, form, rate] = r
                if r is None or floor is None or services != 1000:
                    continue
                name = f"{form}, 1,000 x 10, {rate}/s"
                table.target(f"{name}: p50 ms", 5, r["p50"])
                table.target(f"{name}: p99 ms", 15, r["p99"])
                table.target(f"{name}: warm-up s", 1, r["warm"])
                table.target(f"{name}: CPU of an update, x floor", 1.3, r["cpu"] / floor["cpu"])
    return ms


def growth_rows(table, proxies, seconds, earlier):
    """One change at 1,000, 10,000 and 100,000 endpoints."""
    large = table.changes(Mesh(10000, proxies=proxies, form="delta"), 50, seconds, patience=300)
    sizes = [earlier.get((n, "delta", 50)) for n in (100, 1000)] + [large]
    if None not in sizes:
        costs = [r["cpu"] for r in sizes]
        table.target("CPU of a change at 100,000 endpoints, x that at 1,000", 1.3,
                     costs[2] / costs[0])
        table.target("KiB of memory an endpoint", 1,
                     (large["empty"] - sizes[1]["empty"]) * 1024 / 90000)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="of changes, for each row")
    parser.add_argument("--proxies", type=int, default=100)
    parser.add_argument("--large", action="store_true",
                        help="also 2,000 proxies with 10,000 services, which takes many minutes")
    options = parser.parse_args()
    if (busy := others_percent()) > 10:
        print(f"others use {busy:.0f} % of this machine: times will be too long", file=sys.stderr)
    proxies, seconds = options.proxies, options.seconds

    table = Table()
    earlier = endpoint_rows(table, proxies, seconds)
    growth_rows(table, proxies, seconds, earlier)
    if (r := table.changes(Mesh(5000, proxies=proxies, form="delta"), 1, seconds)) is not None:
        table.target("5,000 x 10: RSS MiB", 150, r["rss"])
    for form in ("sotw", "delta"):
        r = table.changes(Mesh(1000, proxies=proxies, form=form), 5, seconds, "route")
        if r is not None:
            table.target(f"{form}: VirtualService: p99 ms", 50, r["p99"])
    scoped = Mesh(1000, proxies=proxies, namespaces=max(1, proxies // 20), form="delta")
    if (r := table.changes(scoped, 1000, seconds)) is not None:
        table.target("1,000 changes/s, 20 subscribers: share of a core", 0.6, r["busy"])
        table.target("1,000 changes/s, 20 subscribers: p50 of the end, x the begin", 1.5,
                     r["growth"])
    if (r := table.other("namespaces without a change", lambda: xds_rows.unconcerned(scoped))):
        table.target("bytes to proxies that a change does not concern", 0, r["bytes"])
    many = Mesh(1000, proxies=2000, form="delta")
    for form in ("sotw", "delta"):
        r = table.other(f"{form}: 2,000 proxies reconnect, s",
                        lambda: xds_rows.reconnect(dataclasses.replace(many, form=form)))
        if r is not None:
            table.target(f"{form}: 2,000 proxies reconnect: s until all are current", 5, r["all"])
        kib = table.other(f"{form}: KiB of a connected proxy", lambda: xds_rows.proxy_kib(
            dataclasses.replace(many, proxies=1000, form=form), few=100))
        if kib is not None:
            table.target(f"{form}: KiB of memory a connected proxy", 32, kib)
    if (s := table.other("cold start, 10,000 services, s", xds_rows.cold_start)) is not None:
        table.target("cold start from an API server, 10,000 services: s", 3, s)
    if options.large:
        both = [table.changes(Mesh(10000, proxies=2000, form=form), 1, max(20, seconds),
                              patience=1500) for form in ("floor", "delta")]
        if None not in both:
            table.target("2,000 proxies, 10,000 x 10: p99, x floor", 1.3,
                         both[1]["p99"] / both[0]["p99"])
    table.print_targets()


if __name__ == "__main__":
    try:
        main()
    except BenchError as e:
        sys.exit(f"xds_bench: {e}")
