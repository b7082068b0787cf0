"""Large plans: what a clone costs does not grow with their number.

tests/bench/scale has the figures up to 200,000; JOBCLONE_LARGE=200000 takes this test there too.
"""
import json
import os
import resource
import subprocess
import time
import unittest

from harness import BIN, OK, BenchCase

FEW = 2000
MANY = int(os.environ.get("JOBCLONE_LARGE", "20000"))
KB_PER_ITEM = 0.7
CACHE_KB = 8 * 1024 * 1.024  # SQLite's cache, which fills up whatever the number
CPU_RATIO = 1.3
CHECK_S = 2  # of processor time, for `check`; with sanitizers ten times that
START_S = 1  # from the last look-up to the first clone; the same
WATCH = BIN.parent / "lib" / "libloop_watch.so"
LOOKUPS = ("jobs", "query", "repositories", "job")


def sanitized(program):
    return b"__asan_init" in (BIN / program).read_bytes()


class Large(BenchCase):
    server = {"in_flight": {"initial": 50, "max": 50}, "tasks": {"max": 100000}}
    arguments = ("--task-ms", "5", "--collect-lag-ms", "0")

    def write_csv(self, bench, count):
        rows = "".join(f"Tenant {i:06} Backup,tenant{i:06}\n" for i in range(count))
        (bench.folder / "tenants.csv").write_text("name,folder\n" + rows)
        bench.plan([{"for_each": {"csv": "tenants.csv"}, "name": "${name}", "folder": "${folder}"}],
                   defaults={"source": "Template Backup", "repository": "Repo A", "description": "one of many"})

    def run_with(self, count):
        """What a run of so many clones cost: processor seconds, and what loop_watch says."""
        bench = self.bench()
        self.write_csv(bench, count)
        bench.environment = {"LD_PRELOAD": str(WATCH), "LOOP_WATCH_FILE": str(bench.folder / "watch"),
                             "ASAN_OPTIONS": "verify_asan_link_order=0"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = bench.once(timeout=3600)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assert_code(run, OK)
        self.assertEqual(run.result["totals"]["succeeded"], count)
        self.assertTrue(all(item["verified"] for item in run.result["items"]))
        truth = bench.sim.truth()
        self.assertEqual((len(truth["clones"]), truth["duplicates"]), (count, []))
        cost = json.loads((bench.folder / "watch").read_text())
        cost["cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        bench.close()
        return cost

    def test_the_last_costs_what_the_first_did(self):
        few, many = self.run_with(FEW), self.run_with(MANY)
        memory = "heap_kib" if many["heap_kib"] else "resident_kib"
        kb = ((many[memory] - few[memory]) * 1.024 - CACHE_KB) / (MANY - FEW)
        few_us, many_us = few["cpu_s"] * 1e6 / FEW, many["cpu_s"] * 1e6 / MANY
        print(f"{FEW} and {MANY} clones: {few_us:.0f} and {many_us:.0f} us each, {kb:.2f} kB for each more")
        self.assertLessEqual(kb, KB_PER_ITEM)
        self.assertLessEqual(many_us, CPU_RATIO * few_us)

    def test_the_first_clone_leaves_soon(self):
        """After the look-ups; what they showed is judged for every item of the plan before."""
        bench = self.bench()
        self.write_csv(bench, MANY)
        child = bench.start()
        looked, seen = time.monotonic(), 0
        while True:
            now = time.monotonic()  # before the question: what it shows was there then at the latest
            requests = bench.sim.truth()["requests"]
            lookups = sum(requests[kind] for kind in LOOKUPS)
            if lookups != seen:
                looked, seen = now, lookups
            if requests["clone"]:
                break
            self.assertIsNone(child.poll(), "it ended before its first clone")
            time.sleep(0.005)
        start_s = now - looked
        child.kill()
        bench.finish(child)
        print(f"{MANY} clones: the first one {start_s:.2f} s after the last of {seen} look-ups")
        self.assertGreater(seen, 2)
        self.assertLessEqual(start_s, START_S * (10 if sanitized("jobcloned") else 1))

    def test_check_is_quick(self):
        bench = self.bench(sim=False)
        self.write_csv(bench, MANY)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([BIN / "jobclonectl", "check", bench.plan_file], capture_output=True, text=True, timeout=300)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertEqual(done.returncode, OK, done.stdout + done.stderr)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"check of {MANY} clones: {cpu_s:.2f} s of processor time")
        self.assertLessEqual(cpu_s, CHECK_S * (10 if sanitized("jobclonectl") else 1))


if __name__ == "__main__":
    unittest.main()
