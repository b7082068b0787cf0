"""From the runs of one client to its figures, and from figures to Markdown tables."""
import dataclasses
import statistics

from works import IDEAL


@dataclasses.dataclass
class Sample:
    """One run of one client."""

    clones: int
    seconds: float
    cpu_s: float
    memory_mb: float
    requests: int
    connections: int
    watch: dict = dataclasses.field(default_factory=dict)  # what tests/lib/loop_watch.c told, if it was there
    other_cpu_s: float = 0  # what anything else on the machine took meanwhile

    def watched(self, key):
        return self.watch.get(key)

    def busy(self):
        """How much of its time the loop was busy, in percent."""
        return self.watch["busy_ms"] / 10 / self.seconds if "busy_ms" in self.watch else None

    def kernel(self):
        """How much of its processor time the kernel took, in percent."""
        whole = self.watch.get("user_s", 0) + self.watch.get("kernel_s", 0)
        return 100 * self.watch["kernel_s"] / whole if whole else None

    def per_clone(self, key):
        return self.watch[key] / self.clones if key in self.watch else None


@dataclasses.dataclass(frozen=True)
class Figure:
    heading: str
    of: object  # Sample -> number or None
    digits: int


FIGURES = {
    "rate": Figure("clones/s", lambda s: s.clones / s.seconds, 0),
    "requests": Figure("requests per clone", lambda s: s.requests / s.clones, 2),
    "cpu": Figure("CPU s per 1000", lambda s: s.cpu_s * 1000 / s.clones, 3),
    "kernel": Figure("of it kernel %", Sample.kernel, 0),
    "memory": Figure("memory MB", lambda s: s.memory_mb, 0),
    "connections": Figure("connections", lambda s: s.connections, 0),
    "commits": Figure("commits per clone", lambda s: s.per_clone("commits"), 3),
    "syncs": Figure("syncs per clone", lambda s: s.per_clone("syncs"), 3),
    "busy": Figure("loop busy %", Sample.busy, 0),
    "turn_p50": Figure("turn p50 ms", lambda s: s.watched("turn_p50_ms"), 2),
    "turn_p99": Figure("turn p99 ms", lambda s: s.watched("turn_p99_ms"), 2),
    "turn_max": Figure("turn max ms", lambda s: s.watched("turn_max_ms"), 1),
}


def of_samples(samples):
    """The median of every figure; None where no run told it."""
    figures = {}
    for key, figure in FIGURES.items():
        values = [value for value in map(figure.of, samples) if value is not None]
        figures[key] = statistics.median(values) if values else None
    return figures


def row(cells):
    return "| " + " | ".join(cells) + " |"


def shown(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def client_row(name, samples):
    figures = of_samples(samples)
    cells = [shown(figures[key], figure.digits) for key, figure in FIGURES.items()]
    if len(samples) > 1:
        rates = [FIGURES["rate"].of(sample) for sample in samples]
        cells[0] += f" ({min(rates):,.0f} to {max(rates):,.0f})"
    return row([name, *cells])


def ratio_row(own, rival_name, rival):
    cells = [shown(own[key] / rival[key] if own[key] is not None and rival[key] else None, 2) for key in FIGURES]
    return row([f"jobclone / {rival_name}", *cells])


def table(runs):
    """One line per client, then what jobclone's figures are as a share of each rival's."""
    lines = [row(["client", *(figure.heading for figure in FIGURES.values())]), "|---" * (len(FIGURES) + 1) + "|"]
    lines += [client_row(name, samples) for name, samples in runs.items()]
    own = of_samples(runs["jobclone"])
    lines += [ratio_row(own, name, of_samples(samples)) for name, samples in runs.items() if name != "jobclone"]
    return lines


def bar_text(bar):
    against = {"": "", IDEAL: " of the ideal"}.get(bar.against, f" of {bar.against}'s")
    return f"{FIGURES[bar.figure].heading}: at {'least' if bar.least else 'most'} {bar.limit}{against}"


def judged(work, runs):
    """Each bar with its value and whether it is met; both None where it could not be judged."""
    figures = {name: of_samples(samples) for name, samples in runs.items()}
    for bar in work.bars:
        value = bar.value(figures, work.ideal(figures))
        yield bar, value, None if value is None else bar.met(value)


def bar_table(work, runs):
    lines = [row(["bar", "measured", "met"]), "|---|---|---|"]
    for bar, value, met in judged(work, runs):
        lines.append(row([bar_text(bar), shown(value, 2), {True: "yes", False: "**no**", None: "not judged"}[met]]))
    return lines


def shares_of_ideal(work, runs):
    """What each client reaches of what is ideal for its own number of requests; nothing where the server does not wait."""
    figures = {name: of_samples(samples) for name, samples in runs.items()}
    if not work.delay_ms:
        return []
    shares = [f"{name} {figures[name]['rate'] / work.ideal(figures, name):.2f}" for name in runs]
    return ["", f"Of the ideal for its own number of requests: {', '.join(shares)}."]


def section(work, runs):
    """All that is said about one work."""
    lines = [f"**{work.title()}**", "", *table(runs), *shares_of_ideal(work, runs)]
    if work.bars:
        lines += ["", *bar_table(work, runs)]
    other = max(sample.other_cpu_s for samples in runs.values() for sample in samples)
    if other >= 0.3:
        lines += ["", f"Disturbed: in one of these runs something else on the machine took {other:.1f} s of processor time."]
    return lines
