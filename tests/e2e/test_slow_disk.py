"""A disk that takes its time: clones wait for it in groups, and nothing else waits for it at all.

tests/crash/preload.c lies under the program: it makes every sync slower, and counts.
"""
import mmap
import struct
import sys
import unittest

from daemon import ServiceBench, ServiceCase
from harness import BIN, OK, ROOT, Bench, BenchCase, backups

sys.path.insert(0, str(ROOT / "tests" / "crash"))
from points import COUNT_MAX, KINDS  # noqa: E402

SYNCS = KINDS.index("syncs")
FIRST = len(KINDS) + 2  # from there on: by kind what the first thread did
SYNC_MS, SYNCS_WAIT = COUNT_MAX - 2, COUNT_MAX - 1
LIBRARY = BIN / "crash_io.so"
IN_FLIGHT = 25
CLONES = 300


class Disk:
    """The counts that the library shares."""

    def __init__(self, bench, sync_ms=0):
        path = bench.folder / "counts"
        path.write_bytes(bytes(8 * COUNT_MAX))
        with open(path, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 8 * COUNT_MAX)
        bench.environment = {"LD_PRELOAD": str(LIBRARY), "ASAN_OPTIONS": "verify_asan_link_order=0",
                             "CRASH_COUNTS": str(path), "CRASH_SYNC_MS": str(sync_ms)}

    def __getitem__(self, place):
        return struct.unpack_from("Q", self.shared, 8 * place)[0]

    def slow_down(self, sync_ms):
        struct.pack_into("Q", self.shared, 8 * SYNC_MS, sync_ms)

    def by_first_thread(self):
        """What the loop's thread did to files; what it sends by sockets is its business."""
        return {kind: self[FIRST + i] for i, kind in enumerate(KINDS) if kind != "socket writes"}


class SlowOnce(BenchCase):
    """--once: a slow disk costs what its commits cost, and each carries as many clones as are in flight."""

    server = {"in_flight": {"initial": IN_FLIGHT, "max": IN_FLIGHT}}
    arguments = ("--task-ms", "20", "--collect-lag-ms", "0")

    def run_with(self, sync_ms):
        bench = self.bench()
        disk = Disk(bench, sync_ms)
        clones, names = backups(CLONES)
        bench.plan(clones)
        run = bench.once(timeout=150)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, CLONES)
        self.assert_each_once(bench, names)
        bench.close()
        return run.seconds, disk[SYNCS]

    def assert_slow(self, sync_ms):
        """The two numbers of syncs, the first of a disk that is quick."""
        fast_seconds, fast_syncs = self.run_with(0)
        seconds, syncs = self.run_with(sync_ms)
        print(f"{CLONES} clones, {IN_FLIGHT} in flight: {fast_syncs} syncs in {fast_seconds:.2f} s; "
              f"{syncs} of {sync_ms} ms in {seconds:.2f} s")
        self.assertLessEqual(seconds, 3 * fast_seconds + 1.5 * syncs * sync_ms / 1000 + 5)
        return fast_syncs, syncs

    def test_10_ms(self):
        fast_syncs, syncs = self.assert_slow(10)
        self.assertLessEqual(syncs, 1.25 * fast_syncs + 10, "the groups grow")

    def test_100_ms(self):
        # What comes in while a group is being written is the next group: no more groups than rounds
        # through what is in flight, each clone being decided, accepted and finished.
        _, syncs = self.assert_slow(100)
        self.assertLessEqual(syncs, 3 * CLONES / IN_FLIGHT + 30)


class SlowService(ServiceCase):
    """The daemon: the loop itself never waits for the disk."""

    server = {"in_flight": {"initial": IN_FLIGHT, "max": IN_FLIGHT}}
    arguments = ("--task-ms", "20", "--collect-lag-ms", "0")

    def setUp(self):
        super().setUp()
        self.bench_ = self.service()
        self.disk = Disk(self.bench_)
        self.bench_.environment["WATCHDOG_USEC"] = "400000"
        self.daemon = self.bench_.up()
        self.idle = self.disk.by_first_thread()

    def tearDown(self):
        self.disk.slow_down(0)

    def assert_alive(self):
        """It answers, and its heart beats."""
        beats = len(self.bench_.systemd.heard("WATCHDOG"))
        for _ in range(3):
            self.assertEqual(self.daemon.call("GET", "/v1/status")[0], 200)
        self.bench_.wait_for(lambda: len(self.bench_.systemd.heard("WATCHDOG")) >= beats + 5)

    def test_a_sync_that_hangs(self):
        clones, names = backups(CLONES)
        run = self.daemon.submit(clones)
        self.daemon.wait_done(run, 20)
        self.disk.slow_down(600000)
        self.bench_.wait_for(lambda: self.disk[SYNCS_WAIT] == 1)
        syncs = self.disk[SYNCS]
        self.assert_alive()
        self.assertEqual(self.daemon.show(run)["state"], "running")
        self.assertEqual((self.disk[SYNCS], self.disk[SYNCS_WAIT]), (syncs, 1), "all of this within one sync")
        self.disk.slow_down(0)
        self.assert_result(self.daemon.wait_ended(run), CLONES, succeeded=CLONES)
        self.assert_each_once(self.bench_, names)

    def test_syncs_of_100_ms(self):
        clones, names = backups(CLONES)
        self.disk.slow_down(100)
        run = self.daemon.submit(clones)
        while self.daemon.show(run)["state"] not in ("succeeded", "failed"):
            self.assert_alive()
        self.assert_result(self.daemon.wait_ended(run), CLONES, succeeded=CLONES)
        self.assert_each_once(self.bench_, names)

    def test_the_loop_writes_no_file(self):
        clones, names = backups(40)
        more, more_names = backups(40, "More")
        self.bench_.drop(clones)
        run = self.daemon.submit(more)
        self.daemon.wait_ended(run)
        self.daemon.reload()
        self.bench_.wait_for(lambda: (self.bench_.spool / "done" / "plan.result.json").exists())
        self.bench_.drop([{"name": ""}], "wrong.yaml")
        self.bench_.wait_for(lambda: (self.bench_.spool / "rejected" / "wrong.errors.txt").exists())
        self.assert_each_once(self.bench_, names + more_names)
        self.assertEqual(self.disk.by_first_thread(), self.idle)
        self.assertGreater(self.disk[SYNCS], self.idle["syncs"])


if __name__ == "__main__":
    unittest.main()
