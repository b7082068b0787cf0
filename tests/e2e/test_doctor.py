"""jobclonectl doctor against emsim and against what may be wrong on this machine."""
import base64
import hashlib
import json
import os
import socket
import subprocess
import threading
import unittest

import harness


class Doctor(harness.BenchCase):
    def doctor(self, bench, *words, code=0):
        done = subprocess.run([harness.BIN / "jobclonectl", "--json", "doctor", "--config", bench.config, *words],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stderr, "")
        self.assertNotIn(harness.PASSWORD, done.stdout)
        findings = json.loads(done.stdout)["findings"]
        self.assertEqual(done.returncode, code, done.stdout)
        return findings

    def settle(self, bench, **server):
        """Settings with a state directory of our own."""
        bench.settings(**server)
        whole = json.loads(bench.config.read_text())
        whole["state"] = {"directory": str(bench.state)}
        whole["spool"] = {"directory": str(bench.state / "spool")}
        whole["control"] = {"socket": str(bench.folder / "control.sock")}
        bench.config.write_text(json.dumps(whole))

    def has(self, findings, check, finding, text):
        for one in findings:
            if one["check"] == check and one["finding"] == finding and text in one["message"]:
                return
        self.fail(f"no {finding} of {check} with {text!r}: {json.dumps(findings, indent=1)}")

    def key_of(self, bench):
        key = subprocess.run(["openssl", "x509", "-in", bench.sim.certificate(), "-pubkey", "-noout"],
                             capture_output=True, check=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True,
                             check=True).stdout
        return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()

    def test_all_is_well(self):
        bench = self.bench()
        self.settle(bench)
        findings = self.doctor(bench)
        self.has(findings, "settings", "ok", "1 server")
        self.has(findings, "name", "ok", "127.0.0.1")
        self.has(findings, "tls", "ok", self.key_of(bench))
        self.has(findings, "version", "ok", "v1_")
        self.has(findings, "logon", "ok", harness.USER)
        self.has(findings, "role", "ok", "may see and clone jobs")
        self.has(findings, "state", "warn", "not there yet")
        self.has(findings, "daemon", "warn", "systemctl start jobcloned")
        self.assertEqual(bench.open_sessions(), 0)
        self.assertEqual(bench.logons(), 1)

    def test_for_people(self):
        bench = self.bench()
        self.settle(bench, password="wrong")
        done = subprocess.run([harness.BIN / "jobclonectl", "doctor", "--config", bench.config], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        self.assertRegex(done.stdout, r"(?m)^fail  logon     prod: LAB\\svc-clone is refused; check user name")
        self.assertRegex(done.stdout, r"\n1 to be mended, \d+ to be looked at\n$")
        self.assertEqual(bench.logons(), 1)

    def test_the_pin_in_one_command(self):
        bench = self.bench()
        other = bench.folder / "other.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj",
                        "/CN=other", "-out", other], check=True, capture_output=True)
        self.settle(bench, ca_file=other)
        findings = self.doctor(bench, code=3)
        self.has(findings, "tls", "fail", "The key that answers is " + self.key_of(bench))
        self.assertEqual(bench.logons(), 0)
        self.settle(bench, tls={"pin": self.key_of(bench)})
        self.has(self.doctor(bench), "pin", "ok", "tls.pin")
        self.settle(bench, tls={"pin": "sha256//" + "A" * 43 + "="})
        self.has(self.doctor(bench, code=3), "tls", "fail", "make sure that it is genuine")
        self.settle(bench, tls={"verify": False})
        self.has(self.doctor(bench), "tls", "warn", "set tls.pin: " + self.key_of(bench))
        self.assertEqual(bench.logons(), 2)

    def test_a_role_that_cannot_clone(self):
        bench = self.bench()
        self.settle(bench, user="LAB\\viewer")
        self.has(self.doctor(bench, code=3), "role", "fail", "Portal Administrator")
        self.assertEqual(bench.open_sessions(), 0)

    def test_a_version_that_the_server_lacks(self):
        bench = self.bench()
        bench.sim.close()
        self.settle(bench, api_version="v1_6")
        self.has(self.doctor(bench, code=3), "connect", "fail", "check url, port and firewalls")

    def test_something_else_answers(self):
        bench = self.bench(sim=False)
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def answer():
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                peer.recv(4096)
                peer.sendall(b"220 no TLS here\r\n")
                peer.close()
        threading.Thread(target=answer, daemon=True).start()
        self.settle(bench, url=f"https://127.0.0.1:{server.getsockname()[1]}", tls={}, ca_file="unused")
        self.has(self.doctor(bench, code=3), "tls", "fail", "the port does not speak TLS")
        server.shutdown(socket.SHUT_RDWR)
        self.settle(bench, url="https://em.invalid:9398", tls={}, ca_file="unused")
        self.has(self.doctor(bench, code=3), "name", "fail", "em.invalid")

    def test_settings_and_password(self):
        bench = self.bench()
        self.settle(bench)
        (bench.folder / "em.password").chmod(0o644)
        self.has(self.doctor(bench, code=2), "password", "fail", "chmod 600")
        self.settle(bench, password="x")
        whole = json.loads(bench.config.read_text())
        whole["servers"]["prod"]["password"] = {"credential": "em-prod"}
        bench.config.write_text(json.dumps(whole))
        self.has(self.doctor(bench), "logon", "warn", "LoadCredential=em-prod")
        bench.config.write_text("version: 1\nsever: {}\nstate: 3\n")
        findings = self.doctor(bench, code=2)
        self.has(findings, "settings", "fail", ":2:1: unknown key \"sever\"")
        self.assertGreater(len([one for one in findings if one["check"] == "settings"]), 1)
        self.has(findings, "inotify", "ok", "watches")
        self.assertEqual(bench.logons(), 0)

    def test_rights_of_the_folders(self):
        bench = self.bench(sim=False)
        self.settle(bench, url="https://em.invalid:9398", tls={}, ca_file="unused")
        spool = bench.state / "spool"
        (spool / "done").mkdir(parents=True)
        bench.state.chmod(0o710)
        spool.chmod(0o777)
        (spool / "done").chmod(0o777)
        findings = self.doctor(bench, code=3)
        self.has(findings, "state", "ok", str(bench.state))
        self.has(findings, "room", "ok" if self.room(bench) else "warn", "GiB" if self.room(bench) else "room")
        self.has(findings, "spool", "fail", "everybody can drop plans")
        self.has(findings, "spool", "fail", "chmod go-w")
        spool.chmod(0o700)
        (spool / "done").chmod(0o750)
        bench.state.chmod(0o755)
        findings = self.doctor(bench, code=3)
        self.has(findings, "spool", "warn", "members of group jobclone cannot drop plans")
        self.has(findings, "state", "warn", "everybody has access")
        if os.geteuid() == 0:
            os.chown(spool / "done", 65534, -1)
            self.has(self.doctor(bench, code=3), "spool", "fail", "chown 0")

    def room(self, bench):
        fs = os.statvfs(bench.state)
        return fs.f_bavail * fs.f_frsize > (1 << 30) and (fs.f_files == 0 or fs.f_favail > 10000)


if __name__ == "__main__":
    unittest.main()
