"""Plans that are dropped into the daemon's spool."""
import json
import os
import stat
import time
import unittest

from daemon import ServiceCase
from harness import OK, backups


class Spool(ServiceCase):
    def filed(self, bench, folder):
        return sorted(path.name for path in (bench.spool / folder).iterdir())

    def test_dropped_plan_is_carried_out_and_filed(self):
        bench = self.service()
        daemon = bench.up()
        clones, names = backups(5)
        bench.drop(clones, "onboard.yaml")
        bench.wait_for(lambda: (bench.spool / "done" / "onboard.yaml").exists())
        self.assertEqual(self.filed(bench, "done"), ["onboard.report.txt", "onboard.result.json", "onboard.yaml"])
        self.assertEqual(self.filed(bench, "accepted"), [])
        result = json.loads((bench.spool / "done" / "onboard.result.json").read_text())
        self.assertEqual((result["state"], result["file"]), ("succeeded", "onboard.yaml"))
        self.assert_result(result, 5, succeeded=5)
        self.assertIn("onboard.result.json", (bench.spool / "done" / "onboard.report.txt").read_text())
        self.assert_each_once(bench, names)
        run = daemon.good("GET", "/v1/runs")["runs"][0]
        self.assertEqual((run["origin"], run["state"]), ("spool", "succeeded"))
        self.assertEqual(daemon.stop(), OK)

    def test_failures_go_to_failed_and_bad_plans_to_rejected(self):
        bench = self.service()
        daemon = bench.up()
        clones, _ = backups(2)
        clones[0]["source"] = "No Such Template"
        bench.drop(clones, "half.yaml")
        (bench.folder / "bad.yaml").write_text("version: 1\nnam: x\n")
        os.rename(bench.folder / "bad.yaml", bench.spool / "bad.yaml")
        bench.wait_for(lambda: (bench.spool / "failed" / "half.yaml").exists())
        bench.wait_for(lambda: (bench.spool / "rejected" / "bad.errors.txt").exists())
        self.assertIn("bad.yaml:2:1:", (bench.spool / "rejected" / "bad.errors.txt").read_text())
        run = daemon.good("GET", "/v1/runs")["runs"][0]["run"]
        daemon.wait_ended(run)
        daemon.good("POST", f"/v1/runs/{run}/retry")
        self.assert_result(daemon.wait_ended(run), 2, succeeded=1, failed=1)
        self.assertEqual(self.filed(bench, "failed"), ["half.report.txt", "half.result.json", "half.yaml"])

    def test_fifty_at_once_among_strange_things(self):
        bench = self.service()
        daemon = bench.up()
        names = []
        os.mkfifo(bench.spool / "pipe.yaml")
        os.symlink("/etc/passwd", bench.spool / "link.yaml")
        writing = open(bench.spool / "writing.yaml", "w", encoding="utf-8")
        for i in range(50):
            clones, some = backups(2, f"Drop {i}")
            names += some
            bench.drop(clones, f"drop-{i}.yaml")
        clones, some = backups(2, "Late")
        bench.plan(clones)
        text = bench.plan_file.read_text()
        writing.write(text[:40])
        writing.flush()
        bench.wait_for(lambda: len(self.filed(bench, "done")) == 150, 90)
        self.assertTrue((bench.spool / "writing.yaml").exists())
        writing.write(text[40:])
        writing.close()
        bench.wait_for(lambda: len(self.filed(bench, "done")) == 153, 30)
        self.assertEqual(self.filed(bench, "rejected"), ["link.errors.txt", "pipe.errors.txt"])
        self.assertTrue(stat.S_ISFIFO((bench.spool / "pipe.yaml").lstat().st_mode))
        self.assert_each_once(bench, names + some)
        self.assertEqual(daemon.stop(), OK)

    def test_killed_between_drop_and_end(self):
        bench = self.service()
        bench.sim.behave(task_ms=100)
        names = []
        daemon = bench.up()
        for i in range(12):
            clones, some = backups(3, f"Drop {i}")
            names += some
            bench.drop(clones, f"drop-{i}.yaml")
            if i % 4 == 3:
                time.sleep(0.15 * (i // 4))
                daemon.kill()
                daemon = bench.up(stored=False)
        bench.wait_for(lambda: len(self.filed(bench, "done")) == 36, 90)
        self.assertEqual(self.filed(bench, "accepted"), [])
        self.assert_each_once(bench, names)

    def test_dropped_while_it_was_down(self):
        bench = self.service()
        bench.up().stop()
        clones, names = backups(2)
        bench.drop(clones)
        bench.up()
        bench.wait_for(lambda: (bench.spool / "done" / "plan.yaml").exists())
        self.assert_each_once(bench, names)


if __name__ == "__main__":
    unittest.main()
