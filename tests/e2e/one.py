#!/usr/bin/env python3
"""one.py --list | ID: the end-to-end tests one at a time.

An ID is MODULE.CLASS.METHOD of a tests/e2e/test_*.py. Exit code 0 passed,
1 failed, 77 skipped (the reason is then the last line).
"""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def cases(suite):
    for entry in suite:
        if isinstance(entry, unittest.TestSuite):
            yield from cases(entry)
        else:
            yield entry


def run_one(name):
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    if not result.wasSuccessful() or result.testsRun == 0:
        return 1
    if result.skipped:
        print("skipped: " + result.skipped[0][1])
        return 77
    return 0


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    if sys.argv[1] != "--list":
        return run_one(sys.argv[1])
    for case in cases(unittest.defaultTestLoader.discover(str(HERE))):
        print(case.id())
    return 0


if __name__ == "__main__":
    sys.exit(main())
