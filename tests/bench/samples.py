"""What perf saw: processor time by thread and by library, per clone."""
import collections
import pathlib
import re

from callgrind import OTHER, library_of

LOOP, WORKERS = "loop", "workers"
KERNEL, OWN = "kernel", "our code"
LINE = re.compile(r"^\s*[\d.]+%\s*;\s*(\d+)\s*;\s*(\d+):[^;]*;\s*(.*?)\s*$")  # share; samples; thread:command; object


def part_of(place, program):
    if place.startswith("[") and place != "[vdso]":
        return KERNEL
    return OWN if pathlib.Path(place).name == program else library_of(place)


def by_thread(lines, program):
    """(LOOP or WORKERS, part) -> samples, of `perf report -t ';' -n --sort pid,dso`; the loop is the first thread."""
    found = collections.Counter()
    rows = [(int(match.group(1)), int(match.group(2)), match.group(3)) for match in map(LINE.match, lines) if match]
    first = min((thread for _, thread, _ in rows), default=0)
    for samples, thread, place in rows:
        found[LOOP if thread == first else WORKERS, part_of(place, program)] += samples
    return found


def table(found, us_per_sample, clones, rate):
    """Microseconds per clone, by part; what the loop's thread does not use of its time is waiting."""
    def us(thread, part):
        return found[thread, part] * us_per_sample / clones

    parts = {part for _, part in found}
    order = sorted(parts - {OTHER}, key=lambda part: -us(LOOP, part) - us(WORKERS, part)) + [OTHER]
    lines = ["| microseconds per clone | the loop's thread | the workers' |", "|---|---|---|"]
    lines += [f"| {part} | {us(LOOP, part):.1f} | {us(WORKERS, part):.1f} |" for part in order if part in parts]
    sums = [sum(us(thread, part) for part in parts) for thread in (LOOP, WORKERS)]
    lines.append(f"| waiting: for the server, the disk, a processor | {max(0, 1e6 / rate - sums[0]):.1f} | |")
    lines.append(f"| **in all** | {1e6 / rate:.1f} | {sums[1]:.1f} |")
    return lines
