"""Several servers at once: what one of them does is no other's business."""
import socket
import time
import unittest

from daemon import ServiceCase
from harness import Sim, backups

CLONES = 800
LARGE = 50000
ALONE_TIMES = 2  # so much longer may a run take beside a bad server, and SPARE_S
SPARE_S = 1


class Beside(ServiceCase):
    """A run on a good server beside one on a bad server: it goes at the speed at which it went alone."""

    server = {"in_flight": {"initial": 16, "max": 16}}
    arguments = ("--task-ms", "50", "--latency-ms", "5", "--collect-lag-ms", "0")

    def setUp(self):
        super().setUp()
        self.bench_ = self.service()
        self.other = Sim(self.bench_.folder / "other", arguments=self.arguments)
        self.addCleanup(self.other.close)
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=64)  # takes connections and says nothing
        self.addCleanup(self.silent.close)

    def keys(self, url):
        secret = self.bench_.folder / "em.password"
        return {"url": url, "username": "LAB\\svc-clone", "password": {"file": secret.name}, "settle": "3s",
                "tls": {"ca_file": str(self.other.certificate())}, "poll": {"interval": "50ms", "max": "1s"}}

    def time_of(self, daemon, stem):
        clones, _ = backups(CLONES, stem)
        began = time.monotonic()
        run = daemon.submit(clones, name=stem)
        self.assert_result(daemon.wait_ended(run), CLONES, succeeded=CLONES)
        return time.monotonic() - began

    def test_a_good_one(self):
        """Where the servers are what limits, two runs take no longer than one."""
        self.bench_.settings(servers={"other": {**self.keys(self.other.url), **self.server}}, **self.server)
        daemon = self.bench_.up()
        self.assertEqual([one["in_flight"]["max"] for one in daemon.good("GET", "/v1/status")["servers"]], [16, 16])
        for sim in (self.bench_.sim, self.other):
            sim.behave(latency_ms=100)
        alone = self.time_of(daemon, "Alone")
        began = time.monotonic()
        runs = [daemon.submit(backups(CLONES, stem)[0], name=stem, server=server)
                for stem, server in (("Beside", "prod"), ("Other", "other"))]
        for run in runs:
            self.assert_result(daemon.wait_ended(run), CLONES, succeeded=CLONES)
        both = time.monotonic() - began
        print(f"{CLONES} clones: {alone:.2f} s alone, twice as many on two servers {both:.2f} s")
        self.assertLessEqual(both, 1.5 * alone)
        daemon.kill()

    def run_beside(self, url, clones=None, **behaviour):
        """Both times, in seconds; the bad server has a run of its own meanwhile, which is cancelled half-way."""
        self.bench_.settings(servers={"bad": self.keys(url)})
        daemon = self.bench_.up()
        alone = self.time_of(daemon, "Alone")
        if behaviour:
            self.other.behave(**behaviour)
        bad = daemon.submit(clones or backups(1000, "Bad")[0], name="bad", server="bad")
        beside = self.time_of(daemon, "Beside")
        self.assertEqual(daemon.show(bad)["state"], "running")
        daemon.good("POST", f"/v1/runs/{bad}/cancel")
        cancelled = self.time_of(daemon, "Cancelled")
        print(f"{CLONES} clones: {alone:.2f} s alone, {beside:.2f} s beside it, {cancelled:.2f} s while it is cancelled")
        self.assertLessEqual(beside, ALONE_TIMES * alone + SPARE_S)
        self.assertLessEqual(cancelled, ALONE_TIMES * alone + SPARE_S)
        daemon.kill()

    def test_a_slow_one(self):
        self.run_beside(self.other.url, latency_ms=3000)

    def test_one_that_loses_every_answer(self):
        self.run_beside(self.other.url, lose_answer_percent=100, apply_to="clone")

    def test_one_that_garbles_all(self):
        self.run_beside(self.other.url, garble_percent=100, apply_to="all")

    def test_one_that_nobody_listens_on(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        self.run_beside(f"https://127.0.0.1:{port}")

    def test_one_that_says_nothing(self):
        self.run_beside(f"https://127.0.0.1:{self.silent.getsockname()[1]}")

    def test_a_large_plan_for_one_that_says_nothing(self):
        self.run_beside(f"https://127.0.0.1:{self.silent.getsockname()[1]}",
                        [{"source": "Template Backup", "repository": "Repo A", "for_each": {"count": LARGE},
                          "name": "Large ${index:06}"}])


if __name__ == "__main__":
    unittest.main()
