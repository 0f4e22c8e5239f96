"""A small fleet with made-up but plausible figures: two units, a plan, and a failover between them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest

from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Autoscaling, Plan, PlanStatus, PoolPlan
from holdfast.model.pools import RoutingMode
from holdfast.model.stages import (
    Arrivals,
    BreakingPoint,
    Cause,
    ClientHealth,
    Level,
    LoadCurve,
    Stage,
    Summary,
)
from holdfast.model.tables import Column, Table
from holdfast.model.timeline import FleetPoint, PoolPoint, Timeline, TimelineEvent

CHEAP, DEAR = "inf2-neuron", "g5-triton"


def summary(p50_s: float) -> Summary:
    return Summary(400, p50_s * 1.1, p50_s, p50_s * 1.5, p50_s * 1.75, p50_s * 2.4, p50_s * 3)


@pytest.fixture
def make_stage() -> Callable[..., Stage]:
    def make(offered_per_s: float = 1.0, p50_s: float = 0.4, capacity_per_s: float = 100.0, **changed: object) -> Stage:
        achieved = min(offered_per_s, capacity_per_s)
        values: dict[str, object] = {
            "index": 0,
            "level": Level(Arrivals.POISSON, rate_per_s=offered_per_s),
            "window_s": (2.0, 10.0),
            "requests": 400,
            "offered_per_s": offered_per_s,
            "achieved_per_s": achieved,
            "latency": summary(p50_s),
            "ttft": None,
            "itl": None,
            "tokens_in_per_s": 0.0,
            "tokens_out_per_s": 0.0,
            "errors": {},
            "in_flight": offered_per_s * p50_s * 1.1,
            "little": 0.003,
            "utilization": min(0.98, offered_per_s / capacity_per_s),
            "client": ClientHealth(0.0001, 0.001, 0.002, 0.2),
        }
        return Stage(**(values | changed))  # type: ignore[arg-type]

    return make


@pytest.fixture
def curves(make_stage: Callable[..., Stage]) -> tuple[LoadCurve, ...]:
    def curve(unit: str, base_s: float, capacity: float, holds: float) -> LoadCurve:
        rates = [capacity * share for share in (0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.86, 0.93, 1.02, 1.15)]
        stages = [
            make_stage(
                rate,
                base_s
                * (1 + 0.25 * rate / capacity + 0.5 * (rate / capacity) ** 6 + 6 * max(0, rate / capacity - 0.9)),
                capacity,
                index=index,
                invalid="the client was late: p99 lag 41 ms of 900 ms" if index == 9 else "",
                errors={"TIMEOUT": 9} if index >= 8 else {},
            )
            for index, rate in enumerate(rates)
        ]
        why = f"p95 was {0.31 * 1.75 * 1.9:.2f} s against a bound of 0.90 s at {holds * 1.06:.2f} requests/s"
        point = BreakingPoint(holds, holds, holds * 1.06, 0.96, Cause.LATENCY, why)
        return LoadCurve(unit, tuple(stages), point)

    return curve(CHEAP, 0.31, 2.1, 1.78), curve(DEAR, 0.25, 2.3, 2.05)


@pytest.fixture
def fleet() -> InferenceFleet:
    return InferenceFleet.model_validate(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "InferenceFleet",
            "metadata": {"name": "sd21", "namespace": "inference"},
            "spec": {
                "model": {"id": "stabilityai/stable-diffusion-2-1-base", "task": "text-to-image"},
                "workload": {"api": "images"},
                "slo": {"latency": {"p95": "0.9s"}, "errorRate": "1%", "utilization": "90%"},
                "demand": {"rate": "12/s", "peak": "20/s"},
                "units": [
                    {
                        "name": CHEAP,
                        "accelerator": "inferentia2",
                        "instanceType": "inf2.xlarge",
                        "framework": "neuronx",
                    },
                    {"name": DEAR, "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "triton"},
                ],
            },
        }
    )


def pool(unit: str, replicas: int, weight: int, limit: float, price: float) -> PoolPlan:
    return PoolPlan(
        unit=unit,
        replicas=replicas,
        weight=weight,
        limit_per_s=limit,
        price_usd_per_h=price,
        usd_per_million_requests=price / (limit * 3600) * 1e6,
        tokens_per_usd=None,
        expected_per_s=20 * weight / 100,
        utilization=20 * weight / 100 / (replicas * limit),
        autoscaling=Autoscaling("requests per replica", limit * 0.8, "requests/s", 1, 100),
        reason=f"merit order: ${price / (limit * 3600) * 1e6:.2f} per million requests; filled to 80% of its limit",
        limit_source="measured: run of 2031-02-03",
        price_source="catalogue: on-demand, us-west-2",
    )


@pytest.fixture
def plan(fleet: InferenceFleet) -> Plan:
    pools = (pool(CHEAP, 14, 97, 1.78, 0.758), pool(DEAR, 10, 3, 2.05, 1.006))
    mixes = Table(
        "What other mixes cost",
        (Column("mix"), Column("replicas"), Column("cost", "USD/h", 2), Column("cost over the plan", "%", 1)),
        (
            ("inf2-neuron only", 15, 11.37, -44.9),
            ("g5-triton only", 13, 13.08, -36.6),
            ("the plan", 24, 20.67, 0.0),
        ),
        ("The first two do not survive the loss of a pool.",),
    )
    finding = Finding(
        "measurements.csv", 7, "little", Severity.SUSPICIOUS, "1.31", "1.0 ± 0.1", "in-flight is off by 31%"
    )
    return Plan(
        version=1,
        fleet=fleet,
        status=PlanStatus.FEASIBLE,
        cost_usd_per_h=20.67,
        gap=0.0,
        demand_per_s=20.0,
        pools=pools,
        tables={"mixes": mixes},
        findings=(finding,),
        reasons=(
            "inf2-neuron serves a request for 13% less than g5-triton and carries the load",
            "10 replicas of g5-triton are kept so that 20 requests/s still hold when inf2-neuron vanishes",
        ),
    )


@pytest.fixture
def timeline() -> Timeline:
    """300 s at 2 s; the cheap pool loses its capacity at 90 s and has it back at 180 s."""
    pools, fleet = [], []
    for step in range(1, 151):
        t = step * 2.0
        offered = 18 + 2 * math.sin(t / 23)
        gone, back = 90 <= t < 180, t >= 180
        ready = 0 if 96 <= t < 186 else min(14, int((t - 186) / 4)) if 186 <= t < 242 else 14
        dear_ready = min(10, 1 + int(max(0, t - 92) / 3))
        share = 0 if gone else (0.97 if not back else min(0.97, 0.25 * max(0, int((t - 200) / 15))))
        served_cheap = offered * share if ready else 0.0
        served_dear = min(offered * (1 - share), dear_ready * 2.05)
        failed = round(max(0.0, offered - served_cheap - served_dear) * 2)
        strained = 92 <= t < 116
        p50 = 0.36 + (0.5 if strained else 0.02 * math.sin(t / 7))
        pools.append(
            PoolPoint(t, CHEAP, ready, 14 - ready, round(share * 100), served_cheap, 0, p50, p50 * 1.8)
            if ready
            else PoolPoint(t, CHEAP, 0, 14, round(share * 100), 0.0, 0, math.nan, math.nan)
        )
        dear_weight = 100 - round(share * 100)
        pools.append(PoolPoint(t, DEAR, dear_ready, 0, dear_weight, served_dear, failed, p50, p50 * 1.8))
        mode = RoutingMode.CAPACITY_OPTIMIZED if 92 <= t < 200 else RoutingMode.COST_OPTIMIZED
        fleet.append(FleetPoint(t, mode, offered, served_cheap + served_dear, failed, p50, p50 * 1.8))
    return Timeline(
        2.0,
        tuple(pools),
        tuple(fleet),
        (
            TimelineEvent(90.0, CHEAP, "capacity withdrawn: InsufficientCapacityError"),
            TimelineEvent(92.0, DEAR, "capacity-optimised: traffic moves to where replicas are ready"),
            TimelineEvent(180.0, CHEAP, "capacity returned"),
            TimelineEvent(200.0, CHEAP, "failback begins, 25% every 15 s"),
        ),
    )


@dataclass
class Element:
    """An element of a parsed page."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    own_text: str = ""

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.walk() if element.tag == tag]

    @property
    def text(self) -> str:
        return " ".join((self.own_text + "".join(f" {child.text}" for child in self.children)).split())

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def table(self, title: str) -> Element:
        return next(table for table in self.all("table") if table.all("caption")[0].text == title)

    def rows(self) -> list[list[str]]:
        """The cells of a table's body."""
        return [[cell.text for cell in row.children] for row in self.all("tbody")[0].all("tr")]

    def figures(self) -> list[Any]:
        """What plotly is told to draw."""
        return [json.loads(e.own_text) for e in self.walk() if e.attributes.get("id", "").endswith("-data")]

    def csvs(self) -> dict[str, list[list[str]]]:
        """The downloadable data by file name, header first."""
        links = [link.attributes for link in self.all("a") if "download" in link.attributes]
        head = "data:text/csv;charset=utf-8,"
        assert all(link["href"].startswith(head) for link in links)
        return {link["download"]: list(csv.reader(io.StringIO(unquote(link["href"][len(head) :])))) for link in links}


class _Parser(HTMLParser):
    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"the page closes <{tag}> where another element is open"

    def handle_data(self, data: str) -> None:
        self.open[-1].own_text += data


@pytest.fixture
def parse() -> Callable[[str], Element]:
    """Parses a page and asserts that its elements nest."""

    def parsed(page: str) -> Element:
        parser = _Parser()
        parser.feed(page)
        parser.close()
        assert len(parser.open) == 1
        return parser.open[0]

    return parsed
