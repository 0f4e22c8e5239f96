"""The demo on servers of one's own: a file says which command stands for each unit of a fleet.

fleet: fleet.yaml
commands:
  small: vllm serve /models/m --port {port} --max-num-seqs 4
  large: vllm serve /models/m --port {port} --max-num-seqs 16
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Self

import pydantic
from pydantic import Field

from holdfast.limits.search import Options
from holdfast.load import tokenizers
from holdfast.load.recipes import Recipe
from holdfast.local.demo.staging import Course, DemoFleet, Staging
from holdfast.local.envoy_config import READINESS_PATH
from holdfast.model import document
from holdfast.model.errors import InputError
from holdfast.model.fields import Duration, Share
from holdfast.model.fleet import Document, InferenceFleet
from holdfast.model.stages import Arrivals

_DRAIN_S = 15.0


class WaveTimes(Document):
    """Of the wall clock, from the start of the wave; see `staging.Course`."""

    duration_s: Annotated[Duration, Field(alias="duration")] = 150.0
    withdraw_s: Annotated[Duration, Field(alias="withdraw")] = 30.0
    restore_s: Annotated[Duration, Field(alias="restore")] = 60.0

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 < self.withdraw_s < self.restore_s < self.duration_s:
            raise ValueError("the wave needs withdraw before restore, and restore before its duration is over")
        return self


class Servers(Document):
    """Servers of this machine that stand for the units of a fleet. Paths are as the demo is started, but the fleet's.

    fleet:     the file of the fleet, beside this one.
    commands:  by unit, of one replica. `{port}` becomes a free port; a server that is not told one prints the line
               that `holdfast emulate` prints.
    readiness: the path that a replica answers with 200 while it takes requests.
    startup_s: from the start of a replica to its readiness, at most.
    tokenizer: what prompts are made with: `words`, `bytes`, or a folder with a tokenizer.json.
    search_s:  seconds of load to find the breaking point of a unit, at most.
    peak:      the fleet's demand is scaled so that its peak is this share of what its weakest unit is measured to hold:
               a fleet that survives the loss of any one on whatever machine it runs. As the fleet has it when absent.
    wave:      when the cheapest unit is killed, and when it may come back.
    notes:     sentences for the report: what these servers are.
    """

    fleet: str
    commands: Annotated[dict[str, str], Field(min_length=1)]
    readiness: Annotated[str, Field(pattern=r"^/\S*$")] = READINESS_PATH
    startup_s: Annotated[Duration, Field(alias="startup", gt=0)] = 180.0
    tokenizer: str = tokenizers.Words.name
    search_s: Annotated[Duration, Field(alias="search", gt=0)] = 90.0
    peak_share: Annotated[Share | None, Field(alias="peak")] = None
    wave: WaveTimes = WaveTimes()
    notes: tuple[str, ...] = ()


def staging(file: Path) -> Staging:
    """What the file says. Raises InputError for a file that cannot be read or has not one command for each unit."""
    servers = document.read(Servers, _text(file), where=str(file))
    beside = file.parent / servers.fleet
    fleet = document.read_fleet(_text(beside), where=str(beside))
    names = [unit.name for unit in fleet.spec.units]
    if sorted(names) != sorted(servers.commands):
        raise InputError(
            f"there are commands for {', '.join(servers.commands)}, and units {', '.join(names)}",
            where=str(file),
            mend="give each unit its command",
        )
    commands = {unit: _split(command, f"{file}: commands.{unit}") for unit, command in servers.commands.items()}
    return Staging(
        fleets=(DemoFleet(fleet, fails_over=True),),
        command=lambda unit: commands[unit],
        options=lambda _: _options(servers.search_s),
        provenance=(*servers.notes, *_provenance(fleet, servers.peak_share)),
        course=Course(servers.wave.duration_s, servers.wave.withdraw_s, servers.wave.restore_s),
        start_s=servers.startup_s,
        readiness=servers.readiness,
        side_by_side=False,
        drain_s=_DRAIN_S,
        recipe=Recipe(tokenizers.load(servers.tokenizer)),
        peak_share=servers.peak_share,
    )


def _options(budget_s: float) -> Options:
    """Levels so short that a handful of them fits; even arrivals, whose edge is sharp also then."""
    return Options(
        arrivals=Arrivals.CONSTANT,
        precision=0.1,
        requests=60,
        least_s=min(8.0, budget_s / 6),
        most_s=max(8.0, budget_s / 6),
        repeats=1,
        invalid_repeats=6,
        concurrency=128,
        budget_s=budget_s,
    )


def _provenance(fleet: InferenceFleet, peak_share: float | None) -> tuple[str, ...]:
    hardware = ", ".join(f"{unit.name} as {unit.instance_type}" for unit in fleet.spec.units)
    return (
        "Real: the servers and their answers; the HTTP load and the search; the plan; the manifests; Envoy as the data "
        "plane; the failover decision as shipped.",
        f"Stand-ins: each unit is priced and rendered as an instance of the catalogue ({hardware}), and runs on this "
        "machine. Rates and latencies are this machine's, not that instance's.",
        *(
            [f"Chosen after measuring: the demand, whose peak is {peak_share:.0%} of what the weaker unit holds."]
            if peak_share is not None
            else []
        ),
    )


def _split(command: str, where: str) -> tuple[str, ...]:
    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise InputError(f"the command cannot be read ({error})", where=where, mend="mend its quotes") from error
    if not parts:
        raise InputError("the command is empty", where=where, mend="write what starts one replica")
    return tuple(parts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", where=str(file), mend="mend the path") from error
    except UnicodeDecodeError as error:
        raise InputError("it is not UTF-8 text", where=str(file), mend="mend the file") from error
