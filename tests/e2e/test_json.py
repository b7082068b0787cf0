"""JSON on the wire: what holds in XML holds in every style of JSON, and the results are the same."""
import json
import unittest

import test_doubt
import test_once
from harness import FAILURES, OK, BenchCase

JSON = {"format": "json"}
V12 = ("--json-style", "v12", "--only-format", "json")
V13 = ("--json-style", "v13", "--json-wrap", "bare", "--only-format", "json")
CHILD = ("--json-style", "v12", "--json-wrap", "child", "--only-format", "json")
SAME = ("--json-style", "v13", "--json-wrap", "same", "--only-format", "json")


class Once12(test_once.Once):
    server, arguments = JSON, V12


class Once13(test_once.Once):
    server, arguments = JSON, V13


class OnceChild(test_once.Once):
    server, arguments = JSON, CHILD


class Conflicts13(test_once.Conflicts):
    server, arguments = JSON, V13


class Names13(test_once.Names):
    server, arguments = JSON, V13


class TwoBackupServersSame(test_once.TwoBackupServers):
    server, arguments = JSON, SAME


class Doubt13(test_doubt.Doubt):
    server, arguments = JSON, V13


def without(mapping, *keys):
    return {key: value for key, value in mapping.items() if key not in keys}


def timeless(bench, result):
    """The result and what the server made, without times, ids and this bench's folder."""
    items = [without(item, "started", "finished", "task", "job_uid") for item in result["items"]]
    clones = [without(clone, "job_uid", "request", "source") for clone in bench.sim.truth()["clones"]]
    whole = {"result": {**without(result, "started", "finished", "file"), "items": items},
             "made": sorted(clones, key=lambda clone: clone["name"])}
    return json.loads(json.dumps(whole).replace(result["run"], "RUN"))


class SameResults(BenchCase):
    """200 clones of four kinds, 50 of each, in XML and in each style."""

    def results(self, arguments, **server):
        bench = self.bench(arguments=arguments)
        bench.settings(**server)
        bench.sim.behave(task_ms=20, collect_lag_ms=5)
        bench.plan(test_once.four_kinds(50))
        run = bench.once(timeout=150)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 200)
        self.assert_each_once(bench, [item["name"] for item in run.result["items"]])
        return timeless(bench, run.result)

    def test_every_style_gives_the_results_of_xml(self):
        expected = self.results(("--only-format", "xml"))
        for style in (V12, V13, CHILD, SAME):
            with self.subTest(style=style):
                self.assertEqual(self.results(style, format="json"), expected)


def immediate(count):
    return [{"source": "Template Immediate", "name": f"Mirror {i:02}", "repository": "Repo B"} for i in range(count)]


class ImmediateCopies(BenchCase):
    """The one documented doubt about the shape of a request."""

    def clone(self, order, count=12, **plan):
        bench = self.bench(arguments=("--immediate-order", order))
        bench.plan(immediate(count), in_flight=1, **plan)
        return bench, bench.once()

    def test_the_usual_order_needs_one_try(self):
        _, run = self.clone("example")
        self.assert_all_succeeded(run, 12)
        self.assertEqual([item["attempts"] for item in run.result["items"]], [1] * 12)
        self.assertNotIn("refused with 400", run.err)

    def test_the_order_of_the_table(self):
        bench, run = self.clone("table")
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 12)
        self.assertEqual([item["attempts"] for item in run.result["items"]], [2] + [1] * 11)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], 13)
        self.assertIn("item 0: try 1, the immediate copy in the order of the documented example", run.err)
        self.assertIn("accepted in the order of the documented table", run.err)
        self.assert_each_once(bench, [clone["name"] for clone in immediate(12)])

    def test_json_alone(self):
        bench, run = self.clone("json")
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 12)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], 14)
        self.assertEqual(sum(item["attempts"] for item in run.result["items"]), 14)
        self.assertIn("accepted in JSON", run.err)
        self.assert_each_once(bench, [clone["name"] for clone in immediate(12)])

    def test_no_form_is_taken(self):
        bench = self.bench(arguments=("--immediate-order", "json"))
        bench.sim.behave(only_format="xml")
        bench.plan(immediate(1))
        run = bench.once()
        self.assert_code(run, FAILURES)
        item = run.result["items"][0]
        self.assertEqual((item["state"], item["attempts"], item["error"]["code"]), ("failed", 3, "refused"))
        self.assertEqual(bench.sim.truth()["clones"], [])

    def test_the_tries_allowed_are_the_limit(self):
        bench, run = self.clone("table", count=1, retry={"attempts": 1})
        self.assert_code(run, FAILURES)
        item = run.result["items"][0]
        self.assertEqual((item["attempts"], item["error"]["code"], item["error"]["http"]), (1, "refused", 400))
        self.assertEqual(bench.sim.truth()["requests"]["clone"], 1)

    def test_in_json_there_is_no_order(self):
        bench = self.bench(arguments=("--immediate-order", "json"))
        bench.settings(format="json")
        bench.plan(immediate(3))
        run = bench.once()
        self.assert_all_succeeded(run, 3)
        self.assertEqual(bench.sim.truth()["requests"]["clone"], 3)

    def test_lost_answers_on_the_way_to_the_right_form(self):
        bench = self.bench(arguments=("--immediate-order", "json"))
        bench.plan(immediate(12))
        bench.sim.behave(lose_answer_percent=30, lose_request_percent=20, faults_max=8, seed=5)
        run = bench.once(timeout=120)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 12)
        self.assert_each_once(bench, [clone["name"] for clone in immediate(12)])


class OneFormat(BenchCase):
    """Accept and Content-Type name one format, never a list: emsim refuses anything else."""

    def test_the_other_format_is_refused(self):
        for server, only in ({"format": "xml"}, "json"), ({"format": "json"}, "xml"):
            with self.subTest(server=server):
                bench = self.bench(arguments=("--only-format", only))
                bench.settings(timeouts={"unreachable": "1s"}, **server)
                bench.plan(immediate(1))
                run = bench.once()
                self.assertNotEqual(run.code, OK)
                self.assertIn("must name the one format", run.err)
                self.assertEqual(bench.sim.truth()["clones"], [])


if __name__ == "__main__":
    unittest.main()
