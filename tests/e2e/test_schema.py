"""The JSON Schemas for editors know the keys that the readers know, no more and no fewer."""
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

from harness import BIN, ROOT

KEYS = re.compile(r"const char \*const \w*keys\[\] = \{(.*?)\}|\*const \w+_keys\[\] = \{(.*?)\}", re.S)
WORD = re.compile(r'"([a-z_]+)"')


def reader_keys(pattern):
    """All keys in the tables of the readers' sources."""
    keys = set()
    for path in (ROOT / "daemon" / "codec").glob(pattern):
        for groups in KEYS.findall(path.read_text(encoding="utf-8")):
            keys |= set(WORD.findall("".join(groups)))
    return keys


def objects(schema, path=()):
    """(path, properties) of every mapping that the schema describes."""
    if isinstance(schema, list):
        for entry in schema:
            yield from objects(entry, path)
    elif isinstance(schema, dict):
        if "properties" in schema:
            yield path, schema["properties"]
            for key, value in schema["properties"].items():
                yield from objects(value, path + (key,))
        for key in ("oneOf", "items"):
            yield from objects(schema.get(key), path + (("[]",) if key == "items" else ()))
        if isinstance(schema.get("additionalProperties"), dict):
            yield from objects(schema["additionalProperties"], path + ("prod",))


def load(name):
    return json.loads((ROOT / "config" / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))


def nest(path, leaf):
    """A document with that leaf under that path."""
    for key in reversed(path):
        leaf = [leaf] if key == "[]" else {key: leaf}
    return leaf


class Schemas(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jobclone-schema-")
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "file.yaml"

    def complaints(self, command, document):
        self.file.write_text(json.dumps(document), encoding="utf-8")
        done = subprocess.run([*command, self.file], capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    def assert_same_keys(self, name, pattern, version):
        known = {key for _, properties in objects(load(name)) for key in properties}
        self.assertEqual(known, reader_keys(pattern) | version)

    def assert_keys_in_place(self, name, command):
        for path, properties in objects(load(name)):
            for key in [*properties, "no_such_key"]:
                document = nest(path, {key: 1})
                if path[:1] == ("defaults",):
                    document["clones"] = [{"name": "x"}]  # looked at with a clone only
                text = self.complaints(command, document)
                with self.subTest(path=path, key=key):
                    unknown = f'unknown key "{key}"' in text
                    self.assertEqual(unknown, key == "no_such_key", text)

    def test_settings_have_the_readers_keys(self):
        self.assert_same_keys("settings", "settings_*.c", set())

    def test_plan_has_the_readers_keys(self):
        self.assert_same_keys("plan", "plan_*.c", set())

    def test_settings_keys_are_where_the_reader_takes_them(self):
        self.assert_keys_in_place("settings", [BIN / "jobcloned", "--check", "--config"])

    def test_plan_keys_are_where_the_reader_takes_them(self):
        self.assert_keys_in_place("plan", [BIN / "jobclonectl", "check", "--scheduled"])


if __name__ == "__main__":
    unittest.main()
