"""jobclonectl against a control socket with a service that is none (tests/lib/fake_control.c)."""
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness

PLAN = ("version: 1\nname: p\nserver: prod\nclones:\n  - {name: a, source: T}\n"
        "  - {for_each: {csv: sub/t.csv}, name: '${t}', source: T}\n")
FIRST, SECOND = "01FAKE00000000000000000137", "01FAKE00000000000000000274"


class Ctl(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jobclone-ctl-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.socket = self.folder / "control.sock"
        self.daemon = None
        self.addCleanup(self.stop)

    def start(self, *runs, per_tick=2):
        self.daemon = subprocess.Popen(
            [harness.BIN / "fake_control", self.socket, str(per_tick), *map(str, runs)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(self.daemon.stdout.readline(), "ready\n")

    def stop(self):
        if self.daemon:
            harness.stop(self.daemon)
            self.daemon.stdout.close()
            self.assertEqual(self.daemon.returncode, 0)
        self.daemon = None

    def command(self, *words):
        return [harness.BIN / "jobclonectl", "--socket", self.socket, *words]

    def ctl(self, *words, **environment):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60, cwd=self.folder,
                              env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **environment})
        self.assertNotIn("Sanitizer", done.stderr)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        return done.returncode, done.stdout, done.stderr

    def write_plan(self, text=PLAN, csv="t\nacme\nskip me\n"):
        (self.folder / "sub").mkdir(exist_ok=True)
        (self.folder / "sub" / "t.csv").write_text(csv, encoding="utf-8")
        (self.folder / "p.yaml").write_text(text, encoding="utf-8")

    # ---- looking ----

    def test_status(self):
        self.start(10)
        code, out, err = self.ctl("status")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^prod +fine +open +3/8 of 64 +https://em\.example\.com:9398 +-$")
        self.assertIn(r"no route\x1b[2J to host", out)
        self.assertRegex(out, r"(?m)^vbr01 +prod +5/40 of 200$")
        self.assertRegex(out, r"(?m)^prod is busy: nothing is sent until 2026-11-23 \d\d:01:00, as it asked$")
        self.assertRegex(out, r"(?m)^lab does not answer since 2026-11-23 \d\d:00:00, tried again 2026-11-23 \d\d:00:30$")
        self.assertEqual(json.loads(self.ctl("--json", "status")[1])["servers"][0]["server"], "prod")

    def test_list_and_show(self):
        self.start(200, 30)
        code, out, _ = self.ctl("list")
        self.assertEqual(code, 0)
        lines = out.splitlines()
        self.assertEqual(lines[0].split(), ["RUN", "STATE", "DONE", "FAILED", "ACCEPTED", "SERVER", "PLAN"])
        self.assertTrue(lines[1].startswith(SECOND + "  "), out)
        self.assertIn(r"onboard\x1b[31m", lines[2])
        code, out, _ = self.ctl("show", "000137")
        self.assertEqual(code, 0)
        self.assertIn("Run       " + FIRST, out)
        self.assertRegex(out, r"(?m)^Items     200, ")

    def test_items_and_report(self):
        self.start(30, per_tick=30)
        self.until(lambda: "failed" in self.ctl("show", FIRST)[1])
        code, out, _ = self.ctl("show", FIRST.lower(), "--items")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^24 +failed +0 +Tenant 0024 Backup +Backup +task_failed: disk full$")
        self.assertEqual(len(re.findall(r"(?m)^\d+ +succeeded ", out)), 29)
        self.assertIn("Failed or unknown", self.ctl("report", FIRST)[1])
        result = json.loads(self.ctl("show", "--json", FIRST)[1])
        self.assertEqual((result["version"], len(result["items"])), (1, 30))

    def test_a_part_of_an_id_must_be_enough(self):
        self.start(10, 10)
        code, out, err = self.ctl("show", "01FAKE")
        self.assertEqual((code, out), (2, ""))
        self.assertIn(FIRST, err)
        self.assertEqual(self.ctl("show", "XYZ")[0], 2)
        code, _, err = self.ctl("show", "../status")
        self.assertEqual(code, 2)

    def test_schedules(self):
        self.start()
        code, out, _ = self.ctl("schedules")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^nightly +/etc/jobclone/plans\.d/nightly\.yaml +prod +2026-11-23 14:00:00 +2026-11-22 14:00:00 +succeeded ")
        self.assertIn('Not used: weekly.yaml:3:1: unknown key "serve"\nNot used: weekly.yaml:4:1: \\x1b\n', out)

    # ---- plans ----

    def test_submit_takes_the_csv_along(self):
        self.start(per_tick=0)
        self.write_plan()
        code, out, err = self.ctl("submit", "p.yaml")
        self.assertEqual((code, out, err), (0, FIRST + "\n", ""))
        self.assertRegex(self.ctl("show", FIRST)[1], r"(?m)^File      p\.yaml$[\s\S]*^Items     3, ")

    def test_an_invalid_plan_is_said_as_check_says_it(self):
        self.start()
        self.write_plan(PLAN.replace("source", "sorce", 1))
        code, out, err = self.ctl("submit", "p.yaml")
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(err, self.ctl("check", "p.yaml")[2])
        self.write_plan(PLAN.replace("prod", "prd"))
        code, out, err = self.ctl("submit", "p.yaml")
        self.assertEqual((code, out), (2, ""))
        self.assertIn('p.yaml:3:9: there is no server "prd"', err)
        self.write_plan(csv="t\n" + "x" * (2 << 20) + "\n")
        self.assertEqual(self.ctl("preview", "p.yaml")[0], 2)
        self.assertEqual(self.ctl("submit", "missing.yaml")[0], 2)
        self.assertIn("no runs", self.ctl("list")[2])

    def test_preview(self):
        self.start()
        self.write_plan()
        code, out, _ = self.ctl("preview", "p.yaml")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^2 +skip +skip me ")
        self.assertIn("items 3: create 2, skip 1, conflict 0, error 0", out)
        self.write_plan(csv="t\nconflict\n")
        code, out, _ = self.ctl("preview", "p.yaml")
        self.assertEqual(code, 1)
        self.assertIn("name_conflict: a job of that name", out)
        code, out, _ = self.ctl("--json", "preview", "p.yaml")
        self.assertEqual((code, json.loads(out)["totals"]["conflict"]), (1, 1))

    def test_submit_and_wait(self):
        self.start(per_tick=20)
        self.write_plan()
        code, out, err = self.ctl("submit", "--wait", "p.yaml")
        self.assertEqual((code, out), (0, FIRST + "\n"))
        self.assertIn("succeeded: 3 succeeded", err)
        self.write_plan(csv="t\n" + "".join(f"t{i}\n" for i in range(30)))
        code, out, err = self.ctl("submit", "--wait", "p.yaml")
        self.assertEqual(code, 1)
        self.assertIn("failed: 30 succeeded, 1 failed", err)
        code, out, err = self.ctl("--json", "submit", "--wait", "--scheduled", "plans.d/nightly.yaml")
        states = [json.loads(line)["state"] for line in out.splitlines()]
        self.assertEqual((code, states), (0, ["running", "succeeded"]))
        code, out, err = self.ctl("submit", "--scheduled", "monthly")
        self.assertEqual((code, out), (2, ""))
        self.assertIn('no schedule "monthly"', err)

    def test_a_signal_ends_the_waiting_alone(self):
        self.start(per_tick=0)
        self.write_plan()
        child = subprocess.Popen(self.command("submit", "--wait", self.folder / "p.yaml"), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), FIRST + "\n")
        self.assertIn("0/3", child.stderr.readline())
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        self.assertEqual(child.returncode, 4)
        self.assertIn("jobclonectl show " + FIRST, err)
        self.assertIn("running", self.ctl("show", FIRST)[1])

    # ---- changing ----

    def test_pause_resume_cancel_retry(self):
        self.start(30, 10000, per_tick=1)
        self.assertEqual(self.ctl("pause", "274"), (0, SECOND + ": paused, cloning\n", ""))
        code, out, err = self.ctl("pause", "274")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("is paused", err)
        self.assertEqual(self.ctl("resume", "274")[0], 0)
        self.assertEqual(json.loads(self.ctl("--json", "cancel", "274", "--stop-tasks")[1])["state"], "cancelled")
        self.assertEqual(self.ctl("watch", "137")[0], 1)
        self.assertEqual(self.ctl("watch", "274")[0], 4)
        self.assertEqual(self.ctl("retry", "137")[0], 0)
        self.assertEqual(self.ctl("retry", "274")[0], 2)

    # ---- watching ----

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "what the test waited for did not happen")
            time.sleep(0.05)

    def test_watch_in_plain_lines(self):
        self.start(60, per_tick=3)
        code, out, err = self.ctl("watch", FIRST)
        self.assertEqual((code, err), (1, ""))
        self.assertRegex(out, r"(?m)^\d\d:\d\d:\d\d onboard\\x1b\[31m \(0137\) \d+/60 ")
        self.assertRegex(out, r"item 49 Tenant 0049 Backup failed: task_failed: disk\\x1b full\n")
        self.assertRegex(out, r"failed: 58 succeeded, 2 failed in \d+s; run " + FIRST)

    def test_watch_as_json(self):
        self.start(60, per_tick=3)
        code, out, _ = self.ctl("--json", "watch", FIRST)
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual({event["event"] for event in events}, {"run", "failure"})
        self.assertEqual(events[-1]["data"]["state"], "failed")
        self.assertEqual(code, 1)

    def test_watch_as_json_tells_an_end_that_is_past(self):
        self.start(10, per_tick=10)
        self.ctl("watch", FIRST)
        code, out, _ = self.ctl("--json", "watch", FIRST)
        event = json.loads(out)
        self.assertEqual((code, event["event"], event["data"]["state"]), (0, "run", "succeeded"))

    def test_watch_lives_through_a_restart(self):
        self.start(100000, per_tick=1)
        child = subprocess.Popen(self.command("watch", FIRST), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(60, child.kill)
        watchdog.start()
        self.addCleanup(watchdog.cancel)
        self.assertIn("/100000", child.stdout.readline())
        self.stop()
        line = ""
        while "is away" not in line:
            line = child.stdout.readline()
            self.assertTrue(line)
        self.start(30, per_tick=10)
        out, err = child.communicate()
        self.assertEqual(child.returncode, 1, out + err)
        self.assertRegex(out, r"(?s)the daemon is back.*29 succeeded, 1 failed")

    def on_terminal(self, *words, until, resize=None, **environment):
        """What a terminal of 100 columns gets until a text has come; then Ctrl-C."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update({"TERM": "xterm", "LC_ALL": "C.UTF-8", **environment})
            os.execv(harness.BIN / "jobclonectl", [str(word) for word in self.command(*words)])
        import fcntl
        import struct
        import termios
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 20, resize or 100, 0, 0))
        seen, end = b"", time.monotonic() + 40
        while not re.search(until, seen) and time.monotonic() < end:
            if select.select([fd], [], [], 1)[0]:
                seen += os.read(fd, 65536)
        os.write(fd, b"\x03")
        status = None
        while status is None:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        self.assertTrue(re.search(until, seen), seen[-2000:])
        return status, seen.decode()

    def test_watch_on_a_terminal(self):
        self.start(20000, 30, per_tick=5)
        code, seen = self.on_terminal("watch", until=rb"succeeded, 1 failed in .*[\s\S]* left")
        self.assertEqual(code, 0)
        self.assertIn("░", seen)
        self.assertIn("\x1b[33m", seen)
        self.assertTrue(seen.rstrip().endswith("\x1b[?25h"), "the cursor is given back")
        self.assertNotIn("\x1b[31m (0137)", seen)
        code, seen = self.on_terminal("watch", FIRST, until=rb" left", NO_COLOR="1")
        self.assertEqual(code, 4)
        self.assertNotRegex(seen, r"\x1b\[3\dm")
        code, seen = self.on_terminal("watch", FIRST, until=rb"failed", LC_ALL="C")
        self.assertIn("...", seen)
        self.assertTrue(seen.isascii())

    def test_no_line_is_wider_than_the_terminal(self):
        self.start(20000, per_tick=5)
        _, seen = self.on_terminal("watch", FIRST, until=rb"0%  \d fail", resize=40, NO_COLOR="1")
        last = seen.split("\x1b[?2026h")[-1]
        for line in re.sub(r"\x1b\[[?\d]*[a-zA-Z]", "", last).splitlines():
            if "/20000" in line:
                self.assertLess(len(line), 40)
                self.assertIn("(0137)", line)

    # ---- the daemon is not there ----

    def test_without_a_daemon(self):
        for words in (["status"], ["list"], ["watch"], ["pause", "1"], ["submit", "p.yaml"]):
            code, out, err = self.ctl(*words)
            self.assertEqual((code, out), (3, ""), words)
            self.assertIn(f"there is no control socket {self.socket}", err)
            self.assertIn("systemctl status jobcloned", err)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(self.socket))
        dead.close()
        code, _, err = self.ctl("status")
        self.assertEqual(code, 3)
        self.assertIn("nobody answers", err)

    def test_who_may_not_is_told_which_group(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to be somebody else")
        self.start()
        self.folder.chmod(0o755)

        def become_nobody():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        for mode, text in ((0o660, "permission denied"), (0o666, "only root, the daemon's own user")):
            self.socket.chmod(mode)
            done = subprocess.run(self.command("status"), capture_output=True, text=True, timeout=60,
                                  preexec_fn=become_nobody)
            self.assertEqual((done.returncode, done.stdout), (3, ""))
            self.assertIn(text, done.stderr)
            self.assertIn("usermod -aG jobclone", done.stderr)

    def test_no_descriptor_is_left(self):
        script = 'ulimit -n 48 && exec "$0" "$1" 1 10'
        self.daemon = subprocess.Popen(["bash", "-c", script, harness.BIN / "fake_control", self.socket],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(self.daemon.stdout.readline(), "ready\n")
        clients, refused = [], 0
        for _ in range(80):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(30)
            client.connect(str(self.socket))
            clients.append(client)
        for client in clients:
            try:
                client.sendall(b"GET /v1/status HTTP/1.1\r\nHost: j\r\n\r\n")
            except BrokenPipeError:
                pass  # sent away already: the answer waits all the same
            refused += client.recv(64).startswith(b"HTTP/1.1 503")
        self.assertGreater(refused, 20)
        for client in clients:
            client.close()
        self.until(lambda: self.ctl("status")[0] == 0)

    def test_something_else_answers(self):
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(self.socket))
        server.listen()

        def answer(text):
            peer, _ = server.accept()
            peer.recv(65536)
            peer.sendall(text)
            peer.close()
        for text, words in ((b"", "went away"), (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhm!\n", "not understood"),
                            (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "HTTP 500"),
                            (b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{", "went away")):
            thread = threading.Thread(target=answer, args=(text,))
            thread.start()
            code, out, err = self.ctl("status")
            thread.join()
            self.assertEqual((code, out), (3, ""))
            self.assertIn(words, err)

    def test_a_socket_from_systemd(self):
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(str(self.socket))
        server.listen()
        script = 'exec 3<&"$1" && LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" unused'
        self.daemon = subprocess.Popen(["bash", "-c", script, harness.BIN / "fake_control", str(server.fileno())],
                                       pass_fds=[server.fileno()], stdout=subprocess.PIPE, text=True)
        self.assertEqual(self.daemon.stdout.readline(), "ready\n")
        self.assertEqual(self.ctl("status")[0], 0)
        self.stop()
        self.assertTrue(self.socket.exists(), "it is systemd's")

    # ---- completion ----

    def complete(self, *words):
        script = ('shopt -s extglob; source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; '
                  '_jobclonectl; printf "%s\\n" "${COMPREPLY[@]}"')
        completion = harness.ROOT / "config" / "bash-completion" / "jobclonectl"
        done = subprocess.run(["bash", "-c", script, "bash", completion, *words], capture_output=True, text=True, timeout=60,
                              cwd=self.folder, env={**os.environ, "PATH": f"{harness.BIN}:{os.environ['PATH']}"})
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_completion_knows_the_commands_and_the_runs(self):
        self.start(10, 10)
        self.write_plan()
        commands = re.findall(r"(?m)^  ([a-z]+) ", self.ctl("--help")[1])
        self.assertEqual(sorted(self.complete("jobclonectl", "")), sorted(commands))
        self.assertEqual(self.complete("jobclonectl", "cancel", "--st"), ["--stop-tasks"])
        self.assertEqual(self.complete("jobclonectl", "submit", "p"), ["p.yaml"])
        self.assertEqual(self.complete("jobclonectl", "--socket", str(self.socket), "show", "01fake"), [SECOND, FIRST])

    def test_usage(self):
        for words, text in ((["pause"], "no run is given"), (["pause", "a", "b"], 'not also "b"'),
                            (["list", "x"], 'takes no "x"'), (["list", "--wait"], "unknown option"),
                            (["--socket"], "needs a value"), (["show", ""], "empty word"), (["undo", "1"], "not supported")):
            code, out, err = self.ctl(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(text, err)


if __name__ == "__main__":
    unittest.main()
