"""The rows of xds_bench: each starts a server and its clients, makes changes, and says what came."""
import dataclasses
import subprocess
import threading
import time

from process import LOAD_CORE, PROXY_CORE, BenchError, built


@dataclasses.dataclass(frozen=True)
class Mesh:
    """What is served, and to whom. With several namespaces a proxy sees its own's services."""
    services: int
    endpoints: int = 10
    proxies: int = 100
    namespaces: int = 1
    form: str = "sotw"  # of xDS; "floor": the bare server's


class Process:
    """One of our programs, spoken to by lines."""

    def __init__(self, core, program, *arguments, patience=120):
        self.name = program
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), built(f"test/bench/{program}")]
            + [str(a) for a in arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.deadline = threading.Timer(patience, self.process.kill)
        self.deadline.start()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self.name} ended, or took too long")
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


class Run:
    """A server with its clients, warm; `with` it."""

    def __init__(self, mesh, types="endpoints", patience=120):
        self.mesh = mesh
        self.patience = patience
        self.types = types
        self.sequence = 0

    def __enter__(self):
        mesh = self.mesh
        self.server = Process(PROXY_CORE, "xds_server",
                              "floor" if mesh.form == "floor" else "weftd", mesh.services,
                              mesh.endpoints, mesh.namespaces, patience=self.patience)
        self.clients = None
        try:
            port = self.server.line()[0]
            self.empty_mib = self.server.rss_mib()
            began = time.monotonic_ns()
            self.clients = Process(LOAD_CORE, "xds_clients", port, mesh.proxies, mesh.services,
                                   mesh.namespaces, mesh.form, self.types, patience=self.patience)
            self.warm_s = (int(self.clients.line()[1]) - began) / 1e9
            time.sleep(0.5)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for process in (self.server, self.clients):
            if process is not None:
                process.stop()

    def change(self, verb, service):
        self.sequence += 1
        self.server.say(f"{verb} {service} {self.sequence}")

    def changes(self, verb, rate, count, services):
        """That many changes at the rate, over services in turn; returns the share of a core that
        the server used and its CPU in all."""
        cpu = self.server.cpu_seconds()
        start = time.monotonic()
        for i in range(count):
            time.sleep(max(0, start + i / rate - time.monotonic()))
            self.change(verb, services[i * 7 % len(services)])
        busy = (self.server.cpu_seconds() - cpu) / (time.monotonic() - start)
        time.sleep(1)
        return busy, self.server.cpu_seconds() - cpu

    def deliveries(self):
        """Milliseconds of each delivery, in the order they came, and what came by namespace."""
        made = {int(s): int(at) for s, at in self.server.report()}
        took, came = [], []
        for line in self.clients.report():
            if line[0] == "came":
                came.append((int(line[1]), int(line[2])))
            else:
                took.append((int(line[1]) - made[int(line[0])]) / 1e6)
        return took, came


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def changes(mesh, rate, seconds, verb="endpoint", patience=120):
    """Changes at a rate; of a VirtualService always the same one."""
    with Run(mesh, "routes" if verb == "route" else "endpoints", patience) as run:
        count = max(3, int(rate * seconds))
        services = [0] if verb == "route" else range(mesh.services)
        busy, cpu = run.changes(verb, rate, count, services)
        took, _ = run.deliveries()
        if not took:
            raise BenchError(f"{mesh.form}: no change arrived")
        quarter = max(1, len(took) // 4)
        # Coalesced changes of one service count once; of different ones, each.
        return {"p50": percentile(took, .5), "p99": percentile(took, .99), "warm": run.warm_s,
                "cpu": cpu / len(took) * 1e6, "busy": busy, "rss": run.server.rss_mib(),
                "empty": run.empty_mib, "delivered": len(took),
                "expected": mesh.proxies // mesh.namespaces * count,
                # of a backlog that grows, the end waits longer than the beginning
                "growth": percentile(took[-quarter:], .5) / percentile(took[:quarter], .5)}


def unconcerned(mesh):
    """Messages and bytes that come to proxies of a namespace in which nothing changes."""
    with Run(mesh) as run:
        run.changes("endpoint", 20, 40, range(0, mesh.services, mesh.namespaces))
        took, came = run.deliveries()
        if not took:
            raise BenchError("no change arrived")
        return {"delivered": len(took), "messages": sum(m for m, _ in came[1:]),
                "bytes": sum(b for _, b in came[1:])}


def reconnect(mesh):
    """All connections end at once; seconds until each client has what changed meanwhile, and the
    CPU that it took at either side: one core does all of the clients' work."""
    with Run(mesh) as run:
        server, clients = run.server.cpu_seconds(), run.clients.cpu_seconds()
        run.change("restart", 1)
        deadline = time.monotonic() + 30
        while True:
            time.sleep(0.5)
            took, _ = run.deliveries()
            if len(took) >= mesh.proxies or time.monotonic() > deadline:
                break
        if len(took) < mesh.proxies:
            raise BenchError(f"{len(took)} of {mesh.proxies} came back within 30 s")
        return {"all": max(took) / 1000, "p50": percentile(took, .5) / 1000,
                "server CPU": run.server.cpu_seconds() - server,
                "clients CPU": run.clients.cpu_seconds() - clients}


def proxy_kib(mesh, few):
    """Memory of a connected proxy that is warm: of many, over few of them."""
    sizes = []
    for proxies in (few, mesh.proxies):
        with Run(dataclasses.replace(mesh, proxies=proxies)) as run:
            sizes.append(run.server.rss_mib() * 1024)
    return (sizes[1] - sizes[0]) / (mesh.proxies - few)


def cold_start():
    """Seconds from the first request to an API server to the World of 10,000 services."""
    done = subprocess.run(
        ["taskset", "-c", str(PROXY_CORE),
         built("controlplane/sources/kubernetes/cold_start_benchmark")],
        capture_output=True, text=True, timeout=60, check=True)
    return float(done.stdout.split(";")[1].split()[0])
