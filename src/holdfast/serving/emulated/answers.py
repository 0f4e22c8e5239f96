"""What is sent back for a request on the device, as it is made; and what goes wrong on the way where that is wanted."""

from __future__ import annotations

import abc
import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from holdfast.serving.emulated.device import Device, Ticket
from holdfast.serving.emulated.metrics import Metrics
from holdfast.serving.emulated.words import Wording

TRANSPORT = "holdfast.transport"
"""Where a scope has the connection that it came on."""


@dataclass(frozen=True)
class Slip:
    """What happens to an answer after its first output: its connection is reset, or it stops for stall_s seconds."""

    reset: bool = False
    stall_s: float = 0.0


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP RST, as a process that dies does; what is not sent yet is lost."""
    carrier = transport.get_extra_info("socket")
    # Lingering for no time is what makes the kernel send RST instead of FIN.
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Answer(abc.ABC):
    """The response to a request on the device. When the client goes away, the device forgets the request."""

    def __init__(self, device: Device, published: Metrics, ticket: Ticket, finish_reason: str, slip: Slip) -> None:
        self._device = device
        self._metrics = published
        self._ticket = ticket
        self._finish_reason = finish_reason
        self._slip = slip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._until_gone(receive), name=f"client of {self._ticket.key}")
                if await self._send(send, scope[TRANSPORT]):
                    self._metrics.request_ended(self._ticket, self._finish_reason)
                watch.cancel()
        finally:
            self._device.cancel(self._ticket)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._device.cancel(self._ticket)

    async def _slipped(self, transport: asyncio.Transport) -> bool:
        """Let go wrong what was drawn; True when the connection is gone with it."""
        if self._slip.reset:
            reset(transport)
        elif self._slip.stall_s:
            await asyncio.sleep(self._slip.stall_s)
        return self._slip.reset

    @abc.abstractmethod
    async def _send(self, send: Send, transport: asyncio.Transport) -> bool:
        """Send the answer; False when it was given up on the way."""


class WholeAnswer(Answer):
    """One JSON body, sent when all the output is there."""

    def __init__(
        self,
        device: Device,
        published: Metrics,
        ticket: Ticket,
        finish_reason: str,
        slip: Slip,
        body: Callable[[], bytes],
    ) -> None:
        super().__init__(device, published, ticket, finish_reason, slip)
        self._body = body

    async def _send(self, send: Send, transport: asyncio.Transport) -> bool:
        if not await self._ticket.reach(self._ticket.outputs) or await self._slipped(transport):
            return False
        body = self._body()
        await send(_start(b"application/json", (b"content-length", str(len(body)).encode())))
        await send({"type": "http.response.body", "body": body})
        return True


class StreamedAnswer(Answer):
    """Server-sent events, one per token, sent as the tokens are made."""

    def __init__(
        self,
        device: Device,
        published: Metrics,
        ticket: Ticket,
        finish_reason: str,
        slip: Slip,
        wording: Wording,
    ) -> None:
        super().__init__(device, published, ticket, finish_reason, slip)
        self._wording = wording

    async def _send(self, send: Send, transport: asyncio.Transport) -> bool:
        await send(_start(b"text/event-stream; charset=utf-8", (b"cache-control", b"no-cache")))
        ticket, seen = self._ticket, 0
        slips = self._slip != Slip()
        while seen < ticket.outputs:
            if not await ticket.reach(seen + 1):
                return False
            if slips and (seen or ticket.outputs == 1):
                slips = False
                if await self._slipped(transport):
                    return False
            # An answer that is to slip sends its first output alone, however many there are by now.
            produced = 1 if slips else ticket.produced
            events = self._wording.events(seen, produced)
            await send({"type": "http.response.body", "body": events, "more_body": produced < ticket.outputs})
            seen = produced
        return True


def _start(content_type: bytes, header: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type), header]}
