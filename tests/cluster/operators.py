"""Operators in this process, on a virtual clock, and operators that are processes; both can be killed and held up."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import yaml

from cluster.line import Line, Tunnel
from cluster.plans import planned
from cluster.view import Clock
from holdfast.control.operator.loop import Operator
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.plans.settled import Due, Tried
from holdfast.control.operator.seeing.seen import Reading
from holdfast.kube.connection import Connection
from holdfast.kube.leases import Leadership
from holdfast.manifests.placement import Placement
from holdfast.model import document, plan
from holdfast.telemetry.errors import NoFigureError

LEASE = "holdfast-scenario"
ENDS_S = 5.0
"""In which an operator ends that is asked to."""


class PlansHere(Planner):
    """Plans without a process, which a virtual clock could not wait for."""

    async def make(self, due: Due) -> Tried:
        made = plan.read(planned(json.dumps(document.resource(due.declared)), due.measurements), where="plan.json")
        return Tried(due.inputs, made, "", True, self._clock())


@dataclass(frozen=True)
class Metrics:
    """A source of readings: what `offered` says; where that is None it has no figure."""

    offered: Callable[[], float | None]
    every_s: float = 10.0

    async def reading(self, now_s: float) -> Reading:
        rate_per_s = self.offered()
        if rate_per_s is None:
            raise NoFigureError("there is no series")
        return Reading(rate_per_s, 5.0, 0.6)

    async def highest_per_s(self, now_s: float) -> float | None:
        return self.offered()


@dataclass
class _Running:
    operator: Operator
    line: Line
    task: asyncio.Task[None]


@dataclass
class InProcess:
    """Operators as tasks of this loop. transport: to the API server, a new one for each, so that faults are its own.

    renew_s: between renewals of the lease; it lasts for six of them, and who holds it gives up after four.
    """

    transport: Callable[[], httpx2.AsyncBaseTransport]
    clock: Clock
    renew_s: float = 1.0
    read_s: float = 10.0
    offered: Callable[[], float | None] = lambda: None
    running: dict[str, _Running] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        line = Line(self.transport())
        connection = Connection("http://api.test", transport=line)
        leadership = Leadership(
            connection,
            LEASE,
            "default",
            name,
            clock=self.clock,
            duration_s=6 * self.renew_s,
            deadline_s=4 * self.renew_s,
            retry_s=self.renew_s,
        )
        operator = Operator(
            connection,
            leadership,
            PlansHere(self.clock),
            self._source,
            instance=name,
            clock=self.clock,
            chance=random.Random(name),
        )
        self.running[name] = _Running(operator, line, asyncio.create_task(operator.run(), name=f"operator {name}"))

    async def stop(self, name: str) -> None:
        one = self.running.pop(name)
        one.operator.stop()
        async with asyncio.timeout(ENDS_S):
            await one.task

    async def kill(self, name: str) -> None:
        one = self.running.pop(name)
        one.line.cut = True
        one.task.cancel()
        with suppress(asyncio.CancelledError):
            await one.task

    async def pause(self, name: str) -> None:
        self.running[name].line.hold()

    async def resume(self, name: str) -> None:
        self.running[name].line.release()

    async def cut(self, name: str) -> None:
        self.running[name].line.sever()

    async def mend(self, name: str) -> None:
        self.running[name].line.cut = False

    async def stands_by(self, name: str) -> bool:
        return not self.running[name].operator.unready

    async def close(self) -> None:
        """Ends all. Raises what one of them has ended with."""
        for name, one in list(self.running.items()):
            if one.task.done():
                one.task.result()
            await self.kill(name)

    async def _source(self, _placed: Sequence[Placement]) -> Metrics:
        return Metrics(self.offered, self.read_s)


@dataclass
class _Process:
    process: asyncio.subprocess.Process
    tunnel: Tunnel
    log: Path
    port: int


@dataclass
class Processes:
    """`holdfast operator` as a process for each. folder: for their kubeconfigs and logs."""

    kubeconfig: Path
    namespace: str
    folder: Path
    running: dict[str, _Process] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self, name: str) -> None:
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        cluster = _cluster_in_use(config)
        server = urlsplit(cluster["server"])
        tunnel = await self._stack.enter_async_context(
            Tunnel(server.hostname or "", server.port or (443 if server.scheme == "https" else 80))
        )
        cluster["server"] = f"{server.scheme}://127.0.0.1:{tunnel.port}"
        if server.scheme == "https" and server.hostname != "127.0.0.1":
            cluster["tls-server-name"] = server.hostname
        own = self.folder / f"{name}.kubeconfig"
        own.write_text(yaml.safe_dump(config), encoding="utf-8")
        log = self.folder / f"{name}.log"
        arguments = ["operator", "--kubeconfig", str(own), "--lease", LEASE, "--namespace", self.namespace]
        port = _free_port()
        arguments += ["--listen", f"127.0.0.1:{port}"]
        with log.open("ab") as written:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "holdfast",
                *arguments,
                stdout=written,
                stderr=written,
                env=os.environ | {"POD_NAME": name, "POD_NAMESPACE": self.namespace},
            )
        self.running[name] = _Process(process, tunnel, log, port)

    async def stop(self, name: str) -> None:
        one = self.running.pop(name)
        one.process.terminate()
        async with asyncio.timeout(ENDS_S):
            code = await one.process.wait()
        assert code == 0, self._last(one)

    async def kill(self, name: str) -> None:
        one = self.running.pop(name)
        one.process.kill()
        await one.process.wait()

    async def pause(self, name: str) -> None:
        self.running[name].process.send_signal(signal.SIGSTOP)

    async def resume(self, name: str) -> None:
        self.running[name].process.send_signal(signal.SIGCONT)

    async def cut(self, name: str) -> None:
        self.running[name].tunnel.cut = True
        self.running[name].tunnel.sever()

    async def mend(self, name: str) -> None:
        self.running[name].tunnel.cut = False

    async def stands_by(self, name: str) -> bool:
        async with httpx2.AsyncClient() as client:
            with suppress(httpx2.ConnectError):
                return (await client.get(f"http://127.0.0.1:{self.running[name].port}/readyz")).is_success
        return False

    async def close(self) -> None:
        """Ends all. Raises AssertionError for one that had ended by itself."""
        for name, one in list(self.running.items()):
            ended = one.process.returncode
            if ended is None:
                await self.kill(name)
            assert ended is None, self._last(one)
        await self._stack.aclose()

    @staticmethod
    def _last(one: _Process) -> str:
        return f"exit code {one.process.returncode}; " + "\n".join(one.log.read_text().splitlines()[-20:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cluster_in_use(config: dict[str, Any]) -> dict[str, Any]:
    """The cluster of the current context."""
    context = next(one["context"] for one in config["contexts"] if one["name"] == config["current-context"])
    found: dict[str, Any] = next(one["cluster"] for one in config["clusters"] if one["name"] == context["cluster"])
    return found
