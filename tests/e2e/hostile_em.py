"""An Enterprise Manager that answers well, but for the answers that a test replaces by bombs.

It knows one backup server with one template and one repository, and whatever was cloned. Each bomb is
a function that writes to the connection what it likes, head and all.
"""
import re
import socket
import ssl
import threading
import urllib.parse
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = 'xmlns="http://www.veeam.com/ent/v1.0"'
SERVER = "00000000-0000-0000-0000-000000000001"
REPOSITORY = "00000000-0000-0000-0000-000000000002"
TEMPLATE = "00000000-0000-0000-0000-000000000003"
UP = f'<Link Rel="Up" Type="BackupServerReference" Href="/api/backupServers/{SERVER}" Name="vbr01"/>'


def head(length, status="200 OK", more=""):
    return (f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n{more}\r\n").encode()


class HostileEm:
    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.bombs = {}  # kind of request -> functions; each is used once
        self.jobs = [(TEMPLATE, "Template Backup", "")]
        self.tasks = {}
        self.served = {}
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connection, args=(connection,), daemon=True).start()

    def connection(self, connection):
        connection.settimeout(120)
        try:
            with self.context.wrap_socket(connection, server_side=True) as secure:
                while self.request(secure):
                    pass
        except OSError:
            pass

    def request(self, connection):
        """Reads one request and answers it; False when the connection is over."""
        got = b""
        while b"\r\n\r\n" not in got:
            chunk = connection.recv(65536)
            if not chunk:
                return False
            got += chunk
        top, body = got.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?i)content-length: *(\d+)", top)
        while length and len(body) < int(length.group(1)):
            body += connection.recv(65536)
        method, target, _ = top.split(b"\r\n")[0].decode().split(" ")
        kind, answer = self.answer(method, urllib.parse.unquote(target), body.decode())
        with self.lock:
            self.served[kind] = self.served.get(kind, 0) + 1
            bombs = self.bombs.get(kind)
            bomb = bombs.pop(0) if bombs else None
        if not bomb:
            connection.sendall(answer)
            return True
        bomb(connection)
        return False

    def answer(self, method, target, body):
        if "/sessionMngr" in target:
            text = f"<LogonSession {NAMESPACE}><Links><Link Type=\"JobReferenceList\" Rel=\"Down\" Href=\"/api/jobs\"/></Links>" \
                   "<SessionId>5</SessionId></LogonSession>"
            return "logon", head(len(text), "201 Created", "X-RestSvcSessionId: token\r\n") + text.encode()
        if "action=clone" in target:
            return "clone", self.clone(body)
        if "action=collect" in target:
            return "collect", self.task("CollectingBackupServer", "")
        if method == "DELETE":
            if "/tasks/" in target:
                self.tasks.pop(target.rsplit("/", 1)[1], None)
            return "delete", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
        if "/tasks" in target:
            return "tasks", self.document("<Tasks %s>" + "".join(self.tasks.values()) + "</Tasks>")
        if "/query" in target:
            return ("repositories", self.repositories()) if "type=Repository" in target else ("jobs", self.job_list(target))
        if "/jobs/" in target:
            job = next(job for job in self.jobs if job[0] in target)
            return "source", self.document(self.job(*job, whole=True).replace("<Job ", "<Job %s ", 1))
        return "other", self.document("<LogonSessions %s/>")

    @staticmethod
    def document(text):
        data = text.replace("%s", NAMESPACE, 1).encode()
        return head(len(data)) + data

    @staticmethod
    def job(guid, name, description, whole):
        link = f'{UP}<Link Rel="Clone" Href="/api/jobs/{guid}?action=clone"/>'
        if not whole:
            return f'<Ref UID="urn:veeam:Job:{guid}" Name={quoteattr(name)} Type="JobReference"><Links>{link}</Links></Ref>'
        return (f'<Job UID="urn:veeam:Job:{guid}" Name={quoteattr(name)} Type="Job"><Links>{link}</Links>'
                f"<JobType>Backup</JobType><Description>{escape(description)}</Description></Job>")

    def job_list(self, target):
        whole = "format=Entities" in target
        jobs = "".join(self.job(*job, whole) for job in self.jobs)
        inner = f"<Entities><Jobs>{jobs}</Jobs></Entities>" if whole else f"<Refs>{jobs}</Refs>"
        return self.document(f'<QueryResult %s>{inner}<PagingInfo PageNum="1" PageSize="500" PagesCount="1"/></QueryResult>')

    def repositories(self):
        return self.document(f'<QueryResult %s><Refs><Ref UID="urn:veeam:Repository:{REPOSITORY}" Name="Repo A" '
                             f'Type="RepositoryReference"><Links>{UP}</Links></Ref></Refs></QueryResult>')

    def clone(self, body):
        name = re.search("<JobName>(.*?)</JobName>", body).group(1)
        description = re.search("<Description>(.*?)</Description>", body).group(1)
        with self.lock:
            guid = f"00000000-0000-0000-0001-{len(self.jobs):012}"
            self.jobs.append((guid, name, description))
        return self.task("CloneJob", f'<Link Rel="Related" Type="Job" Href="/api/jobs/{guid}?format=Entity" Name="x"/>')

    def task(self, operation, link):
        with self.lock:
            number = f"task-{len(self.jobs) * 1000 + len(self.tasks)}"
            start = f"<Task><Links>{link}</Links><TaskId>{number}</TaskId>"
            self.tasks[number] = start + f'<State>Finished</State><Operation>{operation}</Operation><Result Success="true"/></Task>'
        text = f"<Task {NAMESPACE}><TaskId>{number}</TaskId><State>Running</State><Operation>{operation}</Operation></Task>"
        return head(len(text), "202 Accepted") + text.encode()


# ---- bombs ----

def body(first, unit, last=b"", size=100 << 20, status="200 OK", length=None, more=""):
    """An answer of `size` bytes: first, unit again and again, last."""
    def bomb(connection):
        connection.sendall(head(size if length is None else length, status, more))
        connection.sendall(first)
        block = unit * (65536 // len(unit) + 1)
        left = size - len(first) - len(last)
        while left > 0:
            connection.sendall(block[:left])
            left -= len(block)
        connection.sendall(last)
    return bomb


def numbered(first, unit, last=b"", size=100 << 20, status="200 OK"):
    """The same, with a running number for "@" in the unit."""
    def bomb(connection):
        connection.sendall(head(size, status))
        sent = len(first)
        connection.sendall(first)
        number = 0
        batch = max(1, 65536 // len(unit))
        while sent < size - len(last) - (1 << 18):
            block = b"".join(unit.replace(b"@", b"%d" % (number + i)) for i in range(batch))
            number += batch
            connection.sendall(block)
            sent += len(block)
        connection.sendall(b" " * (size - len(last) - sent) + last)
    return bomb


def forever(first, unit, pause=None):
    """An answer without an end, perhaps slowly; ends when the peer does or after two minutes."""
    def bomb(connection):
        connection.sendall(first)
        waiter = threading.Event()
        count = 0
        while count < (120 if pause else 1 << 16):
            connection.sendall(unit)
            count += 1
            if pause:
                waiter.wait(pause)
    return bomb
