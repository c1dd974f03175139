#!/usr/bin/env python3
"""Measures weft-proxy against nginx, haproxy and the floor, and says which targets it meets.

The proxies have core 0 to themselves, load and backends share core 1. They take turns in short
rounds, so that what else the machine does hits all of them, and the medians count. README.md says
how to read the table.
"""
import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile

import configs
from process import LOAD_CORE, PROXY_CORE, BenchError, command, others_percent
from rows import ROWS

BUSY_PERCENT = 10  # of all cores; above it, caches and clock are no longer the proxies' own
SHOWN = {"us": "{:.2f} us", "rate": "{:.0f}/s", "p50_us": "p50 {:.0f} us", "p99_us": "p99 {:.0f} us"}


class Bench:
    """What rows use: the arguments, folders, and servers that end with the row."""

    def __init__(self, args, folder):
        self.args = args
        self._folder = folder
        self._names = 0
        self._shared = {}
        self._all = contextlib.ExitStack()
        self._row = contextlib.ExitStack()
        self._keeper = self._row

    def folder(self, name):
        self._names += 1
        return os.path.join(self._folder, f"{self._names}-{name}")

    def keep(self, server):
        self._keeper.callback(server.stop)
        return server

    def once(self, name, make):
        """What `make` makes, the first time; it lives until the end of all rows."""
        if name not in self._shared:
            self._keeper = self._all
            try:
                self._shared[name] = make()
            finally:
                self._keeper = self._row
        return self._shared[name]

    def certs(self):
        def make():
            folder = self.folder("certs")
            configs.make_certificates(folder)
            return folder
        return self.once("certs", make)

    def say(self, text):
        print(f"    {text}", flush=True)

    def detail(self, text):
        if self.args.verbose:
            self.say(text)

    def end_row(self):
        self._row.close()

    def close(self):
        self._row.close()
        self._all.close()


def show(name, values):
    known = [SHOWN.get(key, "{:.2f} " + key).format(value) for key, value in values.items()
             if key in SHOWN or "/" in key or "MB" in key]
    return f"{name:<16} {', '.join(known)}"


def run_row(bench, name):
    """{"values", "verdicts", "na"} of a row; a row that cannot be measured says why."""
    function, title = ROWS[name]
    print(f"\n{name}: {title}", flush=True)
    try:
        values, verdicts = function(bench)
    except BenchError as e:
        bench.say(f"n/a: {e}")
        return {"values": {}, "verdicts": [], "na": str(e)}
    finally:
        bench.end_row()
    for contestant, measured in values.items():
        bench.say(show(contestant, measured))
    return {"values": values, "verdicts": verdicts, "na": None}


def print_table(results):
    print(f"\n{'row':<12} {'measured':<36} {'value':>8} {'target':>8}")
    for name, result in results.items():
        if result["na"] is not None:
            print(f"{name:<12} n/a: {result['na'][:80]}")
        for verdict in result["verdicts"]:
            print(f"{name:<12} {verdict.what:<36} {verdict.value:>8.2f} {verdict.target:>8.2f}  "
                  f"{'ok' if verdict.ok else 'MISSED'}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", type=lambda s: s.split(","), metavar="ROW,ROW",
                        help="of " + ", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--verbose", action="store_true", help="print every round")
    parser.add_argument("--json", metavar="FILE", help="write what was measured here")
    for name in ("floor", "nginx", "haproxy", "weft-proxy"):
        parser.add_argument(f"--{name}", metavar="PATH", help="binary to use")
    args = parser.parse_args()
    unknown = set(args.only or []) - set(ROWS)
    if unknown:
        parser.error(f"--only {','.join(sorted(unknown))}: use {', '.join(ROWS)}")
    for flag in ("rounds", "seconds", "connections"):
        if getattr(args, flag) < 1:
            parser.error(f"--{flag} {getattr(args, flag)}: at least 1")
    return args


def check_machine():
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise BenchError(f"cores {PROXY_CORE} and {LOAD_CORE} are needed; this process may use "
                         f"{sorted(os.sched_getaffinity(0))}")
    command("taskset", "util-linux")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    others = others_percent()
    if others > BUSY_PERCENT:
        print(f"other processes use {others:.0f}% of this machine: the numbers will be noise")
    return others


def write_json(path, args, others, results):
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"rounds": args.rounds, "seconds": args.seconds,
                   "connections": args.connections, "others_percent": others,
                   "rows": {name: {"values": r["values"], "na": r["na"], "targets": [
                       {"what": v.what, "value": v.value, "target": v.target, "ok": v.ok}
                       for v in r["verdicts"]]} for name, r in results.items()}}, f, indent=2)
        f.write("\n")


def main():
    args = parse_arguments()
    # So that the servers are stopped, and the folder removed, also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        others = check_machine()
        with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
            os.chmod(folder, 0o755)  # nginx's worker reads the large body as another user
            with contextlib.closing(Bench(args, folder)) as bench:
                results = {name: run_row(bench, name) for name in args.only or ROWS}
    except BenchError as e:
        print(f"proxy_bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print_table(results)
    if args.json:
        write_json(args.json, args, others, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
