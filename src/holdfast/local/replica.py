"""One process of a unit and its life."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.local import loopback
from holdfast.local.envoy_config import READINESS_PATH
from holdfast.local.loopback import Address
from holdfast.processes import children

_POLL_S = 0.1
_LOOK_S = 0.02
_PROBE_S = 1.0

PORT = "{port}"
"""In the command of a replica: a port that is free when it starts."""


class Phase(enum.Enum):
    """Where a replica is in its life; `MOVES` says where it can go from there."""

    STARTING = "starting"  # no word from it yet
    LOADING = "loading"  # it listens, and is not ready: not yet, or not any more
    READY = "ready"  # it takes requests
    DRAINING = "draining"  # asked to go; finishes what it has
    DEAD = "dead"


MOVES = {
    Phase.STARTING: {Phase.LOADING, Phase.DRAINING, Phase.DEAD},
    Phase.LOADING: {Phase.READY, Phase.DRAINING, Phase.DEAD},
    Phase.READY: {Phase.LOADING, Phase.DRAINING, Phase.DEAD},
    Phase.DRAINING: {Phase.DEAD},
    Phase.DEAD: frozenset[Phase](),
}


class Replica:
    """A process that prints `{"event": "listening", "url": URL}` as a line of its stdout once it listens, answers
    GET /readiness with 200 while it takes requests, and on SIGTERM ends after the requests that it has.

    argv:      the command. For a server that prints no such line: `{port}` in it becomes a free port of 127.0.0.1,
               and whoever takes connections there is the server.
    log:       where its stderr goes; its stdout goes beside it, with the suffix `.out`.
    on_change: called after every change of `phase`.
    start_s:   seconds until it must listen, or be killed. It may load for as long as it likes after that.
    readiness: the path that is answered with 200 while it takes requests.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        on_change: Callable[[], None],
        *,
        start_s: float = 30.0,
        readiness: str = READINESS_PATH,
    ) -> None:
        self.name = name
        self.log = log
        self._output = log.with_suffix(".out")
        self._told = loopback.free_address() if any(PORT in part for part in argv) else None
        self._argv = tuple(part.replace(PORT, str(self._told.port)) if self._told else part for part in argv)
        self._on_change = on_change
        self._start_s = start_s
        self._readiness = readiness
        self._phase = Phase.STARTING
        self._process: Process | None = None
        self._address: Address | None = None
        self._drained = False

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def address(self) -> Address | None:
        """Where it listens; None while it is starting."""
        return self._address

    @property
    def was_drained(self) -> bool:
        """Whether it was asked to go; a replica that dies unasked has crashed."""
        return self._drained

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Live: start the process, follow its readiness, return when it is dead. It is dead also after a cancel."""
        try:
            self._process = await children.spawn(self._argv, self._output, self.log)
            if self._phase is Phase.DRAINING:
                return
            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(self._follow(self._process), name=f"follow {self.name}")
                await self._process.wait()
                following.cancel()
        finally:
            try:
                if self._process:
                    await children.reap(self._process)
            finally:
                self._move(Phase.DEAD)

    def drain(self) -> None:
        """From now on it is on its way out; `terminate` or `kill` follows. Does nothing when it already is."""
        if self._phase not in (Phase.DRAINING, Phase.DEAD):
            self._drained = True
            self._move(Phase.DRAINING)

    async def terminate(self, grace_s: float) -> None:
        """Drain it: SIGTERM, at most `grace_s` seconds for the requests it has, SIGKILL."""
        self.drain()
        if self._process:
            await children.terminate(self._process, grace_s)

    def kill(self) -> None:
        """Its machine is gone: SIGKILL, without a word and without waiting."""
        if self._process:
            children.kill(self._process)
        else:
            self.drain()

    async def _follow(self, process: Process) -> None:
        self._address = await self._until_listening()
        if self._address is None:
            children.kill(process)
            return
        if self._phase is Phase.STARTING:
            self._move(Phase.LOADING)
        await self._probe(self._address)

    async def _until_listening(self) -> Address | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._start_s):
                if self._told is not None:
                    while not await loopback.is_taken(self._told):  # noqa: ASYNC110, a port tells nobody of its server
                        await asyncio.sleep(_POLL_S)
                    return self._told
                while not (address := _announced(self._output)):  # noqa: ASYNC110, a file tells nobody of its growth
                    await asyncio.sleep(_LOOK_S)
                return address
        missed = f"took no connection on port {self._told.port}" if self._told else "announced no URL"
        self._note(f"holdfast: it {missed} within {self._start_s:g} s")
        return None

    async def _probe(self, address: Address) -> None:
        while self._phase in (Phase.LOADING, Phase.READY):
            ready = await loopback.is_ready(address, self._readiness, timeout_s=_PROBE_S)
            seen = Phase.READY if ready else Phase.LOADING
            # It may have been asked to go while the answer was on its way.
            if self._phase in (Phase.LOADING, Phase.READY) and seen is not self._phase:
                self._move(seen)
            await asyncio.sleep(_POLL_S)

    def _note(self, sentence: str) -> None:
        with self.log.open("a") as log:
            log.write(sentence + "\n")

    def _move(self, phase: Phase) -> None:
        if phase not in MOVES[self._phase]:
            raise RuntimeError(f"replica {self.name} cannot go from {self._phase.value} to {phase.value}")
        self._phase = phase
        self._on_change()


def _announced(output: Path) -> Address | None:
    """The address in the first line such as `{"event": "listening", "url": "http://127.0.0.1:8000"}`, if any."""
    for line in output.read_text(errors="replace").splitlines():
        address = _listening_at(line)
        if address:
            return address
    return None


def _listening_at(line: str) -> Address | None:
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or event.get("event") != "listening":
            return None
        url = urlsplit(str(event.get("url")))
        return Address(url.hostname, url.port) if url.hostname and url.port else None
    except ValueError:
        return None
