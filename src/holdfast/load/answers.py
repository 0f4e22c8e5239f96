"""Reading an answer as it arrives: what counts as output, and when.

The hot path of a stream counts the beginnings of events and parses nothing. JSON is parsed only until the first
event that carries output (so that a chat stream's empty role event is not taken for a token) and once
more at the end, where the closing events (`usage`, `[DONE]`) are taken off the count again.

An event is one piece of output, however many tokens an engine put into it; tokens are what `usage` says.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator

_BEGIN = b"\ndata:"
_CARRY = len(_BEGIN) - 1
"""As much of a beginning may have come with an earlier read."""

_TAIL_BYTES = 4096
"""More than the closing events of a stream take: finish reason, usage, [DONE]."""

_MOST_TOKENS = 1 << 53
"""A count beyond this is none."""


class Answer:
    """The body of one response. `feed` it pieces with their arrival time; `finish` it at the end."""

    __slots__ = (
        "_anything", "_head", "_kept", "_streams", "_tail", "body_ok", "chunks", "first_token_s", "last_token_s",
        "times_s", "tokens_in", "tokens_out",
    )  # fmt: skip

    def __init__(self, *, streams: bool, keep: bool = False, anything: bool = False) -> None:
        """keep: for `text()`. anything: whatever body comes is right, and its content type says whether it streams."""
        self._streams = streams
        self._anything = anything
        self._head = bytearray()  # of a stream: what came before the first output; of a unary answer: the whole body
        self._tail = bytearray()  # of a stream: what came last
        self._kept: list[bytes] | None = [] if keep else None
        self.chunks = 0
        self.times_s = array("d")
        """When the beginning of each output event of a stream arrived; as many as `chunks` once it is finished."""
        self.first_token_s = math.nan
        self.last_token_s = math.nan
        self.tokens_in = -1
        self.tokens_out = -1
        self.body_ok = False

    def open(self, content_type: bytes) -> None:
        """A successful response begins, and its body is of this type."""
        if self._anything:
            self._streams = content_type.lstrip().lower().startswith(b"text/event-stream")

    def feed(self, data: bytes, now_s: float) -> None:
        """Takes the next bytes of the body, received at `now_s`."""
        if self._kept is not None:
            self._kept.append(data)
        times_s = self.times_s
        if not times_s:
            if self._streams:
                self._look_for_output(data, now_s)
            else:
                self._head += data
            return
        # An event begins where a line begins with "data:"; JSON text cannot contain a line break, and comments
        # (": keep-alive") begin otherwise. The tail is never shorter than the carry: it has the first event.
        tail = self._tail
        before = len(tail) - _CARRY
        tail += data
        events = tail.count(_BEGIN, before)
        if events == 1:
            times_s.append(now_s)
        elif events:
            times_s.extend([now_s] * events)
        if before > 2 * _TAIL_BYTES:
            del tail[:-_TAIL_BYTES]

    def finish(self, now_s: float) -> None:
        """The body is complete: settles counts and usage. `body_ok` says whether it was as the API says."""
        if self._streams:
            self._close()
        else:
            self._read_unary(now_s)

    def cut(self) -> None:
        """The body will not be complete: settles the counts of what came of it."""
        if self._streams:
            self._close()
            self.body_ok = False

    def complaint(self) -> str:
        """What an error answer says, at most 200 characters; empty when it says nothing that can be shown."""
        body = _json(self._head)
        error = body.get("error", body) if isinstance(body, dict) else {}
        message = error.get("message", error.get("detail", "")) if isinstance(error, dict) else error
        return " ".join(str(message).split())[:200]

    def text(self) -> str:
        """What was said, without reasoning; needs `keep`."""
        assert self._kept is not None
        body = b"".join(self._kept)
        if not self._streams:
            return _said(_json(body))
        return "".join(reversed([_said(event) for event in _events_backwards(body)]))

    def _look_for_output(self, data: bytes, now_s: float) -> None:
        self._head = (self._head + data).replace(b"\r\n", b"\n")
        pieces = self._head.split(b"\n\n")
        for index, piece in enumerate(pieces[:-1]):
            if self._is_output(_event(bytes(piece))):
                self._tail = bytearray(b"\n" + b"\n\n".join(pieces[index:]))
                self.times_s.extend([now_s] * self._tail.count(_BEGIN))
                self.first_token_s = now_s
                self._head = bytearray()
                return

    def _is_output(self, event: object) -> bool:
        return _carries_output(event) or (self._anything and event is not None and event is not _DONE)

    def _close(self) -> None:
        """Reads the stream from its end back to the last output."""
        done = failed = False
        last = True
        for event in _events_backwards(bytes(self._tail or self._head)):
            done, last = done or (last and event is _DONE), False
            if isinstance(event, dict):
                self._read_usage(event)
                # An engine that fails in mid-stream says so in an event and then ends the stream in order.
                failed = failed or bool(event.get("error"))
            if self._is_output(event):
                break
            del self.times_s[-1:]
        self.chunks = len(self.times_s)
        if self.chunks:
            self.last_token_s = self.times_s[-1]
        self.body_ok = (done or self._anything) and not failed and self.chunks > 0

    def _read_unary(self, now_s: float) -> None:
        if self._head:
            self.first_token_s = self.last_token_s = now_s
        if self._anything:
            self.chunks = 1 if self._head else 0
            self.body_ok = bool(self._head)
            return
        body = _json(self._head)
        if isinstance(body, dict):
            self._read_usage(body)
            items = body.get("choices", body.get("data"))
            self.chunks = len(items) if isinstance(items, list) else 0
            self.body_ok = self.chunks > 0 and not body.get("error")

    def _read_usage(self, event: dict[str, object]) -> None:
        usage = event.get("usage")
        if isinstance(usage, dict):
            self.tokens_in = _count(usage.get("prompt_tokens"))
            self.tokens_out = _count(usage.get("completion_tokens"))


_DONE = "[DONE]"


def _json(text: bytes | bytearray) -> object:
    """The value of a JSON text; None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the latter of a text that is nothing but brackets
        return None


def _count(value: object) -> int:
    """A number of tokens; -1 when it is none."""
    return value if isinstance(value, int) and 0 <= value < _MOST_TOKENS else -1


def _events_backwards(body: bytes) -> Iterator[dict[str, object] | str | None]:
    """The events of a stream, or of the end of one, from the last to the first; comments are none."""
    for piece in reversed(body.replace(b"\r\n", b"\n").split(b"\n\n")):
        if piece.startswith(b"data:") or _BEGIN in piece:
            yield _event(piece)


def _event(piece: bytes) -> dict[str, object] | str | None:
    """The payload of one server-sent event: a dict, `_DONE`, or None when it is neither."""
    lines = [line[5:].strip() for line in piece.split(b"\n") if line.startswith(b"data:")]
    payload = b"\n".join(lines)
    if payload == b"[DONE]":
        return _DONE
    value = _json(payload)
    return value if isinstance(value, dict) else None


def _deltas(event: object) -> list[dict[str, object]]:
    """Where an event, or a unary answer, has its output: per choice its `delta`, its `message`, or itself."""
    choices = event.get("choices") if isinstance(event, dict) else None
    found = []
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            inner = choice.get("delta", choice.get("message"))
            found.append(inner if isinstance(inner, dict) else choice)
    return found


def _carries_output(event: object) -> bool:
    """Whether an event carries a piece of output: text, content, reasoning or a tool call."""
    keys = ("text", "content", "reasoning_content", "reasoning", "tool_calls")
    return any(source.get(key) for source in _deltas(event) for key in keys)


def _said(event: object) -> str:
    """The text of the first choice of an event, or of a unary answer."""
    for source in _deltas(event)[:1]:
        text = source.get("content", source.get("text"))
        return text if isinstance(text, str) else ""
    return ""
