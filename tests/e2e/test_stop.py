"""Stopped, killed, started again: the same command goes on with the same run, and nothing is made twice."""
import random
import signal
import time
import unittest

from harness import INTERRUPTED, OK, BenchCase, backups

COUNT = 40


class Stop(BenchCase):
    def begun(self, task_ms=150, count=COUNT):
        bench = self.bench()
        clones, names = backups(count)
        bench.plan(clones, in_flight=4)
        bench.sim.behave(task_ms=task_ms)
        return bench, names

    def test_sigterm_then_the_same_command(self):
        bench, names = self.begun()
        bench.sim.behave(latency_ms=100)  # so that some are left when the signal comes
        child = bench.start()
        bench.wait_for(lambda: len(bench.clones()) >= 5)
        child.send_signal(signal.SIGTERM)
        stopped = bench.finish(child, 60)
        self.assert_code(stopped, INTERRUPTED)
        self.assertEqual(stopped.result["state"], "paused")
        self.assertLess(len(bench.clones()), COUNT)
        self.assertEqual(bench.open_sessions(), 0)
        again = bench.once(timeout=120)
        self.assert_code(again, OK)
        self.assertEqual(again.result["run"], stopped.result["run"])
        self.assert_all_succeeded(again, COUNT)
        self.assert_each_once(bench, names)

    def test_terminal_that_goes_away(self):
        bench, names = self.begun(task_ms=1000, count=4)
        bench.sim.behave(latency_ms=300)
        child = bench.start()
        bench.wait_for(lambda: bench.sim.truth()["requests"]["logon"])
        child.send_signal(signal.SIGHUP)
        stopped = bench.finish(child, 60)
        self.assert_code(stopped, INTERRUPTED)
        self.assertEqual(stopped.result["state"], "paused")
        self.assertEqual(bench.open_sessions(), 0)
        self.assert_code(bench.once(), OK)
        self.assert_each_once(bench, names)

    def test_terminal_that_goes_away_after_nohup(self):
        bench, names = self.begun(task_ms=1000, count=4)
        with_hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does: children inherit it
        try:
            child = bench.start()
        finally:
            signal.signal(signal.SIGHUP, with_hangup)
        bench.wait_for(lambda: bench.sim.truth()["clones"])
        child.send_signal(signal.SIGHUP)
        self.assert_code(bench.finish(child, 60), OK)
        self.assert_each_once(bench, names)

    def test_second_signal_leaves_at_once(self):
        bench, names = self.begun(task_ms=20000, count=4)
        child = bench.start()
        bench.wait_for(lambda: bench.sim.truth()["clones"])
        child.send_signal(signal.SIGINT)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        self.assert_code(bench.finish(child, 5), INTERRUPTED)

    def killed_at_random(self, seed):
        random.seed(seed)
        bench, names = self.begun(task_ms=1500)
        for _ in range(5):
            child = bench.start()
            time.sleep(random.uniform(0.02, 1.2))
            if child.poll() is not None:
                run = bench.finish(child)
                break
            child.kill()
            run = bench.finish(child)
            if run.result and run.result["state"] == "succeeded":
                break  # killed on its way out: the run has ended, and the same command would begin another
        else:
            run = bench.once(timeout=150)
        self.assert_each_once(bench, names)
        self.assert_all_succeeded(run, COUNT)

    def test_killed_at_random_1(self):
        self.killed_at_random(1)

    def test_killed_at_random_2(self):
        self.killed_at_random(2)

    def test_killed_at_random_3(self):
        self.killed_at_random(3)

    def test_killed_while_answers_are_lost(self):
        random.seed(4)
        bench, names = self.begun(count=16)
        bench.sim.behave(lose_answer_percent=40, lose_request_percent=20, faults_max=12)
        for _ in range(3):
            child = bench.start()
            time.sleep(random.uniform(0.3, 1.5))
            child.kill()
            bench.finish(child)
        run = bench.once(timeout=150)
        self.assert_each_once(bench, names)
        self.assert_code(run, OK)

    def test_another_plan_waits_for_an_interrupted_one(self):
        """What a killed run may have made is looked for before another plan takes its names."""
        bench, names = self.begun(task_ms=1500, count=6)
        bench.sim.behave(latency_ms=200)
        bench.plan(backups(6)[0], in_flight=1)
        first = bench.plan_file.read_text(encoding="utf-8")
        child = bench.start()
        bench.wait_for(lambda: bench.clones())
        child.kill()
        bench.finish(child)
        time.sleep(1)  # what the server had got by then takes effect
        begun = set(bench.clones())
        self.assertTrue(0 < len(begun) < 6)
        clones, _ = backups(6)
        bench.plan(clones, name="another", defaults={"on_conflict": "skip"})
        run = bench.once(timeout=120)
        self.assert_code(run, OK)
        self.assertIn("was interrupted", run.err)
        self.assertEqual({item["name"] for item in run.result["items"] if item["state"] == "skipped"}, begun)
        self.assert_each_once(bench, names)
        bench.plan_file.write_text(first, encoding="utf-8")
        again = bench.once(timeout=120)  # the first plan goes on, and meets what the other one has made
        self.assertEqual({item["name"] for item in again.result["items"] if item["state"] == "succeeded"}, begun)
        self.assertEqual({item["error"]["code"] for item in again.result["items"] if item["state"] == "failed"},
                         {"name_conflict"})
        self.assert_each_once(bench, names)


if __name__ == "__main__":
    unittest.main()
