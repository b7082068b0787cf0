"""jobclonectl check: the daemon's own judgement of plans, offline."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import harness

PLAN = "version: 1\nname: p\nserver: prod\nclones:\n  - {name: a, source: T}\n"
SCHEDULED = PLAN + "schedule: {calendar: daily}\n"
SETTINGS = ("version: 1\nservers:\n  lab:\n    url: https://em.example.com:9398\n"
            "    username: u\n    password: {credential: c}\n")


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jobclone-check-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def ctl(self, *words, cwd=None):
        done = subprocess.run([harness.BIN / "jobclonectl", *words], cwd=cwd or self.folder, capture_output=True,
                              text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_good_plans_have_a_line_each(self):
        self.write("one.yaml", PLAN)
        self.write("two.yaml", PLAN + "  - {name: b, source: T}\n")
        self.assertEqual(self.ctl("check", "one.yaml", "two.yaml"),
                         (0, "one.yaml: 1 clone, server prod: ok\ntwo.yaml: 2 clones, server prod: ok\n", ""))

    def test_a_bad_plan_does_not_hide_the_next(self):
        self.write("bad.yaml", PLAN.replace("source", "sorce"))
        self.write("good.yaml", PLAN)
        code, out, err = self.ctl("check", "bad.yaml", "missing.yaml", "good.yaml")
        self.assertEqual(code, 2)
        self.assertEqual(out, "good.yaml: 1 clone, server prod: ok\n")
        self.assertIn('bad.yaml:5:15: unknown key "sorce" in a clone; did you mean "source"?\n', err)
        self.assertIn("missing.yaml: ", err)

    def test_a_schedule_is_for_plans_d(self):
        self.write("p.yaml", SCHEDULED)
        self.write("plans.d/p.yaml", SCHEDULED)
        code, out, err = self.ctl("check", "p.yaml")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("p.yaml:6:1: ", err)
        self.assertIn("plans.d", err)
        self.assertEqual(self.ctl("check", "--scheduled", "p.yaml")[0], 0)
        self.assertEqual(self.ctl("check", "plans.d/p.yaml")[0], 0)
        self.assertEqual(self.ctl("check", "p.yaml", cwd=self.folder / "plans.d")[0], 0)

    def test_time_zones_are_those_of_the_system(self):
        self.write("p.yaml", PLAN + "window: {from: 22:00, to: '06:00', timezone: Europe/Praha}\n")
        self.assertEqual(self.ctl("check", "p.yaml"), (
            2, "", 'p.yaml:6:46: there is no time zone "Europe/Praha"; did you mean "Europe/Prague"?\n'))
        self.write("p.yaml", PLAN + "window: {from: 22:00, to: '06:00', timezone: Europe/Prague}\n")
        self.assertEqual(self.ctl("check", "p.yaml")[0], 0)

    def test_servers_are_known_from_the_settings_alone(self):
        self.write("p.yaml", PLAN)
        self.write("s.yaml", SETTINGS)
        code, out, err = self.ctl("check", "--config", "s.yaml", "p.yaml")
        self.assertEqual((code, out), (2, ""))
        self.assertIn('p.yaml:3:9: there is no server "prod"', err)
        self.write("s.yaml", SETTINGS.replace("lab", "prod"))
        self.assertEqual(self.ctl("check", "p.yaml", "--config", "s.yaml")[0], 0)
        self.write("s.yaml", "version: 1\n")
        self.assertEqual(self.ctl("check", "--config", "s.yaml", "p.yaml")[:2], (2, ""))

    def test_json(self):
        self.write("bad.yaml", PLAN.replace("source", "sorce"))
        self.write("good.yaml", PLAN)
        code, out, err = self.ctl("--json", "check", "bad.yaml", "missing.yaml", "good.yaml")
        bad, missing, good = json.loads(out)["plans"]
        self.assertEqual(code, 2)
        self.assertEqual(good, {"file": "good.yaml", "ok": True, "errors": [], "plan": "p", "server": "prod", "clones": 1})
        self.assertFalse(bad["ok"] or missing["ok"])
        self.assertEqual("\n".join(bad["errors"] + missing["errors"]) + "\n", err)

    def test_help_and_version(self):
        for words in (["--help"], ["check", "--help"]):
            code, out, err = self.ctl(*words)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("check PLAN...", out)
        self.assertRegex(self.ctl("--version")[1], r"^jobclonectl \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_2_and_points_to_the_help(self):
        for words in ([], ["chek", "p.yaml"], ["check"], ["check", "--conf"], ["check", "--nonsense", "p"],
                      ["--nonsense"]):
            code, out, err = self.ctl(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn("jobclonectl --help", err, words)
        self.assertIn('did you mean "check"?', self.ctl("chek")[2])

    def test_control_characters_are_shown_escaped(self):
        code, _, err = self.ctl("check", "a\x1b[31mb.yaml")
        self.assertEqual(code, 2)
        self.assertNotIn("\x1b", err)

    def test_an_answer_that_cannot_be_written_is_no_success(self):
        self.write("p.yaml", PLAN)
        with open("/dev/full", "w") as full:
            done = subprocess.run([harness.BIN / "jobclonectl", "check", self.folder / "p.yaml"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=60, env=os.environ)
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
