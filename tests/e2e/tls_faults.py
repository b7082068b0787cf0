"""A server on 127.0.0.1 whose TLS is wrong on purpose, and that writes down every byte it understands.

Certificates are made by the openssl command. What a peer says is kept in `heard`: inside TLS after
the handshake, or in the clear where the server speaks no TLS.
"""
import socket
import ssl
import subprocess
import threading
import warnings

CA_CONFIG = """
[ca]
default_ca = here
[here]
dir = .
database = {name}.index
serial = {name}.serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Authority:
    """A certificate authority of our own; two of one subject differ in their key alone."""

    def __init__(self, folder, name="ca", subject="/CN=test CA"):
        self.folder = folder
        self.name = name
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.index").write_text("")
        (folder / f"{name}.serial").write_text("1000\n")
        (folder / f"{name}.conf").write_text(CA_CONFIG.format(name=name))
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "30", "-subj", subject,
                "-addext", "keyUsage=critical,keyCertSign")
        self.file = folder / f"{name}.pem"

    def sign(self, name, until="20991231235959Z", since="20200101000000Z", names="IP:127.0.0.1,DNS:localhost",
             key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), extra=""):
        """A certificate of this authority; (certificate, key, pin)."""
        folder = self.folder
        openssl(folder, "req", "-new", "-newkey", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", "/CN=test server")
        (folder / f"{name}.ext").write_text(f"subjectAltName={names}\n{extra}\n")
        openssl(folder, "ca", "-batch", "-notext", "-config", f"{self.name}.conf", "-cert", f"{self.name}.pem",
                "-keyfile", f"{self.name}.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext",
                "-startdate", since, "-enddate", until)
        return folder / f"{name}.pem", folder / f"{name}.key", pin(folder, f"{name}.pem")


def pin(folder, certificate):
    """sha256//BASE64 of its key."""
    made = subprocess.run(f"openssl x509 -in {certificate} -pubkey -noout | openssl pkey -pubin -outform der |"
                          " openssl dgst -sha256 -binary | openssl enc -base64 -A",
                          shell=True, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return "sha256//" + made.stdout.strip()


class Server:
    """Accepts until it is closed; `serve(connection)` does the harm and returns what it heard."""

    def __init__(self, serve):
        self.serve = serve
        self.heard = []
        self.connections = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.closing = threading.Event()
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.one, args=(connection,), daemon=True)
            with self.lock:
                self.connections += 1
                self.threads.append(thread)
            thread.start()

    def one(self, connection):
        connection.settimeout(20)
        with connection:
            try:
                heard = self.serve(self, connection)
            except OSError:  # ssl.SSLError is one
                heard = b""
        with self.lock:
            self.heard.append(heard or b"")

    def close(self):
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in list(self.threads):
            thread.join(30)


def read_all(connection):
    """What comes until the peer ends or is silent; an HTTP answer is never given."""
    heard = b""
    try:
        while chunk := connection.recv(65536):
            heard += chunk
            if b"\r\n\r\n" in heard:
                break
    except OSError:
        pass
    return heard


def with_tls(certificate, key, lowest=None, highest=None, ciphers=None, client_ca=None):
    """A handshake with these; then everything is read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if ciphers:
        context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the versions that nobody should speak
        context.minimum_version = lowest or ssl.TLSVersion.TLSv1_2
        context.maximum_version = highest or ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve(_server, connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            return read_all(secure)
    return serve


def plain_http(_server, connection):
    """No TLS at all: says so as web servers do, and hears what is said in the clear."""
    heard = connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    return heard


def cut_off(_server, connection):
    connection.recv(65536)


def stalled(server, connection):
    connection.recv(65536)
    server.closing.wait(20)


def cut_record(_server, connection):
    """The head of a ServerHello record that announces more than comes."""
    connection.recv(65536)
    connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(20))


def garbage(_server, connection):
    connection.recv(65536)
    connection.sendall(b"\x16\x03\x03\x00\x20" + bytes(range(0x40, 0x60)))
