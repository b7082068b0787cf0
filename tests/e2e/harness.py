"""Runs jobcloned as its users do, against a simulated Enterprise Manager.

    with Bench() as bench:
        bench.plan(BACKUP)
        run = bench.once()
        ...

Everything lives in one temporary folder; a Bench ends only the processes that it
started itself, by their id, and removes the folder.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("JOBCLONE_BIN", ROOT / "build" / "dev" / "bin")).absolute()
USER = "LAB\\svc-clone"
PASSWORD = "secret"
LISTENING = re.compile(r"emsim: listening on (https://127\.0\.0\.1:(\d+))")

# A stored job's description ends in the mark of the item that made it.
MARK = re.compile(r"\[jobclone:([0-9A-Z]{26})/(\d+)\]$")

OK, FAILURES, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4


def fast_folder():
    """Where nothing waits for a disk: for tests that need no real one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


class Run:
    """A jobcloned that has ended."""

    def __init__(self, code, out, err, result, seconds):
        self.code = code
        self.out = out
        self.err = err
        self.result = result
        self.seconds = seconds

    def items(self):
        return {item["index"]: item for item in self.result["items"]}

    def __str__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-8000:]}"


def stop(process, grace=10):
    """Ends a child of ours and waits for it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class Sim:
    """emsim on a free port, as a child."""

    def __init__(self, folder, inventory=None, arguments=()):
        self.folder = pathlib.Path(folder)
        self.tls = self.folder / "tls"
        self.tls.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "emsim.err"
        inventory = inventory or ROOT / "config" / "emsim-inventory.yaml"
        self.stderr = open(self.log, "ab")
        self.process = subprocess.Popen(
            [BIN / "emsim", "--inventory", inventory, "--listen", "127.0.0.1:0", "--tls-self-signed", self.tls,
             *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.stderr, text=True)
        try:
            self.url, self.port = self.wait_until_listening()
        except BaseException:
            self.close()
            raise
        self.context = ssl.create_default_context(cafile=self.certificate())

    def wait_until_listening(self):
        watchdog = threading.Timer(20, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                found = LISTENING.match(line)
                if found:
                    return found.group(1), int(found.group(2))
        finally:
            watchdog.cancel()
        raise AssertionError("emsim did not start: " + self.log.read_text(errors="replace"))

    def certificate(self):
        found = sorted(self.tls.glob("*cert*.pem"))
        if not found:
            raise AssertionError(f"emsim wrote no certificate: {list(self.tls.iterdir())}")
        return found[0]

    def request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.context) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from error
        return json.loads(text) if text.strip() else None

    def truth(self):
        return self.request("GET", "/sim/truth")

    def behave(self, **wishes):
        return self.request("POST", "/sim/behaviour", wishes)

    def close(self):
        stop(self.process)
        self.process.stdout.close()
        self.stderr.close()


class Bench:
    """A folder with settings, a plan and a state directory, and its emsim."""

    def __init__(self, sim=True, inventory=None, arguments=(), server=None):
        self.server = server or {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jobclone-e2e-"))
        self.config = self.folder / "jobcloned.yaml"
        self.plan_file = self.folder / "plan.yaml"
        self.state = self.folder / "state"
        self.result_file = self.folder / "result.json"
        self.sim = None
        self.children = []
        self.outputs = []
        self.environment = {}  # of jobcloned, beside our own
        try:
            if sim:
                self.sim = Sim(self.folder / "sim", inventory, arguments)
                self.settings()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for child in self.children:
            stop(child, 3)
        if self.sim:
            self.sim.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self, url=None, password=PASSWORD, ca_file=None, user=USER, **server):
        """Writes the settings; keywords become keys of the server, as JSON values (which are YAML)."""
        secret = self.folder / "em.password"
        secret.write_text(password + "\n")
        secret.chmod(0o600)
        keys = {
            "url": url or self.sim.url,
            "username": user,
            "password": {"file": "em.password"},
            "tls": {"ca_file": str(ca_file or self.sim.certificate())},
            "poll": {"interval": "50ms", "max": "1s"},
            "settle": "3s",
        }
        keys.update(self.server)
        keys.update(server)
        self.config.write_text(json.dumps({"version": 1, "servers": {"prod": keys}}, indent=1), encoding="utf-8")

    def plan(self, clones, **keys):
        """Writes a plan; `clones` is a list of mappings."""
        whole = {"version": 1, "name": "e2e", "server": "prod", "retry": {"attempts": 6, "initial": "50ms", "max": "200ms"}}
        whole.update(keys)
        whole["clones"] = clones
        self.plan_file.write_text(json.dumps(whole, indent=1, ensure_ascii=False), encoding="utf-8")

    def command(self, *arguments):
        return [BIN / "jobcloned", "--config", self.config, "--once", self.plan_file, "--state", self.state,
                "--result", self.result_file, *arguments]

    def start(self, *arguments):
        """Starts jobcloned and returns the child; finish() waits for it."""
        out = tempfile.TemporaryFile()
        err = tempfile.TemporaryFile()
        child = subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 env={**os.environ, **self.environment})
        child.files = (out, err)
        child.began = time.monotonic()
        self.children.append(child)
        return child

    def finish(self, child, timeout=90):
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)
            child.wait()
            code = None
        self.children.remove(child)
        texts = []
        for file in child.files:
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
            file.close()
        result = None
        if self.result_file.exists():
            result = json.loads(self.result_file.read_text(encoding="utf-8"))
        run = Run(code, *texts, result, time.monotonic() - child.began)
        self.outputs.append(run.out + run.err)
        if code is None:
            raise AssertionError(f"jobcloned did not end within {timeout} s\n{run}")
        if code < 0 and code != -signal.SIGKILL:
            raise AssertionError(f"jobcloned died of a signal\n{run}")
        if "ERROR: AddressSanitizer" in run.err or "runtime error:" in run.err or "LeakSanitizer" in run.err:
            raise AssertionError(f"sanitizer report\n{run}")
        return run

    def once(self, *arguments, timeout=90):
        self.result_file.unlink(missing_ok=True)
        return self.finish(self.start(*arguments), timeout)

    def clones(self):
        """What the server really made: name -> list of its clones."""
        made = {}
        for clone in self.sim.truth()["clones"]:
            made.setdefault(clone["name"], []).append(clone)
        return made

    def api_requests(self):
        """Requests that the server got, but for our own under /sim."""
        return sum(count for kind, count in self.sim.truth()["requests"].items() if kind != "sim")

    def logons(self):
        """Logon requests, refused ones too."""
        return self.sim.truth()["requests"]["logon"]

    def open_sessions(self):
        return self.sim.truth()["sessions_open"]

    def wait_for(self, condition, timeout=30):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError("what the test waited for did not happen")


class BenchCase(unittest.TestCase):
    """A test with a bench of its own (emsim and all)."""

    server = {}  # keys of the server's settings
    arguments = ()  # of emsim

    def setUp(self):
        missing = [name for name in ("jobcloned", "emsim") if not (BIN / name).exists()]
        if missing:
            self.fail(f"{', '.join(missing)} not in {BIN}: build first")

    def bench(self, **keywords):
        keywords.setdefault("arguments", self.arguments)
        bench = Bench(server=self.server, **keywords)
        self.addCleanup(bench.close)
        return bench

    def assert_code(self, run, code):
        self.assertEqual(run.code, code, str(run))

    def assert_each_once(self, bench, names):
        """The server made exactly these, each once."""
        made = bench.clones()
        self.assertEqual({name: len(clones) for name, clones in made.items()}, {name: 1 for name in names})

    def assert_all_succeeded(self, run, count):
        states = [item["state"] for item in run.result["items"]]
        self.assertEqual(states, ["succeeded"] * count, str(run))
        self.assertEqual(run.result["state"], "succeeded")
        self.assertEqual(run.result["totals"]["items"], count)
        self.assertEqual(run.result["totals"]["succeeded"], count)


def backups(count, stem="Tenant"):
    """`count` clones of the backup template, and their names."""
    names = [f"{stem} {i:03} Backup" for i in range(count)]
    clones = [{"source": "Template Backup", "repository": "Repo A", "name": name} for name in names]
    return clones, names
