"""tests/run itself: it counts right, shows what failed, and finds a process that was left behind; what
tests/check-package needs of a fresh machine."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
file(GLOB sources ${CMAKE_SOURCE_DIR}/tests/unit/*.c)
foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(unit_${name} ${source})
endforeach()
"""

GOOD = "int main(void)\n{\n    return 0;\n}\n"
BAD = '#include <stdio.h>\n\nint main(void)\n{\n    puts("what went wrong");\n    return 3;\n}\n'
LEAK = """#include <unistd.h>

int main(void)
{
    if (fork() == 0) {
        close(1);
        close(2);
        sleep(30);
    }
    return 0;
}
"""


class Runner(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jobclone-runner-")
        self.addCleanup(folder.cleanup)
        self.copy = pathlib.Path(folder.name)
        for part in ("tests/unit", "tests/lib", "tests/e2e", "daemon/base"):
            (self.copy / part).mkdir(parents=True)
        for part in ("tests/run", "tests/lib/packages.sh", "tests/check-layers", "tests/check-functions", "tests/check-format",
                     "tests/e2e/one.py", "CMakePresets.json", ".clang-format"):
            shutil.copy(ROOT / part, self.copy / part)
        (self.copy / "CMakeLists.txt").write_text(CMAKE)
        (self.copy / "daemon/base/good.c").write_text(GOOD)

    def run_tests(self, *arguments, **programs):
        for name, text in programs.items():
            (self.copy / "tests" / "unit" / f"{name}.c").write_text(text)
        done = subprocess.run([self.copy / "tests" / "run", "--no-install", *arguments], capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout.splitlines(), done.stdout + done.stderr

    def test_all_well(self):
        code, lines, text = self.run_tests(one=GOOD, two=GOOD)
        self.assertEqual(code, 0, text)
        # the build, three checks of the structure, two programs, nothing left behind
        self.assertEqual(lines[-1], "7 passed, 0 failed")

    def test_failure_is_shown_and_counted(self):
        code, lines, text = self.run_tests(one=GOOD, two=BAD)
        self.assertEqual(code, 1, text)
        self.assertEqual(lines[-1], "6 passed, 1 failed")
        self.assertIn("what went wrong", text)
        self.assertRegex(text, r"FAIL +\d+\.\d s  unit_two")

    def test_build_that_breaks(self):
        code, lines, text = self.run_tests(one="int main(void) { return nothing; }\n")
        self.assertEqual(code, 1, text)
        self.assertEqual(lines[-1], "0 passed, 1 failed")
        self.assertIn("nothing", text)

    def test_process_left_behind_is_found_and_ended(self):
        code, lines, text = self.run_tests("--only", "leaky", leaky=LEAK)
        self.assertEqual(code, 1, text)
        self.assertEqual(lines[-1], "2 passed, 1 failed")
        self.assertIn("build/dev/tests/unit_leaky", text)

    def test_list_builds_and_runs_nothing(self):
        code, lines, text = self.run_tests("--list")
        self.assertEqual(code, 0, text)
        self.assertEqual(lines, ["layers", "functions", "format"])
        self.assertFalse((self.copy / "build" / "dev" / "CMakeCache.txt").exists())

    def test_unknown_option(self):
        self.assertEqual(self.run_tests("--nonsense")[0], 2)

    def test_missing_package_is_named(self):
        packages = self.copy / "tests" / "lib" / "packages.sh"
        packages.write_text(packages.read_text().replace("(gcc ", "(gcc no-such-package-at-all "))
        code, _, text = self.run_tests()
        self.assertEqual(code, 1, text)
        self.assertIn("no-such-package-at-all", text)


class Package(unittest.TestCase):
    def test_what_is_missing_is_installed(self):
        """On a machine where nothing is installed: dpkg-query knows no package, and apt-get ends it there."""
        folder = tempfile.TemporaryDirectory(prefix="jobclone-package-")
        self.addCleanup(folder.cleanup)
        for name, text in {"dpkg-query": "exit 1", "apt-get": "exit 1", "sudo": 'exec "$@"', "cmake": "exit 1"}.items():
            program = pathlib.Path(folder.name) / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        done = subprocess.run([ROOT / "tests" / "check-package"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{folder.name}:{os.environ['PATH']}"})
        self.assertNotEqual(done.returncode, 0)
        for package in ("cmake", "libuv1-dev", "dpkg-dev", "lintian"):
            self.assertIn(f" {package} ", f"{done.stderr} ".replace("\n", " "))


if __name__ == "__main__":
    unittest.main()
