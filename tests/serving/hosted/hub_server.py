"""A Hub of models on loopback, as its client knows it: listings, resolving with HEAD and GET, large files on another
path by a redirect, ranges, checksums in ETags. It counts what it sends, and can be told to fail."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40
LARGE = (".safetensors", ".bin", ".neuron", ".pt", ".onnx", ".gguf", ".model")


@dataclass
class Hub:
    """models: content of each file, by model and path. asked: method and path, in order. sent: bytes of each file.

    ranges: file and first byte of each request for a part. tokens: what came as Authorization.
    status, code: answered, where set, to paths that hold `where`, with X-Error-Code.
    cut: bytes of a file after which the connection is closed, once for each number.
    spoilt: how often a file is sent with its last byte changed.
    """

    models: dict[str, dict[str, bytes]]
    url: str = ""
    commit: str = COMMIT
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    status: int = 0
    code: str = ""
    where: str = ""
    cut: dict[str, list[int]] = field(default_factory=dict)
    spoilt: dict[str, int] = field(default_factory=dict)

    def fetched(self) -> set[str]:
        """Paths of files of which anything was sent."""
        return set(self.sent)

    def forget(self) -> None:
        self.asked.clear()
        self.sent.clear()
        self.ranges.clear()


@contextmanager
def serving(models: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    hub = Hub(models)
    kind = type("Handler", (_Handler,), {"hub": hub})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="hub")
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        self.hub.tokens.add(self.headers.get("authorization", ""))
        listing = re.fullmatch(r"/api/models/(?P<model>.+?)(/revision/(?P<at>[^/]+)|/tree/(?P<tree>[^/]+))?", path)
        file = re.fullmatch(r"/(?P<model>.+?)/(?P<how>resolve|cdn)/(?P<at>[^/]+)/(?P<path>.+)", path)
        found = (listing or file) and self.hub.models.get((listing or file).group("model"))  # type: ignore[union-attr]
        if self.hub.status and self.hub.where in path:
            self._plain(self.hub.status, b"{}", {"X-Error-Code": self.hub.code})
        elif not found:
            self._plain(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif listing and listing["tree"]:
            self._plain(200, json.dumps([_entry(name, content) for name, content in found.items()]).encode())
        elif listing and listing["at"] not in (None, "main", self.hub.commit):
            self._plain(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif listing:
            self._plain(200, json.dumps({"id": listing["model"], "sha": self.hub.commit, "siblings": []}).encode())
        elif file and file["path"] in found:
            self._file(file["model"], file["path"], found[file["path"]], direct=file["how"] == "cdn")
        else:
            self._plain(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def _file(self, model: str, name: str, content: bytes, *, direct: bool) -> None:
        digest = sha256(content) if name.endswith(LARGE) else git_sha1(content)
        headers = {"X-Repo-Commit": self.hub.commit, "ETag": f'"{digest}"'}
        if name.endswith(LARGE) and not direct:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{digest}"'}
            self._plain(302, b"", headers | {"Location": f"{self.hub.url}/{model}/cdn/{self.hub.commit}/{name}"})
            return
        if self.command == "HEAD":
            self._plain(200, content, headers)
            return
        start = 0
        if wanted := self.headers.get("range"):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.hub.ranges.append(f"{name} {start}")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.hub.spoilt.get(name, 0) > 0:
            self.hub.spoilt[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        cuts = self.hub.cut.get(name, [])
        self._plain(206 if wanted else 200, content[start:], headers, name, cuts.pop(0) if cuts else None)

    def _plain(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, name: str = "", cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            part = body if cut is None else body[:cut]
            self.wfile.write(part)
            if name:
                self.hub.sent[name] = self.hub.sent.get(name, 0) + len(part)
            if cut is not None:
                self.close_connection = True


def _entry(name: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
    if name.endswith(LARGE):
        entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
    return entry


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
