"""Names that are awkward in XML, JSON, URLs, filters, CSV and YAML, through the whole program and back."""
import csv
import tempfile
import unittest

from harness import OK, BenchCase

DISK = "\U0001F4BE"  # two UTF-16 code units
AWKWARD = [
    "A&B", "a<b>c", 'say "hi"', "it's", "R&amp;D", "]]>", "<!--x-->", "<![CDATA[x]]>", "a+b", "a%20b", "50% + 50%", "a;b,c",
    "Name==\"x\"", "(a)", "a/b\\c", "..", "a:b*c?d|e", "#1", "@home", "{x}", "$5", "100 $", "~", "null", "true", "007", "1e3", "-",
    "é", "e\u0301", "Straße", "ŽLUŤOUČKÝ KŮŇ", "日本語", "العربية", DISK, DISK * 25, "x" * 50, DISK * 24 + "xy", "\u200b", "a\u00a0b",
    "a  b", "'; DROP TABLE items; --", "${jndi}", "\ufffd", "\U0010FFFD", "[jobclone:01ARZ3NDEKTSV4RRFFQ69G5FAV/0]", "&#65;", "a\u2028b",
]
INVENTORY = """
backup_servers:
  - name: 'vbr & "co" <1>'
    repositories: [{name: 'Repo ''A'' & "B" + 100% é'}]
    jobs:
      - {name: 'Template <&> "x" + ; , %41 💾', type: Backup, description: 'a & b'}
"""


def literal(name):
    return name.replace("${", "$${")


class Names(BenchCase):
    def setUp(self):
        super().setUp()
        inventory = tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8")
        self.addCleanup(inventory.close)
        inventory.write(INVENTORY)
        inventory.flush()
        self.em = self.bench(inventory=inventory.name)
        self.defaults = {"source": 'Template <&> "x" + ; , %41 💾', "repository": 'Repo \'A\' & "B" + 100% é',
                         "backup_server": 'vbr & "co" <1>'}

    def run_names(self, code=OK, **keys):
        clones = [{"name": literal(name), "folder": f"f{i}"} for i, name in enumerate(AWKWARD)]
        self.em.plan(clones, defaults={**self.defaults, **keys})
        run = self.em.once()
        self.assert_code(run, code)
        return run

    def test_through_the_whole_program(self):
        for format_ in ("xml", "json"):
            with self.subTest(format=format_):
                self.em.settings(format=format_)
                run = self.run_names(on_conflict="skip")
                self.assertEqual([item["name"] for item in run.result["items"]], AWKWARD)
                self.assertEqual({item["state"] for item in run.result["items"]}, {"succeeded" if format_ == "xml" else "skipped"})
        self.assert_each_once(self.em, AWKWARD)

    def test_answers_lost_are_found_by_name_and_mark(self):
        self.em.sim.behave(lose_answer_percent=100, faults_max=len(AWKWARD))
        run = self.run_names()
        self.assert_all_succeeded(run, len(AWKWARD))
        self.assertTrue(all(item["recovered"] for item in run.result["items"]))
        self.assert_each_once(self.em, AWKWARD)

    def test_renamed_within_50_units(self):
        self.run_names()
        self.em.state = self.em.folder / "state2"
        run = self.run_names(on_conflict="rename")
        for item, name in zip(run.result["items"], AWKWARD):
            self.assertRegex(item["name"], r" \([23]\)$")  # two of them begin with the same 46 units
            self.assertLessEqual(len(item["name"].encode("utf-16-le")) // 2, 50)
            self.assertTrue(name.startswith(item["name"][:-4].rstrip()), item["name"])
        self.assert_each_once(self.em, [item["name"] for item in run.result["items"]] + AWKWARD)

    def test_of_a_csv_file(self):
        with open(self.em.folder / "names.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name"])
            writer.writerows([[name] for name in AWKWARD])
        self.em.plan([{"for_each": {"csv": "names.csv"}, "name": "${name}", "folder": "f${index}"}], defaults=self.defaults)
        run = self.em.once()
        self.assert_code(run, OK)
        self.assert_each_once(self.em, AWKWARD)


if __name__ == "__main__":
    unittest.main()
