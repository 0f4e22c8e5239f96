"""What a scenario has beside it: the files that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from holdfast.load import traces
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.simulation import scenario as scenarios
from holdfast.simulation import supply
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.supply import Change


@dataclass(frozen=True)
class Material:
    """The contents of the files: the trace of the load, and the changes of the supply."""

    trace: Trace | None = None
    changes: tuple[Change, ...] = ()


def read(path: Path) -> tuple[Scenario, Material]:
    """The scenario in a file, and what it names beside it. Raises InputError."""
    scenario = scenarios.read(_text(path), where=str(path))
    return scenario, of(scenario, path.parent)


def of(scenario: Scenario, folder: Path) -> Material:
    """What the scenario names, from the folder that it lies in. Raises InputError."""
    spec = scenario.spec
    trace: Trace | None = None
    changes: tuple[Change, ...] = ()
    if spec.load.trace is not None:
        path = folder / spec.load.trace.file
        trace = traces.read(_text(path).splitlines(), where=str(path))
    if spec.supply is not None:
        path = folder / spec.supply.file
        changes = supply.read(_text(path).splitlines(), where=str(path))
    return Material(trace, changes)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot be read ({reason})", where=str(path), mend="name a file") from error
