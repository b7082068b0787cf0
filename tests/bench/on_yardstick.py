"""A work on the yardstick: its compare.sh runs jobclone and the rivals in turns."""
import json
import os
import shutil
import subprocess
import tempfile

from figures import Sample
from harness import BIN
from rivals import BARE_PROGRAM, COMPARE
from works import BARE
from yardstick import free_ports

DELAYED = 2  # the port after the first one where every answer waits


class Failed(Exception):
    """A run that does not count."""


def wrong(line):
    """Why a run does not count, or nothing."""
    stats = line["stats"]
    if line["rc"] == 0 and stats["clones"] == line["n"] and not stats["duplicate_clones"] and not stats["deleted_running"]:
        return ""
    return (f"{line['label']}, run {line['rep']}: exit code {line['rc']}, {stats['clones']} of {line['n']} clones, "
            f"{stats['duplicate_clones']} twice, {stats['deleted_running']} tasks deleted while running: {line['out']}")


def sample(line, watch):
    if wrong(line):
        raise Failed(wrong(line))
    return Sample(clones=line["n"], seconds=line["wall"], cpu_s=line["cpu"], memory_mb=line["rss_mb"],
                  requests=line["stats"]["requests"], connections=line["stats"]["connections"], watch=watch,
                  other_cpu_s=line["other_cpu"])


def compare(work, repeats, port, product, environment):
    """The lines of compare.sh, one per run."""
    with tempfile.NamedTemporaryFile("r", prefix="jobclone-lines-", suffix=".json") as lines:
        command = [COMPARE, "-p", str(port), "-r", str(repeats), "-n", str(work.clones), "-c", str(work.in_flight),
                   "-d", str(work.delay_ms), "-t", str(work.task_ms), "-o", lines.name, "--", *product]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
        told = [json.loads(line) for line in lines]
    if not told:
        raise Failed(f"compare.sh ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return told


def measure_bare(work, repeats):
    """The samples of the bare client: compare.sh has one place for a client of ours, so it comes after the others."""
    port = free_ports()
    api = f"https://127.0.0.1:{port + DELAYED if work.delay_ms else port}/api"
    product = [BARE_PROGRAM, api, "@STATE@/../em-ca.pem", str(work.clones), str(work.in_flight)]
    lines = compare(work, repeats, port, product, {**os.environ, "CLIENTS": ""})
    return [sample(line, {}) for line in lines]


def measure(work, repeats, rivals, watch):
    """The samples of each client, jobclone first."""
    product = [watch.command("jobclone", BIN / "jobcloned"), "--once", "@PLAN@", "--config", "@CONFIG@", "--state", "@STATE@"]
    theirs = [rival for rival in rivals if rival != BARE]
    if theirs:
        watch.command("node", shutil.which("node"))
    environment = {**os.environ, "PATH": watch.path(), "CLIENTS": " ".join(theirs)}
    lines = compare(work, repeats, free_ports(), product, environment)
    told = {"product": watch.take("jobclone"), "rival": watch.take("node")}
    runs = {"jobclone": [], **{rival: [] for rival in rivals}}
    for line in lines:
        label = line["label"]
        kind = "product" if label == "product" else "rival"
        seen = told[kind].pop(0) if told[kind] and (kind == "product" or label.startswith("undici")) else {}
        runs["jobclone" if kind == "product" else label].append(sample(line, seen))
    if BARE in rivals:
        runs[BARE] = measure_bare(work, repeats)
    return runs
