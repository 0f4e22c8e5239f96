"""What to serve a model with: rules in `data/advice.csv`, and the instances that hold it.

The questions are answered in the order in which the file has them; of a question's rules the first whose conditions all
hold is the answer. A condition may ask for the answer to an earlier question.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.planning import candidates
from holdfast.planning.candidates import Candidate, Holder, Load, Market

NEEDS = ("mig", "dra", "multi-node")
PHASES = ("pilot", "production")


@dataclass(frozen=True)
class Facts:
    """What the rules know.

    kind:     `text`, or `fixed` of a model whose request is the same work whatever is asked.
    billions: weights, all of them, in 1e9.
    holds:    the least that some priced instance holds the model on.
    cheapest: what the cheapest such instance holds it on.
    accelerators: `several` where more than one kind holds it, else `one`.
    slice:    `yes` where half a device holds it, MIG's largest slice short of the whole, else `no`.
    needs:    of `mig`, `dra` and `multi-node` what was asked for. phase: `pilot` or `production`.
    """

    kind: str
    billions: float
    holds: Holder
    cheapest: Holder
    accelerators: str
    slice: str
    needs: frozenset[str]
    phase: str


@dataclass(frozen=True)
class Rule:
    """One row of `data/advice.csv`, which says what the columns mean. An empty condition always holds."""

    question: str
    name: str
    kind: str
    from_billions: float
    below_billions: float
    holds: frozenset[str]
    cheapest: frozenset[str]
    accelerators: str
    slice: str
    needs: frozenset[str]
    phase: str
    given: frozenset[str]
    answer: str
    shape: str
    advice: str
    why: str
    changes: str
    source: str

    def applies(self, facts: Facts, answered: Collection[str]) -> bool:
        """Whether every condition holds; `answered` are the answers to earlier questions."""
        return (
            self.kind in ("", facts.kind)
            and self.from_billions <= facts.billions < self.below_billions
            and (not self.holds or facts.holds.value in self.holds)
            and (not self.cheapest or facts.cheapest.value in self.cheapest)
            and self.accelerators in ("", facts.accelerators)
            and self.slice in ("", facts.slice)
            and self.needs <= facts.needs
            and self.phase in ("", facts.phase)
            and (not self.given or not self.given.isdisjoint(answered))
        )


@dataclass(frozen=True)
class Advice:
    """The answers by question, and what can be bought for them.

    fitting: candidates of the shape that the size asks for, cheapest first.
    cheaper: a cheaper one of another shape, where there is one.
    tried:   how many instance types with a price and what is needed there were.
    """

    facts: Facts
    load: Load
    answers: Mapping[str, Rule]
    fitting: tuple[Candidate, ...]
    cheaper: Candidate | None
    tried: int


@functools.cache
def rules() -> tuple[Rule, ...]:
    """The rules, in the order in which they are tried."""
    return tuple(
        Rule(
            question=row["question"],
            name=row["name"],
            kind=row["kind"],
            from_billions=float(row["from_billions"] or 0),
            below_billions=float(row["below_billions"] or math.inf),
            holds=frozenset(row["holds"].split()),
            cheapest=frozenset(row["cheapest"].split()),
            accelerators=row["accelerators"],
            slice=row["slice"],
            needs=frozenset(row["needs"].split()),
            phase=row["phase"],
            given=frozenset(row["given"].split()),
            answer=row["answer"],
            shape=row["shape"],
            advice=row["advice"],
            why=row["why"],
            changes=row["changes"],
            source=row["source"],
        )
        for row in _read("advice.csv")
    )


@functools.cache
def capabilities() -> Mapping[str, frozenset[str]]:
    """By capability (`text`, `mig`, `dra`, a kind of weights) the names of the accelerators that have it."""
    return {row["capability"]: frozenset(row["accelerators"].split()) for row in _read("capabilities.csv")}


def answer(facts: Facts) -> dict[str, Rule]:
    """The rule that answers each question, in the order of the questions."""
    answers: dict[str, Rule] = {}
    for rule in rules():
        if rule.question not in answers and rule.applies(facts, {found.answer for found in answers.values()}):
            answers[rule.question] = rule
    return answers


def advise(
    model: ModelArchitecture | FixedWork, market: Market, load: Load, *, needs: Collection[str] = (), phase: str
) -> Advice:
    """Advice for a model on what the market sells; `needs` are of NEEDS, `phase` is one of PHASES."""
    kind = "fixed" if isinstance(model, FixedWork) else "text"
    able = _able(market, (kind, model.weight_dtype.value, *needs))
    one, several = (search(model, market, able, load) for search in (candidates.in_a_node, candidates.over_nodes))
    known = one or several
    halves = _of(candidates.in_a_node(model, _halved(market), able, load), Holder.DEVICE)
    facts = Facts(
        kind=kind,
        billions=model.parameters / 1e9,
        holds=_least(known),
        cheapest=known[0].holder if known else Holder.NONE,
        accelerators="several" if len({one.instance.accelerator for one in known}) > 1 else "one",
        slice="yes" if halves else "no",
        needs=frozenset(needs),
        phase=phase,
    )
    answers = answer(facts)
    shape = Holder(answers["size"].shape)
    sliced = {half.instance.name for half in halves} if answers["devices"].slice else None
    single = tuple(whole for whole in _of(one, Holder.DEVICE) if sliced is None or whole.instance.name in sliced)
    fitting = {Holder.DEVICE: single, Holder.NODE: one, Holder.NODES: several}[shape]
    dearest = fitting[0].price_usd_per_h if fitting else math.inf
    least = min((*one[:1], *several[:1]), key=lambda found: found.price_usd_per_h, default=None)
    cheaper = least if least is not None and least.price_usd_per_h < dearest else None
    return Advice(facts, load, answers, fitting, cheaper, sum(1 for _ in market.within(able)))


def _able(market: Market, wanted: Collection[str]) -> frozenset[str]:
    """The accelerators that can do what is wanted; what is no capability (multi-node) asks nothing of them."""
    able = capabilities()
    return frozenset(market.accelerators).intersection(*(able[name] for name in wanted if name in able))


def _halved(market: Market) -> Market:
    halves = {name: replace(one, memory_gib=one.memory_gib / 2) for name, one in market.accelerators.items()}
    return replace(market, accelerators=halves)


def _least(known: Collection[Candidate]) -> Holder:
    held = {one.holder for one in known}
    return next((holder for holder in Holder if holder in held), Holder.NONE)


def _of(known: Collection[Candidate], holder: Holder) -> tuple[Candidate, ...]:
    return tuple(one for one in known if one.holder is holder)


def _read(name: str) -> list[dict[str, str]]:
    text = importlib.resources.files("holdfast.planning").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
