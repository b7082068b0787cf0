"""emsim held to the wire reference: sessions, requests, and the bodies of clones."""
import json
import time
import unittest
from urllib.parse import quote

from em_client import CLONE_FIELDS, JSON, NAMESPACE, XML, EmsimCase, child, children, links, spec, tag, text


class Logon(EmsimCase):
    def test_base_needs_no_session(self):
        base = self.em.get("/", token=None)
        self.assertEqual(base.status, 200)
        self.assertEqual(tag(base.xml()), "EnterpriseManager")
        versions = [version.get("Name") for version in child(base.xml(), "SupportedVersions")]
        self.assertEqual(versions, ["v1_5", "v1_6", "v1_7"])

    def test_answer(self):
        answer = self.em.logon()
        session = answer.xml()
        self.assertEqual(children(session), ["Links", "UserName", "SessionId"])
        self.assertEqual(session.get("Type"), "LogonSession")
        self.assertTrue(session.get("Href").endswith("/api/logonSessions/" + text(session, "SessionId")))
        self.assertRegex(answer.headers["X-RestSvcSessionId"], r"^[A-Za-z0-9+/]{22}==$")
        self.assertIn("X-RestSvcSessionId=" + answer.headers["X-RestSvcSessionId"], answer.headers["Set-Cookie"])
        self.assertIn("JobReferenceList", [link.get("Type") for link in links(session, "Down")])

    def test_links_mirror_the_role(self):
        session = self.client().logon("LAB\\viewer").xml()
        types = [link.get("Type") for link in links(session, "Down")]
        self.assertIn("TaskList", types)
        self.assertNotIn("JobReferenceList", types)
        self.assertNotIn("JobList", types)

    def test_refused(self):
        for user, password in (("LAB\\svc-clone", "wrong"), ("LAB\\nobody", "secret"), ("LAB\\svc-clone", ""), ("", "")):
            answer = self.client().logon(user, password)
            self.assert_error(answer, 401)
            self.assertEqual(answer.headers["WWW-Authenticate"], "Basic Realm=RestSvc")
            self.assertIsNone(answer.headers["X-RestSvcSessionId"])
        self.assert_error(self.em.request("POST", "/sessionMngr/?v=latest", token=None), 401)
        self.assert_error(self.em.request("POST", "/sessionMngr/", token=None, Authorization="Bearer x"), 401)

    def test_without_a_session(self):
        for token in (None, "", "AAAAAAAAAAAAAAAAAAAAAA==", self.em.token[:-1], self.em.token.lower()):
            with self.subTest(token=token):
                self.assert_error(self.em.get("/tasks", token=token), 401)

    def test_cookie_wins_over_the_header(self):
        self.assert_error(self.em.get("/tasks", Cookie="X-RestSvcSessionId=dead"), 401)
        self.assertEqual(self.em.get("/tasks", token=None, Cookie="X-RestSvcSessionId=" + self.em.token).status, 200)

    def test_logoff(self):
        other = self.client()
        other.logon()
        self.assertNotEqual(other.session_id, self.em.session_id)
        listed = self.em.get("/logonSessions").xml()
        self.assertEqual({text(session, "SessionId") for session in listed}, {self.em.session_id, other.session_id})
        gone = self.em.request("DELETE", "/logonSessions/" + self.em.session_id)
        self.assertEqual((gone.status, gone.body), (204, b""))
        self.assert_error(self.em.get("/tasks"), 401)
        self.assertEqual(other.get("/tasks").status, 200)
        self.assert_error(other.request("DELETE", "/logonSessions/" + self.em.session_id), 404)

    def test_idle_sessions_end_and_every_request_keeps_them(self):
        self.sim.behave(session_idle_ms=1500)
        idle = self.client()
        idle.logon()
        self.em.logon()
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            self.assertEqual(self.em.get("/logonSessions").status, 200)
            time.sleep(0.1)
        self.assert_error(idle.get("/tasks"), 401)
        self.assertEqual(self.sim.truth()["sessions_open"], 1)


class Requests(EmsimCase):
    def test_paths_and_query_names_in_any_letter_case(self):
        self.assertEqual(self.em.get("/Tasks").status, 200)
        self.assertEqual(self.em.get("/query?type=job&format=entities").status, 200)

    def test_unknown(self):
        for path in ("/nothing", "/jobs/x/y/z", "/query/x", "/jobs/00000000-0000-0000-0000-000000000000",
                     "/jobs/" + "9" * 400, "/repositories/x", "/backupServers/x"):
            with self.subTest(path=path):
                self.assert_error(self.em.get(path), 404)
        nothing = "/jobs/00000000-0000-0000-0000-000000000000?action=clone"
        kind, fields = self.fields("Template Backup")
        self.assert_error(self.em.request("POST", nothing, spec(kind, *fields)), 404)

    def test_method_that_a_resource_has_not(self):
        job = "/jobs/" + self.em.id_of("Job", "Template Backup")
        for method, path in (("PUT", "/tasks"), ("POST", "/query?type=Job"), ("DELETE", "/jobs"), ("GET", "/sessionMngr/"),
                             ("POST", "/repositories"), ("DELETE", "/backupServers/x"), ("POST", "/tasks/task-1")):
            with self.subTest(method=method, path=path):
                self.assert_error(self.em.request(method, path), 405)
        self.assert_error(self.em.request("POST", job + "?action=fly"), 404)

    def test_post_without_a_length(self):
        job = self.em.id_of("Job", "Template Backup")
        for path in ("/sessionMngr/", f"/jobs/{job}?action=clone"):
            self.assert_error(self.client().request("POST", path, token=self.em.token, length=False), 411)

    def test_accept_decides_the_format(self):
        for accept, found in ((None, XML), ("*/*", XML), (XML, XML), ("text/xml", XML), (JSON, JSON),
                              ("application/xml, application/json", JSON)):
            with self.subTest(accept=accept):
                self.assertEqual(self.em.get("/tasks", Accept=accept).headers["Content-Type"], found)
        self.assertEqual(json.loads(self.em.get("/nothing", Accept=JSON).body)["StatusCode"], 404)

    def test_role_that_may_not(self):
        viewer = self.client()
        viewer.logon("LAB\\viewer")
        job = self.em.id_of("Job", "Template Backup")
        kind, fields = self.fields("Template Backup")
        for method, path, body in (("GET", "/jobs", None), ("GET", "/jobs/" + job, None), ("DELETE", "/jobs/" + job, None),
                                   ("GET", "/query?type=Job", None), ("GET", "/query?type=ObjectInJob", None),
                                   ("POST", f"/jobs/{job}?action=clone", spec(kind, *fields))):
            with self.subTest(method=method, path=path):
                self.assert_error(viewer.request(method, path, body), 403, "Access denied")
        for path in ("/tasks", "/query?type=Task", "/repositories", "/query?type=Repository", "/query?type=BackupServer"):
            with self.subTest(path=path):
                self.assertEqual(viewer.get(path).status, 200)
        self.assertEqual(self.sim.truth()["clones"], [])


class Clones(EmsimCase):
    def test_each_kind_in_its_order(self):
        for source in CLONE_FIELDS:
            with self.subTest(source=source):
                kind, fields = self.fields(source, "Clone of " + source)
                answer = self.post_clone(source, spec(kind, *fields))
                self.assertEqual(answer.status, 202, answer.body)
                task = answer.xml()
                self.assertEqual(children(task), ["Links", "TaskId", "State", "Operation"])
                self.assertEqual((text(task, "State"), text(task, "Operation")), ("Running", "CloneJob"))
                self.assertEqual([link.get("Rel") for link in child(task, "Links")], ["Delete"])
        made = {clone["source_name"]: clone for clone in self.sim.truth()["clones"]}
        self.assertEqual(made["Template Backup"]["folder"], "Clone of Template Backup")
        self.assertEqual(made["Template Replica"]["vm_suffix"], "_t")
        self.assertEqual(made["Template Immediate"]["file"], "Clone of Template Immediate")

    def test_description_may_be_left_out(self):
        for source in CLONE_FIELDS:
            kind, fields = self.fields(source, "Clone of " + source)
            body = spec(kind, *[field for field in fields if field[0] != "Description"])
            self.assertEqual(self.post_clone(source, body).status, 202)

    def test_any_other_order_or_number_of_elements(self):
        for source in CLONE_FIELDS:
            kind, fields = self.fields(source)
            wrong = [fields[:i] + [fields[i + 1], fields[i]] + fields[i + 2:] for i in range(len(fields) - 1)]
            wrong += [fields[:i] + [fields[i]] + fields[i:] for i in range(len(fields))]
            wrong += [fields[:i] + fields[i + 1:] for i in range(len(fields)) if fields[i][0] != "Description"]
            wrong += [fields + [("Extra", "x")], []]
            for order in wrong:
                with self.subTest(source=source, order=[field[0] for field in order]):
                    self.assert_error(self.post_clone(source, spec(kind, *order)), 400)
        self.assertEqual(self.sim.truth()["clones"], [])

    def bad_body(self, body, **headers):
        self.assert_error(self.post_clone("Template Backup", body, **headers), 400)
        self.assertEqual(self.sim.truth()["clones"], [])

    def test_body_that_is_none(self):
        for body in (b"", b"{}", b"<JobCloneSpec", b"hello", b"<a/>"):
            with self.subTest(body=body):
                self.bad_body(body)

    def test_namespace(self):
        kind, fields = self.fields("Template Backup")
        good = spec(kind, *fields)
        self.bad_body(spec(kind, *fields, namespace="http://www.veeam.com/ent/v1.1"))
        self.bad_body(good.replace(b' xmlns="' + NAMESPACE.encode() + b'"', b""))
        self.bad_body(good.replace(b"<JobName>", b'<JobName xmlns="">'))
        self.bad_body(spec(kind, *fields, root="CloneSpec"))
        prefixed = good.replace(b"<", b"<v:").replace(b"<v:/", b"</v:").replace(b"<v:?", b"<?").replace(b"xmlns=", b"xmlns:v=")
        self.assertEqual(self.post_clone("Template Backup", prefixed).status, 202)

    def test_elements_inside_text_and_text_between_elements(self):
        kind, fields = self.fields("Template Backup")
        good = spec(kind, *fields)
        self.bad_body(good.replace(b"<JobName>New", b"<JobName><b>New</b>"))
        self.bad_body(good.replace(b"<FolderName>", b"stray<FolderName>"))

    def test_document_type(self):
        kind, fields = self.fields("Template Backup")
        good = spec(kind, *fields)
        self.bad_body(good.replace(b"?>", b'?><!DOCTYPE JobCloneSpec [<!ENTITY x "New">]>', 1).replace(b">New<", b">&x;<", 1))

    def test_two_kinds_or_another_than_the_source_has(self):
        kind, fields = self.fields("Template Backup")
        good = spec(kind, *fields)
        inner = good[good.index(b"<BackupJob"):good.index(b"</JobCloneSpec>")]
        self.bad_body(good.replace(b"</JobCloneSpec>", inner + b"</JobCloneSpec>"))
        kind, fields = self.fields("Template Replica")
        self.bad_body(spec(kind, *fields))

    def test_source_that_cannot_be_cloned(self):
        entity = self.em.get(f"/jobs/{self.em.id_of('Job', 'Locked Template')}?format=Entity").xml()
        self.assertEqual(links(entity, "Clone"), [])
        kind, fields = self.fields("Template Backup")
        self.assert_error(self.post_clone("Locked Template", spec(kind, *fields)), 400)

    def test_content_type_must_agree_with_accept(self):
        kind, fields = self.fields("Template Backup")
        good = spec(kind, *fields)
        as_json = json.dumps({kind: dict(fields)}).encode()
        for body, content, accept in ((good, XML, JSON), (good, XML, "application/xml, application/json"),
                                      (as_json, JSON, XML), (as_json, JSON, None), (good, None, XML),
                                      (good, "text/plain", XML), (good, JSON, JSON), (as_json, XML, XML)):
            with self.subTest(content=content, accept=accept):
                answer = self.post_clone("Template Backup", body, Content_Type=content, Accept=accept)
                self.assertEqual(answer.status, 400, answer.body)
        self.assertEqual(self.sim.truth()["clones"], [])
        self.assertEqual(self.post_clone("Template Backup", as_json, Content_Type=JSON, Accept=JSON).status, 202)
        kind, fields = self.fields("Template Backup", "Another")
        answer = self.post_clone("Template Backup", spec(kind, *fields), Content_Type="text/xml; charset=utf-8")
        self.assertEqual(answer.status, 202)

    def test_length_of_the_name_in_utf16_units(self):
        for name, status in (("x" * 50, 202), ("x" * 51, 400), ("č" * 50, 202), ("\U0001F4BE" * 25, 202),
                             ("\U0001F4BE" * 25 + "x", 400), ("", 400)):
            with self.subTest(name=name):
                kind, fields = self.fields("Template Backup", name, FolderName="f")
                self.assertEqual(self.post_clone("Template Backup", spec(kind, *fields)).status, status)

    def test_awkward_texts_come_through(self):
        name = "A&B <\"C\"> 'D' + é 漢 \U0001F4BE % ; ,"
        task = self.clone(name, FolderName="f", Description="]]> &amp; \t end")
        self.wait_for_state(task, "Finished")
        clone = self.sim.truth()["clones"][0]
        self.assertEqual((clone["name"], clone["description"]), (name, "]]> &amp; \t end"))
        self.assertEqual(self.names(filter="Name==" + quote(f'"{name}"'.replace('"C"', '""C""'))), [name])

    def test_what_the_backup_server_refuses_is_in_the_task(self):
        elsewhere = "urn:veeam:Repository:" + self.em.id_of("Repository", "Repo A", "vbr02")
        for number, changed in enumerate(({"RepositoryUid": elsewhere}, {"RepositoryUid": "urn:veeam:Repository:none"},
                                          {"RepositoryUid": " " + elsewhere}, {"JobName": "Template Backup"})):
            with self.subTest(changed=changed):
                task = self.wait_for_state(self.clone(f"Bad {number}", **changed), "Finished")
                result = child(task, "Result")
                self.assertEqual(result.get("Success"), "false")
                self.assertTrue(text(result, "Message"))
                self.assertEqual(links(task, "Related"), [])
        self.assertEqual({clone["state"] for clone in self.sim.truth()["clones"]}, {"failed"})


if __name__ == "__main__":
    unittest.main()
