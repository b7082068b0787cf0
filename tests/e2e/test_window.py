"""`window`: clone requests leave while it is open, and only then."""
import os
import signal
import time
import unittest

from harness import INTERRUPTED, OK, BenchCase, backups

NOON = 12 * 3600
DAY = 24 * 3600


class Window(BenchCase):
    def set_clock(self, seconds):
        """From now on the system's own zone is one in which it is so many seconds after midnight."""
        ahead = (seconds - int(time.time())) % DAY
        if ahead > DAY // 2:
            ahead -= DAY
        hours, rest = divmod(abs(ahead), 3600)
        before = os.environ.get("TZ")
        os.environ["TZ"] = "<LAB>%s%02d:%02d:%02d" % ("-" if ahead >= 0 else "+", hours, rest // 60, rest % 60)
        self.addCleanup(lambda: os.environ.pop("TZ") if before is None else os.environ.update(TZ=before))

    def test_nothing_is_sent_while_it_is_closed(self):
        bench = self.bench()
        clones, _ = backups(3)
        bench.plan(clones, window={"from": "13:00", "to": "14:00"})
        self.set_clock(NOON)
        child = bench.start()
        time.sleep(2)
        child.send_signal(signal.SIGTERM)
        run = bench.finish(child, 30)
        self.assert_code(run, INTERRUPTED)
        self.assertEqual(run.result["state"], "paused")
        self.assertEqual(bench.api_requests(), 0)
        self.assertIn("Window    closed until 13:00 LAB\n", run.out)

    def test_it_opens(self):
        bench = self.bench()
        clones, names = backups(3)
        bench.plan(clones, window={"from": "12:00", "to": "13:00"})
        began = time.monotonic()
        self.set_clock(NOON - 6)
        child = bench.start()
        time.sleep(2)
        requests = bench.api_requests()
        if time.monotonic() - began < 5:  # else it has opened: the machine is busy
            self.assertEqual(requests, 0)
        run = bench.finish(child)
        self.assert_code(run, OK)
        self.assert_each_once(bench, names)

    def test_it_closes(self):
        bench = self.bench()
        clones, names = backups(300)
        bench.plan(clones, window={"from": "10:00", "to": "12:00"}, in_flight=1)
        bench.sim.behave(latency_ms=100)
        closes = time.monotonic() + 15
        self.set_clock(NOON - 15)
        child = bench.start()
        bench.wait_for(lambda: len(bench.clones()) > 1)
        time.sleep(max(0, closes - time.monotonic()) + 1)
        made = len(bench.clones())
        time.sleep(1)
        self.assertEqual(len(bench.clones()), made)
        child.send_signal(signal.SIGTERM)
        run = bench.finish(child, 60)
        self.assert_code(run, INTERRUPTED)
        self.assertIn("Window    closed until 10:00 LAB\n", run.out)
        self.assertEqual(run.result["totals"]["succeeded"], made)
        self.assertLess(made, 300)

    def test_progress_tells_what_it_waits_for(self):
        bench = self.bench()
        bench.plan(backups(1)[0], window={"from": "13:00", "to": "14:00"})
        self.set_clock(NOON)
        child = bench.start()
        said = b"waiting for its window until 13:00 LAB: 0/1 done"
        bench.wait_for(lambda: said in os.pread(child.files[1].fileno(), 65536, 0))
        child.send_signal(signal.SIGTERM)
        bench.finish(child, 30)


if __name__ == "__main__":
    unittest.main()
