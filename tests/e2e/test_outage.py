"""A server that answers nothing for a while: probes alone leave, no try is lost, then everything goes on."""
import socket
import threading
import time
import unittest

from daemon import ServiceCase
from harness import OK, BenchCase, backups


class Gate:
    """A port before a server: at first nothing that knocks is answered, as by a firewall that drops it."""

    def __init__(self, port):
        self.beyond = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = self.listener.getsockname()
        self.sockets = [socket.socket() for _ in range(2)]  # more than the backlog: what comes next is dropped
        for one in self.sockets:
            one.setblocking(False)
            one.connect_ex(self.address)

    def open(self):
        self.close()
        self.listener = socket.create_server(self.address)
        threading.Thread(target=self.let_through, daemon=True).start()

    def let_through(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.beyond)
            self.sockets += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def pass_on(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        for one in [self.listener, *self.sockets]:
            one.close()
        self.sockets = []


class Dropped(BenchCase):
    def test_connections_that_come_to_nothing(self):
        """The server is reached as soon as it can be, however many of them there were."""
        bench = self.bench()
        gate = Gate(bench.sim.port)
        self.addCleanup(gate.close)
        bench.settings(url=f"https://127.0.0.1:{gate.address[1]}", timeouts={"connect": "1s"})
        clones, names = backups(20)
        bench.plan(clones)
        child = bench.start()
        time.sleep(4)  # at least two time-outs
        self.assertEqual(bench.sim.truth()["requests"]["logon"], 0)
        gate.open()
        run = bench.finish(child)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 20)
        self.assert_each_once(bench, names)


class Outage(ServiceCase):
    def server(self, daemon):
        return daemon.good("GET", "/v1/status")["servers"][0]

    def test_everything_goes_on(self):
        bench = self.service()
        bench.sim.behave(task_ms=100, latency_ms=50)
        daemon = bench.up()
        self.assertIsNone(self.server(daemon)["unreachable"])
        clones, names = backups(300)
        run = daemon.submit(clones, in_flight=4)
        daemon.wait_done(run, 20)
        bench.sim.behave(apply_to="all", lose_request_percent=100)
        bench.wait_for(lambda: self.server(daemon)["state"] == "unreachable")
        self.assertRegex(self.server(daemon)["unreachable"]["since"], r"^20\d\d-.*Z$")
        time.sleep(1)  # what was under way has been lost
        before = bench.sim.truth()["requests"]
        bench.wait_for(lambda: bench.sim.truth()["requests"]["servers"] > 0)  # the second probe asks for something else
        bench.wait_for(lambda: self.server(daemon)["unreachable"]["next_probe"])
        after = bench.sim.truth()["requests"]
        probes = {"logons", "servers", "sim"}
        self.assertEqual({kind: n for kind, n in after.items() if kind not in probes},
                         {kind: n for kind, n in before.items() if kind not in probes})
        self.assertEqual(daemon.show(run)["totals"]["failed"], 0)
        bench.sim.behave(lose_request_percent=0)
        bench.wait_for(lambda: self.server(daemon)["unreachable"] is None)
        self.assertEqual(self.server(daemon)["state"], "fine")
        result = daemon.wait_ended(run)
        self.assertEqual({item["name"] for item in result["items"] if item["state"] == "succeeded"}, set(names))
        again = [item["name"] for item in result["items"] if item["attempts"] > 1]
        self.assertLessEqual(len(again), 16)  # those that left before a look was lost, too
        self.assertEqual(bench.sim.truth()["marks_asked_twice"], [])

    def test_it_says_when_to_come_again(self):
        """Retry-After: not even a probe leaves before, and operators see until when."""
        bench = self.service()
        bench.sim.behave(task_ms=100)
        daemon = bench.up()
        daemon.wait_ended(daemon.submit(backups(1)[0]))  # so that it is logged on
        self.assertIsNone(self.server(daemon)["rests_until"])
        bench.sim.behave(apply_to="all", error503_percent=100, retry_after_s=4)
        clones, names = backups(10, "Later")
        run = daemon.submit(clones)
        bench.wait_for(lambda: self.server(daemon)["rests_until"])
        began, before = time.monotonic(), bench.api_requests()
        self.assertEqual(self.server(daemon)["rests_until"], self.server(daemon)["unreachable"]["next_probe"])
        bench.sim.behave(error503_percent=0)
        while time.monotonic() < began + 2.5:
            self.assertEqual(bench.api_requests(), before)
            time.sleep(0.1)
        self.assert_result(daemon.wait_ended(run), 10, succeeded=10)
        self.assertIsNone(self.server(daemon)["rests_until"])

    def test_it_is_busy(self):
        """429 with Retry-After: the server is well, and yet nothing is sent; the run says why."""
        bench = self.service()
        bench.sim.behave(task_ms=100, error429_percent=100, retry_after_s=4, faults_max=1)
        daemon = bench.up()
        run = daemon.submit(backups(10)[0], in_flight=1)
        bench.wait_for(lambda: self.server(daemon)["rests_until"])
        self.assertEqual(self.server(daemon)["state"], "fine")
        self.assertRegex(daemon.show(run)["trouble"], r"^server prod is busy: nothing is sent until 20\S+ \S+ UTC, as it asked$")
        result = daemon.wait_ended(run)
        self.assert_result(result, 10, succeeded=10)
        self.assertEqual({item["attempts"] for item in result["items"]}, {1})
        self.assertIsNone(daemon.show(run)["trouble"])


if __name__ == "__main__":
    unittest.main()
