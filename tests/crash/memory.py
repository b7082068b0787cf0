#!/usr/bin/env python3
"""Every allocation from the start to a finished plan fails in turn.

    tests/crash/memory.py --own --program build/dev/bin/jobcloned    each that the program's own code asks for
    tests/crash/memory.py --points 500     so many of all, those within libraries too, spread evenly
    tests/crash/memory.py --soak           all of them
    tests/crash/memory.py --replay 131     shows which call it was; with --own as above

The N-th allocation gives NULL, or it and the 19 after it. The program must carry on, or end with an exit code and a
message that speaks of memory or of a server that it could not understand any more, or abort() with the message of the
engine that it stops here; no other signal, and nothing for a sanitizer to report (--program of the dev build: leaks
too). Nothing reached the server that is not stored, nothing twice. Then the same command ends the run, with each clone
exactly once.

Where it is a library that lacks memory, the message is the library's, and some libraries die of it: that is counted,
by library, and judged as a kill is: by what is stored, what reached the server, and how the run ends.
"""
import argparse
import collections
import os
import re
import signal
import struct
import sys
import time

from points import BIN, Cell, Shared, Wrong
from pool import Pool

LIBRARY = "crash_memory.so"
ITEMS = 6
BURST = 20
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")
MEMORY = re.compile(r"memory", re.IGNORECASE)
BENEATH = re.compile(r"crash_memory\.so|libc\.so|libasan\.so")
USAGE, UNREACHABLE = 2, 3
GOES_ON = "the same command goes on with it"
STOPS_HERE = "out of memory; what is under way stops here"

# The preloaded library comes before the sanitizer's own. What backtrace() loads is never given back.
os.environ.setdefault("ASAN_OPTIONS", "verify_asan_link_order=0")


class Starved(Cell):
    """A cell whose first start lacks memory. The program may be of another build than the rest."""

    def __init__(self, shared, program, words):
        # some libraries never recover; a transfer that curl loses ends with its time
        super().__init__(shared, ITEMS, timeouts={"unreachable": "3s", "request": "20s"}, format=words)
        self.program = program

    def command(self, *arguments):
        return [self.program or BIN / "jobcloned", *super().command(*arguments)[1:]]

    def starve(self, own, at=0, times=1, trace=False):
        more = {"trace": self.folder / "trace"} if trace else {}
        code = self.run(LIBRARY, own=int(own), at=at, times=times, **more)
        self.program = None
        return code

    def trace(self):
        file = self.folder / "trace"
        return file.read_text() if file.exists() else ""

    def whose(self):
        """Who asked for the allocation that failed: a library's name, or the program's."""
        modules = [line.split("(")[0].rsplit("/", 1)[-1] for line in self.trace().splitlines()]
        return next((module for module in modules if not BENEATH.match(module)), "?")

    def allocations(self):
        data = self.counts_file.read_bytes()
        return struct.unpack("2Q", data) if len(data) == 16 else (0, 0)


class Starving:
    def __init__(self, shared, options):
        self.shared = shared
        self.options = options
        self.all = 0
        self.tally = collections.Counter()

    def measure(self):
        with Starved(self.shared, self.options.program, self.options.format) as cell:
            cell.judge(cell.starve(self.options.own))
            self.all = cell.allocations()[0]

    def points(self):
        options = self.options
        if options.replay:
            return [(options.replay, options.times)]
        n = self.all if options.soak or options.own else options.points
        # every fifth is the beginning of a burst
        return [(1 + i * self.all // n, BURST if i % 5 == 4 else 1) for i in range(n)]

    def work(self, pool, point):
        at, times = point
        with Starved(self.shared, self.options.program, self.options.format) as cell:
            code = cell.starve(self.options.own, at, times, self.options.replay or not self.options.own)
            if self.options.replay:
                print(cell.text, cell.trace(), sep="\n")
            if cell.allocations()[1] == 0:
                pool.count("not reached")
            else:
                self.judge_start(pool, cell, code)
            cell.judge_stored()
            if code != 0:
                code = 0 if cell.ended() else cell.run()
            cell.judge(code)

    def judge_start(self, pool, cell, code):
        if SANITIZER.search(cell.text):
            raise Wrong(f"a sanitizer reports\n{cell.text[-6000:]}")
        if code == -signal.SIGABRT and STOPS_HERE in cell.text:
            pool.count("stopped")
        elif code < 0:
            self.judge_signal(pool, cell, -code)
        elif code == 0:
            pool.count("carried on")
        elif MEMORY.search(cell.text) or (code == UNREACHABLE and GOES_ON in cell.text):
            pool.count("gave up")
        elif not self.options.own and code in (USAGE, UNREACHABLE) and cell.text:
            pool.count("gave up")  # with the words of the library
        else:
            raise Wrong(f"exit code {code} without a word of memory\n{cell.text[-4000:]}")

    def judge_signal(self, pool, cell, number):
        whose = cell.whose()
        if self.options.own or whose in ("jobcloned", "?"):
            raise Wrong(f"ended by signal {number}\n{cell.text[-4000:]}\n{cell.trace()}")
        pool.count("died")
        pool.count(f"died for want of memory in {whose}")


def report(starving, seconds):
    tally = starving.tally
    failed = tally["stopped"] + tally["carried on"] + tally["gave up"] + tally["died"]
    whose = "the program's own code" if starving.options.own else "the program and its libraries"
    print(f"an undisturbed run of {ITEMS} items makes {starving.all} allocations by {whose}")
    print(f"{failed} failed in turn, in {seconds:.0f} s: {tally['carried on']} times it carried on, {tally['gave up']} times "
          f"it gave up with a message, {tally['stopped']} times the engine stopped; {tally['not reached']} more were not "
          "reached")
    for key, count in sorted(tally.items()):
        if key.startswith("died for"):
            print(f"    {count} {key}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--program", metavar="FILE")
    parser.add_argument("--format", choices=("xml", "json"), default="xml")
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--replay", type=int, metavar="N")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=6)
    options = parser.parse_args()
    began = time.monotonic()
    shared = Shared()
    try:
        starving = Starving(shared, options)
        starving.measure()
        good = Pool(starving.work, starving.points(), options.jobs, starving.tally).run()
    finally:
        shared.close()
    failed = report(starving, time.monotonic() - began)
    if good and not failed:
        print("no allocation failed: the test tests nothing")
        good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
