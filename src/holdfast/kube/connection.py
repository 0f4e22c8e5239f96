"""One API server: read, write, watch.

Raw requests, and the objects as the server has them. Each takes a bounded time and is sent once; who asked decides what
is worth asking again. (That a token is renewed and the request sent anew after a 401 is the one exception.)
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from holdfast import __version__
from holdfast.kube import answers, credentials, errors
from holdfast.kube.answers import WatchEvent
from holdfast.kube.kinds import Kind, Object, of

REQUEST_S = 10.0
"""A request is answered within this or counts as unanswered; also the time until a watch must have begun."""
CONNECT_S = 4.0
WATCH_S = 300
"""How long the server is asked to keep a stream."""
PAGE = 500

_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, option), value)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, option)
]
"""The kernel asks a silent peer after 10 s and gives it up 15 s later, long before SILENCE_S says anything."""


@dataclass(frozen=True)
class Listing:
    """items: each with its apiVersion and kind, which the server leaves out. resource_version: to watch from."""

    items: tuple[Object, ...]
    resource_version: str


class Connection:
    """The API server at one address.

    server: its URL. namespace: taken where a request names none and the object does not either. auth: signs requests.
    tls: None for what the system trusts. proxy: URL of one to go through. transport: instead of the network, for tests.

    Raises of every request: KubeError. Where `namespace` is None, `list` and `watch` mean all namespaces.
    """

    def __init__(
        self,
        server: str,
        *,
        namespace: str = "default",
        auth: httpx2.Auth | None = None,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.namespace = namespace

        def client(limits: httpx2.Limits) -> httpx2.AsyncClient:
            return httpx2.AsyncClient(
                base_url=server,
                auth=auth,
                headers={"User-Agent": f"holdfast/{__version__}", "Accept": "application/json"},
                timeout=httpx2.Timeout(None, connect=CONNECT_S, pool=CONNECT_S),
                transport=transport
                or httpx2.AsyncHTTPTransport(
                    verify=True if tls is None else tls, proxy=proxy, limits=limits, socket_options=_ALIVE
                ),
            )

        # Two pools: however many streams are open, a request never waits for one of them to end.
        self._requests = client(httpx2.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=30.0))
        self._streams = client(httpx2.Limits(max_connections=None, max_keepalive_connections=4, keepalive_expiry=30.0))

    @classmethod
    def from_environment(cls, *, kubeconfig: Path | None = None, context: str | None = None) -> Self:
        """As `credentials.find` finds it. Raises InputError."""
        access = credentials.find(kubeconfig, context)
        return cls(access.server, namespace=access.namespace, auth=access.auth, tls=access.tls, proxy=access.proxy)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._requests.aclose()
        await self._streams.aclose()

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        return await self._send("GET", kind.path(namespace or self.namespace, name))

    async def list(self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Listing:
        """All that match, in pages. Raises GoneError where the server forgot the snapshot between two pages."""
        items: list[Object] = []
        query = {"limit": str(PAGE)} | _selectors(labels, fields)
        while True:
            page = await self._send("GET", kind.path(namespace), query=query)
            items += ({"apiVersion": kind.api_version, "kind": kind.kind} | item for item in page["items"])
            rest = page["metadata"].get("continue")
            if not rest:
                return Listing(tuple(items), page["metadata"]["resourceVersion"])
            query["continue"] = rest

    async def create(self, kind: Kind, object: Object, namespace: str | None = None) -> Object:
        """Raises ConflictError where it is there already."""
        query = {"fieldManager": "holdfast"}
        return await self._send("POST", kind.path(self._namespace(object, namespace)), query=query, body=object)

    async def apply(
        self,
        object: Object,
        *,
        manager: str = "holdfast",
        subresource: str = "",
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply: the fields of `object` become the manager's; those that it no longer says are removed.

        resource_version: the object must stand at this one (ConflictError). One that is gone is created all the same,
        unless the metadata has the `uid` of the lost one (ConflictError).
        """
        if resource_version is not None:
            object = object | {"metadata": object["metadata"] | {"resourceVersion": resource_version}}
        query = {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        path = of(object).path(self._namespace(object), object["metadata"]["name"], subresource)
        return await self._send("PATCH", path, query=query, body=object, media="application/apply-patch+yaml")

    async def merge(
        self, kind: Kind, name: str, namespace: str | None, patch: Object, *, subresource: str = ""
    ) -> Object:
        """A merge patch (RFC 7386): null removes. metadata.resourceVersion in it is a precondition (ConflictError)."""
        path = kind.path(namespace or self.namespace, name, subresource)
        query = {"fieldManager": "holdfast"}
        return await self._send("PATCH", path, query=query, body=patch, media="application/merge-patch+json")

    async def replace(self, kind: Kind, object: Object, namespace: str | None = None) -> Object:
        """PUT. Its metadata.resourceVersion, where it has one, is a precondition (ConflictError)."""
        path = kind.path(self._namespace(object, namespace), object["metadata"]["name"])
        return await self._send("PUT", path, query={"fieldManager": "holdfast"}, body=object)

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        grace_s: int | None = None,
    ) -> None:
        """uid: only the object of this identity (ConflictError). What it owns goes by garbage collection.

        grace_s: of a pod, instead of its own; 0 takes it out at once, and is for who knows that its containers ended.
        """
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        await self._send("DELETE", kind.path(namespace or self.namespace, name), body=body)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        lasts_s: int = WATCH_S,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """What happened since `resource_version`, and what happens: one stream, which ends when the server ends it.

        lasts_s: when the server shall end it. opened: called when the server has accepted. Who leaves it early closes
        it (`aclosing`). After answers.SILENCE_S without a word the stream ends too: another finds out whether anybody
        is there. Raises GoneError, at the start or within, where the server no longer knows the version;
        UnavailableError where the stream breaks.
        """
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        query |= {"timeoutSeconds": str(lasts_s)} | _selectors(labels, fields)
        doing = f"watch {kind.plural}"
        request = self._streams.build_request("GET", kind.path(namespace), params=query)
        try:
            async with asyncio.timeout(REQUEST_S):
                answer = await self._streams.send(request, stream=True)
        except (TimeoutError, httpx2.RequestError) as error:
            raise answers.unanswered(doing, error) from error
        try:
            if not answer.is_success:
                async with asyncio.timeout(REQUEST_S):
                    await answer.aread()
                raise answers.refusal(doing, answer)
            opened()
            async for line in answers.lines(answer):
                yield answers.event(doing, line)
        except (TimeoutError, httpx2.RequestError) as error:
            raise answers.unanswered(doing, error) from error
        finally:
            await answer.aclose()

    def _namespace(self, object: Object, namespace: str | None = None) -> str:
        return namespace or object["metadata"].get("namespace") or self.namespace

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        media: str = "application/json",
    ) -> Object:
        doing = f"{method} {path}"
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {} if body is None else {"Content-Type": media}
        try:
            async with asyncio.timeout(REQUEST_S):
                answer = await self._requests.request(method, path, params=query, content=content, headers=headers)
        except (TimeoutError, httpx2.RequestError) as error:
            raise answers.unanswered(doing, error) from error
        found = answers.document(answer.content)
        if not answer.is_success:
            raise answers.refusal(doing, answer)
        if found is None:
            raise errors.UnavailableError(f"{doing}: the answer is not JSON, as if of another server")
        return found


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return ({"labelSelector": labels} if labels else {}) | ({"fieldSelector": fields} if fields else {})
