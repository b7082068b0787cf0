"""jobcloned --check: what a start needs of the settings and of the files that they name."""
import os
import subprocess
import unittest

import harness

URL = "https://em.invalid:9398"


class CheckSettings(harness.BenchCase):
    def setUp(self):
        super().setUp()
        self.bench_ = self.bench(sim=False)
        self.secret = self.bench_.folder / "em.password"
        self.ca = self.bench_.folder / "ca.pem"
        self.make_certificate()
        self.bench_.settings(url=URL, ca_file=self.ca)

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=em.invalid", "-keyout", self.bench_.folder / "key.pem", "-out", self.ca],
                       check=True, capture_output=True, timeout=60)

    def run_(self, *words, environment=None):
        clean = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
        done = subprocess.run([*words], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
                              env={**clean, **(environment or {})})
        return done.returncode, done.stdout, done.stderr

    def check(self, **environment):
        return self.run_(harness.BIN / "jobcloned", "--config", self.bench_.config, "--check", environment=environment)

    def refused(self, *lines):
        code, out, err = self.check()
        self.assertEqual((code, out), (harness.USAGE, ""), err)
        self.assertEqual(err.splitlines(), [f"server prod: {line}" for line in lines])
        self.bench_.plan([{"source": "T", "name": "a"}])
        run = self.bench_.once()  # a start says the same
        self.assert_code(run, harness.USAGE)
        self.assertEqual(run.err.splitlines(), [f"server prod: {lines[0]}"])

    def test_all_is_there(self):
        self.assertEqual(self.check(), (0, f"{self.bench_.config}: 1 server: ok\n", ""))

    def test_passwords(self):
        self.secret.write_text("\n")
        self.refused(f"{self.secret}: is empty; write the password into it as one line of text")
        self.secret.chmod(0o644)
        self.refused(f"{self.secret}: group or others have access to the password; run: chmod 600 {self.secret}")
        self.secret.unlink()
        self.refused(f"{self.secret}: the password cannot be read: No such file or directory; write the password into it")
        os.mkfifo(self.secret, 0o600)
        self.refused(f"{self.secret}: is not a regular file; put the password into a regular file")

    def test_certificates(self):
        there = "save the certificate of Enterprise Manager, or of its CA, there"
        self.ca.write_text((self.bench_.folder / "key.pem").read_text())
        self.refused(f"tls.ca_file {self.ca}: holds no certificate in PEM form; save that of Enterprise Manager, or of "
                     "its CA, there (it begins with -----BEGIN CERTIFICATE-----)")
        self.ca.unlink()
        self.refused(f"tls.ca_file {self.ca}: cannot be read: No such file or directory; {there}")
        os.mkfifo(self.ca)
        self.refused(f"tls.ca_file {self.ca}: is not a regular file; name a regular file with the certificate of "
                     "Enterprise Manager, or of its CA")

    def test_each_mistake_is_said(self):
        self.ca.unlink()
        self.secret.unlink()
        code, _, err = self.check()
        self.assertEqual((code, len(err.splitlines())), (harness.USAGE, 2), err)

    def test_a_credential_is_there_for_the_service_alone(self):
        self.bench_.settings(url=URL, ca_file=self.ca)
        config = self.bench_.config
        config.write_text(config.read_text().replace('"file": "em.password"', '"credential": "em-prod"'))
        code, out, err = self.check()
        self.assertEqual((code, out), (0, f"{config}: 1 server: ok\n"))
        self.assertIn("server prod: the credential em-prod is not looked at", err)
        credentials = self.bench_.folder / "credentials"
        credentials.mkdir()
        code, out, err = self.check(CREDENTIALS_DIRECTORY=str(credentials))
        self.assertEqual((code, out), (harness.USAGE, ""))
        self.assertIn(f"server prod: {credentials}/em-prod: the password cannot be read", err)

    def test_jobclonectl_reads_no_password(self):
        self.ca.unlink()
        self.secret.unlink()
        self.bench_.plan([{"source": "T", "name": "a"}])
        plan = self.bench_.plan_file
        self.assertEqual(self.run_(harness.BIN / "jobclonectl", "check", "--config", self.bench_.config, plan),
                         (0, f"{plan}: 1 clone, server prod: ok\n", ""))


if __name__ == "__main__":
    unittest.main()
