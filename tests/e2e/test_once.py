"""jobcloned --once where nothing goes wrong on the way, and where the plan or the server says no."""
import json
import socket
import subprocess
import tempfile
import time
import unittest

from harness import (BIN, FAILURES, OK, PASSWORD, UNREACHABLE, USAGE, BenchCase, Sim, backups)

REPOSITORIES = ("Repo A", "Repo B")


def four_kinds(rounds):
    clones = []
    for i in range(rounds):
        clones += [
            {"source": "Template Backup", "kind": "Backup", "name": f"Čeněk & Sons {i:02} Backup",
             "repository": REPOSITORIES[i % 2], "folder": f"folder{i:02}", "description": f"number {i} <of> \"many\""},
            {"source": "Template Replica", "kind": "Replica", "name": f"Tenant {i:02} Replica", "vm_suffix": f"_t{i:02}"},
            {"source": "Template Copy", "kind": "BackupCopy", "name": f"Tenant {i:02} Copy",
             "repository": REPOSITORIES[(i + 1) % 2], "file": f"file{i:02}"},
            {"source": "Template Immediate", "kind": "ImmediateBackupCopy", "name": f"Tenant/{i:02}: Mirror",
             "repository": "Repo B"},
        ]
    return clones


class Once(BenchCase):
    def test_four_kinds(self):
        bench = self.bench()
        clones = four_kinds(10)
        bench.plan(clones, description="forty")
        run = bench.once()
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 40)
        self.assert_each_once(bench, [clone["name"] for clone in clones])
        made = bench.clones()
        for index, wish in enumerate(clones):
            with self.subTest(name=wish["name"]):
                self.assert_as_wished(wish, made[wish["name"]][0], run.result, index)

    def assert_as_wished(self, wish, truth, result, index):
        item = result["items"][index]
        self.assertEqual(truth["kind"], wish["kind"])
        self.assertEqual(truth["source_name"], wish["source"])
        self.assertEqual(item["kind"], wish["kind"])
        self.assertEqual(item["source"], wish["source"])
        self.assertEqual(item["backup_server"], "vbr01")
        self.assertEqual(item["job_uid"].lower(), truth["job_uid"].lower())
        self.assertEqual(item["attempts"], 1)
        self.assertIs(item["verified"], True)
        self.assertIsNone(item["error"])
        mark = f"[jobclone:{result['run']}/{index}]"
        given = wish.get("description")
        self.assertEqual(truth["description"], f"{given} {mark}" if given else mark)
        self.assertEqual("repository_uid" in truth, "repository" in wish)
        derived = wish["name"].replace("/", "_").replace(":", "_")
        if wish["kind"] == "Backup":
            self.assertEqual(truth["folder"], wish["folder"])
        elif wish["kind"] == "Replica":
            self.assertEqual(truth["vm_suffix"], wish["vm_suffix"])
        else:
            self.assertEqual(truth["file"], wish.get("file", derived))

    def test_same_plan_again_meets_its_own_names(self):
        bench = self.bench()
        clones, names = backups(5)
        bench.plan(clones, defaults={"on_conflict": "skip"})
        self.assert_code(bench.once(), OK)
        run = bench.once()
        self.assert_code(run, OK)
        self.assertEqual([item["state"] for item in run.result["items"]], ["skipped"] * 5)
        self.assertTrue(all(item["job_uid"] for item in run.result["items"]))
        self.assert_each_once(bench, names)

    def test_one_logon_and_a_logoff(self):
        bench = self.bench()
        bench.plan(backups(20)[0])
        self.assert_code(bench.once(), OK)
        self.assertEqual(bench.logons(), 1)
        self.assertEqual(bench.open_sessions(), 0)


class Conflicts(BenchCase):
    def conflicted(self, on_conflict):
        bench = self.bench()
        bench.plan([{"source": "Template Backup", "repository": "Repo A", "name": "Taken"}], name="first")
        self.assert_code(bench.once(), OK)
        bench.state = bench.folder / "state2"  # the other run's memory is gone: only the server knows
        bench.plan([{"source": "Template Backup", "repository": "Repo B", "name": name, "on_conflict": on_conflict}
                    for name in ("Taken", "taken")], name="second")
        return bench, bench.once()

    def test_fail(self):
        bench, run = self.conflicted("fail")
        self.assert_code(run, FAILURES)
        self.assertEqual(run.result["items"][0]["state"], "failed")
        self.assertEqual(run.result["items"][0]["error"]["code"], "name_conflict")
        self.assertEqual(run.result["items"][1]["state"], "succeeded")
        self.assert_each_once(bench, ["Taken", "taken"])

    def test_skip(self):
        bench, run = self.conflicted("skip")
        self.assert_code(run, OK)
        self.assertEqual([item["state"] for item in run.result["items"]], ["skipped", "succeeded"])
        self.assertEqual(run.result["items"][0]["job_uid"].lower(), bench.clones()["Taken"][0]["job_uid"].lower())
        self.assert_each_once(bench, ["Taken", "taken"])

    def test_rename(self):
        bench, run = self.conflicted("rename")
        self.assert_code(run, OK)
        self.assertEqual([item["name"] for item in run.result["items"]], ["Taken (2)", "taken"])
        self.assert_each_once(bench, ["Taken", "taken", "Taken (2)"])


    def test_clone_that_came_after_its_task_was_given_up(self):
        """It is in the list with its mark by the time of the next run, so that one need not call its name in doubt."""
        bench = self.bench()
        bench.settings(settle="5m")
        bench.sim.behave(task_ms=6000, collect_lag_ms=10)
        bench.plan(backups(1)[0], timeouts={"task": "1s"})
        late = bench.once()
        self.assert_code(late, FAILURES)
        self.assertEqual(late.result["items"][0]["error"]["code"], "task_timeout")
        before = bench.once()  # a new run: the clone is still being made
        self.assertEqual(before.result["items"][0]["error"]["code"], "name_in_doubt")
        bench.wait_for(lambda: bench.sim.truth()["clones"][0]["visible"])
        bench.plan(backups(1)[0], defaults={"on_conflict": "skip"})
        run = bench.once()
        self.assert_code(run, OK)
        self.assertEqual(run.result["items"][0]["state"], "skipped")
        self.assertEqual(run.result["items"][0]["job_uid"].lower(), bench.clones()["Tenant 000 Backup"][0]["job_uid"].lower())
        self.assert_each_once(bench, backups(1)[1])


class Names(BenchCase):
    def failing_item(self, **wish):
        bench = self.bench()
        good = {"source": "Template Backup", "repository": "Repo A", "name": "Good"}
        bench.plan([{**good, "name": "Bad", **wish}, good])
        run = bench.once()
        self.assert_code(run, FAILURES)
        self.assertEqual(run.result["items"][1]["state"], "succeeded")
        self.assert_each_once(bench, ["Good"])
        self.assertEqual(run.result["items"][0]["attempts"], 0)
        return run.result["items"][0]["error"]

    def test_missing_source_names_the_near_ones(self):
        error = self.failing_item(source="Template Bakcup")
        self.assertEqual(error["code"], "source_not_found")
        self.assertIn("Template Backup", error["message"])

    def test_missing_repository(self):
        error = self.failing_item(repository="Repo Z")
        self.assertEqual(error["code"], "repository_not_found")
        self.assertIn("Repo A", error["message"])

    def test_letter_case_counts(self):
        self.assertEqual(self.failing_item(source="template backup")["code"], "source_not_found")

    def test_missing_backup_server(self):
        self.assertEqual(self.failing_item(backup_server="vbr99")["code"], "backup_server_not_found")

    def test_field_that_the_kind_lacks(self):
        self.assertEqual(self.failing_item(vm_suffix="_x")["code"], "field")

    def test_folder_that_another_clone_has(self):
        bench = self.bench()
        bench.plan([{"source": "Template Backup", "repository": "Repo A", "on_conflict": "rename", "name": name}
                    for name in ("D:", "d?")])
        run = bench.once()
        self.assert_code(run, FAILURES)
        self.assertEqual(run.result["items"][1]["error"]["code"], "field")
        self.assertEqual(list(bench.clones()), ["D:"])


INVENTORY = """
backup_servers:
  - name: vbr01
    repositories: [{name: Repo A}]
    jobs:
      - {name: Template Backup, type: Backup}
  - name: vbr02
    repositories: [{name: Repo A}, {name: Repo Two}]
    jobs:
      - {name: Template Backup, type: Backup}
"""


class ManyBackupServers(BenchCase):
    """Templates and repositories are called the same on each."""
    def setUp(self):
        super().setUp()
        handle = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.addCleanup(handle.close)
        handle.write("backup_servers:\n")
        for number in range(1, 41):
            handle.write(f"  - name: vbr{number:02}\n    repositories: [{{name: Repo A}}]\n"
                         "    jobs: [{name: Template Backup, type: Backup}]\n")
        handle.flush()
        self.many = self.bench(inventory=handle.name)

    def test_each_can_be_named(self):
        clone = {"source": "Template Backup", "repository": "Repo A"}
        servers = [f"vbr{number:02}" for number in range(1, 41)]
        self.many.plan([{**clone, "name": f"Of {server}", "backup_server": server} for server in servers])
        run = self.many.once()
        self.assert_code(run, OK)
        self.assertEqual([item["backup_server"] for item in run.result["items"]], servers)

    def test_not_all_are_told(self):
        self.many.plan([{"source": "Template Backup", "repository": "Repo A", "name": "Which"}])
        run = self.many.once()
        self.assert_code(run, FAILURES)
        error = run.result["items"][0]["error"]
        self.assertEqual(error["code"], "source_ambiguous")
        self.assertIn("'vbr16' and 24 more", error["message"])
        self.assertNotIn("vbr17", error["message"])


class TwoBackupServers(BenchCase):
    def setUp(self):
        super().setUp()
        handle = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.addCleanup(handle.close)
        handle.write(INVENTORY)
        handle.flush()
        self.two = self.bench(inventory=handle.name)

    def test_ambiguous_names(self):
        self.two.plan([
            {"source": "Template Backup", "repository": "Repo A", "name": "Which"},
            {"source": "Template Backup", "repository": "Repo A", "name": "This", "backup_server": "vbr02"},
            {"source": "Template Backup", "repository": "Repo Two", "name": "Elsewhere", "backup_server": "vbr01"},
        ])
        run = self.two.once()
        self.assert_code(run, FAILURES)
        items = run.result["items"]
        self.assertEqual(items[0]["error"]["code"], "source_ambiguous")
        self.assertIn("vbr01", items[0]["error"]["message"])
        self.assertIn("vbr02", items[0]["error"]["message"])
        self.assertEqual((items[1]["state"], items[1]["backup_server"]), ("succeeded", "vbr02"))
        self.assertEqual(items[2]["error"]["code"], "repository_elsewhere")
        self.assert_each_once(self.two, ["This"])

    def test_one_name_on_each(self):
        self.two.plan([{"source": "Template Backup", "repository": "Repo A", "name": "Same", "backup_server": server}
                       for server in ("vbr01", "vbr02")])
        run = self.two.once()
        self.assert_code(run, OK)
        self.assertEqual(len(self.two.clones()["Same"]), 2)
        self.assertEqual([item["backup_server"] for item in run.result["items"]], ["vbr01", "vbr02"])


class Rest(BenchCase):
    def test_it_is_told(self):
        """A server that wants to be left alone: who waits before the terminal sees why."""
        bench = self.bench()
        bench.sim.behave(task_ms=100, error429_percent=100, retry_after_s=5, faults_max=1)
        bench.plan(backups(3)[0])
        run = bench.once()
        self.assert_code(run, OK)
        self.assertEqual(run.err.count("server prod is busy (HTTP 429): nothing is sent for 5 s, as it asked"), 1)


class CommandLine(BenchCase):
    def test_what_is_not_understood_is_named(self):
        bench = self.bench(sim=False)
        for word, *arguments in (("unexpected argument \"a\\x1bb\"", "--once", "p.yaml", "a\x1bb"), ("'--bogus'", "--bogus"), ("'--once' requires", "--once"),
                                 ("--log-level takes", "--log-level", "loud"), ("--result and --state go with --once", "--state", "st")):
            with self.subTest(arguments=arguments):
                done = subprocess.run([BIN / "jobcloned", *arguments], capture_output=True, text=True, timeout=20, cwd=bench.folder, check=False)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(word, done.stderr)
                self.assertIn("see jobcloned --help", done.stderr)


class Refusals(BenchCase):
    def test_bad_plan_sends_nothing(self):
        bench = self.bench()
        bench.plan([{"source": "Template Backup", "repositry": "Repo A", "name": "x" * 51}])
        run = bench.once()
        self.assert_code(run, USAGE)
        self.assertIn("repositry", run.err)
        self.assertIn("repository", run.err)
        self.assertIn("50", run.err)
        self.assertRegex(run.err, r"plan\.yaml:\d+:\d+: ")
        self.assertEqual(bench.api_requests(), 0)
        self.assertIsNone(run.result)

    def test_bad_settings_send_nothing(self):
        bench = self.bench()
        bench.plan(backups(1)[0])
        bench.settings(setle="3s")
        run = bench.once()
        self.assert_code(run, USAGE)
        self.assertIn("settle", run.err)
        self.assertEqual(bench.api_requests(), 0)

    def test_result_that_cannot_be_written_sends_nothing(self):
        bench = self.bench()
        bench.plan(backups(1)[0])
        for path in (str(bench.folder / "missing" / "result.json"), str(bench.folder), ""):
            run = bench.once("--result", path)
            self.assert_code(run, USAGE)
            self.assertIn(f'"{path}"', run.err)
        self.assertEqual(bench.api_requests(), 0)

    def test_wrong_password_does_not_lock_the_account(self):
        bench = self.bench()
        bench.plan(backups(3)[0])
        bench.settings(password="wrong")
        run = bench.once()
        self.assert_code(run, UNREACHABLE)
        self.assertLessEqual(bench.logons(), 2)
        self.assert_each_once(bench, [])
        bench.settings(password=PASSWORD)
        again = bench.once()
        self.assert_code(again, OK)

    def test_nobody_listens(self):
        bench = self.bench()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"https://127.0.0.1:{unused.getsockname()[1]}"
            bench.settings(url=url, timeouts={"connect": "1s", "unreachable": "1s"})
            bench.plan(backups(2)[0])
            run = bench.once()
        self.assert_code(run, UNREACHABLE)
        self.assertLess(run.seconds, 30)
        self.assertIn("127.0.0.1", run.err)
        self.assertEqual(run.result["state"], "paused")
        bench.settings()
        again = bench.once()
        self.assert_code(again, OK)
        self.assertEqual(again.result["run"], run.result["run"])
        self.assertEqual([item["attempts"] for item in again.result["items"]], [1, 1])

    def test_nobody_listens_until_the_run_has_no_time_left(self):
        bench = self.bench()
        bench.settings(url="https://127.0.0.1:1", timeouts={"connect": "1s"})
        bench.plan(backups(2)[0], timeouts={"run": "1s"})
        run = bench.once()
        self.assert_code(run, UNREACHABLE)
        self.assertEqual(run.result["state"], "paused")
        self.assertEqual([item["state"] for item in run.result["items"]], ["pending"] * 2)
        self.assertIn("the same command ends it when the server answers", run.err)
        with socket.create_server(("127.0.0.1", 0)) as refusing:
            closed = refusing.getsockname()[1]
        bench.settings(url=f"https://127.0.0.1:{closed}", timeouts={"connect": "1s", "unreachable": "2s"})
        away = bench.once()  # it asks for as long as ever, and gives nothing up without an answer
        self.assert_code(away, UNREACHABLE)
        self.assertGreaterEqual(away.seconds, 2)
        self.assertEqual([item["state"] for item in away.result["items"]], ["pending"] * 2)
        bench.settings()
        ended = bench.once()
        self.assert_code(ended, FAILURES)
        self.assertIn("the time of the run (timeouts.run) is over", ended.err)
        self.assertEqual(ended.result["run"], run.result["run"])
        self.assertEqual([item["error"]["code"] for item in ended.result["items"]], ["run_timeout"] * 2)
        self.assert_each_once(bench, [])
        again = bench.once()  # the run has its end, so this is a new one
        self.assertNotEqual(again.result["run"], run.result["run"])

    def test_time_that_was_over_when_it_goes_on(self):
        """What was under way is looked for, nothing else is sent."""
        bench = self.bench()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=2000, collect_lag_ms=10)
        bench.plan(backups(6)[0], timeouts={"run": "3s"})
        child = bench.start()
        bench.wait_for(lambda: bench.sim.truth()["requests"]["clone"])
        child.kill()
        child.wait()
        sent = bench.sim.truth()["requests"]["clone"]
        time.sleep(4)
        run = bench.once()
        self.assert_code(run, FAILURES)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], sent)
        states = [(item["state"], (item["error"] or {}).get("code")) for item in run.result["items"]]
        self.assertEqual(states, [("succeeded", None)] * sent + [("failed", "run_timeout")] * (6 - sent))

    def test_disk_that_stays_full(self):
        bench = self.bench()
        bench.settings(timeouts={"unreachable": "1s"})
        bench.plan(backups(300)[0])
        child = subprocess.run(["sh", "-c", 'ulimit -f 500; exec "$0" "$@"', *bench.command()], timeout=60,
                               capture_output=True, text=True, check=False)
        self.assertEqual(child.returncode, UNREACHABLE, child.stderr)
        self.assertIn(f"the state in {bench.state} cannot be written", child.stderr)

    def test_untrusted_certificate(self):
        bench = self.bench()
        other = Sim(bench.folder / "other")
        self.addCleanup(other.close)
        bench.settings(ca_file=other.certificate())
        bench.plan(backups(1)[0])
        run = bench.once()
        self.assert_code(run, UNREACHABLE)
        self.assertLess(run.seconds, 30)
        self.assertEqual(bench.api_requests(), 0)

    def test_second_process_on_the_same_state(self):
        bench = self.bench()
        bench.sim.behave(task_ms=3000)
        bench.plan(backups(2)[0])
        first = bench.start()
        bench.wait_for(lambda: bench.sim.truth()["clones"])
        second = bench.finish(bench.start())
        self.assert_code(second, UNREACHABLE)
        self.assertIn(str(bench.state), second.err)
        self.assert_code(bench.finish(first), OK)

    def test_password_file_that_others_can_read(self):
        bench = self.bench()
        bench.plan(backups(1)[0])
        (bench.folder / "em.password").chmod(0o644)
        run = bench.once()
        self.assert_code(run, USAGE)
        self.assertIn("em.password", run.err)
        self.assertEqual(bench.api_requests(), 0)


class Streams(BenchCase):
    def closed(self, *streams):
        bench = self.bench()
        clones, names = backups(2)
        bench.plan(clones)
        closing = " ".join(f"{stream}>&-" for stream in streams)
        code = subprocess.run(["sh", "-c", f'exec "$0" "$@" {closing}', *bench.command()], timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
        self.assertEqual(code, OK)
        self.assertEqual(json.loads(bench.result_file.read_text())["state"], "succeeded")
        self.assert_each_once(bench, names)

    def test_a_report_that_cannot_be_written_is_no_success(self):
        bench = self.bench()
        clones, names = backups(2)
        bench.plan(clones)
        with open("/dev/full", "w") as full:
            run = subprocess.run(bench.command(), timeout=60, stdin=subprocess.DEVNULL, stdout=full,
                                 stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(run.returncode, USAGE, run.stderr)
        self.assertIn("the report cannot be written to standard output: No space left on device", run.stderr)
        self.assertIn(f"is succeeded, and its outcome is in {bench.result_file}", run.stderr)
        self.assertEqual(json.loads(bench.result_file.read_text())["totals"]["succeeded"], 2)
        self.assert_each_once(bench, names)

    def test_an_answer_that_cannot_be_written_is_no_success(self):
        bench = self.bench()
        for word in ("--check", "--version", "--help"):
            with self.subTest(word=word), open("/dev/full", "w") as full:
                run = subprocess.run([*bench.command()[:3], word], timeout=60, stdout=full, stderr=subprocess.PIPE,
                                     text=True, check=False)
                self.assertEqual(run.returncode, USAGE)
                self.assertIn("the answer cannot be written to standard output", run.stderr)

    def test_standard_output_is_closed(self):
        self.closed(1)

    def test_standard_error_is_closed(self):
        self.closed(2)

    def test_all_are_closed(self):
        self.closed(0, 1, 2)


if __name__ == "__main__":
    unittest.main()
