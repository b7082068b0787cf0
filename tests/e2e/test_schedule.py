"""plans.d: what is due becomes a run; edits, restarts, overlap, by hand."""
import json
import subprocess
import time
import unittest

import harness
from daemon import ServiceCase
from harness import OK

OFTEN = {"calendar": "*:*:0/2 Europe/Prague"}
# the due time is in the name: a due time that came twice would meet its own clone, and fail
DATED = [{"source": "Template Backup", "repository": "Repo A", "name": "Tenant ${date:%H%M%S} ${plan.name}"}]


class Schedule(ServiceCase):
    def begun(self, **plans):
        bench = self.service()
        (bench.folder / "plans.d").mkdir()
        for name, plan in plans.items():
            self.write(bench, name, **plan)
        return bench, bench.up()

    def write(self, bench, name, clones=None, file=None, **keys):
        plan = {"version": 1, "name": name, "server": "prod", "clones": clones or DATED, **keys}
        path = bench.folder / "plans.d" / (file or name + ".yaml")
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(plan))
        temporary.rename(path)

    def runs(self, daemon):
        return daemon.good("GET", "/v1/runs")["runs"]

    def ended(self, daemon):
        return [run for run in self.runs(daemon) if run["finished"]]

    def schedule(self, daemon, name):
        found = [s for s in daemon.good("GET", "/v1/schedules")["schedules"] if s["name"] == name]
        return found[0] if found else None

    def test_due_times_become_runs(self):
        bench, daemon = self.begun(often={"schedule": OFTEN})
        bench.wait_for(lambda: len(self.ended(daemon)) >= 3, 60)
        runs = self.ended(daemon)
        self.assertEqual({(run["origin"], run["plan"], run["state"]) for run in runs},
                         {("schedule", "often", "succeeded")})
        made = bench.clones()
        self.assertGreaterEqual(len(made), 3)
        self.assertTrue(all(len(clones) == 1 for clones in made.values()))
        shown = self.schedule(daemon, "often")
        self.assertEqual((shown["calendar"], shown["server"], shown["error"]), (OFTEN["calendar"], "prod", None))
        self.assertIn(shown["last"]["state"], ("queued", "running", "succeeded"))
        self.assertIn(f"often.yaml: plan often is due {OFTEN['calendar']}\n", daemon.err())
        self.assertEqual(daemon.stop(), OK)

    def test_restarts_repeat_no_due_time(self):
        bench, daemon = self.begun(often={"schedule": {**OFTEN, "catch_up": True}})
        for _ in range(3):
            before = len(self.runs(daemon))
            bench.wait_for(lambda: len(self.runs(daemon)) > before, 60)
            daemon.kill()
            daemon = bench.up()
        bench.wait_for(lambda: len(self.ended(daemon)) >= 4, 60)
        (bench.folder / "plans.d" / "often.yaml").unlink()
        bench.wait_for(lambda: all(run["finished"] for run in self.runs(daemon)), 60)
        self.assertEqual({run["state"] for run in self.runs(daemon)}, {"succeeded"})
        self.assertTrue(all(len(clones) == 1 for clones in bench.clones().values()))

    def test_edits_take_effect_and_broken_ones_do_not(self):
        bench, daemon = self.begun(nightly={"schedule": {"calendar": "02:00"}})
        bench.wait_for(lambda: (self.schedule(daemon, "nightly") or {}).get("next"))
        self.write(bench, "nightly", schedule=OFTEN)
        bench.wait_for(lambda: len(self.ended(daemon)) >= 1, 60)
        self.write(bench, "nightly", schedule=OFTEN, clones=[{"name": "x", "sorce": "T"}])
        bench.wait_for(lambda: self.schedule(daemon, "nightly")["error"], 60)
        self.assertIn('did you mean "source"?', self.schedule(daemon, "nightly")["error"])
        self.assertIn("its last good version goes on", daemon.err())
        before = len(self.ended(daemon))
        bench.wait_for(lambda: len(self.ended(daemon)) > before + 1, 60)
        (bench.folder / "plans.d" / "nightly.yaml").unlink()
        bench.wait_for(lambda: not self.schedule(daemon, "nightly"), 60)

    def watch_open(self, daemon, allowed, until):
        """Looks at the open runs until it is so: never more of them than allowed, and one at work."""
        def look():
            open_runs = [run for run in self.runs(daemon) if not run["finished"]]
            self.assertLessEqual(len(open_runs), allowed)
            self.assertLessEqual(sum(run["state"] == "running" for run in open_runs), 1)
            return until(open_runs)
        daemon.bench.wait_for(look, 60)

    def test_one_run_at_a_time(self):
        bench, daemon = self.begun()
        bench.sim.behave(task_ms=5000)
        self.write(bench, "often", schedule=OFTEN)
        self.watch_open(daemon, 1, lambda _: daemon.err().count("left out: a run of it is still open") > 1)
        self.write(bench, "often", schedule={**OFTEN, "overlap": "queue"})
        self.watch_open(daemon, 2, lambda open_runs: len(open_runs) == 2)
        before = daemon.err().count("left out")
        self.watch_open(daemon, 2, lambda _: daemon.err().count("left out") > before)

    def test_a_run_waits_for_its_window(self):
        hour = time.gmtime().tm_hour
        window = {"from": f"{(hour + 3) % 24:02}:00", "to": f"{(hour + 4) % 24:02}:00", "timezone": "UTC"}
        bench, daemon = self.begun(later={"window": window})
        bench.wait_for(lambda: self.schedule(daemon, "later"))
        run = daemon.good("POST", "/v1/schedules/later/run")["run"]
        bench.wait_for(lambda: daemon.show(run)["phase"] == "waiting" and daemon.show(run)["trouble"])
        self.assertEqual(daemon.show(run)["trouble"], f"its window is closed until {window['from']} UTC")
        self.assertEqual(bench.api_requests(), 0)

    def test_by_hand(self):
        bench, daemon = self.begun(rare={})
        bench.wait_for(lambda: self.schedule(daemon, "rare"))
        bench.sim.behave(task_ms=1500)
        run = daemon.good("POST", "/v1/schedules/rare/run")["run"]
        status, answer = daemon.call("POST", "/v1/schedules/rare/run")
        self.assertEqual(status, 409, answer)
        self.assertIn("still open", answer["message"])
        self.assert_result(daemon.wait_ended(run), 1, succeeded=1)
        self.assertEqual(self.schedule(daemon, "rare")["last"]["run"], run)
        status, answer = daemon.call("POST", "/v1/schedules/other/run")
        self.assertEqual(status, 404, answer)

    def submit(self, bench, word):
        return subprocess.run([harness.BIN / "jobclonectl", "--socket", bench.socket, "submit", "--scheduled", word],
                              capture_output=True, text=True, timeout=60)

    def test_by_hand_two_of_one_name(self):
        """The file that is not used is not taken for the other one, whose plan has its name."""
        bench, daemon = self.begun()
        self.write(bench, "nightly", file="first.yaml")
        bench.wait_for(lambda: self.schedule(daemon, "nightly"))
        self.write(bench, "nightly", file="second.yaml")
        bench.wait_for(lambda: "rename one of them" in daemon.err())
        done = self.submit(bench, "second.yaml")
        self.assertEqual((done.returncode, done.stdout), (harness.USAGE, ""), done.stderr)
        self.assertIn("its plan's name, nightly, is that of", done.stderr)
        self.assertEqual(self.runs(daemon), [])
        for word in ("first.yaml", "nightly"):
            done = self.submit(bench, word)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assert_result(daemon.wait_ended(done.stdout.strip()), 1, succeeded=1)
            time.sleep(1)  # the next one's name differs by a second

    def test_by_hand_two_of_one_name_the_first_broken(self):
        """The last good version of the first file is used, and not for the second one."""
        bench, daemon = self.begun()
        for file in ("first.yaml", "second.yaml"):
            self.write(bench, "nightly", file=file)
        bench.wait_for(lambda: "rename one of them" in daemon.err())
        self.write(bench, "nightly", clones=[{"name": "x", "sorce": "T"}], file="first.yaml")
        bench.wait_for(lambda: "its last good version goes on" in daemon.err())
        done = self.submit(bench, "second.yaml")
        self.assertEqual((done.returncode, done.stdout), (harness.USAGE, ""), done.stderr)
        self.assertIn("its plan's name, nightly, is that of", done.stderr)
        self.assertEqual(self.runs(daemon), [])
        done = self.submit(bench, "first.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_result(daemon.wait_ended(done.stdout.strip()), 1, succeeded=1)

    def test_by_hand_a_plan_that_is_not_good(self):
        bench, daemon = self.begun(good={})
        self.write(bench, "bad", clones=[{"name": "x", "sorce": "T"}])
        bench.wait_for(lambda: "bad.yaml is not good" in daemon.err())
        file = bench.folder / "plans.d" / "bad.yaml"
        for word in ("bad.yaml", "bad", str(file)):
            done = self.submit(bench, word)
            self.assertEqual((done.returncode, done.stdout), (harness.USAGE, ""), done.stderr)
            self.assertIn(f"{file} is there, but not good: {file}:1:", done.stderr)
            self.assertIn('unknown key "sorce" in a clone; did you mean "source"?', done.stderr)
        status, answer = daemon.call("POST", "/v1/schedules/ba/run")
        self.assertEqual((status, answer["message"]), (404, f'there is no plan "ba" in {bench.folder / "plans.d"}'))
        self.assertEqual(self.runs(daemon), [])


if __name__ == "__main__":
    unittest.main()
