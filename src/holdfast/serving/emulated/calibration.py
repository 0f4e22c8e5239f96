"""An emulated unit fitted to what somebody measured, and how far its own sweep then is from that.

A published level states concurrency, rate and mean latency. Where rate x latency falls short of the concurrency the
loop was not full: by Little's law each client spent concurrency / rate - latency between two requests, whether it
waited for the last ones to end or was slow itself. So the fit takes what was in flight, and the check sends with as
many clients that pause as long.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.model.errors import InputError
from holdfast.model.measurements import Measurement
from holdfast.serving.emulated import step_fit, virtual
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.engine import Job
from holdfast.serving.emulated.step_fit import Held
from holdfast.serving.emulated.step_time import LinearStep

_ROUNDS, _LEAST = 30, 400
"""Requests of each client in a check, and of all together; those of the first fifth of the time do not count."""

_MOST_CLIENTS = 4096
"""So that a check takes seconds."""

_SPREAD = 0.1
"""Lengths of a check are spread by this share, evenly: loops of equal requests go in waves, which real ones do not."""

_REFITS = 3
"""How often the fit is repeated, with what the formula leaves out: waiting for a step to end, prompts in chunks."""


@dataclass(frozen=True)
class Level:
    """One row as it was published, in requests per second and seconds, and what follows from it by Little's law.

    clients: of the loop; think_s: what each spends between two requests. held: the mean in flight and its lengths.
    """

    row: int
    clients: int
    rate_per_s: float
    think_s: float
    held: Held


@dataclass(frozen=True)
class Check:
    """A level beside what the emulated unit does under the same load; a miss is emulated over published, less 1."""

    level: Level
    rate_per_s: float
    latency_s: float

    @property
    def rate_miss(self) -> float:
        return self.rate_per_s / self.level.rate_per_s - 1

    @property
    def latency_miss(self) -> float:
        return self.latency_s / self.level.held.residence_s - 1


@dataclass(frozen=True)
class Split:
    """What is taken for prefill and KV cache where all requests have the same lengths; `source` says whence."""

    per_prefill_token_s: float
    per_kv_token_s: float
    source: str


def levels(rows: Sequence[Measurement], *, where: str, up_to: int | None = None) -> tuple[Level, ...]:
    """The levels of one unit up to that concurrency. Raises InputError for rows that cannot be one."""
    kept = [row for row in rows if up_to is None or (row.concurrency or 0) <= up_to]
    found = tuple(_level(row, f"{where}:{row.row}") for row in kept)
    if len({level.held.in_flight for level in found}) < 2:
        raise InputError(
            f"{len(found)} level{'s' * (len(found) != 1)} of {rows[0].unit} cannot be fitted",
            where=where,
            mend="a fit needs two levels with different numbers in flight",
        )
    return found


def _level(row: Measurement, where: str) -> Level:
    latency_s, rate_per_s, clients = row.latency_avg_s, row.rate_per_s, row.concurrency
    if not rate_per_s and latency_s and clients:
        rate_per_s = clients / latency_s
    if not latency_s and rate_per_s and clients:
        latency_s = clients / rate_per_s
    if not latency_s or not rate_per_s:
        raise InputError(
            "a level needs two of concurrency, rate and average latency", where=where, mend="complete the row"
        )
    if (clients or rate_per_s * latency_s) > _MOST_CLIENTS:
        raise InputError(
            f"a loop of more than {_MOST_CLIENTS} clients is not emulated", where=where, mend="leave the row out"
        )
    if (row.replicas or 1) > 1:
        raise InputError(
            f"the level is of {row.replicas} replicas",
            where=where,
            mend="give the figures of one",
        )
    outputs = row.output_tokens or (row.output_tokens_per_s or 0.0) / rate_per_s
    if not row.input_tokens or outputs < 1:
        raise InputError("a level needs input_tokens and output_tokens", where=where, mend="add the columns")
    # Figures are rounded, and a full loop may seem a little more than full.
    in_flight = min(rate_per_s * latency_s, float(clients or math.inf))
    clients = clients or math.ceil(in_flight)
    think_s = max(0.0, clients / rate_per_s - latency_s)
    return Level(row.row, clients, rate_per_s, think_s, Held(in_flight, latency_s, row.input_tokens, outputs))


@dataclass(frozen=True)
class Calibrated:
    """A device with the fitted step time, a sentence that says what of it was measured, and its sweep."""

    device: ContinuousBatching
    basis: str
    checks: tuple[Check, ...]

    @property
    def worst_miss(self) -> float:
        """The largest miss of rate or latency, 0.1 is 10 %."""
        return max(max(abs(each.rate_miss), abs(each.latency_miss)) for each in self.checks)


def calibrate(device: ContinuousBatching, found: Sequence[Level], split: Split, *, where: str) -> Calibrated:
    """The device with the step time that comes nearest to the levels. Raises InputError where none makes sense."""
    longest = (1 + _SPREAD) * max(level.held.prompt_tokens + level.held.output_tokens for level in found)
    if longest + 2 > device.max_model_len:
        raise InputError(
            f"requests of {longest:.0f} tokens are longer than a context of {device.max_model_len}",
            where=where,
            mend="give a larger --max-model-len",
        )
    held = [level.held for level in found]
    best: Calibrated | None = None
    for _ in range(_REFITS):
        step, basis = _fit(held, split, where)
        tried = replace(device, step=step)
        result = Calibrated(tried, basis, check(tried, found))
        best = result if best is None or result.worst_miss < best.worst_miss else best
        formulas_s = step_fit.residences_s(step, held)
        held = [
            replace(one, residence_s=level.held.residence_s * formula_s / each.latency_s)
            for one, level, each, formula_s in zip(held, found, result.checks, formulas_s, strict=True)
        ]
    assert best is not None
    return best


def _fit(held: Sequence[Held], split: Split, where: str) -> tuple[LinearStep, str]:
    lengths = {(each.prompt_tokens, each.output_tokens) for each in held}
    try:
        if len(lengths) > 1:
            return step_fit.fit_all(held).step, "All four coefficients are fitted."
        step = step_fit.fit_line(held, per_prefill_token_s=0.0, per_kv_token_s=0.0).step
    except ValueError as error:
        raise InputError(f"the levels cannot be fitted ({error})", where=where, mend="look at the figures") from error
    return _divided(step, split, *lengths.pop())


def _divided(step: LinearStep, split: Split, prompt_tokens: float, output_tokens: float) -> tuple[LinearStep, str]:
    """The same slope, divided between sequences, prefill and cache. A straight line cannot tell them apart."""
    prefill_s = split.per_prefill_token_s * prompt_tokens / output_tokens
    cache_s = split.per_kv_token_s * (prompt_tokens + output_tokens / 2)
    share = min(1.0, step.per_sequence_s / (prefill_s + cache_s)) if prefill_s + cache_s else 0.0
    divided = LinearStep(
        base_s=step.base_s,
        per_sequence_s=max(0.0, step.per_sequence_s - share * (prefill_s + cache_s)),
        per_prefill_token_s=share * split.per_prefill_token_s,
        per_kv_token_s=share * split.per_kv_token_s,
    )
    less = f", both times {share:.2f}, which is all that the slope leaves" if share < 1 and prefill_s + cache_s else ""
    return divided, (
        "All levels have the same lengths, which leaves open what prefill and KV cache cost: "
        f"taken from {split.source}{less}."
    )


def check(device: ContinuousBatching, found: Sequence[Level]) -> tuple[Check, ...]:
    """What the emulated unit does under the load of each level, on virtual time."""
    return tuple(_checked(device, level) for level in found)


def _checked(device: ContinuousBatching, level: Level) -> Check:
    chance = random.Random(level.clients)

    def drawn(tokens: float) -> int:
        return max(1, round(tokens * chance.uniform(1 - _SPREAD, 1 + _SPREAD)))

    jobs = [
        Job(key, drawn(level.held.prompt_tokens), drawn(level.held.output_tokens))
        for key in range(max(level.clients * _ROUNDS, _LEAST))
    ]
    # A published loop turned nobody away, whatever bound the queue here is to have.
    engine = replace(device, max_queued=level.clients).engine()
    answers = virtual.closed_loop(engine, level.clients, jobs, level.think_s)
    # The loop empties once the last request is sent, and what ends after that is not of a full one.
    last_s = max(answer.sent_s for answer in answers)
    first_s = last_s / 5
    steady = [answer for answer in answers if first_s < answer.end_s <= last_s]
    rate_per_s = len(steady) / (last_s - first_s)
    return Check(level, rate_per_s, statistics.fmean(answer.latency_s for answer in steady))
