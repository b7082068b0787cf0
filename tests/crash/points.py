"""What the crash tests share: a plan, its server, the program with something under it, and the judgement.

A Cell is one run of a plan in a folder of its own, with an emsim of its own, from
the first start of jobcloned to the last. Whatever was done to the program on the
way, judge() wants every clone made exactly once and a result that says so.
"""
import collections
import json
import os
import pathlib
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import BIN, MARK, Bench, Sim, fast_folder  # noqa: E402

# The places in CRASH_COUNTS, as in preload.c.
KINDS = ("file writes", "socket writes", "syncs", "names made and removed", "sizes changed")
COUNT_FAILED, COUNT_FIRED, COUNT_MAX = len(KINDS), len(KINDS) + 1, 2 * len(KINDS) + 4

QUEUED, SUBMITTING, IN_DOUBT = 0, 1, 2
RUN_OPEN = (0, 1, 2)

# A clone takes at most 60 ms and is listed 100 ms later: far below a quarter of
# SETTLE, so that a slow machine cannot make absence of what is still to come.
BEHAVIOUR = {"allow_duplicates": True, "task_ms": 20, "task_jitter_ms": 40, "collect_lag_ms": 10, "lag_ms": 100,
             "collect_time_ms": 30}
SETTLE = "1200ms"


class Wrong(Exception):
    """A promise that was not kept."""


def four_kinds(count):
    """`count` clones of all four kinds, with the texts that are hard to carry."""
    makers = (
        lambda i: {"source": "Template Backup", "name": f"Čeněk & Sons {i:02}", "repository": "Repo A",
                   "folder": f"folder{i:02}", "description": f"number {i}"},
        lambda i: {"source": "Template Replica", "name": f"Tenant {i:02} Replica", "vm_suffix": f"_t{i:02}"},
        lambda i: {"source": "Template Copy", "name": f"Tenant {i:02} Copy", "repository": "Repo B"},
        lambda i: {"source": "Template Immediate", "name": f"Tenant/{i:02}: Mirror", "repository": "Repo B"},
    )
    return [makers[i % 4](i) for i in range(count)]


class Shared:
    """What all cells share: the folder they live in and emsim's certificate."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jobclone-crash-", dir=fast_folder()))
        tempfile.tempdir = str(self.folder)
        try:
            Sim(self.folder / "first").close()
        except BaseException:
            self.close()
            raise

    def close(self):
        tempfile.tempdir = None
        shutil.rmtree(self.folder, ignore_errors=True)


class Cell(Bench):
    """One run of a plan."""

    def __init__(self, shared, count, settle=SETTLE, behaviour=None, **server):
        super().__init__(sim=False)
        self.count = count
        self.text = ""
        self.counts_file = self.folder / "counts"
        try:
            (self.folder / "sim").mkdir()
            (self.folder / "sim" / "tls").symlink_to(shared.folder / "first" / "tls")
            arguments = []
            for key, value in {**BEHAVIOUR, **(behaviour or {})}.items():
                arguments += ["--" + key.replace("_", "-")] + [json.dumps(value)]
            self.sim = Sim(self.folder / "sim", None, arguments)
            self.settings(settle=settle, poll={"interval": "20ms", "max": "200ms"}, **server)
            self.plan(four_kinds(count))
        except BaseException:
            self.close()
            raise

    def run(self, library=None, timeout=60, **environment):
        """Runs jobcloned to its end over that library; returns the exit code, negative for a signal."""
        self.counts_file.unlink(missing_ok=True)
        extra = {"CRASH_" + key.upper(): str(value) for key, value in environment.items()}
        extra["CRASH_COUNTS"] = str(self.counts_file)
        if library:
            extra["LD_PRELOAD"] = str(BIN / library)
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env={**os.environ, **extra})
            self.children.append(process)
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            self.children.remove(process)
            out.seek(0)
            self.text = out.read().decode("utf-8", "replace")
        if code is None:
            raise Wrong(f"did not end within {timeout} s\n{self.text[-4000:]}")
        return code

    def counts(self):
        """What the library counted in the last run."""
        data = self.counts_file.read_bytes() if self.counts_file.exists() else b""
        return struct.unpack(f"{COUNT_MAX}Q", data) if len(data) == 8 * COUNT_MAX else (0,) * COUNT_MAX

    def fired(self):
        """The kind of call at which the last run was hit, None when it ended before."""
        place = self.counts()[COUNT_FIRED]
        return KINDS[place - 1] if place else None

    def stored(self):
        """The stored state of the run and the states of its items; (None, {}) when nothing is stored. Reads a copy:
        opening it would change it."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        if not (self.state / "jobclone.db").exists():
            return None, {}
        shutil.copytree(self.state, copy)
        db = sqlite3.connect(copy / "jobclone.db")
        try:
            runs = db.execute("SELECT seq, id, state FROM runs").fetchall()
            items = db.execute("SELECT idx, state FROM items").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return None, {}
        finally:
            db.close()
        if len(runs) > 1:
            raise Wrong(f"{len(runs)} runs are stored, where one command went on with one run")
        return (runs[0][2] if runs else None), dict(items)

    def ended(self):
        """Whether the run's end is stored: then the same command would begin another run."""
        state, _ = self.stored()
        return state is not None and state not in RUN_OPEN

    def marks(self):
        """Every clone request that reached the server: index of the item -> how often."""
        made = collections.Counter()
        for clone in self.sim.truth()["clones"]:
            found = MARK.search(clone["description"])
            if not found:
                raise Wrong(f"a clone without a mark: {clone}")
            made[int(found.group(2))] += 1
        return made

    def judge_stored(self):
        """After any end: nothing was asked of the server before it was stored, and nothing twice."""
        _, items = self.stored()
        for index, times in self.marks().items():
            if items.get(index, QUEUED) == QUEUED:
                raise Wrong(f"item {index} was cloned, but is not stored as sent")
            if times > 1:
                raise Wrong(f"item {index} was cloned {times} times")

    def judge(self, code):
        """After the last end: each clone exactly once, and a complete result that agrees."""
        if code != 0:
            raise Wrong(f"exit code {code}\n{self.text[-4000:]}")
        self.judge_result()
        made = self.marks()
        if made != {index: 1 for index in range(self.count)}:
            raise Wrong(f"clones made: {dict(made)}\n{self.text[-4000:]}")

    def judge_result(self):
        result = json.loads(self.result_file.read_text(encoding="utf-8"))
        states = collections.Counter(item["state"] for item in result["items"])
        if result["state"] != "succeeded" or states != {"succeeded": self.count}:
            raise Wrong(f"the result: {result['state']}, {dict(states)}\n{self.text[-4000:]}")
        uids = {clone["job_uid"].lower(): clone["name"] for clone in self.sim.truth()["clones"]}
        for item in result["items"]:
            if uids.get(item["job_uid"].lower()) != item["name"]:
                raise Wrong(f"item {item['index']} names the job {item['job_uid']}, which is not its clone")
