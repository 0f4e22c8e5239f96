"""Makes plans by `holdfast plan` in a child process: the loop goes on meanwhile, and the memory is given back."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from holdfast import catalog
from holdfast.control.operator.plans.settled import Due, Tried
from holdfast.model import document, plan
from holdfast.model.errors import InputError
from holdfast.model.fleet import InferenceFleet
from holdfast.processes import children

LIMIT_S = 120.0
"""A plan takes a second, and at most 20 s are given to its solver."""

_GRACE_S = 2.0
_BAD_INPUT = 2
"""Exit code of `holdfast plan` for what it cannot plan on."""


def prices_of(fleet: InferenceFleet) -> dict[str, float]:
    """The catalogue's prices of the units, of one instance in US dollars per hour, by unit and capacity type.

    A capacity type whose price the fleet states is left out. Prices are read once in a process: new ones come with a
    new image, or a restart.
    """
    offered = catalog.offerings_by_way(fleet)
    return {
        f"{unit.name} {way.value}": offering.price_usd_per_h
        for unit in fleet.spec.units
        for way, offering in offered[unit.name].items()
        if way not in unit.prices_usd_per_h and (way is not unit.capacity_type or unit.price_usd_per_h is None)
    }


class Planner:
    """Plans for all fleets of an operator, one at a time.

    clock:   Unix seconds. limit_s: longest that one plan may take.
    command: of holdfast.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        limit_s: float = LIMIT_S,
        command: tuple[str, ...] = (sys.executable, "-m", "holdfast"),
    ) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._command = command
        self._turn = asyncio.Lock()

    async def make(self, due: Due) -> Tried:
        """What comes of planning. Cancelled, it ends the child first; should we be killed, the child is too."""
        async with self._turn:
            with tempfile.TemporaryDirectory(prefix="holdfast-plan-") as folder:
                return await self._made(due, Path(folder))

    async def _made(self, due: Due, folder: Path) -> Tried:
        out, log = folder / "plan.json", folder / "log"
        argv = [*self._command, "plan", str(folder / "fleet.yaml"), "--out", str(out)]
        # JSON is YAML, and YAML of several lines would have errors name lines that nobody has.
        (folder / "fleet.yaml").write_text(json.dumps(document.resource(due.declared)), encoding="utf-8")
        if due.measurements:
            (folder / "measurements.csv").write_text(due.measurements, encoding="utf-8")
            argv += ["--measurements", str(folder / "measurements.csv")]
        process = await children.spawn(argv, folder / "output", log)
        try:
            async with asyncio.timeout(self._limit_s):
                code = await process.wait()
        except TimeoutError:
            why = f"Planning took more than {self._limit_s:g} s, and was ended; it is tried again."
            return self._tried(due, None, why, lasting=False)
        finally:
            await children.terminate(process, _GRACE_S)
        if out.exists() and code in (0, 1):
            return self._read(due, out.read_text(encoding="utf-8"))
        return self._failed(due, code, children.tail(log, lines=1).replace(f"{folder}/", ""))

    def _read(self, due: Due, text: str) -> Tried:
        try:
            return self._tried(due, plan.read(text, where="plan.json"), "", lasting=True)
        except InputError as error:
            return self._tried(due, None, str(error), lasting=True)

    def _failed(self, due: Due, code: int, said: str) -> Tried:
        if code == _BAD_INPUT:
            return self._tried(due, None, said.removeprefix("holdfast: "), lasting=True)
        how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        why = f"Planning {how} ({said or 'it said nothing'}); it is tried again."
        return self._tried(due, None, why, lasting=False)

    def _tried(self, due: Due, made: plan.Plan | None, why: str, *, lasting: bool) -> Tried:
        return Tried(due.inputs, made, why, lasting, self._clock())
