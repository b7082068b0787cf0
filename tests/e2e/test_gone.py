"""Servers that are gone from the settings, and what operators may do with their runs meanwhile."""
import json
import subprocess
import unittest

from daemon import ServiceCase
from harness import BIN, OK, backups


class Gone(ServiceCase):
    """Open runs whose server is not in the settings any more when the daemon begins anew."""

    def without_server(self, bench):
        """A daemon whose settings have another server; and the settings as they were."""
        good = bench.config.read_text()
        whole = json.loads(good)
        whole["servers"]["other"] = whole["servers"].pop("prod")
        bench.config.write_text(json.dumps(whole))
        return bench.up(), good

    def blocked(self, bench, daemon, run):
        bench.wait_for(lambda: daemon.show(run)["trouble"])
        self.assertIn("no server prod", daemon.show(run)["trouble"])
        return daemon.show(run)

    def start(self, bench, **limits):
        bench.settings(tasks={"max": 2}, **limits)
        bench.sim.behave(task_ms=500)
        daemon = bench.up()
        run = daemon.submit(backups(10)[0])
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 2)
        return daemon, run

    def test_what_is_in_doubt_is_settled_when_it_is_back(self):
        bench = self.service()
        daemon, run = self.start(bench)
        daemon.kill()
        daemon, good = self.without_server(bench)
        totals = self.blocked(bench, daemon, run)["totals"]
        self.assertGreaterEqual(totals["running"] + totals["in_doubt"], 2)
        self.assertEqual(totals["pending"] + totals["running"] + totals["in_doubt"] + totals["succeeded"], 10)
        answer = daemon.good("POST", f"/v1/runs/{run}/cancel")
        self.assertEqual((answer["state"], answer["phase"]), ("queued", "cancelling"))
        for words in ("to be cancelled, which is stored", "no server prod", "may have reached it"):
            self.assertIn(words, answer["trouble"])
        for command in ("cancel", "pause", "resume"):
            self.assertEqual(daemon.call("POST", f"/v1/runs/{run}/{command}")[0], 409)
        daemon.kill()
        daemon = bench.up()
        self.assertIn("to be cancelled", self.blocked(bench, daemon, run)["trouble"])
        bench.config.write_text(good)
        daemon.reload()
        result = daemon.wait_ended(run)
        self.assertEqual(result["state"], "cancelled")
        self.assertGreater(result["totals"]["succeeded"], 0)
        self.assert_each_once(bench, [item["name"] for item in result["items"] if item["state"] == "succeeded"])
        self.assertEqual(result["totals"]["succeeded"] + result["totals"]["cancelled"], 10)
        self.assertEqual(daemon.stop(), OK)

    def test_what_has_never_begun_ends_without_it(self):
        bench = self.service()
        daemon, first = self.start(bench, limits={"runs": 1})
        bench.drop(backups(5, "Dropped")[0], "dropped.yaml")
        bench.wait_for(lambda: (bench.spool / "accepted" / "dropped.yaml").exists())
        second = [run["run"] for run in daemon.good("GET", "/v1/runs")["runs"] if run["file"] == "dropped.yaml"][0]
        daemon.kill()
        daemon, good = self.without_server(bench)
        self.assertIn("or cancel the run", self.blocked(bench, daemon, second)["trouble"])
        daemon.good("POST", f"/v1/runs/{second}/cancel")
        daemon.kill()
        daemon = bench.up()
        result = daemon.wait_ended(second)
        self.assertEqual(result["state"], "cancelled")
        self.assert_result(result, 5, cancelled=5)
        self.assertEqual([item["name"] for item in result["items"]], backups(5, "Dropped")[1])
        bench.wait_for(lambda: (bench.spool / "failed" / "dropped.yaml").exists())
        self.assertEqual(json.loads((bench.spool / "failed" / "dropped.result.json").read_text())["state"], "cancelled")
        self.assertTrue((bench.spool / "failed" / "dropped.report.txt").exists())
        self.assertEqual(daemon.call("POST", f"/v1/runs/{second}/retry")[0], 409)
        bench.config.write_text(good)
        daemon.reload()
        self.assert_result(daemon.wait_ended(first), 10, succeeded=10)
        daemon.good("POST", f"/v1/runs/{second}/retry")
        self.assert_result(daemon.wait_ended(second), 5, succeeded=5)
        self.assert_each_once(bench, backups(10)[1] + backups(5, "Dropped")[1])
        self.assertEqual(daemon.stop(), OK)

    def test_what_is_paused_stays_so(self):
        bench = self.service()
        daemon, run = self.start(bench)
        daemon.kill()
        daemon, good = self.without_server(bench)
        self.blocked(bench, daemon, run)
        done = subprocess.run([BIN / "jobclonectl", "--socket", bench.socket, "pause", run], capture_output=True, text=True,
                              timeout=30)
        self.assertEqual((done.returncode, done.stdout), (OK, f"{run}: paused\n"))
        self.assertIn("it is paused; it waits: the settings have no server prod", done.stderr)
        daemon.kill()
        daemon = bench.up()
        self.assertEqual(self.blocked(bench, daemon, run)["state"], "paused")
        bench.config.write_text(good)
        daemon.reload()
        bench.wait_for(lambda: daemon.show(run)["totals"]["in_doubt"] == 0 and not daemon.show(run)["trouble"])
        self.assertEqual(daemon.show(run)["state"], "paused")
        self.assertGreater(daemon.show(run)["totals"]["pending"], 0)
        self.assertEqual(daemon.good("POST", f"/v1/runs/{run}/resume")["state"], "running")
        self.assert_result(daemon.wait_ended(run), 10, succeeded=10)
        self.assert_each_once(bench, backups(10)[1])
        daemon.kill()

    def test_what_is_cancelled_needs_no_place(self):
        bench = self.service()
        daemon, run = self.start(bench, limits={"runs": 1})
        daemon.kill()
        bench.sim.behave(task_ms=20000)
        daemon, good = self.without_server(bench)
        self.blocked(bench, daemon, run)
        other = daemon.submit(backups(2, "Other")[0], server="other")
        bench.wait_for(lambda: daemon.show(other)["totals"]["running"] == 2)
        daemon.good("POST", f"/v1/runs/{run}/cancel")
        whole = json.loads(good)
        whole["servers"]["other"] = whole["servers"]["prod"]
        bench.config.write_text(json.dumps(whole))
        daemon.reload()
        self.assertEqual(daemon.wait_ended(run)["state"], "cancelled")
        self.assertEqual(daemon.show(other)["totals"]["running"], 2)
        daemon.kill()

    def test_resumed_without_it(self):
        bench = self.service()
        daemon, run = self.start(bench)
        daemon.good("POST", f"/v1/runs/{run}/pause")
        daemon.kill()
        daemon, good = self.without_server(bench)
        self.assertEqual(self.blocked(bench, daemon, run)["state"], "paused")
        self.assertEqual(daemon.good("POST", f"/v1/runs/{run}/resume")["state"], "queued")
        bench.config.write_text(good)
        daemon.reload()
        self.assert_result(daemon.wait_ended(run), 10, succeeded=10)
        self.assert_each_once(bench, backups(10)[1])
        daemon.kill()


if __name__ == "__main__":
    unittest.main()
