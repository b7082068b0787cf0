"""The tables in docs/PERFORMANCE.md, between marker comments, and what must be said beside a figure."""
import datetime
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "PERFORMANCE.md"


class NoPlace(Exception):
    """The page lacks the markers of a block."""


def machine():
    """Its kind: what decides about figures, and nothing that tells whose it is."""
    found = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(os.sched_getaffinity(0))} cores, {found.group(1).strip() if found else 'unknown processor'}"


def command_line(program):
    """As it was given."""
    return " ".join([program, *sys.argv[1:]])


def origin(command):
    """Where a figure comes from."""
    return f"`{command}`, {datetime.date.today().isoformat()}, {machine()}."


def replaced(text, block, lines):
    """The text with new lines in one of its blocks."""
    begin, end = f"<!-- {block}: begin -->\n", f"<!-- {block}: end -->\n"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise NoPlace(f"no place for `{block}`: the lines {begin.strip()} and {end.strip()} are wanted")
    return before + begin + "".join(line + "\n" for line in lines) + end + after


def check(blocks, page=PAGE):
    """Before anything is measured: there is a place for each."""
    text = page.read_text(encoding="utf-8")
    for block in blocks:
        replaced(text, block, [])


def write(block, lines, page=PAGE):
    page.write_text(replaced(page.read_text(encoding="utf-8"), block, lines), encoding="utf-8")
