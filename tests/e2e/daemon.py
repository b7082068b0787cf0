"""Runs jobcloned as the daemon, in the place of systemd: hears what it notifies, keeps the
descriptors that it gives into the store, and hands them to its successor.

    with ServiceBench() as bench:
        daemon = bench.up()
        run = daemon.submit(clones)
        daemon.wait_ended(run)
"""
import array
import json
import os
import signal
import socket
import subprocess
import threading
import time

import harness


class Systemd:
    """A notification socket and a file descriptor store."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        self.store = {}
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(16))
            except OSError:
                return
            if data == b"end":
                return
            fds = array.array("i")
            for level, kind, content in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
            self.take(data.decode(), list(fds))

    def take(self, text, fds):
        fields = dict(line.split("=", 1) for line in text.splitlines())
        name = fields.get("FDNAME")
        if "FDSTORE" in fields:
            self.store.setdefault(name, []).extend(fds)
        elif "FDSTOREREMOVE" in fields:
            for fd in self.store.pop(name, []):
                os.close(fd)
        self.messages.append(fields)

    def heard(self, key):
        return [fields[key] for fields in list(self.messages) if key in fields]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", self.path)
        self.thread.join(5)
        self.socket.close()
        for fds in self.store.values():
            for fd in fds:
                os.close(fd)


class Daemon:
    """A jobcloned that is up; one that dies of itself fails the test."""

    def __init__(self, bench, environment, store, arguments):
        self.bench = bench
        self.err_path = bench.folder / f"daemon-{len(bench.daemons)}.err"
        fds = [(name, fd) for name, held in store.items() for fd in held]
        command = [str(harness.BIN / "jobcloned"), "--config", str(bench.config), *arguments]
        # the descriptors must begin at 3, and LISTEN_PID is known only in the child
        moves = "".join(f"exec {100 + i}<&{fd}; " for i, (_, fd) in enumerate(fds))
        moves += "".join(f"exec {3 + i}<&{100 + i} {100 + i}<&-; " for i in range(len(fds)))
        if fds:
            environment = {**environment, "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(name for name, _ in fds)}
            command = ["bash", "-c", moves + 'LISTEN_PID=$$ exec "$@"', "bash", *command]
        with open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=err, pass_fds=[fd for _, fd in fds],
                                            env={**os.environ, **environment})

    def err(self):
        return self.err_path.read_text(errors="replace")

    def call(self, method, path, body=None):
        """(status, body): the body decoded if it is JSON."""
        command = ["curl", "-s", "-X", method, "--max-time", "30", "-w", "\n%{http_code} %{content_type}", "--unix-socket",
                   str(self.bench.socket), "http://jobclone" + path]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        done = subprocess.run(command, input=None if body is None else json.dumps(body), capture_output=True, text=True,
                              timeout=60)
        text, _, last = done.stdout.rpartition("\n")
        status, _, kind = last.partition(" ")
        return int(status), json.loads(text) if kind.startswith("application/json") else text

    def good(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        if status not in (200, 201):
            raise AssertionError(f"{method} {path}: {status} {answer}\n{self.err()[-4000:]}")
        return answer

    def is_up(self):
        return self.process.poll() is None and self.bench.socket.exists() and self.call("GET", "/v1/status")[0] == 200

    def submit(self, clones, file="plan.yaml", **keys):
        """The id of the new run."""
        self.bench.plan(clones, **keys)
        plan = {"file": file, "plan": self.bench.plan_file.read_text(encoding="utf-8"), "csv": []}
        return self.good("POST", "/v1/runs", plan)["run"]

    def show(self, run):
        return self.good("GET", f"/v1/runs/{run}")

    def result(self, run):
        return self.good("GET", f"/v1/runs/{run}/result")

    def wait(self, run, *states, timeout=60):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            shown = self.show(run)
            if shown["state"] in states and (shown["state"] in ("paused", "running", "queued") or shown["finished"]):
                return shown
            time.sleep(0.05)
        raise AssertionError(f"the run did not become {states}: {shown}\n{self.err()[-4000:]}")

    def wait_ended(self, run, timeout=90):
        """Until its end is stored; the result."""
        self.wait(run, "succeeded", "failed", "cancelled", timeout=timeout)
        return self.result(run)

    def wait_done(self, run, count, timeout=60):
        """Until so many of its clones have succeeded."""
        self.bench.wait_for(lambda: self.show(run)["totals"]["succeeded"] >= count, timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def reload(self):
        before = len(self.bench.systemd.heard("READY"))
        self.process.send_signal(signal.SIGHUP)
        self.bench.wait_for(lambda: len(self.bench.systemd.heard("READY")) > before)

    def stop(self, timeout=60):
        """SIGTERM; its exit code."""
        self.process.terminate()
        code = self.process.wait(timeout)
        text = self.err()
        if "ERROR: AddressSanitizer" in text or "runtime error:" in text or "LeakSanitizer" in text:
            raise AssertionError(text[-8000:])
        return code


class ServiceBench(harness.Bench):
    """A bench whose jobcloned is the daemon."""

    def __init__(self, **keywords):
        self.daemons = []
        self.systemd = None
        super().__init__(**keywords)
        self.systemd = Systemd(self.folder)

    @property
    def socket(self):
        return self.folder / "control.sock"

    def settings(self, url=None, limits=None, servers=None, **server):
        """As the bench's, with the daemon's own keys; `servers` adds others or, with None, takes `prod` away."""
        super().settings(url=url, **server)
        whole = json.loads(self.config.read_text())
        whole["state"] = {"directory": str(self.state)}
        whole["control"] = {"socket": str(self.socket)}
        whole["spool"] = {"directory": str(self.folder / "spool")}
        whole["plans"] = {"directory": str(self.folder / "plans.d")}
        if limits:
            whole["limits"] = limits
        whole["servers"].update(servers or {})
        self.config.write_text(json.dumps(whole, indent=1), encoding="utf-8")

    @property
    def spool(self):
        return self.folder / "spool"

    def drop(self, clones, name="plan.yaml", **keys):
        """Puts a plan into the spool, by renaming it in."""
        self.plan(clones, **keys)
        os.rename(self.plan_file, self.spool / name)

    def up(self, *arguments, stored=True):
        """Starts the daemon, with what its predecessor left in the store, and waits until it answers."""
        environment = {"NOTIFY_SOCKET": self.systemd.path, **self.environment}
        ready = len(self.systemd.heard("READY"))
        daemon = Daemon(self, environment, self.systemd.store if stored else {}, arguments)
        self.daemons.append(daemon)
        try:
            self.wait_for(lambda: daemon.process.poll() is not None or
                          (len(self.systemd.heard("READY")) > ready and daemon.is_up()))
        except AssertionError as error:
            raise AssertionError(daemon.err()) from error
        if daemon.process.poll() is not None:
            raise AssertionError(daemon.err())
        return daemon

    def close(self):
        for daemon in self.daemons:
            harness.stop(daemon.process, 10)
            self.outputs.append(daemon.err())
        if self.systemd:
            self.systemd.close()
        super().close()


class ServiceCase(harness.BenchCase):
    """A test with a daemon of its own."""

    def service(self, **keywords):
        bench = ServiceBench(**keywords)
        self.addCleanup(bench.close)
        return bench

    def assert_result(self, result, count, **totals):
        self.assertEqual(result["totals"]["items"], count, result["totals"])
        for word, number in totals.items():
            self.assertEqual(result["totals"][word], number, result["totals"])
