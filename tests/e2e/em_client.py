"""Raw requests to an Enterprise Manager, and what tests of emsim itself are written with.

Nothing is shared with jobclone's or emsim's own code; answers are read with Python's XML parser.
"""
import base64
import http.client
import ssl
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

from harness import PASSWORD, USER, BenchCase, Sim

NAMESPACE = "http://www.veeam.com/ent/v1.0"
XML = "application/xml"
JSON = "application/json"


def tag(element):
    """Its name, which must be one of the API's namespace."""
    space, _, name = element.tag.partition("}")
    assert space == "{" + NAMESPACE, element.tag
    return name


def children(element):
    return [tag(child) for child in element]


def child(element, *path):
    for name in path:
        element = element.find(f"{{{NAMESPACE}}}{name}")
        if element is None:
            return None
    return element


def text(element, *path):
    found = child(element, *path)
    return None if found is None else found.text or ""


def links(element, rel):
    return [link for link in child(element, "Links") if link.get("Rel") == rel]


def spec(kind, *fields, root="JobCloneSpec", namespace=NAMESPACE):
    """A clone's body with these fields in this order."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields)
    return (f'<?xml version="1.0" encoding="utf-8"?><{root} xmlns="{namespace}"><{kind}>{inner}</{kind}></{root}>').encode()


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()

    def xml(self):
        assert self.headers["Content-Type"] == XML, self.headers["Content-Type"]
        return ElementTree.fromstring(self.body)


class Client:
    """One connection, and a logon session once logon() was called."""

    def __init__(self, sim):
        context = ssl.create_default_context(cafile=sim.certificate())
        self.connection = http.client.HTTPSConnection("127.0.0.1", sim.port, timeout=20, context=context)
        self.token = None
        self.session_id = None

    def close(self):
        self.connection.close()

    def request(self, method, path, body=None, token=True, length=True, **headers):
        """`headers` by name with underlines; None leaves a usual one out."""
        lines = {"Accept": XML, "X-RestSvcSessionId": self.token if token is True else token}
        if body is not None:
            lines["Content-Type"] = XML
        lines.update({name.replace("_", "-"): value for name, value in headers.items()})
        if length and method in ("POST", "PUT"):
            lines["Content-Length"] = str(len(body or b""))
        self.connection.putrequest(method, "/api" + path, skip_accept_encoding=True)
        for name, value in lines.items():
            if value is not None:
                self.connection.putheader(name, value)
        self.connection.endheaders(body)
        return Answer(self.connection.getresponse())

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def logon(self, user=USER, password=PASSWORD, query="?v=latest"):
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        answer = self.request("POST", "/sessionMngr/" + query, token=None, Authorization="Basic " + basic)
        if answer.status == 201:
            self.token = answer.headers["X-RestSvcSessionId"]
            self.session_id = text(answer.xml(), "SessionId")
        return answer

    def query(self, **arguments):
        return self.get("/query?" + "&".join(f"{name}={value}" for name, value in arguments.items()))

    def id_of(self, type_, name, server=None):
        """The GUID of a thing by its name, by reading the whole list."""
        whole = self.query(type=type_, pageSize=1000).xml()
        for ref in child(whole, "Refs") or ():
            up = links(ref, "Up")
            if ref.get("Name") == name and (server is None or up[0].get("Name") == server):
                return ref.get("UID").rsplit(":", 1)[1]
        raise AssertionError(f"no {type_} {name}")


CLONE_FIELDS = {
    "Template Backup": ("BackupJobCloneInfo", ["JobName", "FolderName", "RepositoryUid", "Description"]),
    "Template Replica": ("ReplicaJobCloneInfo", ["JobName", "VmSuffix", "Description"]),
    "Template Copy": ("BackupCopyJobCloneInfo", ["JobName", "JobFileName", "RepositoryUid", "Description"]),
    "Template Immediate": ("ImmediateBackupCopyJobCloneInfo", ["JobName", "Description", "RepositoryUid", "JobFileName"]),
}


class EmsimCase(BenchCase):
    arguments = ()

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="jobclone-emsim-")
        self.addCleanup(folder.cleanup)
        self.sim = Sim(folder.name, arguments=self.arguments)
        self.addCleanup(self.sim.close)
        self.em = self.client()
        self.assertEqual(self.em.logon().status, 201)

    def client(self):
        client = Client(self.sim)
        self.addCleanup(client.close)
        return client

    def assert_error(self, answer, status, message=""):
        self.assertEqual(answer.status, status, answer.body)
        error = answer.xml()
        self.assertEqual(tag(error), "Error")
        self.assertEqual(error.get("StatusCode"), str(status))
        self.assertIn(message, error.get("Message"))

    def fields(self, source, name="New", **changed):
        """The element and the fields of a good body."""
        kind, order = CLONE_FIELDS[source]
        values = {"JobName": name, "FolderName": name, "JobFileName": name, "VmSuffix": "_t", "Description": "for a test",
                  "RepositoryUid": "urn:veeam:Repository:" + self.em.id_of("Repository", "Repo A", "vbr01")}
        values.update(changed)
        return kind, [(field, values[field]) for field in order]

    def post_clone(self, source, body, **headers):
        return self.em.request("POST", f"/jobs/{self.em.id_of('Job', source)}?action=clone", body, **headers)

    def clone(self, name="New", source="Template Backup", **changed):
        """A clone that is accepted: its task."""
        kind, fields = self.fields(source, name, **changed)
        answer = self.post_clone(source, spec(kind, *fields))
        self.assertEqual(answer.status, 202, answer.body)
        return text(answer.xml(), "TaskId")

    def wait_for_state(self, task, state, timeout=20):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            found = self.em.get("/tasks/" + task).xml()
            if text(found, "State") == state:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{task} is not {state}")

    def names(self, **query):
        answer = self.em.query(**{"type": "Job", **query})
        self.assertEqual(answer.status, 200, answer.body)
        return [ref.get("Name") for ref in child(answer.xml(), "Refs")]
