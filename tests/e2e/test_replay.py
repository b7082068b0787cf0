"""The item history that jobcloned writes is what the item's machine would do: `sim --replay`."""
import sqlite3
import subprocess

from harness import BIN, BenchCase, backups


class Replay(BenchCase):
    def journal(self):
        """A run with lost answers and failing tasks, killed once; the path of its state database."""
        bench = self.bench()
        clones, _ = backups(12)
        bench.plan(clones)
        bench.sim.behave(lose_answer_percent=30, error500_before_percent=20, fail_task_percent=20, faults_max=6)
        child = bench.start()
        bench.wait_for(lambda: len(bench.clones()) >= 4)
        child.kill()  # what a restart does to an item is not in the history
        bench.finish(child)
        bench.once(timeout=120)
        return bench.state / "jobclone.db"

    def replay(self, path):
        return subprocess.run([BIN / "sim", "--replay", path], capture_output=True, text=True,
                              timeout=30)

    def test_history_is_what_the_machine_does(self):
        path = self.journal()
        done = self.replay(path)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("transitions of 12 items", done.stdout)
        db = sqlite3.connect(path)
        with db:  # a success that came out of nowhere
            db.execute("UPDATE history SET to_state = 4 WHERE seq = (SELECT min(seq) FROM history)")
        db.close()
        done = self.replay(path)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("is no step of the machine", done.stdout)

    def test_no_such_file(self):
        self.assertEqual(self.replay("/nowhere/jobclone.db").returncode, 2)
