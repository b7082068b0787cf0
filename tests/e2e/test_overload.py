"""The limit of requests in flight against a server that can be overloaded: as quick as with the best fixed limit, and
hardly ever refused."""
import os
import time
import unittest

from daemon import ServiceCase
from harness import BenchCase, backups

class Load:
    """What a server has done since another moment."""

    def __init__(self, sim):
        truth = sim.truth()
        self.moment = time.monotonic()
        self.clones = len(truth["clones"])
        self.refused = truth["refused_by_load"]
        self.requests = sum(n for kind, n in truth["requests"].items() if kind != "sim")

    def since(self, before):
        """Clones per second, and the share of requests that were refused."""
        seconds = self.moment - before.moment
        return (self.clones - before.clones) / seconds, (self.refused - before.refused) / (self.requests - before.requests)


class Overload(BenchCase):
    def measure(self, bench, limit, skip, seconds):
        """A run under this limit: its first `skip` seconds do not count. It is ended before it has made 500 clones or
        so, from which on it also tidies up."""
        number = len(bench.outputs)
        bench.state = bench.folder / f"state{number}"
        bench.settings(in_flight=limit, tasks={"max": 5000})
        bench.plan([{"for_each": {"count": 20000}, "name": f"Run {number} ${{index}}", "source": "Template Backup",
                     "repository": "Repo A"}], name=f"overload-{number}")
        before = Load(bench.sim).clones
        child = bench.start()
        bench.wait_for(lambda: Load(bench.sim).clones > before)
        time.sleep(skip)
        begin = Load(bench.sim)
        time.sleep(seconds)
        end = Load(bench.sim)
        child.kill()
        bench.finish(child)
        time.sleep(1)  # what is still at the server leaves it
        return end.since(begin)

    def hold(self, places, service_ms, factors=(1, 1.5), skip=3, seconds=2.5):
        """From the default to within a tenth of the best fixed limit, and under 1% refused."""
        bench = self.bench(arguments=("--places", str(places), "--service-ms", str(service_ms), "--task-ms", "100"))
        rate, errors = self.measure(bench, {"initial": 8, "max": 200}, skip, seconds)
        fixed = {}
        for limit in sorted({round(places * factor) for factor in factors}):
            fixed[limit] = self.measure(bench, {"initial": limit, "max": limit}, skip, seconds)[0]
        shown = (f"{rate:.1f} clones a second, {errors:.2%} refused; with a fixed limit: {fixed}; "
                 f"possible: {1000 * places / service_ms}")
        print(shown)
        self.assertGreaterEqual(rate, 0.9 * max(fixed.values()), shown)
        self.assertLess(errors, 0.01, shown)

    def test_2_places(self):
        self.hold(2, 40)

    def test_8_places(self):
        self.hold(8, 120)

    def test_40_places(self):
        self.hold(40, 400)

    @unittest.skipUnless(os.environ.get("JOBCLONE_SOAK"), "takes minutes: tests/run --soak")
    def test_grid(self):
        for places in (2, 3, 5, 8, 16, 40):
            for service_ms in (50, 100, 300):
                seconds = max(4, 30 * service_ms / 1000)
                with self.subTest(places=places, service_ms=service_ms):
                    if places * 1000 / service_ms <= 200:  # more is a matter of the processor here
                        self.hold(places, service_ms, (0.75, 1, 1.25, 1.5, 2, 3), seconds, seconds)


class Requests(ServiceCase):
    """Requests at once, and what `status` says of them."""

    def in_flight(self, daemon):
        return daemon.good("GET", "/v1/status")["servers"][0]["in_flight"]

    def test_fewer_where_they_are_refused(self):
        bench = self.service()
        bench.settings(in_flight={"initial": 16, "max": 24})
        daemon = bench.up()
        self.assertEqual(self.in_flight(daemon), {"now": 0, "limit": 16, "max": 24})
        bench.sim.behave(places=2, service_ms=50, queue_max=6, collect_lag_ms=0)
        clones, names = backups(150)
        run = daemon.submit(clones)
        seen = []
        while not daemon.show(run)["finished"]:
            seen.append(self.in_flight(daemon))
            time.sleep(0.05)
        self.assert_result(daemon.result(run), 150, succeeded=150)
        self.assert_each_once(bench, names)
        limits = [one["limit"] for one in seen]
        self.assertLess(min(limits), 8, limits)
        self.assertLessEqual(max(limits), 24)
        self.assertEqual({one["max"] for one in seen}, {24})
        self.assertLessEqual(max(one["now"] for one in seen), 24)
        self.assertEqual(daemon.stop(), 0)


class Tasks(ServiceCase):
    """Unfinished tasks, and what `status` says of them."""

    def backup_servers(self, daemon):
        return {one["backup_server"]: one["tasks"] for one in daemon.good("GET", "/v1/status")["servers"][0]["backup_servers"]}

    def run_clones(self, count, tasks_max, **behaviour):
        """The bounds that `status` shows while so many clones are made, and the result."""
        bench = self.service()
        bench.settings(tasks={"max": tasks_max}, in_flight={"initial": 4, "max": 4})
        bench.sim.behave(collect_lag_ms=0, **behaviour)
        daemon = bench.up()
        self.assertEqual(self.backup_servers(daemon), {})
        run = daemon.submit(backups(count)[0])
        bounds = set()
        while not daemon.show(run)["finished"]:
            for tasks in self.backup_servers(daemon).values():
                self.assertLessEqual(tasks["now"], tasks_max)
                self.assertEqual(tasks["max"], tasks_max)
                bounds.add(tasks["limit"])
            time.sleep(0.05)
        self.assert_result(daemon.result(run), count, succeeded=count)
        self.assertEqual(set(self.backup_servers(daemon)), {"vbr01"})
        self.assertEqual(daemon.stop(), 0)
        return bounds, bench.sim.truth()

    def test_fewer_where_they_wait_for_each_other(self):
        bounds, _ = self.run_clones(300, 60, task_ms=100, task_places=4, task_crowd=1000)
        self.assertIn(60, bounds)
        self.assertLessEqual(min(bounds), 30, bounds)

    def test_all_where_they_run_side_by_side(self):
        bounds, truth = self.run_clones(300, 300, task_ms=4000)
        self.assertEqual(bounds, {300})
        self.assertGreater(truth["tasks_unfinished_max"], 100)


if __name__ == "__main__":
    unittest.main()
