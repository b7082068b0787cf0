#!/usr/bin/env python3
"""The disk fills up or breaks under the real program, at every write, sync and rename of a 50-item plan.

    tests/crash/disk.py --points 600       every such call once, with the ways in turn
    tests/crash/disk.py --soak             every call in every way
    tests/crash/disk.py --replay 131:full:700

From the N-th call on files cannot be written (ENOSPC or EIO), for good or for 700 ms; the network works all the
while. For good: the program must say so and end with exit code 1 or 3, having asked nothing of the server that is
not stored; the same command, with the disk well again, ends the run. For a while: it carries on when the disk works
again, or, where it had not begun yet, ends as above. In the end each clone exactly once, and a result that agrees.
"""
import argparse
import collections
import re
import sys
import time

from points import KINDS, Cell, Shared, Wrong
from pool import Pool

LIBRARY = "crash_io.so"
ITEMS = 50
FAILURES, UNREACHABLE = 1, 3
WAYS = (("full", 0), ("broken", 700), ("broken", 0), ("full", 700))
COMPLAINT = re.compile(r"cannot be (written|stored|created|opened|synced|used|forgotten)|disk is full|could not be")
WHY = re.compile(r"No space left on device|Input/output error|the disk is full|disk I/O error")


class Faults:
    def __init__(self, shared):
        self.shared = shared
        self.calls = 0
        self.counts = ()
        self.tally = collections.Counter()

    def cell(self):
        # an unreachable state is given up like an unreachable server
        return Cell(self.shared, ITEMS, timeouts={"unreachable": "1s"})

    def measure(self):
        with self.cell() as cell:
            cell.judge(cell.run(LIBRARY))
            self.counts = cell.counts()[:len(KINDS)]
            self.calls = sum(count for kind, count in zip(KINDS, self.counts) if kind != "socket writes")

    def points(self, options):
        if options.replay:
            at, how, for_ms = options.replay.split(":")
            return [(int(at), how, int(for_ms))]
        if options.soak:
            return [(at, *way) for at in range(1, self.calls + 1) for way in WAYS]
        return [(1 + i * self.calls // options.points, *WAYS[i % len(WAYS)]) for i in range(options.points)]

    def work(self, pool, point):
        at, how, for_ms = point
        with self.cell() as cell:
            code = cell.run(LIBRARY, at=at, how=how, for_ms=for_ms)
            cell.judge_stored()
            kind = cell.fired()
            if kind is None:
                pool.count("not reached")
            else:
                pool.count(kind)
                pool.count(how)
                self.judge_fault(pool, cell, code)
            if code != 0:
                code = 0 if cell.ended() else cell.run()
            cell.judge(code)

    def judge_fault(self, pool, cell, code):
        said = COMPLAINT.search(cell.text) and WHY.search(cell.text)
        if code not in (0, FAILURES, UNREACHABLE):
            raise Wrong(f"exit code {code}\n{cell.text[-4000:]}")
        if code != 0 and not said:
            raise Wrong(f"exit code {code} without saying what is wrong\n{cell.text[-4000:]}")
        if "the state can be written again" in cell.text:
            pool.count("recovered")
        elif code == 0:
            pool.count("no harm")  # it came where nothing depends on it, as in leaving
        else:
            pool.count("given up")


def report(faults, seconds):
    tally = faults.tally
    print(f"an undisturbed run of {ITEMS} items makes {faults.calls} calls that a disk can refuse")
    print(f"{tally['full'] + tally['broken']} times the disk failed, in {seconds:.0f} s: {tally['full']} full, "
          f"{tally['broken']} broken; first at "
          + ", ".join(f"{tally[kind]} {kind}" for kind in KINDS if kind != "socket writes")
          + f"; {tally['recovered']} recovered, {tally['given up']} gave up with a message, "
          f"{tally['no harm']} without harm; {tally['not reached']} more were not reached")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=600)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--replay", metavar="AT:HOW:MS")
    parser.add_argument("--jobs", type=int, default=8)
    options = parser.parse_args()
    began = time.monotonic()
    shared = Shared()
    try:
        faults = Faults(shared)
        faults.measure()
        good = Pool(faults.work, faults.points(options), options.jobs, faults.tally).run()
    finally:
        shared.close()
    report(faults, time.monotonic() - began)
    if good and not options.replay and not (faults.tally["recovered"] and faults.tally["given up"]):
        print("nothing recovered or nothing gave up: the test tests nothing")
        good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
