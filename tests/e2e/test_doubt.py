"""Answers that do not come back, come late or are no answers: each clone exactly once all the same."""
import unittest

from harness import OK, BenchCase, backups

COUNT = 12
FAULTS = 4


class Doubt(BenchCase):
    def clone_with(self, count=COUNT, timeout=120, **behaviour):
        bench = self.bench()
        clones, names = backups(count)
        bench.plan(clones)
        bench.sim.behave(**behaviour)
        run = bench.once(timeout=timeout)
        self.assert_each_once(bench, names)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, count)
        return bench, run

    def taken_effect(self, **fault):
        """A fault after the clone took effect: found by its mark, with no second request."""
        bench, run = self.clone_with(faults_max=FAULTS, **fault)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], COUNT)
        self.assertEqual(sum(item["recovered"] for item in run.result["items"]), FAULTS)
        self.assertEqual([item["attempts"] for item in run.result["items"]], [1] * COUNT)

    def without_effect(self, **fault):
        """A fault before the clone took effect: sent again, but only after its absence is proven."""
        bench, run = self.clone_with(faults_max=FAULTS, **fault)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], COUNT + FAULTS)
        self.assertGreaterEqual(run.seconds, 3)
        self.assertEqual(sorted(item["attempts"] for item in run.result["items"]), [1] * (COUNT - FAULTS) + [2] * FAULTS)

    def test_answer_lost(self):
        self.taken_effect(lose_answer_percent=100)

    def test_answer_that_comes_while_its_job_is_looked_at(self):
        """One clone is in doubt, so tasks that nobody owns yet are looked at; the answers to the others are slow."""
        bench = self.bench()
        clones, names = backups(24)
        bench.plan(clones)
        bench.sim.behave(latency_ms=30, task_ms=10, collect_lag_ms=10, lag_ms=2000, slow_body_ms=1,
                         lose_answer_percent=10, seed=3)
        run = bench.once(timeout=60)
        self.assert_code(run, OK)
        self.assert_each_once(bench, names)
        self.assert_all_succeeded(run, len(names))

    def test_error_500_after_the_clone(self):
        self.taken_effect(error500_after_percent=100)

    def test_answer_cut_off(self):
        self.taken_effect(truncate_percent=100)

    def test_answer_garbled(self):
        self.taken_effect(garble_percent=100)

    def test_answer_in_html(self):
        self.taken_effect(html_percent=100)

    def test_request_lost(self):
        self.without_effect(lose_request_percent=100)

    def test_error_500_before_the_clone(self):
        self.without_effect(error500_before_percent=100)

    def test_overload_503(self):
        self.without_effect(error503_percent=100)

    def test_busy_429_uses_up_no_attempt(self):
        _, run = self.clone_with(faults_max=FAULTS, error429_percent=100, retry_after_s=1)
        self.assertEqual([item["attempts"] for item in run.result["items"]], [1] * COUNT)
        self.assertLess(run.seconds, 30)

    def test_half_of_everything_goes_wrong(self):
        self.clone_with(count=30, apply_to="all", faults_max=60, lose_answer_percent=15, error500_after_percent=10,
                        error500_before_percent=5, truncate_percent=10, garble_percent=10)

    def test_garbled_task_lists_change_nothing(self):
        bench, _ = self.clone_with(apply_to="tasks", faults_max=6, garble_percent=50, truncate_percent=50)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], COUNT)

    def test_failed_task_is_tried_again(self):
        bench = self.bench()
        clones, names = backups(1)
        bench.plan(clones)
        bench.sim.behave(fail_task_percent=100, task_ms=400)
        child = bench.start()
        bench.wait_for(lambda: bench.sim.truth()["clones"])
        bench.sim.behave(fail_task_percent=0)
        run = bench.finish(child)
        self.assert_code(run, OK)
        self.assertGreaterEqual(run.result["items"][0]["attempts"], 2)

    def test_session_that_ends_in_the_middle(self):
        bench = self.bench()
        clones, names = backups(30)
        bench.plan(clones, in_flight=2)
        bench.sim.behave(task_ms=100)
        child = bench.start()
        bench.wait_for(lambda: len(bench.clones()) >= 10)
        bench.sim.behave(session_expire_now=True)
        run = bench.finish(child, 120)
        self.assert_each_once(bench, names)
        self.assert_code(run, OK)
        self.assertEqual(bench.logons(), 2)


if __name__ == "__main__":
    unittest.main()
