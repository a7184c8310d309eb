"""A server on loopback that speaks enough of the Hub's protocol for its real client, all in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants
import huggingface_hub.utils._http
import pytest
import yaml
from huggingface_hub import HfApi

Fault = int | Literal["cut", "html", "list"]
"""A status, no answer at all, or one with status 200 that is not the Hub's."""
Tree = dict[str, bytes]
Json = dict[str, Any]
FOREIGN = {"html": b"<html><h1>Please log in</h1></html>", "list": b"[1]"}
RESOLVE = socket.getaddrinfo


@dataclass
class Repo:
    commits: list[tuple[str, Tree]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    private: bool = False
    proposals: list[tuple[Json, Tree]] = field(default_factory=list)
    """Pull requests: what they say, and the files as they would be."""

    def commit(self, changes: Tree) -> str:
        tree = (self.commits[-1][1] if self.commits else {}) | changes
        return self.put(tree)

    def put(self, tree: Tree) -> str:
        parts = [name.encode() + data for name, data in sorted(tree.items())]
        sha = hashlib.sha1(b"\0".join([str(len(self.commits)).encode(), *parts])).hexdigest()
        self.commits.append((sha, tree))
        return sha

    def at(self, revision: str) -> tuple[str, Tree] | None:
        if revision == "main":
            return self.commits[-1]
        sha = self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit[0] == sha), None)


@dataclass
class Hub:
    """What the server knows, and how it shall fail."""

    token = "hf_0123456789abcdef"
    name = "someone/drawn"
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """The route of every request."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """By route: each request takes one."""
    altered: Tree = field(default_factory=dict)
    """Files that are delivered with other content than was committed."""
    meanwhile: Callable[[], object] | None = None
    """Runs once, before the next commit is looked at."""

    @property
    def repo(self) -> Repo:
        return self.repos[self.name]

    @property
    def files(self) -> Tree:
        return self.repo.commits[-1][1]

    def asked(self, route: str) -> int:
        return self.requests.count(route)


REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = (
    ("create", "POST", r"/api/repos/create"),
    ("yaml", "POST", r"/api/validate-yaml"),
    ("info", "GET", rf"/api/datasets/{REPO}(/revision/(?P<rev>[^/]+))?"),
    ("tree", "GET", rf"/api/datasets/{REPO}/tree/(?P<rev>[^/]+)/?(?P<path>.*)"),
    ("refs", "GET", rf"/api/datasets/{REPO}/refs"),
    ("preupload", "POST", rf"/api/datasets/{REPO}/preupload/(?P<rev>[^/]+)"),
    ("batch", "POST", rf"/datasets/{REPO}\.git/info/lfs/objects/batch"),
    ("blob", "PUT", r"/blob/(?P<oid>\w+)"),
    ("commit", "POST", rf"/api/datasets/{REPO}/commit/(?P<rev>[^/]+)"),
    ("tag", "POST", rf"/api/datasets/{REPO}/tag/(?P<rev>[^/]+)"),
    ("resolve", "GET", rf"/datasets/{REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)"),
)


def described(name: str, data: bytes) -> Json:
    """A file as the tree lists it. Git holds only a pointer to a large one, so its id there says little."""
    oid = hashlib.sha256(data).hexdigest()
    large = name.endswith(".parquet")
    content = f"oid sha256:{oid}\n".encode() if large else data
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    lfs = {"lfs": {"oid": oid, "size": len(data), "pointerSize": len(content)}} if large else {}
    return {"type": "file", "oid": blob, "size": len(data), "path": name, **lfs}


class Reply(Exception):  # noqa: N818 - it is an answer, and mostly not an error
    def __init__(self, status: int, body: Json | list[Json] | bytes = b"", **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.handle_any("GET")

    do_HEAD = do_GET  # noqa: N815 - the name is that of the base class

    def do_POST(self) -> None:
        self.handle_any("POST")

    def do_PUT(self) -> None:
        self.handle_any("PUT")

    def handle_any(self, method: str) -> None:
        path = urlsplit(self.path).path
        found = [(name, re.fullmatch(pattern, path)) for name, verb, pattern in ROUTES if verb == method]
        route, match = next(((name, match) for name, match in found if match), ("unknown", None))
        self.hub.requests.append(route)
        fault = next(iter(self.hub.faults.get(route, [])), None)
        if fault is not None:
            self.hub.faults[route].pop(0)
        if fault == "cut":
            if self.headers.get("Content-Length"):
                self.rfile.read(10)
            self.close_connection = True
            return
        self.data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if isinstance(fault, int):
                raise Reply(fault, {"error": f"scripted, with {self.hub.token}"})
            if fault in FOREIGN:
                raise Reply(200, FOREIGN[fault], Content_Type="text/html")
            self.authorize(route)
            getattr(self, f"on_{route}", self.on_unknown)(**(match.groupdict() if match else {}))
        except Reply as reply:
            self.answer(reply)

    def answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def authorize(self, route: str) -> None:
        # The storage is not the Hub: the client must not show it the token.
        token = self.headers.get("Authorization")
        allowed = {"blob": token is None, "yaml": True}.get(route, token == f"Bearer {self.hub.token}")
        if not allowed:
            raise Reply(401, X_Error_Message="Invalid credentials in Authorization header")

    def found(self, repo: str, rev: str | None = None) -> tuple[str, Tree]:
        if repo not in self.hub.repos:
            raise Reply(404, X_Error_Code="RepoNotFound")
        commit = self.hub.repos[repo].at(unquote(rev or "main"))
        if commit is None:
            raise Reply(404, X_Error_Code="RevisionNotFound")
        return commit

    def on_unknown(self, **_: str) -> None:
        raise Reply(404, {"error": f"no such route: {self.path}"})

    def on_create(self) -> None:
        fields = json.loads(self.data)
        name = f"{fields['organization']}/{fields['name']}"
        known = name in self.hub.repos
        if not known:
            repo = self.hub.repos[name] = Repo(private=fields["visibility"] == "private")
            repo.commit({".gitattributes": b"*.parquet filter=lfs\n"})
        raise Reply(409 if known else 200, {"url": f"{self.hub.url}/datasets/{name}"})

    def on_yaml(self) -> None:
        front = json.loads(self.data)["content"].split("---\n")[1]
        good = isinstance(yaml.safe_load(front).get("license"), str)
        errors = [] if good else [{"message": '"license" must be a string'}]
        raise Reply(200 if good else 400, {"errors": errors, "warnings": []})

    def on_info(self, repo: str, rev: str | None) -> None:
        sha, tree = self.found(repo, rev)
        siblings = [{"rfilename": name} for name in tree]
        raise Reply(200, {"id": repo, "sha": sha, "siblings": siblings, "private": False, "tags": []})

    def on_tree(self, repo: str, rev: str, path: str) -> None:
        _, tree = self.found(repo, rev)
        below = f"{unquote(path)}/" if path else ""
        names = [name for name in tree if name.startswith(below)]
        files = [described(name, tree[name]) for name in names]
        raise Reply(200, [*self.folders(names), *files])

    def folders(self, names: list[str]) -> list[Json]:
        parents = {name[: match.start()] for name in names for match in re.finditer("/", name)}
        return [{"type": "directory", "oid": "0" * 40, "path": parent} for parent in sorted(parents)]

    def on_refs(self, repo: str) -> None:
        self.found(repo)
        tags = [
            {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": sha}
            for tag, sha in self.hub.repos[repo].tags.items()
        ]
        raise Reply(200, {"branches": [], "converts": [], "tags": tags})

    def on_preupload(self, repo: str, rev: str) -> None:
        self.found(repo, rev)
        files = json.loads(self.data)["files"]
        modes = ["lfs" if file["path"].endswith(".parquet") else "regular" for file in files]
        answers = [
            {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            for file, mode in zip(files, modes, strict=True)
        ]
        raise Reply(200, {"files": answers})

    def on_batch(self, repo: str) -> None:
        self.found(repo)
        objects = json.loads(self.data)["objects"]
        for one in objects:
            if one["oid"] not in self.hub.blobs:
                one["actions"] = {"upload": {"href": f"{self.hub.url}/blob/{one['oid']}"}}
        raise Reply(200, {"transfer": "basic", "objects": objects})

    def on_blob(self, oid: str) -> None:
        if hashlib.sha256(self.data).hexdigest() != oid:
            raise Reply(400)
        self.hub.blobs[oid] = self.data
        raise Reply(200)

    def on_commit(self, repo: str, rev: str) -> None:
        self.found(repo, rev)
        if self.hub.meanwhile:
            self.hub.meanwhile()
            self.hub.meanwhile = None
        header, *lines = (json.loads(line) for line in self.data.splitlines())
        head, tree = self.found(repo)
        if header["value"].get("parentCommit", head) != head:
            raise Reply(412, {"error": "A commit has happened since. Please refresh and try again."})
        changed = dict(tree)
        for line in lines:
            self.change(changed, line["key"], line["value"])
        if "create_pr=1" in urlsplit(self.path).query:
            self.hub.repos[repo].proposals.append((header["value"], changed))
            number = len(self.hub.repos[repo].proposals)
            url = f"{self.hub.url}/datasets/{repo}"
            told = {"commitUrl": f"{url}/commit/{head}", "commitOid": head}
            raise Reply(200, {**told, "pullRequestUrl": f"{url}/discussions/{number}"})
        sha = self.hub.repos[repo].put(changed)
        raise Reply(200, {"commitUrl": f"{self.hub.url}/datasets/{repo}/commit/{sha}", "commitOid": sha})

    def change(self, tree: Tree, kind: str, value: Json) -> None:
        if kind == "file":
            tree[value["path"]] = base64.b64decode(value["content"])
        elif kind == "lfsFile" and value["oid"] in self.hub.blobs:
            tree[value["path"]] = self.hub.blobs[value["oid"]]
        elif kind == "deletedFile" and value["path"] in tree:
            del tree[value["path"]]
        else:
            raise Reply(400, {"error": f"cannot do {kind} with {value['path']}"})

    def on_tag(self, repo: str, rev: str) -> None:
        sha, _ = self.found(repo, rev)
        tags, tag = self.hub.repos[repo].tags, json.loads(self.data)["tag"]
        if tag in tags:
            raise Reply(409, {"error": "Tag reference exists already"})
        tags[tag] = sha
        raise Reply(200, {})

    def on_resolve(self, repo: str, rev: str, path: str) -> None:
        sha, tree = self.found(repo, rev)
        name = unquote(path)
        if name not in tree:
            raise Reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)
        entry = described(name, tree[name])
        etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
        data = self.hub.altered.get(name, tree[name])
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            raise Reply(200, data, ETag=f'"{etag}"', X_Repo_Commit=sha, Accept_Ranges="bytes")
        start, stop = int(asked[1]), int(asked[2] or len(data) - 1) + 1
        span = f"bytes {start}-{min(stop, len(data)) - 1}/{len(data)}"
        raise Reply(206, data[start:stop], ETag=f'"{etag}"', X_Repo_Commit=sha, Content_Range=span)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty Hub; its `url` is the endpoint."""
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def only_loopback(host: str, *rest: Any, **named: Any) -> Any:
    # Parts of the client take its endpoint from constants that were made when it was imported.
    if host != "127.0.0.1":
        raise RuntimeError(f"a test tried to reach {host}")
    return RESOLVE(host, *rest, **named)


@pytest.fixture
def client(hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HfApi:
    """The real client in this process, turned to the server; it waits for nothing between its attempts."""
    monkeypatch.setattr(socket, "getaddrinfo", only_loopback)
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    resolve = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", resolve)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setattr(huggingface_hub.utils._http, "time", SimpleNamespace(sleep=lambda _: None))
    return HfApi(token=hub.token, endpoint=hub.url)
