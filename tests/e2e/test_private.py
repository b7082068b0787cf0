"""Passwords and tokens are on no disk and in no output."""
import base64
import pathlib
import unittest

from harness import OK, UNREACHABLE, USER, BenchCase, backups

SECRET = "correct-horse-Battery-7"


class Private(BenchCase):
    def traces(self, bench, secrets):
        """Where one of the secrets can be found."""
        found = []
        for path in bench.folder.rglob("*"):
            if not path.is_file() or path.name == "em.password" or bench.sim.folder in path.parents:
                continue
            content = path.read_bytes()
            found += [f"{path.name}: {secret}" for secret in secrets if secret.encode() in content]
        for output in bench.outputs:
            found += [f"output: {secret}" for secret in secrets if secret in output]
        return found

    def test_password_that_is_refused(self):
        bench = self.bench()
        bench.plan(backups(1)[0])
        bench.settings(password=SECRET)
        self.assert_code(bench.once("--log-level", "debug"), UNREACHABLE)
        basic = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        self.assertEqual(self.traces(bench, [SECRET, basic]), [])

    def test_token_and_credentials_of_a_whole_run(self):
        bench = self.bench()
        bench.plan(backups(10)[0])
        bench.sim.behave(task_ms=1500)
        child = bench.start("--log-level", "debug")
        bench.wait_for(lambda: bench.sim.truth()["clones"])
        tokens = [bench.sim.truth()["last_token"]]
        self.assertTrue(tokens[0])
        self.assertEqual(self.traces(bench, tokens), [])
        run = bench.finish(child)
        self.assert_code(run, OK)
        basic = base64.b64encode(f"{USER}:secret".encode()).decode()
        self.assertEqual(self.traces(bench, tokens + [basic]), [])

    def test_process_shows_nothing(self):
        bench = self.bench()
        bench.plan(backups(1)[0])
        bench.sim.behave(task_ms=1500)
        child = bench.start()
        bench.wait_for(lambda: bench.sim.truth()["clones"])
        secrets = [bench.sim.truth()["last_token"], "secret"]
        for name in ("cmdline", "environ", "comm", "maps", "limits"):
            content = pathlib.Path(f"/proc/{child.pid}/{name}").read_bytes()
            self.assertEqual([secret for secret in secrets if secret.encode() in content], [], name)
        limits = pathlib.Path(f"/proc/{child.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        self.assert_code(bench.finish(child), OK)

    def test_state_is_for_its_owner_alone(self):
        bench = self.bench()
        bench.plan(backups(1)[0])
        self.assert_code(bench.once(), OK)
        self.assertEqual(bench.state.stat().st_mode & 0o007, 0)
        files = [path for path in bench.state.rglob("*") if path.is_file()]
        self.assertTrue(files)
        for path in files:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)


if __name__ == "__main__":
    unittest.main()
