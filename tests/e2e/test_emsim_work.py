"""emsim held to the wire reference: tasks, look-ups and their lag; its behaviours and its truth."""
import http.client
import subprocess
import time
import unittest
from urllib.parse import quote

from em_client import EmsimCase, child, children, links, spec, tag, text
from harness import BIN, ROOT

INVENTORY = ROOT / "config" / "emsim-inventory.yaml"


class Tasks(EmsimCase):
    def test_life(self):
        self.sim.behave(task_ms=300, collect_lag_ms=700)
        task = self.clone("Life")
        running = self.em.get("/tasks/" + task).xml()
        self.assertIsNone(child(running, "Result"))
        operated = self.wait_for_state(task, "OperationFinished")
        self.assertEqual(children(operated), ["Links", "TaskId", "State", "Operation", "Result"])
        self.assertEqual(child(operated, "Result").get("Success"), "true")
        self.assertEqual(text(operated, "Result", "Message"), "OperationFinished")
        self.assertEqual(links(operated, "Related"), [])
        self.assertNotIn("Life", self.names())
        finished = self.wait_for_state(task, "Finished")
        related = links(finished, "Related")[0]
        self.assertEqual((related.get("Type"), related.get("Name")), ("Job", "Life"))
        self.assertRegex(related.get("Href"), r"/api/jobs/[0-9a-f-]{36}\?format=Entity$")
        entity = self.em.get(related.get("Href").split("/api", 1)[1]).xml()
        self.assertEqual(children(entity), ["Links", "JobType", "Platform", "Description", "ScheduleConfigured",
                                            "ScheduleEnabled", "JobScheduleOptions", "JobInfo"])
        self.assertEqual((entity.get("Name"), text(entity, "Description")), ("Life", "for a test"))
        self.assertEqual(links(entity, "Up")[0].get("Name"), "vbr01")

    def test_list_holds_whole_tasks_of_the_session_only(self):
        first, second = self.clone("One"), self.clone("Two")
        listed = self.em.get("/tasks").xml()
        self.assertEqual(tag(listed), "Tasks")
        self.assertEqual([text(task, "TaskId") for task in listed], [first, second])
        self.assertEqual({text(task, "Operation") for task in listed}, {"CloneJob"})
        queried = self.em.query(type="Task", format="Entities").xml()
        self.assertEqual(children(queried), ["Resources", "PagingInfo"])
        self.assertEqual([text(task, "TaskId") for task in child(queried, "Resources", "Tasks")], [first, second])
        other = self.client()
        other.logon()
        self.assertEqual(len(other.get("/tasks").xml()), 0)
        self.assert_error(other.get("/tasks/" + first), 500, f"There is no backup task with id [{first}] in current rest session")
        self.assert_error(other.request("DELETE", "/tasks/" + first), 500, "task with id")

    def test_unknown_task_is_500(self):
        for task in ("task-99", "task-0", "task-", "task-1x", "x"):
            self.assert_error(self.em.get("/tasks/" + task), 500, f"no backup task with id [{task}]")

    def test_delete_removes_and_a_running_one_is_told(self):
        self.sim.behave(task_ms=100)
        task = self.clone("One")
        self.wait_for_state(task, "Finished")
        self.assertEqual(self.em.request("DELETE", "/tasks/" + task).status, 204)
        self.assert_error(self.em.get("/tasks/" + task), 500)
        self.assertEqual(self.sim.truth()["deleted_running"], 0)
        self.sim.behave(task_ms=60000)
        self.assertEqual(self.em.request("DELETE", "/tasks/" + self.clone("Two")).status, 204)
        self.assertEqual(self.sim.truth()["deleted_running"], 1)

    def test_logoff_hides_tasks_but_the_clone_goes_on(self):
        self.sim.behave(task_ms=500, lag_ms=0)
        task = self.clone("Orphan")
        self.em.request("DELETE", "/logonSessions/" + self.em.session_id)
        self.em.logon()
        self.assert_error(self.em.get("/tasks/" + task), 500)
        until = time.monotonic() + 20
        while "Orphan" not in self.names() and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.sim.truth()["clones"][0]["state"], "done")

    def test_delete_of_a_job_is_a_task(self):
        self.wait_for_state(self.clone("Short"), "Finished")
        job = self.em.id_of("Job", "Short")
        answer = self.em.request("DELETE", "/jobs/" + job)
        self.assertEqual((answer.status, text(answer.xml(), "Operation")), (202, "DeleteJob"))
        self.wait_for_state(text(answer.xml(), "TaskId"), "Finished")
        self.assert_error(self.em.get("/jobs/" + job), 404)
        self.assertTrue(self.sim.truth()["clones"][0]["deleted"])


class Queries(EmsimCase):
    def test_references(self):
        answer = self.em.query(type="Job").xml()
        self.assertEqual(children(answer), ["Refs", "PagingInfo"])
        first = child(answer, "Refs")[0]
        self.assertRegex(first.get("UID"), r"^urn:veeam:Job:[0-9a-f-]{36}$")
        self.assertEqual(first.get("Type"), "JobReference")
        self.assertEqual(links(first, "Up")[0].get("Type"), "BackupServerReference")
        self.assertIn("?format=Entity", links(first, "Alternate")[0].get("Href"))

    def test_entities(self):
        for type_, plural, single in (("Job", "Jobs", "Job"), ("Repository", "Repositories", "Repository"),
                                      ("BackupServer", "BackupServers", "BackupServer")):
            answer = self.em.query(type=type_, format="Entities").xml()
            self.assertEqual(children(answer), ["Entities", "PagingInfo"])
            self.assertEqual(set(children(child(answer, "Entities", plural))), {single})

    def test_wrong_queries(self):
        for query in ("", "?type=", "?type=Nothing", "?type=Job&page=0", "?type=Job&pageSize=0", "?type=Job&pageSize=x",
                      "?type=Job&filter=", "?type=Job&filter=Name", "?type=Job&filter=Name==", "?type=Job&filter=Nam==x",
                      "?type=Job&filter=(Name==x", '?type=Job&filter=Name=="x', "?type=Job&filter=Name~~x",
                      "?type=Job&filter=Name==x;;Name==y", "?type=Job&filter=" + "(" * 200 + "Name==x" + ")" * 200):
            with self.subTest(query=query):
                self.assert_error(self.em.get("/query" + query), 400)

    def test_filters(self):
        server = self.em.id_of("BackupServer", "vbr02")
        for filter_, found in (
                ('Name=="Shared Template"', ["Shared Template"] * 2),
                ('Name=="shared template"', []),
                ("Name==Shared Template", []),  # the blanks of bare words vanish
                ('name=="Shared Template";BackupServerName=="vbr02"', ["Shared Template"]),
                (f'BackupServerUid=="urn:veeam:BackupServer:{server}"', ["Shared Template", "Template Backup North"]),
                ('Name=="Template Copy",Name=="Template Replica"', ["Template Copy", "Template Replica"]),
                ('(Name=="Template Copy",Name=="Template Replica");JobType==replica', ["Template Replica"]),
                ('JobType!=Backup', ["Template Copy", "Template Immediate", "Template Replica"]),
                ('Name=="R&D ""Gold"" + 100% ünïcode"', ['R&D "Gold" + 100% ünïcode']),
                ('Description=="template for backups"', ["Template Backup"]),
                ('Name=="R"', [])):
            with self.subTest(filter=filter_):
                self.assertEqual(sorted(self.names(filter=quote(filter_, safe=""))), found)

    def test_plus_is_a_blank_and_percent_2b_a_plus(self):
        self.assertEqual(self.names(filter='Name%3D%3D"Shared+Template"'), ["Shared Template"] * 2)
        self.assertEqual(len(self.names(filter='Name%3D%3D"R%26D+%22%22Gold%22%22+%2B+100%25+%C3%BCn%C3%AFcode"')), 1)

    def test_paging(self):
        seen = []
        pages = 0
        query = "/query?type=Job&pageSize=4&sortAsc=Name"
        while query:
            answer = self.em.get(query).xml()
            paging = child(answer, "PagingInfo")
            pages += 1
            self.assertEqual((paging.get("PageNum"), paging.get("PageSize"), paging.get("PagesCount")), (str(pages), "4", "3"))
            rels = [link.get("Rel") for link in child(paging, "Links")]
            self.assertEqual("Previous" in rels, pages > 1)
            self.assertEqual("Next" in rels, pages < 3)
            seen += [ref.get("Name") for ref in child(answer, "Refs")]
            following = links(paging, "Next")
            query = following[0].get("Href").split("/api", 1)[1] if following else None
        self.assertEqual(seen, sorted(self.names()))
        self.assertEqual(self.names(page=99), [])

    def test_page_size_without_a_word_and_its_cap(self):
        self.assertEqual(child(self.em.query(type="Job").xml(), "PagingInfo").get("PageSize"), "100")
        self.sim.behave(page_max=2)
        self.assertEqual(len(self.names(pageSize=1000)), 2)

    def test_page_links_keep_the_filter(self):
        answer = self.em.get('/query?type=Job&pageSize=1&filter=Name%3D%3D"Shared%20Template"').xml()
        following = links(child(answer, "PagingInfo"), "Next")[0].get("Href").split("/api", 1)[1]
        self.assertEqual([ref.get("Name") for ref in child(self.em.get(following).xml(), "Refs")], ["Shared Template"])

    def test_collections_and_single_things(self):
        for path, reference, single, plural in (("/jobs", "JobReference", "Job", "Jobs"),
                                                ("/repositories", "RepositoryReference", "Repository", "Repositories"),
                                                ("/backupServers", "BackupServerReference", "BackupServer", "BackupServers")):
            with self.subTest(path=path):
                listed = self.em.get(path).xml()
                self.assertEqual(tag(listed), "EntityReferences")
                self.assertEqual({ref.get("Type") for ref in listed}, {reference})
                self.assertEqual(tag(self.em.get(path + "?format=Entity").xml()), plural)
                one = path + "/" + listed[0].get("UID").rsplit(":", 1)[1].upper()  # GUIDs in any letter case
                self.assertEqual(tag(self.em.get(one).xml()), "EntityRef")
                self.assertEqual(tag(self.em.get(one + "?format=Entity").xml()), single)


class Lag(EmsimCase):
    def lost_clone(self):
        """A clone whose answer is lost."""
        self.sim.behave(task_ms=100, lag_ms=3600000, lose_answer_percent=100, faults_max=1)
        kind, fields = self.fields("Template Backup", "Lost")
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.post_clone("Template Backup", spec(kind, *fields))
        self.em.close()
        until = time.monotonic() + 20
        while time.monotonic() < until and self.sim.truth()["clones"][0]["state"] != "done":
            time.sleep(0.02)

    def test_what_nobody_follows_shows_late(self):
        self.lost_clone()
        time.sleep(0.5)
        self.assertNotIn("Lost", self.names())
        self.assertFalse(self.sim.truth()["clones"][0]["visible"])
        self.assertEqual(len(self.em.get("/tasks").xml()), 1)  # but the session's task list has its task

    def test_a_collection_shows_it(self):
        self.lost_clone()
        self.sim.behave(collect_time_ms=400)
        answer = self.em.request("POST", f"/backupServers/{self.em.id_of('BackupServer', 'vbr01')}?action=collect")
        self.assertEqual((answer.status, text(answer.xml(), "Operation")), (202, "CollectingBackupServer"))
        until = time.monotonic() + 20
        while "Lost" not in self.names() and time.monotonic() < until:
            time.sleep(0.05)
        self.assertIn("Lost", self.names())

    def test_collection_refused(self):
        self.sim.behave(refuse_collect=True)
        server = self.em.id_of("BackupServer", "vbr01")
        self.assert_error(self.em.request("POST", f"/backupServers/{server}?action=collect"), 403)

    def test_read_lag_after_finished(self):
        self.sim.behave(task_ms=50, read_lag_ms=3600000)
        self.wait_for_state(self.clone("Late"), "Finished")
        self.assertNotIn("Late", self.names())


class Behaviours(EmsimCase):
    def faulty(self, **behaviour):
        """A request for the task list under a fault of all requests."""
        self.sim.behave(apply_to="all", **behaviour)
        return self.em.get("/tasks")

    def test_refusals(self):
        for key, status in (("error500_before_percent", 500), ("error500_after_percent", 500), ("error503_percent", 503),
                            ("error429_percent", 429)):
            with self.subTest(key=key):
                self.assert_error(self.faulty(**{key: 100}, retry_after_s=7), status)
                self.assertEqual(self.em.get("/tasks").headers["Retry-After"], "7" if status in (503, 429) else None)
                self.sim.behave(**{key: 0})

    def test_which_faults_take_effect(self):
        kind, fields = self.fields("Template Backup")
        for key, effect in (("lose_request_percent", 0), ("lose_answer_percent", 1), ("error500_before_percent", 0),
                            ("error500_after_percent", 1), ("error503_percent", 0), ("error429_percent", 0),
                            ("truncate_percent", 1), ("garble_percent", 1), ("html_percent", 1), ("session_expire_percent", 0)):
            with self.subTest(key=key):
                before = len(self.sim.truth()["clones"])
                self.sim.behave(**{key: 100})
                body = spec(kind, ("JobName", key), *fields[1:])
                try:
                    self.post_clone("Template Backup", body)
                except (http.client.HTTPException, OSError):
                    pass
                self.em.close()
                self.sim.behave(**{key: 0})
                self.assertEqual(len(self.sim.truth()["clones"]) - before, effect)
        self.assert_error(self.em.get("/tasks"), 401)  # the last one ended the session

    def test_broken_bodies(self):
        whole = self.em.get("/tasks").body
        garbled = self.faulty(garble_percent=100)
        self.assertEqual((garbled.status, len(garbled.body)), (200, len(whole)))
        self.assertNotEqual(garbled.body, whole)
        page = self.faulty(garble_percent=0, html_percent=100)
        self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html"))
        self.assertIn(b"<html>", page.body)
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.faulty(html_percent=0, truncate_percent=100)

    def test_slow_and_big_bodies(self):
        self.sim.behave(apply_to="tasks")
        whole = self.em.get("/tasks").body
        self.sim.behave(big_body_bytes=100000)
        self.assertEqual(len(self.em.get("/tasks").body), len(whole) + 100000)
        self.sim.behave(big_body_bytes=0, slow_body_ms=3)
        began = time.monotonic()
        self.assertEqual(self.em.get("/tasks").body, whole)
        self.assertGreaterEqual(time.monotonic() - began, 0.0027 * len(whole))  # clocks differ a little

    def test_latency(self):
        self.sim.behave(latency_ms=400)
        began = time.monotonic()
        self.em.get("/tasks")
        self.assertGreaterEqual(time.monotonic() - began, 0.4)

    def test_only_so_many_faults(self):
        self.sim.behave(apply_to="all", error503_percent=100, faults_max=3)
        self.assertEqual([self.em.get("/tasks").status for _ in range(5)], [503] * 3 + [200] * 2)
        self.assertEqual(self.sim.truth()["faults"], 3)

    def test_only_what_they_apply_to(self):
        self.sim.behave(apply_to="query", error503_percent=100)
        self.assertEqual([self.em.get(path).status for path in ("/tasks", "/query?type=Job", "/jobs")], [200, 503, 503])
        self.sim.behave(apply_to="logon")
        self.assertEqual(self.client().logon().status, 503)

    def test_tasks_that_fail_and_tasks_that_hang(self):
        self.sim.behave(task_ms=50, fail_task_percent=100)
        task = self.wait_for_state(self.clone("Fails"), "Finished")
        self.assertEqual(child(task, "Result").get("Success"), "false")
        self.sim.behave(fail_task_percent=0, hang_task_percent=100)
        task = self.clone("Hangs")
        time.sleep(0.5)
        self.assertEqual(text(self.em.get("/tasks/" + task).xml(), "State"), "Running")
        self.assertEqual(self.sim.truth()["tasks_unfinished"], 1)

    def test_one_task_at_a_time_where_asked_for(self):
        self.sim.behave(task_ms=400, serial=True, collect_lag_ms=0)
        began = time.monotonic()
        for task in [self.clone(f"Serial {i}") for i in range(3)]:
            self.wait_for_state(task, "Finished")
        self.assertGreaterEqual(time.monotonic() - began, 1.2)

    def test_duplicates_only_where_allowed(self):
        self.sim.behave(task_ms=20)
        for allowed in (False, True):
            self.sim.behave(allow_duplicates=allowed)
            task = self.wait_for_state(self.clone("Template Copy"), "Finished")
            self.assertEqual(child(task, "Result").get("Success"), str(allowed).lower())
        self.assertEqual(self.names().count("Template Copy"), 2)

    def test_server_without_descriptions(self):
        self.sim.behave(task_ms=20, drop_descriptions=True)
        self.wait_for_state(self.clone("Bare"), "Finished")
        entity = self.em.get(f"/jobs/{self.em.id_of('Job', 'Bare')}?format=Entity").xml()
        self.assertEqual(text(entity, "Description"), "")

    def test_restart_drops_sessions_and_finishes_clones(self):
        self.sim.behave(task_ms=600)
        self.clone("Running on")
        self.sim.behave(restart_now=True)
        self.assert_error(self.em.get("/tasks"), 401)
        until = time.monotonic() + 20
        while self.sim.truth()["clones"][0]["state"] != "done" and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(self.sim.truth()["clones"][0]["state"], "done")

    def test_wrong_behaviour_changes_nothing(self):
        for wrong in ({"error503_percent": 100, "nonsense": 1}, {"apply_to": "everything"}, {"task_ms": "fast"},
                      {"lose_answer_percent": 101}, {"serial": 2}, {"task_ms": -1}):
            with self.subTest(wrong=wrong):
                with self.assertRaises(AssertionError):
                    self.sim.behave(**{"apply_to": "all", **wrong})
        self.assertEqual(self.em.get("/tasks").status, 200)


class Truth(EmsimCase):
    def test_what_was_made_and_how_often(self):
        self.sim.behave(task_ms=20, allow_duplicates=True)
        mark = "[jobclone:01ARZ3NDEKTSV4RRFFQ69G5FAV/0]"
        for name, description in (("Twice", "first " + mark), ("Twice", mark), ("Once", "none")):
            self.wait_for_state(self.clone(name, Description=description), "Finished")
        truth = self.sim.truth()
        self.assertEqual([clone["name"] for clone in truth["clones"]], ["Twice", "Twice", "Once"])
        self.assertEqual(truth["duplicates"], ["vbr01/Twice"])
        self.assertEqual(truth["names_asked_twice"], ["vbr01/Twice"])
        self.assertEqual((truth["marks_twice"], truth["marks_asked_twice"]), ([mark], [mark]))
        self.assertEqual(truth["requests"]["clone"], 3)
        self.assertEqual(truth["logons"], 1)
        self.assertEqual(len({clone["request"] for clone in truth["clones"]}), 3)
        for clone in truth["clones"]:
            self.assertEqual((clone["source_name"], clone["kind"], clone["state"]), ("Template Backup", "Backup", "done"))
            self.assertTrue(clone["visible"])
            self.assertTrue(clone["job_uid"].startswith("urn:veeam:Job:"))
        self.assertEqual(len({clone["job_uid"] for clone in truth["clones"]}), 3)

    def test_failed_ones_are_asked_but_not_made(self):
        self.sim.behave(task_ms=20)
        for _ in range(2):
            self.wait_for_state(self.clone("Same", Description="[jobclone:X/1]"), "Finished")
        truth = self.sim.truth()
        self.assertEqual(truth["duplicates"], [])
        self.assertEqual((truth["marks_twice"], truth["marks_asked_twice"]), ([], ["[jobclone:X/1]"]))
        self.assertEqual([clone["state"] for clone in truth["clones"]], ["done", "failed"])


class Options(EmsimCase):
    arguments = ("--task-ms", "50", "--page-max=3", "--lag", "15m")

    def test_behaviours_as_options(self):
        self.assertEqual(len(self.names(pageSize=100)), 3)

    def test_wrong_options(self):
        """What is wrong is named, and how to do better."""
        inventory = ("--inventory", INVENTORY)
        for word, *arguments in (("--nonsense: unknown option", "--nonsense", "1"), ("--task-ms: bad value", "--task-ms", "soon"),
                                 ("--inventory: not an option, or its value", "--inventory"), ("stray: not an option", "stray"),
                                 ("--inventory FILE is missing",), ("a certificate is missing", *inventory),
                                 ("--listen takes", *inventory, "--tls-self-signed", "/none", "--listen", "9398")):
            with self.subTest(arguments=arguments):
                code, err = self.emsim(*arguments)
                self.assertEqual(code, 2)
                self.assertIn(f"emsim: {word}", err)
                self.assertIn("see emsim --help", err)

    def test_certificate_that_is_not_there(self):
        for word, *arguments in (("made in /none/tls: No such file", "--tls-self-signed", "/none/tls"),
                                 ("emsim: /none.pem: No such file", "--tls-cert", "/none.pem", "--tls-key", "/none.key")):
            with self.subTest(arguments=arguments):
                code, err = self.emsim("--inventory", INVENTORY, *arguments)
                self.assertEqual(code, 1)
                self.assertIn(word, err)

    def test_port_that_is_taken(self):
        taken = f"127.0.0.1:{self.sim.port}"
        code, err = self.emsim("--inventory", INVENTORY, "--tls-self-signed", self.sim.tls, "--listen", taken)
        self.assertEqual(code, 1)
        self.assertIn(f"emsim: cannot listen on {taken}: Address already in use", err)

    def emsim(self, *arguments):
        done = subprocess.run([BIN / "emsim", *arguments], capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stderr


if __name__ == "__main__":
    unittest.main()
