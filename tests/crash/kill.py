#!/usr/bin/env python3
"""SIGKILL at every write, sync, rename and send of a 50-item plan; then the same command again.

    tests/crash/kill.py --points 2000      that many kills: every single one first, then chains of them
    tests/crash/kill.py --soak             each three times, with 8, 1 and 32 requests at once; 20,000 kills in all
    tests/crash/kill.py --replay 131:torn,20:after

A point is one SIGKILL that really came: before, in the middle of (half of the bytes
are written) or after the N-th counted call of a process. Single points cover every
N of an undisturbed run in each of these ways. In a chain the program is killed
again and again on its way to the end, while the server loses requests and answers,
in XML or in JSON.
Judged after each kill: nothing reached the server that is not stored, nothing
twice. At the end: exit code 0, each clone exactly once, a result that agrees.
"""
import argparse
import collections
import itertools
import random
import sys
import time

from points import KINDS, Cell, Shared, Wrong
from pool import Pool

LIBRARY = "crash_io.so"
ITEMS = 50
CHAIN_MAX = 12
HOWS = ("before", "torn", "after")
LOSSES = {"lose_answer_percent": 6, "lose_request_percent": 4, "error500_after_percent": 3}


class Kills:
    def __init__(self, shared):
        self.shared = shared
        self.calls = 0
        self.counts = ()
        self.tally = collections.Counter()

    def measure(self):
        """How many calls an undisturbed run makes."""
        with Cell(self.shared, ITEMS) as cell:
            cell.judge(cell.run(LIBRARY))
            self.counts = cell.counts()[:len(KINDS)]
            self.calls = sum(self.counts)

    def singles(self):
        """Every call in every way, spread over the run: an early stop has still seen all of it."""
        points = [((at, how),) for at in range(1, self.calls + 1) for how in HOWS]
        random.Random(1).shuffle(points)
        return points

    def chains(self, wanted, seed):
        """Chains until so many kills have come: one ends early when the program was quicker than its next kill."""
        rng = random.Random(seed)
        while self.killed() < wanted:
            yield tuple((rng.randrange(1, self.calls + 1), rng.choice(HOWS)) for _ in range(CHAIN_MAX))

    def killed(self):
        return sum(self.tally[how] for how in HOWS)

    def cell(self, chain, in_flight):
        behaviour = {"seed": sum(at for at, _ in chain), **LOSSES} if len(chain) > 1 else {}
        words = "json" if len(chain) > 1 and chain[0][0] % 2 else "xml"
        return Cell(self.shared, ITEMS, behaviour=behaviour, in_flight={"initial": in_flight, "max": 64}, format=words)

    def start(self, pool, cell, library=None, **environment):
        code = cell.run(library, **environment)
        pool.count("gone on with", "going on with run" in cell.text)
        return code

    def kill(self, pool, cell, at, how):
        """One start of the program; its exit code when the kill did not come, else None."""
        code = self.start(pool, cell, LIBRARY, at=at, how=how)
        kind = cell.fired()
        if kind is None:
            pool.count("not reached")
            return code
        if code != -9:
            raise Wrong(f"killed, and yet exit code {code}")
        pool.count(kind)
        pool.count(how)
        cell.judge_stored()
        return None

    def work(self, pool, point):
        chain, in_flight = point
        with self.cell(chain, in_flight) as cell:
            for at, how in chain:
                code = self.kill(pool, cell, at, how)
                if code is None and cell.ended():  # its result was there before that
                    code = 0
                if code is not None:
                    break
            else:
                code = self.start(pool, cell)
            cell.judge(code)


def parse(text):
    return tuple((int(at), how) for at, _, how in (part.partition(":") for part in text.split(",")))


def points_of(kills, options):
    """Pairs of a chain of kills and how many requests leave at once."""
    if options.replay:
        return [(parse(options.replay), options.in_flight)]
    in_flights = (8, 1, 32) if options.soak else (8,)
    wanted = 20000 if options.soak else options.points
    singles = [(point, n) for n in in_flights for point in kills.singles()]
    return itertools.chain(singles[:wanted], ((chain, 8) for chain in kills.chains(wanted, options.seed)))


def report(kills, seconds):
    tally = kills.tally
    print(f"an undisturbed run of {ITEMS} items makes {kills.calls} such calls: "
          + ", ".join(f"{count} {kind}" for kind, count in zip(KINDS, kills.counts)))
    print(f"{kills.killed()} kills in {seconds:.0f} s: " + ", ".join(f"{tally[how]} {how}" for how in HOWS) + "; at "
          + ", ".join(f"{tally[kind]} {kind}" for kind in KINDS)
          + f"; {tally['not reached']} more were not reached")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--replay", metavar="AT:HOW,...")
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    shared = Shared()
    try:
        kills = Kills(shared)
        kills.measure()
        good = Pool(kills.work, points_of(kills, options), options.jobs, kills.tally).run()
    finally:
        shared.close()
    report(kills, time.monotonic() - began)
    if good and not options.replay and not kills.tally["gone on with"]:
        print("no run was gone on with: the test tests nothing")
        good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
