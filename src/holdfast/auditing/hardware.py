"""Instances, devices and parallelism that contradict each other, and devices that are paid for and idle."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence

from holdfast import catalog
from holdfast.auditing import equipment
from holdfast.auditing.equipment import Models
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.findings import Checked, Finding, Severity
from holdfast.model.measurements import Measurement
from holdfast.model.packing import NETWORK_GBPS


def hardware(rows: Sequence[Measurement], models: Models, where: str) -> Checked:
    """Units whose instance type, accelerator and parallelism cannot go together.

    An instance type has one kind of accelerator and a number of them; tensor parallelism divides the attention heads
    (an engine that pads heads takes others).
    """
    judged = [row for row in rows if row.instance_type or row.accelerator]
    firsts = {(row.unit, row.instance_type, row.accelerator, row.tensor_parallel): row for row in reversed(judged)}
    ordered = sorted(firsts.values(), key=lambda row: row.row)
    return Checked("hardware", len(judged), tuple(f for row in ordered for f in _contradictions(row, models, where)))


def idle_devices(rows: Sequence[Measurement], where: str) -> Checked:
    """Units whose replicas leave devices of their instances unused and paid for, one finding each.

    Suspicious where the number of replicas is stated, a note where one is assumed.
    """
    known = [(row, equipment.of(row, None)) for row in rows if row.tensor_parallel and row.instance_type]
    judged = [(row, behind) for row, behind in known if behind.instance and behind.accelerator]
    found: dict[str, Finding] = {}
    for row, behind in judged:
        assert behind.instance and behind.devices_of_replica is not None
        used, paid = behind.replicas * math.ceil(behind.devices_of_replica), behind.instances * behind.instance.devices
        if used < paid and row.unit not in found:
            more = paid // math.ceil(behind.devices_of_replica)
            found[row.unit] = Finding(
                where,
                row.row,
                "idle-devices",
                Severity.SUSPICIOUS if row.replicas else Severity.NOTE,
                f"{used} devices used",
                f"{paid} devices paid for",
                f"{row.unit}: {behind.replicas} replica{'s' if behind.replicas > 1 else ''} at TP "
                f"{row.tensor_parallel} use{'' if behind.replicas > 1 else 's'} {used} of the {paid} devices of "
                f"{behind.instances} {behind.instance.name}; {more} fit.",
                "Figures per dollar of the whole instance are too low by as much as is idle.",
            )
    return Checked("idle-devices", len(judged), tuple(found.values()))


def _contradictions(row: Measurement, models: Models, where: str) -> Iterator[Finding]:
    instance = equipment.known_instance(row.instance_type)
    device = equipment.known_accelerator(row.accelerator)
    if row.instance_type and instance is None:
        yield _unknown(row, "instance type", row.instance_type, [kind.name for kind in catalog.instance_types()], where)
    if row.accelerator and device is None:
        yield _unknown(row, "accelerator", row.accelerator, [one.name for one in catalog.accelerators()], where)
    if instance is not None and device is not None and instance.accelerator != device.name:
        yield _finding(
            row,
            where,
            Severity.IMPOSSIBLE,
            device.name,
            instance.accelerator,
            f"{row.unit}: {instance.name} carries {instance.accelerator}, and {device.name} is stated.",
        )
    if instance is not None and row.tensor_parallel:
        carries = catalog.accelerator(instance.accelerator)
        holds = instance.devices * carries.ranks_per_device
        ranks = row.tensor_parallel * (row.pipeline_parallel or 1)
        if ranks > holds:
            together = carries.cores_per_rank == 1 and (instance.network_gbps or 0) >= NETWORK_GBPS
            yield _finding(
                row,
                where,
                Severity.NOTE if together else Severity.SUSPICIOUS,  # such instances are made to share a replica
                f"TP x PP {ranks}",
                f"at most {holds}",
                f"{row.unit}: one replica has {ranks} ranks (TP x PP), and {instance.name} has room for {holds}.",
                "The replica spans several instances, or the parallelism is another than stated"
                f"{', or each physical core is a rank (LNC=1)' if carries.cores_per_rank > 1 else ''}.",
            )
    model = models(row.model) if row.model else None
    if isinstance(model, ModelArchitecture) and row.tensor_parallel and model.heads % row.tensor_parallel:
        yield _finding(
            row,
            where,
            Severity.SUSPICIOUS,
            f"TP {row.tensor_parallel}",
            f"a divisor of {model.heads}",
            f"{row.unit}: TP {row.tensor_parallel} does not divide the {model.heads} attention heads of {model.name}.",
        )


def _unknown(row: Measurement, kind: str, name: str, known: list[str], where: str) -> Finding:
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    said = f"the nearest is {near[0]}" if near else "nor one like it"
    return _finding(
        row,
        where,
        Severity.NOTE,
        name,
        near[0] if near else "a name of the catalogue",
        f"{row.unit}: the catalogue has no {kind} {name!r} ({said}); what depends on it was not checked.",
    )


def _finding(
    row: Measurement, where: str, severity: Severity, found: str, expected: str, message: str, likely: str = ""
) -> Finding:
    return Finding(where, row.row, "hardware", severity, found, expected, message, likely)
