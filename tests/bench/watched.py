"""Runs a program with tests/lib/loop_watch.c before it, and finds what that told.

A Watch makes small commands that stand for the programs to be watched, so that
whoever starts a client by its name gets it with the watch.
"""
import json
import os
import pathlib
import shlex
import shutil
import tempfile

from harness import BIN

LIBRARY = BIN.parent / "lib" / "libloop_watch.so"
COMMAND = """#!/bin/sh
LOOP_WATCH_FILE={folder}/{label}.$$ LD_PRELOAD={library} exec {program} "$@"
"""


class Watch:
    """A folder of commands and of what their runs told."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jobclone-watch-"))
        self.commands = self.folder / "bin"
        self.commands.mkdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, label, program):
        """A command that is `program` with the watch; what it tells is found under `label`."""
        file = self.commands / pathlib.Path(program).name
        file.write_text(COMMAND.format(folder=shlex.quote(str(self.folder)), label=label,
                                       library=shlex.quote(str(LIBRARY)), program=shlex.quote(str(program))))
        file.chmod(0o755)
        return file

    def path(self):
        """The environment's PATH, the commands first."""
        return f"{self.commands}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def take(self, label):
        """What the runs of this label told, in the order in which they ended; it is forgotten then."""
        files = sorted(self.folder.glob(f"{label}.*"), key=lambda file: file.stat().st_mtime_ns)
        told = [json.loads(file.read_text()) for file in files]
        for file in files:
            file.unlink()
        return told
