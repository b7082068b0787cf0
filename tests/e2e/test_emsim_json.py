"""emsim's styles of JSON and its refusals of forms, asked with Python's own JSON."""
import json
import unittest

from em_client import CLONE_FIELDS, JSON, XML, EmsimCase, spec


class Shapes(EmsimCase):
    def json(self, path):
        answer = self.em.get(path, Accept=JSON)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, JSON))
        return json.loads(answer.body)

    def entities(self, **behaviour):
        self.sim.behave(**behaviour)
        return self.json("/query?type=Repository&format=Entities")

    def test_letter_case(self):
        upper = self.entities(json_style="v12")
        lower = self.entities(json_style="v13")
        self.assertLess({"Entities", "PagingInfo"}, set(upper))
        self.assertLess({"entities", "pagingInfo"}, set(lower))
        first, same = upper["Entities"]["Repositories"]["Repositories"][0], lower["entities"]["repositories"]["repositories"][0]
        self.assertEqual(first["UID"], same["uid"])
        self.assertEqual(first["Links"][0]["Href"], same["links"][0]["href"])

    def test_wrappings(self):
        usual = self.entities(json_wrap="usual")["Entities"]["Repositories"]
        same = self.entities(json_wrap="same")["Entities"]["Repositories"]
        bare = self.entities(json_wrap="bare")["Entities"]["Repositories"]
        single = self.entities(json_wrap="child")["Entities"]["Repositories"]
        self.assertIsInstance(bare, list)
        self.assertEqual((usual, same, single), ({"Repositories": bare}, {"Repositories": bare}, {"Repository": bare}))
        self.assertIsInstance(bare[0]["Links"], list)

    def test_wrappings_of_plain_lists(self):
        for wrap, expected in ("usual", []), ("bare", []), ("child", {"Task": []}), ("same", {"Tasks": []}):
            with self.subTest(wrap=wrap):
                self.sim.behave(json_wrap=wrap)
                self.assertEqual(self.json("/tasks"), {"Tasks": expected})

    def test_what_a_query_lacks_is_null(self):
        whole = self.entities(json_style="v12")
        self.assertIsNone(whole["Refs"])
        self.assertIsNone(whole["Resources"])

    def test_unknown_words_are_refused(self):
        for key in ("json_style", "json_wrap", "only_format", "immediate_order"):
            with self.subTest(key=key), self.assertRaises(AssertionError):
                self.sim.behave(**{key: "other"})


class OneFormat(EmsimCase):
    def statuses(self, only):
        self.sim.behave(only_format=only)
        both = XML + ", " + JSON
        return [self.em.get("/tasks", Accept=accept).status for accept in (XML, JSON, both, None)]

    def test_accept(self):
        self.assertEqual(self.statuses("any"), [200, 200, 200, 200])
        self.assertEqual(self.statuses("xml"), [200, 415, 415, 415])
        self.assertEqual(self.statuses("json"), [415, 200, 415, 415])

    def test_body(self):
        kind, fields = self.fields("Template Backup")
        as_xml, as_json = spec(kind, *fields), json.dumps({kind: dict(fields)}).encode()
        source = self.em.id_of("Job", "Template Backup")

        def clone(body, content, accept):
            return self.em.request("POST", f"/jobs/{source}?action=clone", body, Content_Type=content, Accept=accept).status

        self.sim.behave(only_format="json")
        self.assertEqual(clone(as_xml, XML, XML), 415)
        self.assertEqual(clone(as_json, XML, JSON), 415)
        self.assertEqual(self.sim.truth()["clones"], [])
        self.assertEqual(clone(as_json, JSON, JSON), 202)


class ImmediateOrder(EmsimCase):
    TABLE = ["JobName", "JobFileName", "RepositoryUid", "Description"]

    def statuses(self, order):
        """Of a clone in the example's order, in the table's and in JSON."""
        self.sim.behave(immediate_order=order)
        kind, example = self.fields("Template Immediate", f"{order} 1")
        table = {**dict(example), "JobName": f"{order} 2"}
        as_json = json.dumps({kind: {**dict(example), "JobName": f"{order} 3"}}).encode()
        return [self.post_clone("Template Immediate", spec(kind, *example)).status,
                self.post_clone("Template Immediate", spec(kind, *[(name, table[name]) for name in self.TABLE])).status,
                self.post_clone("Template Immediate", as_json, Content_Type=JSON, Accept=JSON).status]

    def test_which_form_is_taken(self):
        self.assertEqual(self.statuses("example"), [202, 400, 202])
        self.assertEqual(self.statuses("table"), [400, 202, 202])
        self.assertEqual(self.statuses("json"), [400, 400, 202])
        self.assertEqual(len(self.sim.truth()["clones"]), 5)

    def test_the_other_kinds_keep_their_order(self):
        self.sim.behave(immediate_order="table")
        for source in list(CLONE_FIELDS)[:3]:
            kind, fields = self.fields(source, "Clone of " + source)
            self.assertEqual(self.post_clone(source, spec(kind, *fields)).status, 202)


if __name__ == "__main__":
    unittest.main()
