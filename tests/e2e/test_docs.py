"""The docs know what the programs know, no more and no less: options, commands, keys, codes, behaviours, log
fields; links lead somewhere, and examples are good."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BIN, ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "tests" / "emsim" / "README.md"]
MANUALS = {"jobcloned": "jobcloned.8", "jobclonectl": "jobclonectl.1", "emsim": "emsim.1"}
NOT_YET = {"undo"}  # known to the program, which says that it is not in this version


def read(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def manual(name):
    """The text of a man page without its dashes' backslashes."""
    return read("docs", "man", name).replace("\\-", "-")


def words(pattern, text):
    return set(re.findall(pattern, text))


def section(text, begin, end):
    return text.split(begin, 1)[1].split(end, 1)[0]


def table_codes(text):
    """The words in backquotes of each table row's first cells."""
    return {code for row in re.findall(r"^\|((?: `[a-z_]+`)+) \|", text, re.M) for code in re.findall(r"[a-z_]+", row)}


def schema_keys(name):
    def walk(node):
        if isinstance(node, dict):
            yield from node.get("properties", {})
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)
    return set(walk(json.loads(read("config", "schema", f"{name}.schema.json"))))


class Names(unittest.TestCase):
    def test_options(self):
        for program, page in MANUALS.items():
            with self.subTest(program=program):
                told = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout
                option = r"(?<![\w-])--[a-z][a-z-]*"
                own = manual(page)
                if program == "emsim":  # behaviours are options too; one of them stands for all
                    told = re.sub(r"\(--task-ms.*?\)", "", told)
                    own = own.replace("--task 500ms", "")
                self.assertEqual(words(option, told), words(option, own))

    def test_commands(self):
        source = read("daemon", "ctl", "commands.c")
        known = words(r'\{"([a-z]+)",', section(source, "const struct command commands[]", "{0}")) - NOT_YET
        told = section(source, "Plans\\n", "Exit codes")
        self.assertEqual(words(r'"  ([a-z]+)\b', told), known)
        page = section(manual("jobclonectl.1"), ".SH COMMANDS FOR PLANS", ".SH OPTIONS")
        self.assertEqual(words(r"\.TP\n\.B[IR]? \"?([a-z]+)\b", page), known)
        completed = re.search(r"local commands='(.*)'", read("config", "bash-completion", "jobclonectl")).group(1)
        self.assertEqual(set(completed.split()), known)

    def test_keys(self):
        for name, page in (("settings", "jobcloned.yaml.5"), ("plan", "jobclone-plan.5")):
            missing = {key for key in schema_keys(name) if not re.search(rf"\b{key}\b", manual(page))}
            with self.subTest(page=page):
                self.assertEqual(missing - {"after"}, set())
        text = read("docs", "plan.md")
        self.assertEqual({key for key in schema_keys("plan") if not re.search(rf"\b{key}\b", text)}, set())
        text = read("config", "jobcloned.yaml")
        self.assertEqual({key for key in schema_keys("settings") if not re.search(rf"\b{key}\b", text)}, set())

    def test_codes_of_items(self):
        names = section(read("daemon", "model", "item.c"), "error_names[", "};")
        page = section(read("docs", "errors.md"), "## Before anything is sent", "## Exit codes")
        self.assertEqual(table_codes(page), words(r'= "([a-z_]+)"', names))

    def test_codes_of_the_control_socket(self):
        names = section(read("daemon", "io", "control_reply.c"), "errors[CONTROL_E_COUNT]", "};") + '"forbidden"'
        page = section(read("docs", "control-api.md"), "## Errors", "## Events")
        told = {code for cell in re.findall(r"^\| \d+ \|(.*?)\|", page, re.M) for code in re.findall(r"`([a-z_]+)`", cell)}
        self.assertEqual(told, words(r'"([a-z_]+)"', names))

    def test_behaviours(self):
        fields = section(read("tests", "emsim", "behaviour.c"), "FIELDS[] = {", "\n};")
        known = words(r"FIELD\((\w+), FIELD_", fields) | words(r'"([a-z0-9_]+)"', fields) | {"seed", "session_expire_now", "restart_now"}
        for name, text in (("man page", manual("emsim.1")), ("README", read("tests", "emsim", "README.md"))):
            with self.subTest(page=name):
                self.assertEqual({key for key in known if not re.search(rf"\b{key}\b", text)}, set())
        told = words(r"\b([a-z0-9]+(?:_[a-z0-9]+)+)\b", section(manual("emsim.1"), ".SH BEHAVIOURS", ".SH TRUTH"))
        self.assertEqual(told - known, {"_ms"} & told)

    def test_log_fields(self):
        source = read("daemon", "io", "journal.c")
        known = words(r'"([A-Z]+)", fields->', source) | words(r'add_number\(\w+, "([A-Z]+)"', source) | {"ITEM"}
        told = re.search(r"with the fields `([A-Z ]+)`", read("docs", "operating.md")).group(1)
        self.assertEqual(set(told.split()), known)


class Pages(unittest.TestCase):
    def test_links(self):
        for page in DOCS:
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
                with self.subTest(page=page.name, link=link):
                    self.assertTrue(link.startswith("https://") or (page.parent / link).exists())

    def test_examples(self):
        """Plans and settings in the pages are ones that the programs take."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="jobclone-docs-"))
        self.addCleanup(shutil.rmtree, folder)
        (folder / "tenants.csv").write_text("tenant\nacme\n")
        (folder / "em.password").write_text("secret\n")
        os.chmod(folder / "em.password", 0o600)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "em-ca.pem")
        for page in (ROOT / "README.md", ROOT / "docs" / "plan.md"):
            blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
            self.assertEqual(len(blocks), 2)
            whole = [blocks[0], blocks[1] if "version:" in blocks[1] else blocks[0] + blocks[1]]
            for number, block in enumerate(whole):
                file = folder / "example.yaml"
                file.write_text(block, encoding="utf-8")
                judge = [BIN / "jobcloned", "--check", "--config"] if "servers:" in block else [BIN / "jobclonectl", "check"]
                judge += ["--scheduled"] if "schedule:" in block else []
                done = subprocess.run([*judge, file], capture_output=True, text=True, timeout=20, check=False)
                with self.subTest(page=page.name, number=number):
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
