"""What `holdfast advise` does. Its flags are in `cli.advise`."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import click

from holdfast import catalog
from holdfast.catalog import listing, models
from holdfast.cli import flags
from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType
from holdfast.model.tables import Column, Table
from holdfast.planning import advice, candidates
from holdfast.planning.advice import Advice
from holdfast.planning.candidates import Candidate, Load, Market
from holdfast.reports import terminal

_SHOWN = 8
"""Candidates that people are shown; --json has all."""

_COLUMNS = (
    Column("instance type"),
    Column("devices"),
    Column("TP x PP"),
    Column("at once"),
    Column("replicas"),
    Column("price", "USD/h", digits=2),
    Column("each", "USD/h", digits=2),
    Column("read"),
)


def advise(
    model: str, needs: str, phase: str, region: str, sequence_tokens: int | None, sequences: int, as_json: bool
) -> None:
    """See `holdfast advise --help`. Raises InputError."""
    asked = _needs(needs)
    known = models.architecture(model)
    load = Load(_sequence_tokens(known, sequence_tokens), sequences)
    made = advice.advise(known, _market(region), load, needs=asked, phase=phase)
    today = datetime.now(UTC).date()
    if as_json:
        flags.echo_json(_document(known, region, made, today))
        return
    for line in _lines(known, region, made):
        click.echo(line)
    table = _table(region, made, today)
    click.echo(terminal.text(terminal.table(table)))
    if not table.rows:
        for note in table.notes:
            click.echo(click.wrap_text(note, terminal.WIDTH))


def _needs(text: str) -> list[str]:
    found = [need.strip() for need in text.split(",") if need.strip()]
    for need in found:
        if need not in advice.NEEDS:
            raise InputError(f"{need!r} is no need", where="--needs", mend=f"known: {', '.join(advice.NEEDS)}")
    return found


def _sequence_tokens(model: ModelArchitecture | FixedWork, given: int | None) -> int:
    if isinstance(model, FixedWork):
        if given is not None:
            raise InputError(f"{model.name} makes no sequences", where="--sequence-tokens", mend="leave it out")
        return 1
    if given is not None and given > model.max_length:
        raise InputError(
            f"{model.name} takes {model.max_length:,} tokens of prompt and answer, not {given:,}",
            where="--sequence-tokens",
            mend="give less",
        )
    return given or min(4096, model.max_length)


def _market(region: str) -> Market:
    offers = [offer for offer in catalog.offerings(region) if offer.capacity_type is CapacityType.ON_DEMAND]
    return Market(
        offers,
        {kind.name: kind for kind in catalog.instance_types()},
        {device.name: device for device in catalog.accelerators()},
    )


def _lines(model: ModelArchitecture | FixedWork, region: str, made: Advice) -> Iterator[str]:
    needs = ", ".join(sorted(made.facts.needs)) or "no special needs"
    size = f"{model.weight_bytes / 2**30:,.1f} GiB as {model.weight_dtype.value}"
    yield from _hanging(f"{model.name}: {made.facts.billions:,.1f}e9 weights, {size}", 0)
    yield from _hanging(f"{made.facts.phase}, {region}, {needs}; sized for {_load(model, made.load)}", 0)
    yield ""
    for question, rule in made.answers.items():
        yield from _hanging(f"{question:<11}{rule.advice}")
        yield from _hanging(f"{'':<11}because  {rule.why}", 20)
        yield from _hanging(f"{'':<11}unless   {rule.changes}", 20)
        yield from _hanging(f"{'':<11}rule     {question}/{rule.name} ({rule.source})", 20)
        yield ""


def _hanging(text: str, indent: int = 11) -> list[str]:
    return textwrap.wrap(text, terminal.WIDTH, subsequent_indent=" " * indent, break_long_words=False)


def _load(model: ModelArchitecture | FixedWork, load: Load) -> str:
    if isinstance(model, FixedWork):
        return f"{load.sequences} requests at once"
    return f"{load.sequences} sequences of {load.sequence_tokens:,} tokens at once"


def _table(region: str, made: Advice, today: date) -> Table:
    shown = _shown(made)
    read = [f"{one.offering.source}, {_age(one, today)}" for one in shown]
    letters = {text: listing.letters(index) for index, text in enumerate(sorted(set(read)))}
    rows = tuple(
        (
            one.instance.name,
            f"{one.nodes} x {one.devices}" if one.nodes > 1 else f"{one.devices} of {one.instance.devices}",
            f"{one.fit.tensor_parallel} x {one.fit.pipeline_parallel}",
            one.fit.sequences,
            one.replicas,
            one.price_usd_per_h,
            one.replica_usd_per_h,
            letters[text],
        )
        for one, text in zip(shown, read, strict=True)
    )
    spelt = [f"{letter}  {text}" for text, letter in letters.items()]
    title = f"Instances that hold it, on demand in {region}, cheapest first"
    return Table(title, _COLUMNS, rows, (*spelt, *_notes(made)))


def _shown(made: Advice) -> tuple[Candidate, ...]:
    return candidates.leanest(made.fitting)[:_SHOWN]


def _age(one: Candidate, today: date) -> str:
    days = catalog.age_days(one.offering, today)
    old = "of unknown age" if days is None else f"{days} days old"
    stale = " (stale)" if catalog.stale(one.offering, today) and days is not None else ""
    return f"{old}{stale}{', an estimate' if one.offering.estimated else ''}"


def _notes(made: Advice) -> Iterator[str]:
    if more := len(made.fitting) - len(_shown(made)):
        yield f"{more} more hold it, at higher prices or with more processors for the same devices; --json has them."
    if not made.fitting:
        tried = f"None of the {made.tried} instance types with a price there and what is needed holds it"
        yield f"{tried}: give another region, fewer needs, or a smaller load."
    if made.cheaper is not None:
        one = made.cheaper
        where = f"{one.nodes} x {one.instance.name}" if one.nodes > 1 else one.instance.name
        yield (
            f"Cheaper for the first replica, but of another shape: {where} at ${one.price_usd_per_h:,.2f}/h "
            f"with TP {one.fit.tensor_parallel} x PP {one.fit.pipeline_parallel}."
        )
    if not made.fitting:
        return
    if any(one.instance.resource_name == "aws.amazon.com/neuron" for one in _shown(made)):
        yield "Held by memory; whether Neuron serves this model is for its list to say. TP counts logical cores."
    yield "at once: most sequences or requests by memory; latency may allow fewer."
    yield "each: of one replica, when all that share the instance are used."


def _document(model: ModelArchitecture | FixedWork, region: str, made: Advice, today: date) -> dict[str, Any]:
    return {
        "model": {"name": model.name, "parameters": model.parameters, "weight_bytes": model.weight_bytes},
        "region": region,
        "sequence_tokens": None if isinstance(model, FixedWork) else made.load.sequence_tokens,
        "sequences": made.load.sequences,
        "facts": {**dataclasses.asdict(made.facts), "needs": sorted(made.facts.needs)},
        "answers": {
            question: {
                "answer": rule.answer,
                "advice": rule.advice,
                "why": rule.why,
                "changes": rule.changes,
                "rule": rule.name,
                "source": rule.source,
            }
            for question, rule in made.answers.items()
        },
        "candidates": [_candidate(one, today) for one in made.fitting],
        "cheaper_in_another_shape": None if made.cheaper is None else _candidate(made.cheaper, today),
    }


def _candidate(one: Candidate, today: date) -> dict[str, Any]:
    return {
        "instance_type": one.instance.name,
        "accelerator": one.instance.accelerator,
        "nodes": one.nodes,
        "devices_per_node": one.devices,
        "tensor_parallel": one.fit.tensor_parallel,
        "pipeline_parallel": one.fit.pipeline_parallel,
        "sequences": one.fit.sequences,
        "replicas_per_instance": one.replicas,
        "price_usd_per_h": one.price_usd_per_h,
        "replica_usd_per_h": one.replica_usd_per_h,
        "estimated": one.offering.estimated,
        "price_source": one.offering.source,
        "price_date": one.offering.date,
        "price_age_days": catalog.age_days(one.offering, today),
        "why": one.fit.why,
    }
