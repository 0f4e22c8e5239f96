"""What an answer of the API server says: an object, a refusal, or line by line what happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx2

from holdfast.kube import errors
from holdfast.kube.kinds import Object

SILENCE_S = 75.0
"""A stream without a byte for this long may have lost its other end, and is ended. Bookmarks come about every 60 s, but
not of Events, nor of kinds to which nothing happened since the API server started (seen of 1.36): silence alone is no
error."""


@dataclass(frozen=True)
class WatchEvent:
    """Of a BOOKMARK, only the resource version of the object means anything."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object

    @property
    def resource_version(self) -> str:
        return cast(str, self.object["metadata"]["resourceVersion"])


async def lines(answer: httpx2.Response) -> AsyncIterator[bytes]:
    """Split at line feeds alone: texts in JSON may hold what else Unicode takes for the end of a line (U+0085)."""
    chunks = answer.aiter_bytes()
    rest = bytearray()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await anext(chunks)
        except (StopAsyncIteration, TimeoutError):
            return
        searched = len(rest)
        rest += chunk
        while (end := rest.find(b"\n", searched)) >= 0:
            yield bytes(rest[:end])
            del rest[: end + 1]
            searched = 0


def event(doing: str, line: bytes) -> WatchEvent:
    found = document(line)
    if found is None:
        raise errors.UnavailableError(f"{doing}: a line of the stream is not JSON")
    if found["type"] == "ERROR":
        raise errors.of_status(found["object"], http_status=500, doing=doing)
    return WatchEvent(found["type"], found["object"])


def document(content: bytes) -> Object | None:
    try:
        found: Any = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def refusal(doing: str, answer: httpx2.Response) -> errors.KubeError:
    return errors.of_status(
        document(answer.content) or {"message": answer.text.strip()[:200]},
        http_status=answer.status_code,
        doing=doing,
        retry_after=answer.headers.get("Retry-After"),
    )


def unanswered(doing: str, error: TimeoutError | httpx2.RequestError) -> errors.UnavailableError:
    before_sending = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    late = isinstance(error, TimeoutError | httpx2.TimeoutException)
    why = "no answer in time" if late else str(error) or "the connection was lost"
    return errors.UnavailableError(f"{doing}: {why}", acted=not before_sending)
