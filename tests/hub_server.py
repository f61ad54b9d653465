"""A server on the loopback interface that speaks the part of the Hub's API that textgate needs.

It knows models, commits, branches, private repositories, large files in a store of its own (another
origin, as a CDN is), and uploads by plain HTTP. It offers Xet, but does not know it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_good"  # the only one that may write, and read private repositories
LARGE = (".onnx",)  # files in the store


@dataclass
class Repository:
    """A model: its commits by hash, and the commit of each branch."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: Mapping[str, bytes]) -> str:
        number = hashlib.sha1(f"{id(self)} {len(self.commits)}".encode()).hexdigest()
        before = self.commits.get(self.branches.get(branch, ""), {})
        self.commits[number] = {**before, **files}
        self.branches[branch] = number
        return number

    def find(self, revision: str) -> str | None:
        if revision in self.commits:
            return revision
        return self.branches.get(revision)


@dataclass
class FakeHub:
    """The state of the server, and what it was asked."""

    address: str = ""
    store: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    headers: list[str] = field(default_factory=list)
    pull_requests: list[dict[str, bytes]] = field(default_factory=list)
    # What goes wrong
    status: int | None = None  # of every answer
    cut: bool = False  # whether the store closes connections half way
    listed: Mapping[str, int] = field(default_factory=dict)  # more files in lists, and their sizes
    gated: bool = False
    refused_card: str | None = None  # why cards are refused

    def add(
        self, name: str, files: Mapping[str, bytes], *, private: bool = False, branch: str = "main"
    ) -> str:
        """Commit files to a repository, and return the hash of the commit."""
        repository = self.repositories.setdefault(name, Repository(private))
        for content in files.values():
            self.large[hashlib.sha256(content).hexdigest()] = content
        return repository.commit(branch, files)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the names of the methods

    @property
    def hub(self) -> FakeHub:
        return self.server.hub

    def _answer(self) -> None:
        hub = self.hub
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        hub.asked.append((self.command, url.path))
        hub.agents.add(self.headers.get("user-agent", ""))
        hub.headers.append(str(self.headers))
        try:
            if hub.status is not None:
                raise _RefusedError(hub.status)
            parts = [unquote(part) for part in url.path.strip("/").split("/")]
            self._route(parts)
        except _RefusedError as refused:
            self._send(
                refused.status,
                json.dumps({"error": refused.message}).encode(),
                {"X-Error-Code": refused.code, "X-Error-Message": refused.message},
            )

    def _route(self, parts: list[str]) -> None:  # noqa: C901, PLR0912 - a table
        match parts:
            case ["api", "repos", "create"]:
                self._create()
            case ["api", "validate-yaml"]:
                self._validate()
            case ["api", "models", owner, name]:
                self._info(f"{owner}/{name}", "main")
            case ["api", "models", owner, name, "revision", revision]:
                self._info(f"{owner}/{name}", revision)
            case ["api", "models", owner, name, "tree", revision]:
                self._tree(f"{owner}/{name}", revision)
            case ["api", "models", owner, name, "branch", branch]:
                self._branch(f"{owner}/{name}", branch)
            case ["api", "models", owner, name, "preupload", revision]:
                self._preupload(f"{owner}/{name}", revision)
            case ["api", "models", owner, name, "commit", revision]:
                self._commit(f"{owner}/{name}", revision)
            case [owner, name, "resolve", revision, *path]:
                self._resolve(f"{owner}/{name}", revision, "/".join(path))
            case [owner, name, "info", "lfs", "objects", "batch"] if name.endswith(".git"):
                self._batch(f"{owner}/{name.removesuffix('.git')}")
            case ["store", number]:
                self._large(number)
            case ["verify"]:
                self._json({})
            case _:
                raise _RefusedError(404, message="unknown address")

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, document: object) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    @property
    def _is_authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, name: str, *, writing: bool = False) -> Repository:
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self._is_authorized):
            if self._is_authorized:
                raise _RefusedError(404, "RepoNotFound", "Repository not found")
            raise _RefusedError(401, "", "Invalid username or password.")
        if self.hub.gated and not writing:
            raise _RefusedError(403, "GatedRepo", "Access is restricted")
        if writing and not self._is_authorized:
            raise _RefusedError(403, "", "You have read access but not write access")
        return found

    def _files(self, name: str, revision: str) -> tuple[Repository, str, dict[str, bytes]]:
        repository = self._repository(name)
        commit = repository.find(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repository, commit, repository.commits[commit]

    def _info(self, name: str, revision: str) -> None:
        repository, commit, files = self._files(name, revision)
        sizes = {path: len(content) for path, content in files.items()} | dict(self.hub.listed)
        document = {
            "id": name,
            "sha": commit,
            "private": repository.private,
            "siblings": [{"rfilename": path, "size": size} for path, size in sizes.items()],
        }
        self._json(document)

    def _tree(self, name: str, revision: str) -> None:
        _, _, files = self._files(name, revision)
        entries = [
            {"type": "file", "path": path, "size": len(content), "oid": _git_hash(content)}
            for path, content in files.items()
        ]
        entries += [
            {"type": "file", "path": path, "size": size, "oid": "0" * 40}
            for path, size in self.hub.listed.items()
        ]
        self._json(entries)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        _, commit, files = self._files(name, revision)
        headers = {"X-Repo-Commit": commit}
        if path not in files:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        content = files[path]
        if path.endswith(LARGE):
            number = hashlib.sha256(content).hexdigest()
            headers |= {
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{number}"',
                "Location": f"{self.hub.store}/store/{number}",
                # Clients of Xet take the file from another server.
                "X-Xet-Hash": number,
                "Link": f'<{self.hub.address}/xet>; rel="xet-auth"',
            }
            self._send(302, b"", headers)
        else:
            self._send(200, content, headers | {"ETag": f'"{_git_hash(content)}"'})

    def _large(self, number: str) -> None:
        hub = self.hub
        assert "Authorization" not in self.headers, "the token left the Hub"
        if self.command == "PUT":
            assert hashlib.sha256(self.body).hexdigest() == number
            hub.large[number] = self.body
            self._send(200, b"", {})
            return
        content = hub.large[number]
        if not hub.cut:
            self._send(200, content, {})
        else:
            self._send(200, content[: len(content) // 2], {"Content-Length": str(len(content))})
            self.close_connection = True

    def _create(self) -> None:
        if not self._is_authorized:
            raise _RefusedError(401, "", "Invalid username or password.")
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            raise _RefusedError(409, "", "You already created this model repo")
        private = asked.get("visibility") == "private" or asked.get("private", False)
        self.hub.add(name, {".gitattributes": b""}, private=private)
        self._json({"url": f"{self.hub.address}/{name}"})

    def _branch(self, name: str, branch: str) -> None:
        repository = self._repository(name, writing=True)
        if branch in repository.branches:
            raise _RefusedError(409, "", "Reference already exists")
        repository.branches[branch] = repository.branches["main"]
        self._json({})

    def _validate(self) -> None:
        if self.hub.refused_card is None:
            self._json({"warnings": [{"message": "a warning"}], "errors": []})
        else:
            errors = {"errors": [{"message": self.hub.refused_card}]}
            self._send(400, json.dumps(errors).encode(), {})

    def _preupload(self, name: str, revision: str) -> None:
        if self._repository(name, writing=True).find(revision) is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        paths = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {path: "lfs" if path.endswith(LARGE) else "regular" for path in paths}
        self._json(
            {
                "files": [
                    {"path": path, "uploadMode": mode, "shouldIgnore": False}
                    for path, mode in modes.items()
                ]
            }
        )

    def _batch(self, name: str) -> None:
        self._repository(name, writing=True)
        hub = self.hub
        objects = json.loads(self.body)["objects"]
        for one in objects:
            one["actions"] = {
                "upload": {"href": f"{hub.store}/store/{one['oid']}"},
                "verify": {"href": f"{hub.address}/verify"},
            }
        self._json({"transfer": "basic", "objects": objects})

    def _commit(self, name: str, revision: str) -> None:
        repository = self._repository(name, writing=True)
        files = {}
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        page = f"{self.hub.address}/{name}"
        if "create_pr" in self.query:
            self.hub.pull_requests.append(files)
            number, request = "1" * 40, f"{page}/discussions/1"
        else:
            number, request = repository.commit(revision, files), None
        self._json(
            {
                "commitUrl": f"{page}/commit/{number}",
                "commitOid": number,
                "pullRequestUrl": request,
            }
        )


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """Provide a server, which answers from threads."""
    hub = FakeHub()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _Handler) for _ in range(2)]
    hub.address, hub.store = (f"http://127.0.0.1:{one.server_address[1]}" for one in servers)
    for server in servers:
        server.hub = hub  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
