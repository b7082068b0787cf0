"""The same against a server that is not ours: nginx with its own Enterprise Manager, when it is there."""
import json
import shutil
import ssl
import subprocess
import urllib.request

from harness import OK, Bench, BenchCase, backups
from yardstick import PLACE, free_ports


class Yardstick(BenchCase):
    def setUp(self):
        super().setUp()
        start = PLACE / "nginx-em" / "start.sh"
        if not start.exists():
            self.skipTest(f"no yardstick in {PLACE}")
        if not shutil.which("nginx"):
            self.skipTest("nginx is not installed")
        self.bench_ = Bench(sim=False)
        self.addCleanup(self.bench_.close)
        self.folder = self.bench_.folder / "nginx"
        self.port = free_ports()
        self.folder.mkdir()
        self.bench_.folder.chmod(0o755)  # nginx' worker is another user
        self.addCleanup(subprocess.run, ["sh", PLACE / "nginx-em" / "stop.sh", self.folder], check=True, timeout=30)
        subprocess.run(["sh", start, str(self.port), self.folder, "--task-ms", "100"], check=True, timeout=60,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.context = ssl.create_default_context(cafile=self.folder / "cert.pem")

    def stats(self):
        with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/bench/stats", timeout=20,
                                    context=self.context) as answer:
            return json.load(answer)

    def test_300_clones(self):
        bench = self.bench_
        bench.settings(url=f"https://127.0.0.1:{self.port}", ca_file=self.folder / "cert.pem")
        bench.plan(backups(300)[0])
        run = bench.once(timeout=150)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, 300)
        stats = self.stats()
        self.assertEqual(stats["clones"], 300)
        self.assertEqual(stats["duplicate_names"], 0)
        self.assertEqual(stats["deleted_running"], 0)
