"""Plans of the scenarios' fleets, and what a platform team brings for one: a namespace and node pools."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from cluster.fleets import MEASURED
from holdfast.catalog import fleets
from holdfast.cli import flags
from holdfast.cli.main import cli
from holdfast.kube.kinds import Object
from holdfast.manifests import names
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.render import render

PLATFORM = ("Namespace", "NodePool")
"""Of what is rendered for a cluster as a whole, what a fleet needs where there is no AWS."""


def plan_text(fleet: Object) -> str:
    """The plan of the fleet on the published measurements, as `holdfast plan --out` writes it."""
    return planned(json.dumps(fleet, sort_keys=True), MEASURED.read_text(encoding="utf-8"))


@functools.cache
def planned(fleet: str, measurements: str) -> str:
    """Of a fleet as JSON, on a CSV, empty without one."""
    with tempfile.TemporaryDirectory() as folder:
        declared, measured, made = (Path(folder, name) for name in ("fleet.yaml", "measured.csv", "plan.json"))
        declared.write_text(fleet, encoding="utf-8")
        arguments = ["plan", str(declared), "--out", str(made)]
        if measurements:
            measured.write_text(measurements, encoding="utf-8")
            arguments += ["--measurements", str(measured)]
        CliRunner().invoke(cli, arguments, catch_exceptions=False)
        return made.read_text(encoding="utf-8")


def plan_map(fleet: Object) -> Object:
    """The ConfigMap by which a user gives a fleet's plan."""
    return _map(fleet, "plan", {"plan.json": plan_text(fleet)})


def measurements_map(fleet: Object) -> Object:
    """The ConfigMap with what was measured of a fleet's units."""
    return _map(fleet, "measurements", {"measurements.csv": MEASURED.read_text(encoding="utf-8")})


def _map(fleet: Object, what: str, data: dict[str, str]) -> Object:
    described = fleet["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.label(described["name"], what),
            "namespace": described["namespace"],
            "labels": {"holdfast.dev/fleet": described["name"]},
        },
        "data": data,
    }


def platform(fleet: Object) -> Iterator[Object]:
    """What `kubectl apply -k` of the rendered tree brings beside the fleet."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "plan.json")
        made.write_text(plan_text(fleet), encoding="utf-8")
        plan = flags.read_plan(made)
    for file in render(plan, fleets.equipment_of(plan.fleet)):
        if isinstance(file, Manifest) and file.object.get("kind") in PLATFORM:
            yield file.object
