"""What is measured, and the bars: the least that must be reached.

A Work is a number of clones under fixed conditions, on one of two servers. A Bar
compares one figure of jobclone with a number: as it is, as a share of a rival's
figure in the same run, or as a share of what is ideal there.
"""
import dataclasses

IDEAL = "ideal"
BARE = "bare"  # our own client that does next to nothing (bare.c)
SERVERS = ("yardstick", "emsim")


@dataclasses.dataclass(frozen=True)
class Bar:
    figure: str  # a key of figures.FIGURES
    least: bool  # at least, else at most
    limit: float
    against: str = ""  # a rival, IDEAL, or nothing: the figure itself

    def value(self, figures, ideal):
        """What is held against the limit, or None where a part of it was not measured."""
        own = figures.get("jobclone", {}).get(self.figure)
        if own is None or not self.against:
            return own
        other = ideal if self.against == IDEAL else figures.get(self.against, {}).get(self.figure)
        return own / other if other else None

    def met(self, value):
        return value >= self.limit if self.least else value <= self.limit


@dataclasses.dataclass(frozen=True)
class Work:
    name: str
    clones: int
    in_flight: int
    delay_ms: int = 0
    task_ms: int = 0
    rivals: tuple = ("undici",)
    bars: tuple = ()
    server: str = "yardstick"

    def title(self):
        delay = f"{self.delay_ms} ms per request" if self.delay_ms else "no delay"
        return (f"{self.clones:,} clones on {'the yardstick' if self.server == 'yardstick' else self.server}, "
                f"{self.in_flight} in flight, {delay}, tasks of {self.task_ms:,} ms")

    def ideal(self, figures, client="jobclone"):
        """Clones per second if every place were busy all the time, with the client's own number of requests."""
        requests = figures.get(client, {}).get("requests")
        return self.in_flight / (self.delay_ms / 1000 * requests) if self.delay_ms and requests else None

    def smaller(self, clones):
        """The same with fewer clones: to try it out, not to judge."""
        return dataclasses.replace(self, clones=clones, bars=())


def at_least(figure, limit, against=""):
    return Bar(figure, True, limit, against)


def at_most(figure, limit, against=""):
    return Bar(figure, False, limit, against)


WORKS = (
    Work("no-delay", 20000, 50, bars=(
        at_least("rate", 1.2, "undici"), at_most("cpu", 0.8, "undici"), at_most("memory", 0.4, "undici"))),
    Work("delay", 8000, 200, delay_ms=50, rivals=("undici", BARE), bars=(
        at_least("rate", 1.1, "undici"), at_least("rate", 0.9, IDEAL), at_least("rate", 0.9, BARE))),
    Work("thousand", 20000, 1000, delay_ms=50, bars=(
        at_least("rate", 1.3, "undici"), at_most("memory", 0.5, "undici"))),
    Work("tasks", 2000, 200, task_ms=1000, rivals=("undici-free",), bars=(
        at_least("rate", 1.1, "undici-free"), at_most("requests", 2.2))),
    Work("emsim", 20000, 50, server="emsim"),
    Work("emsim-tasks", 2000, 200, task_ms=1000, rivals=("undici-free",), server="emsim"),
)
