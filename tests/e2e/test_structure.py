"""The structure checks can fail: each finds a violation planted in a copy."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class StructureChecks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jobclone-structure-")
        self.addCleanup(folder.cleanup)
        self.copy = pathlib.Path(folder.name)
        for room in ("base", "model", "codec", "engine", "io", "ctl"):
            (self.copy / "daemon" / room).mkdir(parents=True)
        (self.copy / "tests").mkdir()
        shutil.copy(ROOT / ".clang-format", self.copy)
        self.plant("daemon/base/good.c", '#include <stdio.h>\n\nint good;\n\nint good_value(void)\n{\n    return good;\n}\n')

    def plant(self, path, text):
        (self.copy / path).write_text(text, encoding="utf-8")

    def check(self, name):
        done = subprocess.run([ROOT / "tests" / name, self.copy], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def assert_clean(self, name):
        status, text = self.check(name)
        self.assertEqual(status, 0, text)

    def assert_found(self, name, *words):
        status, text = self.check(name)
        self.assertEqual(status, 1, text)
        for word in words:
            self.assertIn(word, text)

    def test_layers_find_upward_include(self):
        self.assert_clean("check-layers")
        self.plant("daemon/model/up.c", '#include "engine/http.h"\n')
        self.assert_found("check-layers", "daemon/model/up.c:1", "engine/http.h")

    def test_layers_find_foreign_library(self):
        for room, header in (("engine", "uv.h"), ("base", "libxml/parser.h"), ("io", "yaml.h"), ("codec", "curl/curl.h"),
                             ("ctl", "sqlite3.h"), ("engine", "openssl/ssl.h")):
            self.plant(f"daemon/{room}/foreign.c", f"#  include <{header}>\n")
            with self.subTest(room=room, header=header):
                self.assert_found("check-layers", f"daemon/{room}/foreign.c:1", header)
            (self.copy / f"daemon/{room}/foreign.c").unlink()
        self.assert_clean("check-layers")

    def test_layers_find_paths_without_room(self):
        self.plant("daemon/io/near.c", '#include "near.h"\n#include "../base/buf.h"\n')
        self.assert_found("check-layers", "daemon/io/near.c:1", "daemon/io/near.c:2")

    def test_layers_find_unknown_room(self):
        (self.copy / "daemon" / "util").mkdir()
        self.plant("daemon/util/x.h", "int x;\n")
        self.assert_found("check-layers", "unknown room util/")

    def test_layers_allow_the_top(self):
        self.plant("daemon/app.c", '#include <uv.h>\n#include "app.h"\n#include "io/loop.h"\n#include "model/plan.h"\n')
        self.assert_clean("check-layers")

    def test_functions_find_long_function(self):
        body = "".join(f"    n += {i};\n" for i in range(64))
        self.plant("daemon/base/long.c", "int at_limit(int n)\n{\n" + body + "    n++;\n    n++;\n    return n;\n}\n")
        self.assert_clean("check-functions")
        self.plant("daemon/base/long.c", "int too_long(int n)\n{\n" + body + "    n++;\n" * 3 + "    return n;\n}\n")
        self.assert_found("check-functions", "daemon/base/long.c:1", "too_long", "71 lines")

    def test_functions_find_long_file(self):
        self.plant("daemon/base/list.h", "/* line */\n" * 600)
        self.assert_clean("check-functions")
        self.plant("daemon/base/list.h", "/* line */\n" * 601)
        self.assert_found("check-functions", "daemon/base/list.h", "601 lines")

    def test_format_finds_untidy_file(self):
        self.assert_clean("check-format")
        self.plant("daemon/base/untidy.c", "int  untidy( void ){return 1;}\n")
        self.assert_found("check-format", "daemon/base/untidy.c", "clang-format -i")


if __name__ == "__main__":
    unittest.main()
