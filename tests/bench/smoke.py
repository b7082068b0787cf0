"""tests/bench itself: its table has every column with sane values, bars are judged both ways, and a page keeps its text."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import callgrind  # noqa: E402
import costs  # noqa: E402
import figures  # noqa: E402
import page  # noqa: E402
import samples  # noqa: E402
from figures import Sample  # noqa: E402
from harness import ROOT  # noqa: E402
from on_emsim import Place  # noqa: E402
from works import WORKS, Work, at_least, at_most  # noqa: E402

CLONES = 200
RELEASE = ROOT / "build" / "release" / "bin"
# What a small run on a busy machine can never be outside of.
SANE = {
    "clones/s": (1, 100000), "requests per clone": (1, 4), "CPU s per 1000": (0.01, 100), "of it kernel %": (0, 100),
    "memory MB": (5, 500), "loop busy %": (0, 100),
    "connections": (1, 200), "commits per clone": (0.005, 5), "syncs per clone": (0.005, 5), "turn p50 ms": (0, 1000),
    "turn p99 ms": (0, 10000), "turn max ms": (0, 20000),
}
WATCH = {"turn_p50_ms": 0.1, "turn_p99_ms": 1, "turn_max_ms": 2, "commits": 50, "syncs": 60}


def run(*arguments, **environment):
    return subprocess.run([HERE / "run", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150,
                          env={**os.environ, **environment}, check=False)


def tables(text):
    """Every table as a list of mappings from heading to cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()]
        found.append([dict(zip(head, line, strict=True)) for line in lines])
    return found


def sample(rate=1000.0, **changes):
    values = {"clones": 100, "seconds": 100 / rate, "cpu_s": 0.01, "memory_mb": 20, "requests": 200, "connections": 8,
              "watch": WATCH}
    return Sample(**{**values, **changes})


PROFILE = """version: 1
events: Ir
ob=(1) /usr/lib/x86_64-linux-gnu/libc.so.6
fl=(1) ./csu/libc-start.c
fn=(1) __libc_start_main@@GLIBC_2.34
0 5
cob=(2) /somewhere/bin/jobcloned
cfi=(2) /somewhere/daemon/main.c
cfn=(2) main
calls=1 10
0 1000

ob=(2)
fl=(2)
fn=(2)
10 100
+1 20
fi=(3) /usr/include/string_fortified.h
3 4
fi=(4) /somewhere/daemon/base/buf.c
* 30
cob=(1)
cfi=(5) ./malloc/malloc.c
cfn=(3) malloc
calls=2 7
-2 40
fe=(2)
12 6
cob=(3) /usr/lib/x86_64-linux-gnu/libxml2.so.2.9.14
cfi=(6) ???
cfn=(4) xmlParseChunk
calls=1 0
12 800

fn=(5) _start
cob=(1)
cfi=(1)
cfn=(1)
calls=1 0
0 1005

ob=(3)
fl=(6)
fn=(4)
0 700
cob=(4) ???
cfn=(6) 0x1234
calls=1 0
0 100

ob=(4)
fl=(6)
fn=(6)
0 2
cob=(1)
cfi=(7) ./string/memcpy.S
cfn=(7) memcpy
calls=1 0
0 98

ob=(1)
fl=(5)
fn=(3)
0 40
fl=(7)
fn=(7)
0 98

totals: 1005
"""
SEEN = """# Overhead;     Samples;    Pid:Command;Shared Object
 50.00% ; 500        ;   5460:jobcloned     ;libcurl.so.4.8.0
 20.00% ; 200        ;   5460:jobcloned     ;[kernel.kallsyms]
 10.00% ; 100        ;   5460:jobcloned     ;jobcloned
 15.00% ; 150        ;   5463:jobcloned     ;libsqlite3.so.0.8.6
  3.00% ; 30         ;   5464:jobcloned     ;[nf_conntrack]
  2.00% ; 20         ;   5460:jobcloned     ;[vdso]
"""


class Program(unittest.TestCase):
    def test_alone_on_emsim(self):
        with tempfile.TemporaryDirectory() as nowhere:
            done = run("--clones", str(CLONES), "--repeats", "1", JOBCLONE_BENCH=nowhere)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("left out: all on the yardstick: no yardstick in", done.stderr)
        self.assertIn("left out: the rivals: no rivals in", done.stderr)
        found = tables(done.stdout)
        self.assertEqual(len(found), sum(work.server == "emsim" for work in WORKS), done.stdout)
        for table in found:
            self.assertEqual(table[0].pop("client"), "jobclone")
            self.assertEqual(set(table[0]), set(SANE))
            for heading, cell in table[0].items():
                least, most = SANE[heading]
                self.assertTrue(least <= float(cell.replace(",", "")) <= most, f"{heading}: {cell}\n{done.stdout}")

    def test_nothing_left(self):
        with tempfile.TemporaryDirectory() as nowhere:
            done = run("--only", "no-delay", JOBCLONE_BENCH=nowhere)
        self.assertEqual(done.returncode, 2)
        self.assertIn("name its folder in JOBCLONE_BENCH", done.stderr)
        self.assertIn("nothing is left", done.stderr)

    def test_not_built(self):
        with tempfile.TemporaryDirectory() as nowhere:
            done = run(JOBCLONE_BIN=nowhere)
        self.assertEqual(done.returncode, 2)
        self.assertIn("cmake --preset release", done.stderr)

    def test_wrong_options(self):
        for arguments in (["--only", "everything"], ["--repeats", "0"], ["--clones", "0"], ["--write", "--clones", "5"]):
            self.assertEqual(run(*arguments).returncode, 2, arguments)


class Bare(unittest.TestCase):
    """The client that shows what can be reached does all that it should, and no more; on emsim, which is strict."""

    def bare(self, place, ca, clones=50, under=()):
        return subprocess.run([*under, RELEASE / "bare", f"{place.sim.url}/api", ca, str(clones), "8"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)

    def test_each_clone_once(self):
        with Place(Work("w", 50, 8, server="emsim")) as place:
            done = self.bare(place, place.sim.certificate())
            self.assertEqual(done.returncode, 0, done.stderr)
            truth = place.sim.truth()
            self.assertEqual((len(truth["clones"]), truth["duplicates"]), (50, []))
            self.assertEqual(place.api_requests(), 50 + 4)
            self.assertEqual(place.open_sessions(), 0)

    @unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
    def test_memory(self):
        """It is built without sanitizers."""
        with Place(Work("w", 10, 4, server="emsim")) as place:
            done = self.bare(place, place.sim.certificate(), 10, ("valgrind", "-q", "--error-exitcode=9"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_server_that_is_not_trusted(self):
        with Place(Work("w", 1, 1, server="emsim")) as place, tempfile.NamedTemporaryFile() as no_ca:
            done = self.bare(place, no_ca.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bare: ", done.stderr)

    def test_wrong_options(self):
        for arguments in ([], ["https://127.0.0.1:1/api", "ca.pem", "0", "8"]):
            self.assertEqual(subprocess.run([RELEASE / "bare", *arguments], capture_output=True, check=False).returncode, 2)


class Figures(unittest.TestCase):
    work = Work("w", 100, 8, delay_ms=5, bars=(
        at_least("rate", 1.2, "undici"), at_most("cpu", 0.8, "undici"), at_most("requests", 2.0), at_least("rate", 0.9, "ideal")))

    def met(self, own, rival):
        runs = {"jobclone": own} if rival is None else {"jobclone": own, "undici": rival}
        return [met for _, _, met in figures.judged(self.work, runs)]

    def test_bars(self):
        # ideal: 8 in flight of 5 ms each, 2 requests per clone: 800 clones/s
        self.assertEqual(self.met([sample(1000)], [sample(800, cpu_s=0.02)]), [True] * 4)
        self.assertEqual(self.met([sample(700, cpu_s=0.02, requests=201)], [sample(700, cpu_s=0.02)]), [False] * 4)
        self.assertEqual(self.met([sample(1000)], None), [None, None, True, True])

    def test_median_counts(self):
        told = figures.of_samples([sample(rate) for rate in (1000, 10, 1100)])
        self.assertAlmostEqual(told["rate"], 1000)
        self.assertAlmostEqual(told["commits"], 0.5)
        self.assertIsNone(figures.of_samples([sample(watch={})])["commits"])

    def test_section(self):
        text = "\n".join(figures.section(self.work, {"jobclone": [sample(1000)], "undici": [sample(800, watch={}, other_cpu_s=1)]}))
        clients, bars = tables(text + "\n")
        self.assertEqual([line["client"] for line in clients], ["jobclone", "undici", "jobclone / undici"])
        self.assertEqual(clients[2]["clones/s"], "1.25")
        self.assertEqual(clients[2]["commits per clone"], "-")
        self.assertEqual([line["met"] for line in bars], ["yes", "**no**", "yes", "yes"])
        self.assertIn("Of the ideal for its own number of requests: jobclone 1.25, undici 1.00.", text)
        self.assertIn("Disturbed", text)


class Instructions(unittest.TestCase):
    def test_profile(self):
        parts = callgrind.parts(PROFILE.splitlines(), "jobcloned")
        # main's own, with what is inlined from a system header; malloc was asked for by buf.c; memcpy, through a stub, by libxml2
        self.assertEqual(parts, {"daemon/": 130, "daemon/base": 70, "libxml2": 800, "other libraries": 5})
        self.assertEqual(sum(parts.values()), 1005)

    def test_verdict(self):
        kept = {"daemon/io": 1000, "libcurl": 4000}
        for now, said in (({"daemon/io": 1040, "libcurl": 4190}, ""), ({"daemon/io": 1000, "libcurl": 4300}, "a clone costs 5,300"),
                          ({"daemon/io": 1060, "libcurl": 4000}, "our part of a clone costs 1,060")):
            self.assertEqual(costs.verdict(now, 2.0, kept).partition(" instructions")[0], said)
        self.assertIn("cannot be compared", costs.verdict(kept, 2.5, kept))
        self.assertIn("--keep", costs.hint({"daemon/io": 400, "libcurl": 4000}, kept))
        self.assertEqual(costs.hint(kept, kept), "")

    def test_table(self):
        table, = tables("\n".join(costs.table({"daemon/io": 50, "libcurl": 150}, {"daemon/io": 100, "libcurl": 100})) + "\n")
        self.assertEqual([line["part"] for line in table], ["libcurl", "daemon/io", "our code", "**all**"])
        self.assertEqual([line["against the kept figure"] for line in table], ["+50.0%", "-50.0%", "-50.0%", "+0.0%"])
        self.assertEqual(table[0]["share"], "75.0%")

    def test_what_is_kept(self):
        self.assertGreater(costs.own(costs.load()), 0)


class Distance(unittest.TestCase):
    def test_table(self):
        # 1000 samples of 200 microseconds in 1000 clones, at 4000 clones per second: 250 microseconds each
        found = samples.by_thread(SEEN.splitlines(), "jobcloned")
        table, = tables("\n".join(samples.table(found, 200, 1000, 4000)) + "\n")
        cells = {line["microseconds per clone"]: (line["the loop's thread"], line["the workers'"]) for line in table}
        self.assertEqual(cells, {
            "libcurl": ("100.0", "0.0"), "kernel": ("40.0", "6.0"), "SQLite": ("0.0", "30.0"), "our code": ("20.0", "0.0"),
            "other libraries": ("4.0", "0.0"), "waiting: for the server, the disk, a processor": ("86.0", ""),
            "**in all**": ("250.0", "36.0")})

    def test_missing(self):
        with tempfile.TemporaryDirectory() as nowhere:
            done = subprocess.run([sys.executable, HERE / "distance"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=60, env={**os.environ, "PATH": nowhere}, check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("apt-get install", done.stdout)


class Page(unittest.TestCase):
    def test_a_place_for_every_work(self):
        page.check([*(work.name for work in WORKS), "instructions", "distance", "scale"])

    def test_the_rest_stays(self):
        text = "before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n"
        self.assertEqual(page.replaced(text, "a", ["new", "er"]),
                         "before\n<!-- a: begin -->\nnew\ner\n<!-- a: end -->\nafter\n")
        for broken in (text.replace("a: end", "b: end"), text.replace("a: begin", "b: begin")):
            with self.assertRaises(page.NoPlace):
                page.replaced(broken, "a", [])

    def test_origin(self):
        told = page.origin("tests/bench/run --write")
        self.assertRegex(told, r"^`tests/bench/run --write`, \d{4}-\d\d-\d\d, \d+ cores, .+\.$")
        self.assertNotIn(os.uname().nodename, told)


if __name__ == "__main__":
    unittest.main()
