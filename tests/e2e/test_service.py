"""The daemon: several runs, restarts, reloads, operators' commands."""
import json
import os
import resource
import time
import unittest

from daemon import ServiceCase
from harness import OK, USAGE, Sim, backups


class Runs(ServiceCase):
    def test_submitted_plan_is_carried_out(self):
        bench = self.service()
        daemon = bench.up()
        clones, names = backups(20)
        run = daemon.submit(clones, file="onboard.yaml")
        result = daemon.wait_ended(run)
        self.assertEqual(result["state"], "succeeded")
        self.assertEqual(result["file"], "onboard.yaml")
        self.assert_result(result, 20, succeeded=20)
        self.assert_each_once(bench, names)
        self.assertEqual(daemon.stop(), OK)
        self.assertEqual((bench.logons(), bench.open_sessions()), (1, 0))

    def test_bad_plan_is_refused_with_its_places(self):
        bench = self.service()
        daemon = bench.up()
        status, answer = daemon.call("POST", "/v1/runs", {"file": "bad.yaml", "plan": "version: 1\nnam: x\n", "csv": []})
        self.assertEqual((status, answer["code"]), (422, "invalid_plan"))
        self.assertIn("bad.yaml:2:1: ", answer["message"])
        self.assertEqual(bench.api_requests(), 0)

    def test_several_at_once_up_to_the_limit(self):
        bench = self.service()
        bench.settings(limits={"runs": 2})
        bench.sim.behave(task_ms=400)
        daemon = bench.up()
        runs = [daemon.submit(backups(3, f"Run {i}")[0]) for i in range(4)]
        states = [daemon.show(run)["state"] for run in runs]
        self.assertEqual(states[3], "queued", states)
        most = 0
        seen = []
        while len(seen) < 4 or not all(run["finished"] for run in seen):
            seen = daemon.good("GET", "/v1/runs")["runs"]
            most = max(most, sum(run["state"] == "running" for run in seen))
            time.sleep(0.02)
        self.assertLessEqual(most, 2)
        self.assert_each_once(bench, [name for i in range(4) for name in backups(3, f"Run {i}")[1]])

    def test_a_plan_that_meets_its_own_names_fails_or_skips(self):
        bench = self.service()
        daemon = bench.up()
        clones, names = backups(3)
        daemon.wait_ended(daemon.submit(clones))
        again = daemon.wait_ended(daemon.submit(clones))
        self.assertEqual(again["state"], "failed")
        self.assertEqual({item["error"]["code"] for item in again["items"]}, {"name_conflict"})
        skipped = daemon.wait_ended(daemon.submit(clones, defaults={"on_conflict": "skip"}))
        self.assert_result(skipped, 3, skipped=3)
        self.assert_each_once(bench, names)

    def test_preview_changes_nothing(self):
        bench = self.service()
        daemon = bench.up()
        clones, _ = backups(2)
        clones.append({"source": "No Such Template", "repository": "Repo A", "name": "x"})
        bench.plan(clones)
        plan = {"file": "p.yaml", "plan": bench.plan_file.read_text(), "csv": []}
        preview = daemon.good("POST", "/v1/preview", plan)
        self.assertEqual([item["action"] for item in preview["items"]], ["create", "create", "error"])
        self.assertEqual(preview["items"][2]["error"]["code"], "source_not_found")
        self.assertEqual(bench.clones(), {})
        self.assertEqual(daemon.good("GET", "/v1/runs")["runs"], [])

    def test_preview_knows_what_may_have_been_made(self):
        """The run that asked for it has ended, and the server does not show it yet."""
        bench = self.service()
        bench.sim.behave(task_ms=3600000)
        daemon = bench.up()
        clones, _ = backups(2)
        ended = daemon.wait_ended(daemon.submit(clones, timeouts={"task": "1s"}))
        self.assertEqual({item["error"]["code"] for item in ended["items"]}, {"task_timeout"})
        bench.plan(backups(3)[0])
        plan = {"file": "p.yaml", "plan": bench.plan_file.read_text(), "csv": []}
        preview = daemon.good("POST", "/v1/preview", plan)
        self.assertEqual([item["action"] for item in preview["items"]], ["conflict", "conflict", "create"])
        self.assertEqual(preview["items"][0]["error"]["code"], "name_in_doubt")

    def test_result_of_a_run_that_has_not_ended(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=60000)
        daemon = bench.up()
        run = daemon.submit(backups(12)[0])
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 2)
        result = daemon.result(run)
        self.assertEqual((result["state"], result["finished"], len(result["items"])), ("running", None, 12))
        self.assertEqual(result["items"][11]["state"], "pending")
        self.assertEqual(result["items"][11]["name"], "Tenant 011 Backup")
        self.assertIn("running", daemon.good("GET", f"/v1/runs/{run}/report"))


class Restarts(ServiceCase):
    def test_killed_in_the_middle(self):
        bench = self.service()
        bench.settings(tasks={"max": 4})
        bench.sim.behave(task_ms=200)
        daemon = bench.up()
        clones, names = backups(60)
        run = daemon.submit(clones)
        queued = daemon.submit(backups(2, "Other")[0])
        daemon.wait_done(run, 5)
        daemon.kill()
        daemon = bench.up()
        result = daemon.wait_ended(run)
        self.assert_result(result, 60, succeeded=60)
        self.assert_result(daemon.wait_ended(queued), 2, succeeded=2)
        self.assert_each_once(bench, names + backups(2, "Other")[1])

    def test_session_survives_a_kill(self):
        bench = self.service()
        bench.sim.behave(task_ms=4000)
        daemon = bench.up("--log-level", "debug")
        run = daemon.submit(backups(8)[0])
        bench.wait_for(lambda: daemon.err().count(": running") == 8)
        daemon.kill()
        self.assertEqual(sum(len(fds) for fds in bench.systemd.store.values()), 1)
        daemon = bench.up()
        self.assertEqual(daemon.show(run)["totals"]["in_doubt"], 0)
        result = daemon.wait_ended(run)
        self.assert_result(result, 8, succeeded=8)
        self.assertFalse(any(item["recovered"] for item in result["items"]))
        self.assertEqual(bench.logons(), 1)
        self.assertEqual(daemon.stop(), OK)
        self.assertEqual(bench.open_sessions(), 0)
        self.assertEqual(bench.systemd.store, {})

    def test_without_the_store_it_settles_by_looking(self):
        bench = self.service()
        bench.sim.behave(task_ms=1500)
        daemon = bench.up()
        run = daemon.submit(backups(8)[0])
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] == 8)
        daemon.kill()
        daemon = bench.up(stored=False)
        result = daemon.wait_ended(run)
        self.assert_result(result, 8, succeeded=8)
        self.assert_each_once(bench, backups(8)[1])
        self.assertEqual(bench.logons(), 2)

    def test_drain_awaits_what_runs(self):
        bench = self.service()
        bench.settings(tasks={"max": 3})
        bench.sim.behave(task_ms=1000)
        daemon = bench.up()
        clones, names = backups(12)
        run = daemon.submit(clones)
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 3)
        self.assertEqual(daemon.stop(), OK)
        self.assertIn("1", bench.systemd.heard("STOPPING"))
        self.assertGreaterEqual(int(bench.systemd.heard("EXTEND_TIMEOUT_USEC")[0]), 30_000_000)
        made = len(bench.clones())
        self.assertTrue(3 <= made < 12, made)
        self.assertEqual(bench.open_sessions(), 0)
        daemon = bench.up()
        result = daemon.wait_ended(run)
        self.assert_result(result, 12, succeeded=12)
        self.assertFalse(any(item["recovered"] for item in result["items"]))
        self.assert_each_once(bench, names)

    def test_killed_again_and_again(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=50)
        clones, names = backups(40)
        daemon = bench.up()
        run = daemon.submit(clones)
        for step in (2, 8, 14, 20):
            daemon.wait_done(run, step)
            daemon.kill()
            daemon = bench.up(stored=step % 4 == 0)
        self.assert_result(daemon.wait_ended(run), 40, succeeded=40)
        self.assert_each_once(bench, names)


class Commands(ServiceCase):
    def test_pause_survives_a_restart_and_resume_goes_on(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=100)
        daemon = bench.up()
        clones, names = backups(40)
        run = daemon.submit(clones)
        daemon.wait_done(run, 2)
        self.assertEqual(daemon.good("POST", f"/v1/runs/{run}/pause")["state"], "paused")
        daemon.kill()
        daemon = bench.up()
        self.assertEqual(daemon.wait(run, "paused")["state"], "paused")
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] + daemon.show(run)["totals"]["in_doubt"] == 0)
        made = len(bench.clones())
        time.sleep(0.5)
        self.assertEqual(len(bench.clones()), made)
        self.assertEqual(daemon.call("POST", f"/v1/runs/{run}/pause")[0], 409)
        daemon.good("POST", f"/v1/runs/{run}/resume")
        self.assert_result(daemon.wait_ended(run), 40, succeeded=40)
        self.assert_each_once(bench, names)

    def test_cancel_awaits_what_runs(self):
        bench = self.service()
        bench.settings(tasks={"max": 3})
        bench.sim.behave(task_ms=500)
        daemon = bench.up()
        run = daemon.submit(backups(30)[0])
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 3)
        daemon.good("POST", f"/v1/runs/{run}/cancel")
        result = daemon.wait_ended(run)
        self.assertEqual(result["state"], "cancelled")
        self.assertEqual(result["totals"]["succeeded"], len(bench.clones()))
        self.assertGreater(result["totals"]["cancelled"], 0)
        self.assertEqual(daemon.call("POST", f"/v1/runs/{run}/cancel")[0], 409)

    def test_queued_run_is_paused_and_cancelled(self):
        bench = self.service()
        bench.settings(limits={"runs": 1})
        bench.sim.behave(task_ms=1000)
        daemon = bench.up()
        first = daemon.submit(backups(4, "First")[0])
        paused = daemon.submit(backups(4, "Paused")[0])
        cancelled = daemon.submit(backups(4, "Cancelled")[0])
        self.assertEqual(daemon.good("POST", f"/v1/runs/{paused}/pause")["state"], "paused")
        daemon.good("POST", f"/v1/runs/{cancelled}/cancel")
        self.assert_result(daemon.wait_ended(cancelled), 4, cancelled=4)
        self.assert_result(daemon.wait_ended(first), 4, succeeded=4)
        self.assertEqual(daemon.show(paused)["state"], "paused")
        daemon.good("POST", f"/v1/runs/{paused}/resume")
        self.assert_result(daemon.wait_ended(paused), 4, succeeded=4)
        self.assert_each_once(bench, backups(4, "First")[1] + backups(4, "Paused")[1])

    def test_retry_begins_what_failed_anew(self):
        bench = self.service()
        daemon = bench.up()
        clones, names = backups(3)
        clones[1]["source"] = "Template That Comes Later"
        run = daemon.submit(clones)
        self.assert_result(daemon.wait_ended(run), 3, succeeded=2, failed=1)
        self.assertEqual(daemon.good("POST", f"/v1/runs/{run}/retry")["run"], run)
        result = daemon.wait_ended(run)
        self.assert_result(result, 3, succeeded=2, failed=1)
        self.assertEqual(len(bench.clones()), 2)
        good = daemon.submit(backups(1, "Good")[0])
        daemon.wait_ended(good)
        self.assertEqual(daemon.call("POST", f"/v1/runs/{good}/retry")[0], 409)

    def test_time_of_a_run_goes_on_while_the_daemon_is_away(self):
        """Paused, too. A retry begins it anew, for restarts as well."""
        bench = self.service()
        bench.settings(tasks={"max": 1})
        bench.sim.behave(task_ms=1000, collect_lag_ms=10)
        daemon = bench.up()
        clones, names = backups(3)
        run = daemon.submit(clones, timeouts={"run": "8s"})
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"])
        daemon.good("POST", f"/v1/runs/{run}/pause")
        started = daemon.show(run)["started"]
        daemon.kill()
        time.sleep(8)
        daemon = bench.up()
        result = daemon.wait_ended(run, timeout=10)
        self.assertEqual(daemon.show(run)["started"], started)
        self.assertEqual([(item["error"] or {}).get("code") for item in result["items"]], [None, "run_timeout", "run_timeout"])
        daemon.good("POST", f"/v1/runs/{run}/retry")
        again = daemon.show(run)["started"]
        self.assertGreater(again, started)
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"])
        daemon.kill()
        daemon = bench.up()
        self.assert_result(daemon.wait_ended(run), 3, succeeded=3)
        self.assertEqual(daemon.show(run)["started"], again)
        self.assert_each_once(bench, names)

    def test_part_of_an_id(self):
        bench = self.service()
        daemon = bench.up()
        run = daemon.submit(backups(1)[0])
        daemon.wait_ended(run)
        self.assertEqual(daemon.show(run[-6:].lower())["run"], run)
        self.assertEqual(daemon.call("GET", "/v1/runs/ZZZZZZ")[0], 404)
        daemon.wait_ended(daemon.submit(backups(1, "Second")[0]))
        self.assertEqual(daemon.call("GET", f"/v1/runs/{run[:4]}")[1]["code"], "ambiguous")


class Reloads(ServiceCase):
    def test_broken_settings_leave_the_old_ones(self):
        bench = self.service()
        daemon = bench.up()
        good = bench.config.read_text()
        bench.config.write_text(good.replace('"version": 1', '"version": 1, "limit": {}'))
        daemon.reload()
        self.assertIn(f"error: {bench.config}:", daemon.err())
        self.assertIn("reload refused", daemon.err())
        self.assertIn("refused", daemon.good("GET", "/v1/status")["trouble"])
        self.assert_result(daemon.wait_ended(daemon.submit(backups(2)[0])), 2, succeeded=2)
        bench.config.write_text(good)
        daemon.reload()
        status = daemon.good("GET", "/v1/status")
        self.assertIsNone(status["trouble"])
        self.assertIsNotNone(status["reloaded"])
        self.assertEqual(len(bench.systemd.heard("RELOADING")), 2)

    def test_unreadable_password_leaves_the_old_settings(self):
        bench = self.service()
        daemon = bench.up()
        (bench.folder / "em.password").chmod(0o644)
        bench.settings(limits={"runs": 9})
        (bench.folder / "em.password").chmod(0o644)
        daemon.reload()
        self.assertIn("chmod 600", daemon.err())
        self.assertEqual(daemon.good("GET", "/v1/status")["runs"]["max"], 4)

    def test_limits_act_at_once(self):
        bench = self.service()
        bench.settings(limits={"runs": 1})
        bench.sim.behave(task_ms=3000)
        daemon = bench.up()
        daemon.submit(backups(2, "A")[0])
        second = daemon.submit(backups(2, "B")[0])
        self.assertEqual(daemon.show(second)["state"], "queued")
        bench.settings(limits={"runs": 2})
        daemon.reload()
        self.assertEqual(daemon.wait(second, "running")["state"], "running")

    def test_refused_credentials_are_tried_again_after_a_reload(self):
        bench = self.service()
        bench.settings(password="wrong")
        daemon = bench.up()
        run = daemon.submit(backups(2)[0])
        bench.wait_for(lambda: daemon.good("GET", "/v1/status")["servers"][0]["state"] == "credentials")
        self.assertIn("check username and password", daemon.show(run)["trouble"])
        self.assertEqual(daemon.good("GET", "/v1/status")["servers"][0]["message"], daemon.show(run)["trouble"])
        plan = {"file": "p.yaml", "plan": bench.plan_file.read_text(), "csv": []}
        status, answer = daemon.call("POST", "/v1/preview", plan)
        self.assertEqual((status, answer["code"]), (502, "credentials_refused"))
        self.assertIn("check username and password", answer["message"])
        self.assertEqual(daemon.err().count("error: server prod refuses the credentials"), 1)
        refused = bench.logons()
        time.sleep(0.5)
        self.assertEqual(bench.logons(), refused)
        daemon.reload()
        bench.wait_for(lambda: daemon.err().count("error: server prod refuses the credentials") == 2)
        self.assertNotIn("is well again", daemon.err())
        bench.settings()
        daemon.reload()
        self.assert_result(daemon.wait_ended(run), 2, succeeded=2)
        self.assertEqual(daemon.err().count("server prod is well again"), 1)

    def test_server_that_is_removed_keeps_its_run(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=500)
        daemon = bench.up()
        clones, names = backups(12)
        run = daemon.submit(clones)
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 2)
        whole = json.loads(bench.config.read_text())
        whole["servers"]["other"] = whole["servers"].pop("prod")
        bench.config.write_text(json.dumps(whole))
        daemon.reload()
        self.assert_result(daemon.wait_ended(run), 12, succeeded=12)
        self.assert_each_once(bench, names)
        bench.wait_for(lambda: [s["server"] for s in daemon.good("GET", "/v1/status")["servers"]] == ["other"])
        bench.wait_for(lambda: bench.open_sessions() == 0)
        self.assertEqual(daemon.stop(), OK)

    def test_server_that_moves_keeps_its_run_and_takes_the_next(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=400)
        other = Sim(bench.folder / "other")
        self.addCleanup(other.close)
        daemon = bench.up()
        first = daemon.submit(backups(12, "First")[0])
        bench.wait_for(lambda: daemon.show(first)["totals"]["running"] >= 2)
        bench.settings(url=other.url, ca_file=other.certificate())
        daemon.reload()
        second = daemon.submit(backups(2, "Second")[0])
        bench.wait_for(lambda: daemon.show(second)["trouble"])
        self.assertIn("server prod has changed", daemon.show(second)["trouble"])
        self.assert_result(daemon.wait_ended(first), 12, succeeded=12)
        self.assert_result(daemon.wait_ended(second), 2, succeeded=2)
        self.assertEqual(len(bench.clones()), 12)
        self.assertEqual(sorted(clone["name"] for clone in other.truth()["clones"]), backups(2, "Second")[1])
        self.assertEqual(daemon.stop(), OK)

    def test_run_that_waits_for_a_changed_server_can_be_cancelled(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=700)
        daemon = bench.up()
        first = daemon.submit(backups(12, "First")[0])
        bench.wait_for(lambda: daemon.show(first)["totals"]["running"] >= 2)
        bench.settings(timeouts={"connect": "9s"})
        daemon.reload()
        second = daemon.submit(backups(2, "Second")[0])
        bench.wait_for(lambda: daemon.show(second)["trouble"])
        paused = daemon.good("POST", f"/v1/runs/{second}/pause")
        self.assertEqual(paused["state"], "paused")
        self.assertIn("has changed", paused["trouble"])
        plan = {"file": "p.yaml", "plan": bench.plan_file.read_text(), "csv": []}
        status, answer = daemon.call("POST", "/v1/preview", plan)
        self.assertEqual((status, answer["code"]), (409, "wrong_state"))
        daemon.good("POST", f"/v1/runs/{second}/cancel")
        self.assert_result(daemon.wait_ended(second), 2, cancelled=2)
        self.assertIsNone(daemon.show(first)["finished"])
        self.assert_result(daemon.wait_ended(first), 12, succeeded=12)
        self.assert_each_once(bench, backups(12, "First")[1])

    def test_command_is_refused_while_the_state_cannot_be_written(self):
        bench = self.service()
        bench.settings(tasks={"max": 2})
        bench.sim.behave(task_ms=400)
        daemon = bench.up()
        clones, names = backups(8)
        run = daemon.submit(clones)
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 2)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        bench.wait_for(lambda: daemon.good("GET", "/v1/status")["trouble"])
        for command in ("pause", "cancel"):
            status, answer = daemon.call("POST", f"/v1/runs/{run}/{command}")
            self.assertEqual((status, answer["code"]), (507, "not_stored"))
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        bench.wait_for(lambda: not daemon.good("GET", "/v1/status")["trouble"])
        self.assert_result(daemon.wait_ended(run), 8, succeeded=8)
        self.assert_each_once(bench, names)

    def test_open_run_waits_for_its_server(self):
        bench = self.service()
        bench.sim.behave(task_ms=500)
        daemon = bench.up()
        run = daemon.submit(backups(4)[0])
        bench.wait_for(lambda: daemon.show(run)["totals"]["running"] >= 2)
        daemon.kill()
        good = bench.config.read_text()
        whole = json.loads(good)
        whole["servers"]["other"] = whole["servers"].pop("prod")
        bench.config.write_text(json.dumps(whole))
        daemon = bench.up()
        bench.wait_for(lambda: daemon.show(run)["trouble"])
        self.assertIn("no server prod", daemon.show(run)["trouble"])
        self.assertNotIn("or cancel", daemon.show(run)["trouble"])
        bench.config.write_text(good)
        daemon.reload()
        self.assert_result(daemon.wait_ended(run), 4, succeeded=4)
        self.assert_each_once(bench, backups(4)[1])

    def test_what_needs_a_restart_is_named(self):
        bench = self.service()
        daemon = bench.up()
        whole = json.loads(bench.config.read_text())
        whole["control"]["socket"] += "2"
        whole["state"]["directory"] += "2"
        whole["spool"]["allow"] = [{"user": "root", "servers": ["prod"]}]
        bench.config.write_text(json.dumps(whole))
        daemon.reload()
        for key in ("control.socket", "state.directory", "spool"):
            self.assertIn(f'"{key}" has changed', daemon.err())
        self.assertTrue(daemon.is_up())


class Life(ServiceCase):
    def test_what_systemd_hears(self):
        bench = self.service()
        daemon = bench.up()
        daemon.wait_ended(daemon.submit(backups(2)[0]))
        bench.wait_for(lambda: any("running" in text for text in bench.systemd.heard("STATUS")))
        self.assertEqual(daemon.stop(), OK)
        self.assertEqual(bench.systemd.heard("READY"), ["1"])
        self.assertEqual(bench.systemd.heard("STOPPING")[0], "1")

    def test_bad_settings_end_it_at_the_start(self):
        bench = self.service()
        bench.settings(ca_file="/nonexistent.pem")
        with self.assertRaisesRegex(AssertionError, "ca_file"):
            bench.up()
        self.assertEqual(bench.daemons[0].process.wait(), USAGE)

    def test_two_daemons_on_one_state(self):
        bench = self.service()
        bench.up()
        whole = json.loads(bench.config.read_text())
        whole["control"]["socket"] += "2"
        bench.config.write_text(json.dumps(whole))
        with self.assertRaisesRegex(AssertionError, "state directory"):
            bench.up()
        self.assertEqual(bench.daemons[1].process.wait(), 3)

    def test_once_that_was_interrupted_is_left_to_its_command(self):
        bench = self.service()
        clones, names = backups(20)
        bench.plan(clones)
        bench.sim.behave(task_ms=300)
        child = bench.start()
        bench.wait_for(lambda: len(bench.clones()) >= 3)
        child.kill()
        bench.finish(child)
        daemon = bench.up()
        made = len(bench.clones())
        time.sleep(1)
        self.assertEqual(len(bench.clones()), made)
        open_run = daemon.good("GET", "/v1/runs")["runs"][0]["run"]
        for command in ("cancel", "retry"):
            status, answer = daemon.call("POST", f"/v1/runs/{open_run}/{command}")
            self.assertEqual((status, answer["code"]), (409, "wrong_state"))
            self.assertIn("belongs to jobcloned --once", answer["message"])
        self.assertEqual(daemon.stop(), OK)
        run = bench.once()
        self.assert_all_succeeded(run, 20)
        self.assert_each_once(bench, names)

    def test_nothing_secret_is_left(self):
        bench = self.service()
        daemon = bench.up("--log-level", "debug")
        daemon.wait_ended(daemon.submit(backups(3)[0]))
        with open(f"/proc/{daemon.process.pid}/cmdline", "rb") as file:
            self.assertNotIn(b"secret", file.read())
        self.assertEqual(daemon.stop(), OK)
        tokens = [token.encode() for token in bench.sim.truth().get("tokens", [])] + [b"secret"]
        for folder, _, files in os.walk(bench.state):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
                for token in tokens:
                    self.assertNotIn(token, content, name)
        self.assertNotIn("secret", daemon.err())


if __name__ == "__main__":
    unittest.main()
