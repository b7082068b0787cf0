"""A work on emsim, the project's own server: needs nothing from elsewhere; with undici there is a rival too."""
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import time

from figures import Sample
from harness import OK, Bench
from on_yardstick import Failed
from rivals import PEERS

INVENTORY = pathlib.Path(__file__).resolve().parent / "inventory.yaml"
DISK = "/var/tmp"  # the journal is to be measured on a disk, not in memory
POLL_MS = 200
LIMIT_S = 300


def machine_cpu_s():
    """Processor time that everything together has taken, stolen time included."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # without idle and waiting for a disk


def process_cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Place(Bench):
    """emsim and the folder of one run."""

    def __init__(self, work):
        tempfile.tempdir = DISK
        super().__init__(inventory=INVENTORY, server={
            "in_flight": {"initial": work.in_flight, "max": work.in_flight}, "tasks": {"max": work.clones},
            "poll": {"interval": "20ms", "max": f"{POLL_MS}ms"}}, arguments=(
            "--latency-ms", str(work.delay_ms), "--task-ms", str(work.task_ms), "--collect-lag-ms", "0"))
        self.work = work
        self.settings(user="bench", password="bench")
        self.plan([{"source": "Template Backup", "repository": "Repo A", "description": "Cloned Oracle backup job",
                    "for_each": {"count": work.clones}, "name": "clone-${index:06}"}])

    def timed(self, command):
        """Runs it; its seconds and its seconds of processor time."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != OK:
            raise Failed(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
        return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def sample(self, command, watch):
        first = self.sim.truth()
        before = machine_cpu_s() - process_cpu_s(self.sim.process.pid)
        seconds, cpu_s = self.timed(command)
        other_cpu_s = machine_cpu_s() - process_cpu_s(self.sim.process.pid) - before - cpu_s
        told = watch()
        truth = self.sim.truth()
        if len(truth["clones"]) != self.work.clones or truth["duplicates"] or truth["deleted_running"]:
            raise Failed(f"{command[0]}: {len(truth['clones'])} of {self.work.clones} clones, {truth['duplicates']} twice, "
                         f"{truth['deleted_running']} tasks deleted while running")
        return Sample(clones=self.work.clones, seconds=seconds, cpu_s=cpu_s, memory_mb=told["resident_kib"] / 1024,
                      requests=self.api_requests(), connections=truth["connections"] - first["connections"] - 1, watch=told,
                      other_cpu_s=other_cpu_s)

    def rival(self, node, name):
        arguments = ["--free"] if name == "undici-free" else []
        return [node, PEERS / "undici-clone.js", f"{self.sim.url}/api", self.sim.certificate(), str(self.work.clones),
                str(self.work.in_flight), "--poll", str(POLL_MS), *arguments]


def run_once(work, client, watch):
    with Place(work) as place:
        if client == "jobclone":
            own = place.command()
            command = [watch.command("jobclone", own[0]), *own[1:]]
        else:
            command = place.rival(watch.command(client, shutil.which("node")), client)
        return place.sample(command, lambda: watch.take(client)[0])


def measure(work, repeats, rivals, watch):
    """The samples of each client, in turns, jobclone first."""
    runs = {client: [] for client in ("jobclone", *(rival for rival in rivals if rival.startswith("undici")))}
    for _ in range(repeats):
        for client, samples in runs.items():
            samples.append(run_once(work, client, watch))
    return runs
