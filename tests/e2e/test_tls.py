"""Servers whose TLS is not as it should be: exit code 3, a message that names what to do, and not one
byte of the credentials on the wire."""
import base64
import pathlib
import shutil
import ssl
import tempfile
import unittest

import tls_faults
from harness import OK, PASSWORD, UNREACHABLE, USER, BenchCase, backups
from tls_faults import Authority, Server, with_tls

WRONG_PIN = "sha256//" + "A" * 43 + "="
OLD = {"lowest": ssl.TLSVersion.TLSv1, "highest": ssl.TLSVersion.TLSv1_1, "ciphers": "ALL:@SECLEVEL=0"}
SECRETS = [PASSWORD.encode(), base64.b64encode(f"{USER}:{PASSWORD}".encode()), b"Authorization"]


class Tls(BenchCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="jobclone-ca-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.ca = Authority(cls.folder)
        cls.namesake = Authority(cls.folder, "namesake")
        cls.stranger = Authority(cls.folder, "stranger", "/CN=stranger")
        cls.good = cls.ca.sign("good")

    def refused(self, serve, tls, *words, at_once=True):
        """One fault; `words` are in the message."""
        bench = self.bench(sim=False)
        server = Server(serve)
        try:
            bench.settings(url=server.url, ca_file="unused", tls={key: value if isinstance(value, bool) else str(value) for key, value in tls.items()},
                           timeouts={"connect": "1s", "unreachable": "1h" if at_once else "1s"})
            bench.plan(backups(1)[0])
            run = bench.once()
        finally:
            server.close()
        self.assert_code(run, UNREACHABLE)
        self.assertGreater(server.connections, 0)
        for heard in server.heard:
            for secret in SECRETS:
                self.assertNotIn(secret, heard)
        for word in ("server prod", server.url, *words):
            self.assertIn(word, run.err)
        self.assertEqual(run.result["state"], "paused")
        return server

    def refused_certificate(self, name, word, **keys):
        certificate, key, _ = self.ca.sign(name, **keys)
        serve = with_tls(certificate, key, ciphers="ALL:@SECLEVEL=0")
        server = self.refused(serve, {"ca_file": self.ca.file}, word, "no credentials were sent")
        self.assertEqual(b"".join(server.heard), b"")

    def refused_settings(self, word, **tls):
        server = self.refused(with_tls(*self.good[:2]), tls, word, "no credentials were sent")
        self.assertEqual(b"".join(server.heard), b"")

    def test_what_the_others_differ_from(self):
        """The same server and settings without a fault hear the credentials: the tests could see them."""
        bench = self.bench(sim=False)
        server = Server(with_tls(*self.good[:2]))
        self.addCleanup(server.close)
        bench.settings(url=server.url, ca_file=self.ca.file, timeouts={"connect": "1s", "unreachable": "1s"})
        bench.plan(backups(1)[0])
        self.assert_code(bench.once(), UNREACHABLE)
        self.assertIn(SECRETS[1], b"".join(server.heard))

    def test_expired(self):
        self.refused_certificate("expired", "renew the certificate", until="20210101000000Z")

    def test_not_yet_valid(self):
        self.refused_certificate("early", "clock", since="20980101000000Z")

    def test_of_another_name(self):
        self.refused_certificate("name", "url must use a name", names="DNS:em.example.com")

    def test_of_another_address(self):
        self.refused_certificate("address", "url must use a name", names="IP:127.0.0.2,DNS:localhost")

    def test_not_for_servers(self):
        self.refused_certificate("purpose", "not one for servers", extra="extendedKeyUsage=clientAuth")

    def test_weak_key(self):
        self.refused_certificate("weak", "stronger key", key=("rsa:1024",))

    def test_signed_by_no_authority(self):
        middle, key, _ = self.ca.sign("middle", extra="basicConstraints=CA:FALSE")
        authority = Authority(self.folder, "deep", "/CN=deep")
        shutil.copy(middle, authority.file)  # what signs below is a server's certificate, no CA's
        shutil.copy(key, self.folder / "deep.key")
        leaf, leaf_key, _ = authority.sign("below")
        chain = self.folder / "chain.pem"
        chain.write_text(leaf.read_text() + middle.read_text())
        server = self.refused(with_tls(chain, leaf_key), {"ca_file": self.ca.file}, "no credentials were sent")
        self.assertEqual(b"".join(server.heard), b"")

    def test_unknown_authority(self):
        self.refused_settings("tls.ca_file must hold", ca_file=self.stranger.file)

    def test_authority_of_the_same_name(self):
        self.refused_settings("tls.ca_file", ca_file=self.namesake.file)

    def test_not_in_the_store_of_the_system(self):
        self.refused_settings("tls.ca_file must hold", verify=True)

    def test_wrong_pin(self):
        self.refused_settings("another key than tls.pin", pin=WRONG_PIN)

    def test_right_authority_and_wrong_pin(self):
        self.refused_settings("another key than tls.pin", pin=WRONG_PIN, ca_file=self.ca.file)

    def test_right_pin_and_wrong_authority(self):
        self.refused_settings("tls.ca_file must hold", pin=self.good[2], ca_file=self.stranger.file)

    def test_self_signed(self):
        own, key = self.folder / "own.pem", self.folder / "own.key"
        tls_faults.openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                           "-keyout", key, "-out", own, "-days", "30", "-subj", "/CN=own",
                           "-addext", "subjectAltName=IP:127.0.0.1")
        self.refused(with_tls(own, key), {"ca_file": self.ca.file}, "must hold this certificate", "no credentials")

    def test_old_protocol(self):
        server = self.refused(with_tls(*self.good[:2], **OLD), {"ca_file": self.ca.file}, "no TLS 1.2 or newer")
        self.assertEqual(b"".join(server.heard), b"")

    def test_no_encryption(self):
        null = with_tls(*self.good[:2], highest=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
        server = self.refused(null, {"ca_file": self.ca.file}, "no cipher in common")
        self.assertEqual(b"".join(server.heard), b"")

    def test_plain_http(self):
        self.refused(tls_faults.plain_http, {"ca_file": self.ca.file}, "does not speak TLS", "9398")

    def test_client_certificate_demanded(self):
        for highest, word, at_once in ((ssl.TLSVersion.TLSv1_2, "client certificate", True),
                                       (ssl.TLSVersion.TLSv1_3, "", False)):
            with self.subTest(highest=highest):
                serve = with_tls(*self.good[:2], highest=highest, client_ca=self.ca.file)
                self.refused(serve, {"ca_file": self.ca.file}, word, at_once=at_once)

    def test_handshake_cut_off(self):
        self.refused(tls_faults.cut_off, {"ca_file": self.ca.file}, "ended within the TLS handshake", at_once=False)

    def test_handshake_that_stalls(self):
        self.refused(tls_faults.stalled, {"ca_file": self.ca.file}, "not answered", at_once=False)

    def test_cut_record(self):
        self.refused(tls_faults.cut_record, {"ca_file": self.ca.file}, "ended within the TLS handshake", at_once=False)

    def test_garbage(self):
        self.refused(tls_faults.garbage, {"ca_file": self.ca.file}, "check the port in url", at_once=False)


class TlsThatIsGood(BenchCase):
    def test_ways_to_trust(self):
        """The same server is trusted by its CA, by its key alone, by both, and unchecked with a warning."""
        bench = self.bench()
        certificate = bench.sim.certificate()
        key = tls_faults.pin(certificate.parent, certificate.name)
        for number, tls in enumerate(({"ca_file": str(certificate)}, {"pin": key}, {"pin": f"{WRONG_PIN};{key}"},
                                      {"pin": key, "ca_file": str(certificate)}, {"verify": False})):
            with self.subTest(tls=tls):
                bench.settings(tls=tls)
                bench.plan(backups(1, f"Way {number}")[0], name=f"way-{number}")
                run = bench.once()
                self.assert_code(run, OK)
                self.assertEqual("verify is false" in run.err, "verify" in tls)


if __name__ == "__main__":
    unittest.main()
