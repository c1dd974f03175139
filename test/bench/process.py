"""Processes that are measured: how they are started, found ready, and what they used."""
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time

PROXY_CORE = 0
LOAD_CORE = 1
START_TIMEOUT_S = 15
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class BenchError(Exception):
    """Something that keeps a row, or everything, from being measured; its text says what."""


def command(name, package, override=None):
    """The path of a system command, or an error that says how to get it."""
    path = shutil.which(override or name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise BenchError(f"{override or name}: not found; apt install {package}, or tools/setup")
    return path


def built(relative, override=None):
    """The path of one of our binaries: beside this file in a runfiles tree, or in bazel-bin."""
    candidates = [override] if override else [os.path.join(ROOT, "bazel-bin", relative),
                                              os.path.join(ROOT, relative)]
    for path in candidates:
        if os.access(path, os.X_OK) or path.endswith(".so") and os.path.exists(path):
            return os.path.abspath(path)
    target = "//" + ":".join(os.path.split(relative))
    raise BenchError(f"{candidates[0]}: not found; bazel build {target}")


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def process_tree(pid):
    pids = [pid]
    for parent in pids:
        with contextlib.suppress(FileNotFoundError):
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
                pids += [int(child) for child in f.read().split()]
    return pids


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


class Server:
    """A running process that listens on a port of its own; pinned to one core.

    `make_argv` gets this and returns the command line; `probe` gets this and raises OSError or
    BenchError for as long as the server does not answer rightly.
    """

    def __init__(self, name, core, folder, make_argv, probe, env=None):
        self.name = name
        self.port = free_port()
        self.folder = folder
        os.makedirs(folder)
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core)] + make_argv(self), env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        try:
            self.wait_until(probe)
        except BenchError:
            self.stop()
            raise

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def wait_until(self, probe):
        deadline = time.monotonic() + START_TIMEOUT_S
        answer = "nothing"
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                probe(self)
                return
            except (OSError, BenchError) as e:
                answer = str(e)
            time.sleep(0.05)
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f.readlines()[-3:]]
        code = self.process.poll()
        how = f"ended with status {code}" if code is not None else f"answers wrongly ({answer})"
        raise BenchError(f"{self.name} {how}{'; ' if lines else ''}{' | '.join(lines)}")

    def cpu_seconds(self):
        """What the process, its children and all their threads have run so far."""
        ns = 0
        for pid in process_tree(self.pid):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
                    ns += int(f.read().split()[0])
        return ns / 1e9

    def rss_kib(self):
        kib = 0
        for pid in process_tree(self.pid):
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                found = re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M)
            kib += int(found.group(1)) if found else 0
        return kib

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
