"""A stand-in of the Hugging Face hub's HTTP interface: repositories as commits of files, in memory."""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN = "hf_test"


class HubServer(ThreadingHTTPServer):
    """Its repositories, by name: what each was created as, and commits, [(sha, {path: bytes})]; what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}  # large files by their digest
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: HubServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.server.asked.append(f"HEAD {self.path}")
        if self.path == "/":
            self._answer(200)
        else:
            self._file()

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:1] == ["api"] and parts[1:2] != ["models"]:
            self._refuse(404, "Not found")
        elif parts[:2] == ["api", "models"]:
            self._facts("/".join(parts[2:4]), parts[4:])
        elif parts[:1] == ["stored"]:
            self._answer(200, self.server.stored[parts[1]])
        else:
            self._file()

    def do_PUT(self) -> None:
        content = self._body()
        self.server.stored[hashlib.sha256(content).hexdigest()] = content
        self._answer(200)

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "Invalid credentials")
            return
        parts = self.path.strip("/").split("/")
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            header = json.loads(body)["content"].split("---\n")
            known = header[0] == "" and "pipeline_tag" in yaml.safe_load(header[1])
            missing = [] if known else [{"message": "pipeline_tag is missing"}]
            self._json({"errors": missing, "warnings": []}, 200 if known else 400)
        elif parts[4:5] == ["preupload"]:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
            self._json({"files": [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]})
        elif parts[-2:] == ["objects", "batch"]:
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.server.url}/stored/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        else:
            self._commit("/".join(parts[2:4]), [json.loads(line) for line in body.splitlines() if line])

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
        known = name in self.server.repositories
        if not known:
            self.server.repositories[name] = {"created_as": wanted, "commits": [("0" * 40, {})]}
        answer = {"url": f"{self.server.url}/{name}", "name": name, "id": name}
        self._json(answer, 409 if known else 200)

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        commits = self.server.repositories[name]["commits"]
        files = dict(commits[-1][1])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
        digest = hashlib.sha1(repr(sorted((n, hash(c)) for n, c in files.items())).encode(), usedforsecurity=False)
        commits.append((digest.hexdigest(), files))
        url = f"{self.server.url}/{name}/commit/{digest.hexdigest()}"
        self._json({"success": True, "commitOid": digest.hexdigest(), "commitUrl": url})

    def _facts(self, name: str, rest: list[str]) -> None:
        found = self._revision(name, rest[1] if rest[:1] in (["revision"], ["tree"]) else "main")
        if found is None:
            return
        sha, files = found
        if rest[:1] == ["tree"]:
            self._json([{"type": "file", "path": n, "size": len(c), "oid": _oid(c)} for n, c in files.items()])
            return
        siblings = [{"rfilename": path} for path in files]
        created_as = self.server.repositories[name]["created_as"]
        private = created_as.get("visibility") == "private" or bool(created_as.get("private"))
        self._json({"id": name, "modelId": name, "sha": sha, "siblings": siblings, "private": private, "tags": []})

    def _file(self) -> None:
        owner, name, _, revision, *rest = self.path.partition("?")[0].strip("/").split("/")
        found = self._revision(f"{owner}/{name}", revision)
        if found is None:
            return
        sha, files = found
        content = files.get("/".join(rest))
        if content is None:
            self._refuse(404, "Entry not found", "EntryNotFound")
            return
        self._answer(200, content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": sha})

    def _revision(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        repository = self.server.repositories.get(name)
        if repository is None:
            self._refuse(404, "Repository not found", "RepoNotFound")
            return None
        for sha, files in reversed(repository["commits"]):
            if revision in ("main", sha):
                return sha, files
        self._refuse(404, "Invalid rev id", "RevisionNotFound")
        return None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _json(self, value: Any, status: int = 200) -> None:
        self._answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, message: str, code: str = "") -> None:
        body = json.dumps({"error": message}).encode()
        self._answer(status, body, {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})})

    def _answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def hub_server() -> Iterator[HubServer]:
    """A hub that answers meanwhile."""
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
