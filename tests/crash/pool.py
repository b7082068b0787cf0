"""Several cells side by side, and what went wrong in them."""
import os
import threading
import traceback

from points import Wrong


FAILURES_MAX = int(os.environ.get("CRASH_FAILURES_MAX", "5"))


class Pool:
    """Carries out work(pool, point) for each point, `jobs` at a time: a cell mostly waits for its server. Stops after
    some failures. `tally` is a Counter, for count()."""

    def __init__(self, work, points, jobs, tally):
        self.work = work
        self.points = iter(points)
        self.jobs = jobs
        self.lock = threading.Lock()
        self.tally = tally
        self.failures = []

    def count(self, key, times=1):
        with self.lock:
            self.tally[key] += times

    def next(self):
        with self.lock:
            return None if len(self.failures) >= FAILURES_MAX else next(self.points, None)

    def drive(self):
        while True:
            point = self.next()
            if point is None:
                return
            try:
                self.work(self, point)
            except Exception as error:  # whatever it is, it is reported with its point
                text = str(error) if isinstance(error, Wrong) else traceback.format_exc()
                with self.lock:
                    self.failures.append((point, text))

    def run(self):
        """True when nothing went wrong; failures are printed."""
        threads = [threading.Thread(target=self.drive) for _ in range(self.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for point, text in self.failures:
            print(f"FAILED at {point}: {text}")
        return not self.failures
