"""Answers made to harm: each ends within 50 ms of loop time and 16 MiB beyond a run without it, and the run goes on.

The numbers are of release builds: JOBCLONE_BIN=build/release/bin. With sanitizers the time may be ten times longer,
and memory is the heap's, not the process's.
"""
import json
import os
import pathlib
import shutil
import tempfile
import unittest

from harness import BIN, OK, BenchCase, backups
from hostile_em import NAMESPACE, HostileEm, body, forever, numbered
from tls_faults import Authority

LOOP_MS = 50
MEMORY_MIB = 16
RESIDENT_MIB = 200
WATCH = BIN.parent / "lib" / "libloop_watch.so"
TASKS = f"<Tasks {NAMESPACE}>".encode()
REFS = f"<QueryResult {NAMESPACE}><Refs>".encode()
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BOMBS = {
    "100 MB of blanks": body(b"", b" "),
    "100 MB of blanks after the answer": body(TASKS + b"</Tasks>", b" "),
    "100 MB of HTML": body(b"<html>", b"<p>x<br>"),
    "100 MB of text": body(TASKS + b"<Task><TaskId>", b"x"),
    "100 MB of nesting": body(b"", b"<a>"),
    "100 MB attribute": body(b"<Tasks a='", b"x"),
    "100 MB of names": numbered(TASKS, b"<a@/>", b"</Tasks>"),
    "100 MB of empty tasks": body(TASKS, b"<Task/>\n", b"</Tasks>", size=100 << 20),
    "100 MB of tasks": numbered(TASKS, b"<Task><TaskId>task-@</TaskId><Operation>CloneJob</Operation></Task>", b"</Tasks>"),
    "100 MB of references": body(REFS, b"<Ref/>", b"</Refs></QueryResult>"),
    "100 MB of jobs": numbered(REFS, b'<Ref Type="JobReference" UID="urn:veeam:Job:@" Name="Tenant 000 Backup"/>',
                               b"</Refs></QueryResult>"),
    "tags of attributes": numbered(TASKS, b"<a" + b"".join(b" a%d=''" % i for i in range(9000)) + b"/>", size=20 << 20),
    "tags of namespaces": numbered(TASKS, b"<a" + b"".join(b" xmlns:a%d='b'" % i for i in range(4000)) + b"/>", size=20 << 20),
    "entities in entities": body(b"<!DOCTYPE a [<!ENTITY b 'x'>" + b"".join(
        b"<!ENTITY b%d '&b%s;&b%s;'>" % (i, b"%d" % (i - 1) if i else b"", b"%d" % (i - 1) if i else b"")
        for i in range(60)) + b"]><a>&b59;</a>", b" ", size=1 << 20),
    "entity of a file": body(b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", b" ", size=1 << 16),
    "length of a petabyte": body(TASKS, b" ", size=1 << 20, length=1 << 50),
    "length that is none": forever(HEAD + b"Content-Length: -5\r\n\r\n", b"x" * 1000),
    "chunks without an end": forever(CHUNKED, b"400\r\n" + b" " * 1024 + b"\r\n"),
    "chunks of one byte": forever(CHUNKED + b"1\r\n<\r\n", b"1\r\nx\r\n" * 1000),
    "chunk of all there is": forever(CHUNKED + b"fffffffffffffff\r\n", b" " * 1024),
    "chunk extension of 4 MB": body(b"", b"x", size=4 << 20, more="Transfer-Encoding: chunked\r\n\r\n1;"),
    "trailers without an end": forever(CHUNKED + b"0\r\n", b"X-More: " + b"x" * 1000 + b"\r\n"),
    "headers without an end": forever(HEAD, b"X-More: " + b"x" * 1000 + b"\r\n"),
    "header line without an end": forever(HEAD + b"X-More: ", b"x" * 1024),
    "status line without an end": forever(b"HTTP/1.1 200 ", b"O" * 1024),
    "100 Continue without an end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
    "no HTTP": forever(b"", b"SSH-2.0-OpenSSH_9.2\r\n" * 40),
    "compressed": body(b"\x1f\x8b\x08" + bytes(7), b"\xec\xc1\x01\x01", size=1 << 20, more="Content-Encoding: gzip\r\n"),
    "one byte a second": forever(HEAD + b"Content-Length: 100\r\n\r\n", b"<", pause=1),
    "one header byte a second": forever(b"H", b"T", pause=1),
}


class Bombs(BenchCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="jobclone-ca-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.ca = Authority(cls.folder)
        cls.certificate, cls.key, _ = cls.ca.sign("em")

    def setUp(self):
        super().setUp()
        environment = {"LD_PRELOAD": str(WATCH), "LOOP_WATCH_FILE": str(self.folder / "watch"),
                       "ASAN_OPTIONS": "verify_asan_link_order=0"}
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        self.addCleanup(lambda: [os.environ.pop(name) if value is None else os.environ.update({name: value})
                                 for name, value in before.items()])

    def run_with(self, code=OK, count=5, **bombs):
        """A run of some clones, and what it cost: loop in ms, memory and resident memory in MiB, whether sanitized."""
        em = HostileEm(self.certificate, self.key)
        self.addCleanup(em.close)
        em.bombs = bombs
        bench = self.bench(sim=False)
        bench.settings(url=em.url, ca_file=self.ca.file, settle="2s", timeouts={"connect": "5s", "request": "3s", "unreachable": "60s"})
        bench.plan(backups(count)[0])
        run = bench.once(timeout=150)
        self.assert_code(run, code)
        self.assertEqual({kind: left for kind, left in bombs.items() if left}, {}, "bombs that nobody asked for")
        cost = json.loads((self.folder / "watch").read_text())
        loop, heap, resident = cost["turn_max_cpu_ms"], cost["heap_kib"], cost["resident_kib"]
        if code == OK:
            self.assert_all_succeeded(run, count)
            self.assertEqual(len(em.jobs), count + 1)
        return loop, (heap or resident) / 1024, resident / 1024, heap > 0

    def judge(self, place, names=None):
        _, plain, _, sanitized = self.run_with()
        wrong = []
        for name in names or BOMBS:
            loop, memory, resident, _ = self.run_with(**{place: [BOMBS[name]]})
            print(f"{place:12} {name:34} {loop:7.1f} ms {memory - plain:6.1f} MiB {resident:6.1f} MiB in all")
            if loop > LOOP_MS * (10 if sanitized else 1) or memory - plain > MEMORY_MIB or (not sanitized and resident > RESIDENT_MIB):
                wrong.append(name)
        self.assertEqual(wrong, [])

    def test_in_the_list_of_jobs(self):
        self.judge("jobs")

    def test_in_the_list_of_tasks(self):
        self.judge("tasks", [name for name in BOMBS if name.startswith("100 MB")])

    def test_at_the_logon(self):
        self.judge("logon", ["100 MB of blanks", "100 MB of HTML", "entities in entities", "headers without an end",
                             "one byte a second"])

    def test_as_the_answer_of_a_clone(self):
        self.judge("clone", ["100 MB of blanks", "100 MB of HTML", "entities in entities", "tags of attributes", "one byte a second"])


if __name__ == "__main__":
    unittest.main()
