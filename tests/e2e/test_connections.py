"""How many connections a run takes: as many as requests at once, and no more; with HTTP/2 one.

HTTP/2 is nginx's, before emsim; where it asks emsim and gets no answer, it gives none either.
"""
import shutil
import socket
import ssl
import subprocess
import unittest

from harness import OK, Bench, BenchCase, backups

IN_FLIGHT = 16
CLONES = 300
LOGON = 2  # may take one of its own
CONFIG = """
daemon off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
  log_format one '$connection $server_protocol $request_method $uri $status';
  access_log access.log one;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  upstream emsim {{ server 127.0.0.1:{emsim}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} ssl {http2};
    location / {{
      proxy_pass https://emsim;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host 127.0.0.1:{port};
      proxy_next_upstream off;
      error_page 502 = @silence;
    }}
    location @silence {{ return 444; }}
  }}
}}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Nginx:
    """In front of emsim, with emsim's own certificate."""

    def __init__(self, bench, http2):
        self.folder = bench.folder / "nginx"
        self.folder.mkdir()
        bench.folder.chmod(0o755)  # its worker may be another user
        key = next(bench.sim.tls.glob("*key*.pem"))
        self.port = free_port()
        (self.folder / "nginx.conf").write_text(CONFIG.format(
            certificate=bench.sim.certificate(), key=key, emsim=bench.sim.port, port=self.port,
            http2="http2" if http2 else ""))
        self.process = subprocess.Popen(["nginx", "-p", self.folder, "-c", "nginx.conf", "-e", "error.log"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bench.children.append(self.process)
        bench.wait_for(self.listens)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def requests(self):
        """(connection, protocol, method, path, status) of each."""
        return [tuple(line.split()) for line in (self.folder / "access.log").read_text().splitlines()]

    def connections(self):
        return len({request[0] for request in self.requests()})


class Http11(BenchCase):
    server = {"in_flight": {"initial": IN_FLIGHT, "max": IN_FLIGHT}}
    arguments = ("--task-ms", "50", "--latency-ms", "5", "--collect-lag-ms", "0")

    def test_no_more_than_in_flight(self):
        """Also when the session ends half-way and all requests see it."""
        bench = self.bench()
        own = []  # each request of ours is a connection too
        clones, names = backups(CLONES)
        bench.plan(clones)
        child = bench.start()

        def half_way():
            own.append(1)
            return len(bench.sim.truth()["clones"]) >= CLONES // 3

        bench.wait_for(half_way)
        bench.sim.behave(session_expire_now=True)
        run = bench.finish(child)
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, CLONES)
        truth = bench.sim.truth()
        self.assertEqual(truth["requests"]["logon"], 2)
        connections = truth["connections"] - len(own) - 2
        print(f"{CLONES} clones, {IN_FLIGHT} in flight, two sessions: {connections} connections")
        self.assertLessEqual(connections, IN_FLIGHT + LOGON)
        self.assert_each_once(bench, names)


class Http2(BenchCase):
    server = {"in_flight": {"initial": IN_FLIGHT, "max": IN_FLIGHT}, "http": 2}
    arguments = ("--task-ms", "50", "--collect-lag-ms", "0")

    def setUp(self):
        super().setUp()
        if not shutil.which("nginx"):
            self.skipTest("nginx is not installed")

    def run_through(self, http2, **behaviour):
        bench = self.bench()
        nginx = Nginx(bench, http2)
        bench.settings(url=f"https://127.0.0.1:{nginx.port}")
        clones, names = backups(CLONES)
        bench.plan(clones)
        if behaviour:
            bench.sim.behave(**behaviour)
        run = bench.once()
        self.assert_code(run, OK)
        self.assert_all_succeeded(run, CLONES)
        self.assert_each_once(bench, names)
        return bench, nginx, run

    def test_one_connection(self):
        _, nginx, _ = self.run_through(True)
        self.assertEqual({request[1] for request in nginx.requests()}, {"HTTP/2.0"})
        self.assertEqual(nginx.connections(), 1)

    def test_only_where_it_is_asked_for(self):
        """A server that offers it is spoken to as the documentation has it, unless the settings say otherwise."""
        self.server = {key: value for key, value in self.server.items() if key != "http"}
        _, nginx, _ = self.run_through(True)
        self.assertEqual({request[1] for request in nginx.requests()}, {"HTTP/1.1"})

    def test_where_the_server_has_none(self):
        _, nginx, _ = self.run_through(False)
        self.assertEqual({request[1] for request in nginx.requests()}, {"HTTP/1.1"})
        self.assertLessEqual(nginx.connections(), IN_FLIGHT + LOGON)

    def test_a_stream_without_an_answer(self):
        """It took effect: in doubt, looked for, found, never sent again."""
        bench, nginx, run = self.run_through(True, lose_answer_percent=5, apply_to="clone")
        faults = bench.sim.truth()["faults"]
        found = [item for item in run.result["items"] if item["recovered"]]
        print(f"{faults} answers lost, {len(found)} clones found by asking")
        self.assertGreater(faults, 0)
        self.assertGreater(len(found), 0)
        self.assertEqual(bench.sim.truth()["marks_asked_twice"], [])
        posts = [request for request in nginx.requests() if request[2] == "POST" and "/api/jobs/" in request[3]]
        self.assertEqual(len(posts), CLONES, "no request is sent twice")


if __name__ == "__main__":
    unittest.main()
