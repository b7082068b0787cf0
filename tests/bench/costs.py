"""What one clone costs in instructions: the table, and whether it is still what was kept."""
import json
import pathlib

KEPT = pathlib.Path(__file__).resolve().parent / "instructions.json"
CHANGE_MAX = 0.05  # runs of one program lie within 2 in 100
REQUESTS_MAX = 2.2  # per clone; beyond, it was another work than the one whose figures are kept
HEAD = ("part", "instructions per clone", "share", "against the kept figure")


def load():
    return json.loads(KEPT.read_text())


def keep(costs):
    KEPT.write_text(json.dumps(costs, indent=1) + "\n")


def own(costs):
    """That of our code; the libraries change by themselves."""
    return sum(count for part, count in costs.items() if part.startswith("daemon/"))


def against(count, kept):
    return f"{count / kept - 1:+.1%}" if kept else "-"


def table(costs, kept=None):
    """Each part with its share; with the kept figures, how it stands to those."""
    total = sum(costs.values())
    kept = kept or {}
    lines = [(part, count, kept.get(part)) for part, count in sorted(costs.items(), key=lambda entry: -entry[1])]
    lines += [("our code", own(costs), own(kept)), ("**all**", total, sum(kept.values()))]
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [(part, f"{count:,}", f"{count / total:.1%}", against(count, before)) for part, count, before in lines]
    width = len(HEAD) if kept else len(HEAD) - 1
    return ["| " + " | ".join(cells[:width]) + " |" for cells in rows]


def verdict(costs, requests, kept):
    """What is wrong, or nothing."""
    if requests > REQUESTS_MAX:
        return f"{requests:.2f} requests per clone, more than {REQUESTS_MAX}: these figures cannot be compared"
    for what, count, before in (("a clone", sum(costs.values()), sum(kept.values())), ("our part of a clone", own(costs), own(kept))):
        if count > before * (1 + CHANGE_MAX):
            return (f"{what} costs {count:,} instructions, over {CHANGE_MAX:.0%} more than the {before:,} that are kept: "
                    "make it cheaper, or say why it must be so and run tests/bench/instructions --keep")
    return ""


def hint(costs, kept):
    """That the kept figures have become too easy, or nothing."""
    if sum(costs.values()) < sum(kept.values()) * (1 - CHANGE_MAX):
        return "much cheaper than what is kept: tests/bench/instructions --keep holds on to it"
    return ""
