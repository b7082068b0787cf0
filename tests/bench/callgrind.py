"""Reads what callgrind wrote: how many instructions were executed in which library and room.

The format is callgrind's own (its manual, "Callgrind Format Specification"): names are
written out once and then numbered; a `calls=` line names what was called, and the line
after it what the called cost altogether. What libc does for others (copying, memory)
is counted for the one that asked.
"""
import collections
import pathlib
import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?")
KINDS = {"ob": "object", "cob": "object", "fl": "file", "fi": "file", "fe": "file", "cfi": "file", "cfl": "file",
         "fn": "function", "cfn": "function"}
LIBRARIES = {"libxml2": "libxml2", "libsqlite3": "SQLite", "libcurl": "libcurl", "libssl": "OpenSSL", "libcrypto": "OpenSSL",
             "libuv": "libuv", "libc": "libc", "ld-linux-x86-64": "libc"}
STUBS = "???"  # an object without a name: small jumps by which a library reaches what it calls
OTHER = "other libraries"
ROOM = re.compile(r"(?:^|/)daemon/(?:(\w+)/)?[^/]+$")


class Reader:
    """Goes through the lines once; `own` and `called` are told by (object, source file)."""

    def __init__(self, lines):
        self.names = {kind: {} for kind in ("object", "file", "function")}
        self.here = {"object": "", "file": "", "function": ""}
        self.home = ""  # the file of the function; what is inlined from a system header belongs to it
        self.callee = {}
        self.in_call = False
        self.own = collections.Counter()
        self.called = collections.Counter()  # and by the object and the function that was called
        self.targets = {}  # where a stub leads to: an object
        for line in lines:
            self.line(line)

    def line(self, line):
        key, equals, value = line.partition("=")
        if equals and key in KINDS:
            self.name(key, value)
        elif equals and key == "calls":
            self.in_call = True
        elif line[:1] in "0123456789+-*" and line.strip():
            self.cost(int(line.split()[1]))

    def name(self, key, value):
        kind = KINDS[key]
        number, text = NAME.match(value).groups()
        if text is not None:
            self.names[kind][number] = text.strip()
        where = self.callee if key.startswith("c") else self.here
        where[kind] = self.names[kind][number]
        if key == "fl":
            self.home = where[kind]

    def cost(self, count):
        place = self.here["object"], self.here["file"] if ROOM.search(self.here["file"]) else self.home
        if self.in_call:
            callee = {**self.here, **self.callee}
            self.called[(*place, callee["object"], callee["function"])] += count
            if self.here["object"] == STUBS:
                self.targets[self.here["function"]] = callee["object"]
            self.callee = {}
            self.in_call = False
        else:
            self.own[place] += count


def library_of(place):
    return LIBRARIES.get(re.split(r"(?:-[\d.]+)?\.so", pathlib.Path(place).name)[0], OTHER)


def part_of(program, place, file):
    """The library, or the room of our own code, that a place belongs to."""
    if pathlib.Path(place).name == program:
        room = ROOM.search(file)
        return f"daemon/{room.group(1) or ''}" if room else "daemon/"
    return library_of(place)


def parts(lines, program):
    """Library or room -> instructions."""
    reader = Reader(lines)
    found = collections.Counter()
    for (place, file), count in reader.own.items():
        found[part_of(program, place, file)] += count
    for (place, file, called, function), count in reader.called.items():
        part = part_of(program, place, file)
        if called == STUBS:
            called = reader.targets.get(function, called)
        starts_all = function.startswith("__libc_start_main")  # calls main: not done for anybody
        asks_libc = part_of(program, called, "") == "libc" and not starts_all
        if asks_libc and part != "libc" and place != STUBS:
            found[part] += count
            found["libc"] -= count
    found[OTHER] += found.pop("libc", 0)  # what is left: starting and ending
    return found
