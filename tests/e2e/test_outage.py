"""A server that answers nothing for a while: probes alone leave, no try is lost, then everything goes on."""
import time
import unittest

from daemon import ServiceCase
from harness import backups


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


if __name__ == "__main__":
    unittest.main()
