"""Reading an answer as it arrives: what counts as output, and when.

The hot path of a stream counts the beginnings of events and parses nothing. JSON is parsed only until the first
event that carries output (so that a chat stream's empty role event is not taken for a token) and once
more at the end, where the closing events (`usage`, `[DONE]`) are taken off the count again.
"""

from __future__ import annotations

import json
import math
from array import array

_BEGIN = b"\ndata:"

_TAIL_BYTES = 4096
"""More than the closing events of a stream take: finish reason, usage, [DONE]."""


class Answer:
    """The body of one response. `feed` it pieces with their arrival time; `finish` it at the end."""

    __slots__ = (
        "_closing", "_events", "_head", "_streams", "_tail", "body_ok", "chunks", "first_token_s",
        "last_token_s", "times_s", "tokens_in", "tokens_out",
    )  # fmt: skip

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams
        self._head = b""  # of a stream: bytes before the first output; of a unary answer: the whole body
        self._tail = b""
        self._closing = b""
        self._events = 0
        self.chunks = 0
        self.times_s = array("d")
        """When each output event of a stream arrived; as many as `chunks` once it is finished."""
        self.first_token_s = math.nan
        self.last_token_s = math.nan
        self.tokens_in = -1
        self.tokens_out = -1
        self.body_ok = False

    def feed(self, data: bytes, now_s: float) -> None:
        """Takes the next bytes of the body, received at `now_s`."""
        if not self._streams:
            self._head += data
            return
        if not self._events:
            self._open(data, now_s)
            return
        joined = self._closing + data
        # An event begins where a line begins with "data:"; JSON text cannot contain a line break, and comments
        # (": keep-alive") begin otherwise.
        events = joined.count(_BEGIN)
        if events:
            self._events += events
            self.last_token_s = now_s
            for _ in range(events):
                self.times_s.append(now_s)
        # A beginning may be split between two reads; its first bytes wait here for the rest.
        self._closing = joined[1 - len(_BEGIN) :]
        self._tail = (self._tail + data)[-_TAIL_BYTES:]

    def finish(self, now_s: float) -> None:
        """The body is complete: settles counts and usage. `body_ok` says whether it was as the API says."""
        if self._streams:
            self._close()
        else:
            self._read_unary(now_s)

    def complaint(self) -> str:
        """What an error answer says, at most 200 characters; empty when it says nothing that can be shown."""
        try:
            body = json.loads(self._head)
        except ValueError:
            return ""
        error = body.get("error", body) if isinstance(body, dict) else {}
        message = error.get("message", error.get("detail", "")) if isinstance(error, dict) else error
        return " ".join(str(message).split())[:200]

    def _open(self, data: bytes, now_s: float) -> None:
        """Looks for the first output in what has come so far."""
        self._head = (self._head + data).replace(b"\r\n", b"\n")
        pieces = self._head.split(b"\n\n")
        for index, piece in enumerate(pieces[:-1]):
            if _carries_output(_event(piece)):
                rest = b"\n" + b"\n\n".join(pieces[index:])
                self._events = rest.count(_BEGIN)
                self.times_s.extend([now_s] * self._events)
                self.first_token_s = self.last_token_s = now_s
                self._tail = rest[-_TAIL_BYTES:]
                self._closing = rest[1 - len(_BEGIN) :]
                self._head = b""
                return

    def _close(self) -> None:
        text = self._tail if self._events else self._head
        pieces = text.replace(b"\r\n", b"\n").split(b"\n\n")
        events = [_event(piece) for piece in pieces if b"data:" in piece]
        done = bool(events) and events[-1] is _DONE
        # An engine that fails in mid-stream says so in an event and then ends the stream in order.
        failed = any(isinstance(event, dict) and "error" in event for event in events)
        for event in reversed(events):
            if isinstance(event, dict):
                self._read_usage(event)
            if _carries_output(event):
                break
            self._events = max(0, self._events - 1)
        self.chunks = self._events
        del self.times_s[self.chunks :]
        self.body_ok = done and not failed and self.chunks > 0

    def _read_unary(self, now_s: float) -> None:
        self.first_token_s = self.last_token_s = now_s
        try:
            body = json.loads(self._head)
        except ValueError:
            return
        if isinstance(body, dict):
            self._read_usage(body)
            items = body.get("choices", body.get("data"))
            self.chunks = len(items) if isinstance(items, list) else 0
            self.body_ok = self.chunks > 0 and "error" not in body

    def _read_usage(self, event: dict[str, object]) -> None:
        usage = event.get("usage")
        if isinstance(usage, dict):
            self.tokens_in = int(usage.get("prompt_tokens") or -1)
            self.tokens_out = int(usage.get("completion_tokens") or -1)


_DONE = "[DONE]"


def _event(piece: bytes) -> dict[str, object] | str | None:
    """The payload of one server-sent event: a dict, `_DONE`, or None when it is neither."""
    lines = [line[5:].strip() for line in piece.splitlines() if line.startswith(b"data:")]
    payload = b"\n".join(lines)
    if payload == b"[DONE]":
        return _DONE
    try:
        value = json.loads(payload)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _carries_output(event: dict[str, object] | str | None) -> bool:
    """Whether an event carries a piece of output: text, content, reasoning or a tool call."""
    if not isinstance(event, dict):
        return False
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        source = delta if isinstance(delta, dict) else choice
        if isinstance(source, dict) and any(
            source.get(key) for key in ("text", "content", "reasoning_content", "reasoning", "tool_calls")
        ):
            return True
    return False
