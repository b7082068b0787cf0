"""jobclonectl and the real daemon; and clients that behave badly while it clones."""
import json
import os
import pathlib
import resource
import socket
import subprocess
import threading
import time
import unittest

import daemon as service
import harness


class Control(service.ServiceCase):
    def setUp(self):
        super().setUp()
        self.bench = self.service()
        self.daemon = self.bench.up()

    def command(self, *words):
        return [harness.BIN / "jobclonectl", "--socket", self.bench.socket, *words]

    def ctl(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=90, cwd=self.bench.folder)
        return done.returncode, done.stdout, done.stderr

    def start(self, *words):
        child = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 cwd=self.bench.folder)
        self.addCleanup(lambda: harness.stop(child))
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        return child

    def test_a_plan_from_preview_to_report(self):
        clones, names = harness.backups(20)
        (self.bench.folder / "t.csv").write_text("tenant\nextra one\nextra two\n")
        self.bench.plan([*clones, {"for_each": {"csv": "t.csv"}, "name": "${tenant}", "source": "Template Backup",
                                   "repository": "Repo A"}])
        code, out, err = self.ctl("preview", "plan.yaml")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("items 22: create 22, skip 0, conflict 0, error 0", out)
        self.assertEqual(self.bench.clones(), {})
        code, out, err = self.ctl("submit", "--wait", "plan.yaml")
        self.assertEqual(code, 0, err)
        run = out.strip()
        self.assertRegex(run, r"^[0-9A-Z]{26}$")
        self.assert_each_once(self.bench, names + ["extra one", "extra two"])
        self.assertIn(run, self.ctl("list")[1])
        self.assertRegex(self.ctl("show", run[-8:])[1], r"(?m)^Items     22, 22 succeeded$")
        self.assertEqual(self.ctl("show", "--items", run)[1].count("extra "), 2)
        self.assertIn("clones a", self.ctl("report", run)[1])
        self.assertEqual(json.loads(self.ctl("show", "--json", run)[1])["totals"]["succeeded"], 22)
        self.assertEqual(self.ctl("watch", run)[0], 0)
        code, out, _ = self.ctl("preview", "plan.yaml")
        self.assertEqual(code, 1)
        self.assertIn("conflict 22", out)
        code, _, err = self.ctl("submit", "--wait", "plan.yaml")
        self.assertEqual(code, 1)
        self.assertIn("22 failed", err)

    def test_steering(self):
        self.bench.sim.behave(task_ms=1000)
        clones, _ = harness.backups(400)
        self.bench.plan(clones, in_flight=4)
        waiting = self.start("submit", "--wait", "plan.yaml")
        run = waiting.stdout.readline().strip()
        self.daemon.wait(run, "running")
        code, out, _ = self.ctl("pause", run)
        self.assertEqual((code, out.split(",")[0].strip()), (0, f"{run}: paused"))
        self.assertEqual(self.ctl("pause", run)[0], 2)
        self.assertEqual(self.ctl("resume", run)[0], 0)
        self.assertEqual(self.ctl("cancel", run)[0], 0)
        self.assertEqual(waiting.wait(60), 4)
        self.assertEqual(self.ctl("watch", run)[0], 4)
        self.assertIn("cancelled", self.ctl("list")[1])
        self.assertEqual(self.ctl("status")[0], 0)

    def test_waiting_outlives_the_daemon(self):
        self.bench.sim.behave(task_ms=500)
        clones, names = harness.backups(150)
        self.bench.plan(clones)
        waiting = self.start("submit", "--wait", "plan.yaml")
        run = waiting.stdout.readline().strip()
        self.daemon.wait_done(run, 20)
        self.daemon.kill()
        while "is away" not in waiting.stderr.readline():
            self.assertIsNone(waiting.poll())
        self.bench.up()
        self.assertEqual(waiting.wait(90), 0, waiting.stderr.read())
        self.assert_each_once(self.bench, names)

    # ---- clients that behave badly ----

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(str(self.bench.socket))
        return client

    def flood(self, stop, seen):
        """Huge, garbled and broken off requests, one after another."""
        bodies = [b"POST /v1/runs HTTP/1.1\r\nHost: j\r\nContent-Length: 9999999999\r\n\r\n" + b"x" * 4096,
                  b"\x00\xff" * 2000 + b"\r\n\r\n", b"GET /" + b"y" * 60000 + b" HTTP/1.1\r\n\r\n",
                  b"POST /v1/preview HTTP/1.1\r\nHost: j\r\nContent-Length: 2000\r\n\r\n" + b"[" * 2000,
                  b"POST /v1/runs/X/cancel HTTP/1.1\r\nHost: j\r\nContent-Length: 30\r\n\r\n{"]
        while not stop.is_set():
            for body in bodies:
                client = self.connect()
                client.settimeout(1)  # some get no answer before their time is up
                try:
                    client.sendall(body)
                    seen.append(client.recv(64)[:12])
                except (BrokenPipeError, ConnectionResetError, TimeoutError):
                    pass
                client.close()

    def test_the_clones_go_on(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        idle = [self.connect() for _ in range(700)]
        self.addCleanup(lambda: [client.close() for client in idle + watchers])
        for client in idle:
            client.sendall(b"GET /v1/events HTTP/1.1\r\nHo")
        watchers = [self.connect() for _ in range(40)]
        for client in watchers:
            client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: j\r\n\r\n")  # and never read
        stop, seen = threading.Event(), []
        flood = threading.Thread(target=self.flood, args=(stop, seen))
        flood.start()
        try:
            clones, names = harness.backups(200)
            run = self.daemon.submit(clones)
            result = self.daemon.wait_ended(run)
        finally:
            stop.set()
            flood.join()
        self.assert_result(result, 200, succeeded=200)
        self.assert_each_once(self.bench, names)
        self.assertTrue({b"HTTP/1.1 413", b"HTTP/1.1 400"} <= set(seen), set(seen))
        self.assertEqual(self.daemon.call("GET", "/v1/status")[0], 200)
        self.assertEqual(self.daemon.stop(), 0)



class Reports(service.ServiceCase):
    """Many that are asked for at once take no more memory than a few."""
    ITEMS, CLIENTS = 20000, 60
    MORE_KIB = 40 * 1024  # a report needs some 3 MiB; all of them together would need 150

    def peak_kib(self):
        status = pathlib.Path(f"/proc/{self.daemon.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0])

    def test_many_at_once(self):
        bench = self.service()
        bench.environment = {"ASAN_OPTIONS": "quarantine_size_mb=1"}
        self.daemon = bench.up()
        run = self.daemon.submit([{"for_each": {"count": self.ITEMS}, "name": "C ${index}", "source": "there is none"}])
        self.daemon.wait_ended(run)
        before = self.peak_kib()
        command = ["curl", "-s", "-f", "-o", "/dev/null", "--max-time", "80", "--unix-socket", bench.socket,
                   f"http://jobclone/v1/runs/{run}/report"]
        clients = [subprocess.Popen(command) for _ in range(self.CLIENTS)]
        self.assertEqual([client.wait() for client in clients], [0] * self.CLIENTS)
        self.assertLess(self.peak_kib() - before, self.MORE_KIB)
        self.assertEqual(self.daemon.stop(), 0)

    def test_the_end_does_not_wait_for_those_that_wait(self):
        """Two are written at a time: the others hear that the daemon stops, and nothing of them is left."""
        bench = self.service()
        self.daemon = bench.up()
        run = self.daemon.submit([{"for_each": {"count": self.ITEMS}, "name": "C ${index}", "source": "there is none"}])
        self.daemon.wait_ended(run)
        began = time.monotonic()
        self.daemon.result(run)
        one_s = time.monotonic() - began
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "80", "--unix-socket", bench.socket,
                   f"http://jobclone/v1/runs/{run}/result"]
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(30)]
        descriptors = pathlib.Path(f"/proc/{self.daemon.process.pid}/fd")
        bench.wait_for(lambda: len([fd for fd in descriptors.iterdir() if "socket" in os.readlink(fd)]) > 30)
        began = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0)
        end_s = time.monotonic() - began
        codes = [client.communicate()[0] for client in clients]
        print(f"one result {one_s:.2f} s, the end {end_s:.2f} s, {codes}")
        self.assertLessEqual(set(codes), {"200", "503", "000"})
        self.assertGreater(codes.count("503"), 10)
        self.assertLess(end_s, 8 * one_s + 2)


if __name__ == "__main__":
    unittest.main()
