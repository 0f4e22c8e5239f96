"""Merging loses nothing: the shards of a run make the run again, row by row and figure by figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.limits import measured
from holdfast.load import merging
from holdfast.load.journal import ROW, Journal, RecordedRows, pack
from holdfast.load.merging import Part
from holdfast.load.rundir import RunRecord, RunSpec, Status
from holdfast.model.errors import InputError
from holdfast.model.records import COLUMNS, Outcome, RequestRecord, RequestTable
from holdfast.model.stages import Arrivals, ClientHealth, Level, LoadCurve, Stage

LEVEL = Level(Arrivals.POISSON, rate_per_s=10.0, duration_s=60.0)
NAN = float("nan")


def request(intended_s: float, latency_s: float, outcome: Outcome = Outcome.OK, tokens: int = 10) -> RequestRecord:
    first_s, end_s = intended_s + latency_s / 2, intended_s + latency_s
    itl_s = latency_s / 2 / (tokens - 1) if tokens > 1 else NAN
    return RequestRecord(
        0, intended_s, intended_s, first_s, first_s, end_s, itl_s, tokens, 20, tokens, 20, tokens, 200, outcome
    )


def journal(rows: RequestTable) -> Journal:
    """The rows with chunk times, evenly spaced; `events` is the column of a row that counts them."""
    made = Journal.in_memory()
    for n in range(len(rows)):
        chunks = int(rows.chunks[n])
        row = np.frombuffer(bytearray(pack(*(0,) * 15)), dtype=ROW)
        for name in COLUMNS:
            row[name] = getattr(rows, name)[n]
        row["events"] = chunks
        times_s = np.linspace(0.0, float(rows.end_s[n] - rows.first_token_s[n]), chunks)
        made.append(row.tobytes(), times_s.astype("<f4").tobytes())
    return made


def part(rows: RequestTable, shard: str, start_s: float = 0.0, unix_s: float = 1000.0, cpu: float = 0.1) -> Part:
    """The run of a shard whose level began `start_s` into it; the times of `rows` count from the level's start."""
    spec = RunSpec("load", "http://x", "completions", "m", None, "poisson", 7, shard=shard)
    record = RunRecord(2, "0", spec, Status.DONE, "", unix_s, {}, "")
    own = journal(rows.shifted(-start_s))
    seen = RecordedRows(own, 0, len(own), start_s)
    stage = measured.measure(seen, LEVEL, 0, client=ClientHealth(cpu=cpu)).stage
    return Part(f"runs/{shard}", record, {0: start_s}, LoadCurve("unit", (stage,)), lambda whole: whole.extend(own))


def merged(parts: Sequence[Part], *, partial: bool = False) -> tuple[Stage, RequestTable]:
    """The one stage of the whole and all its requests."""
    merging.check(parts, partial=partial)
    whole = Journal.in_memory()
    (stage,) = merging.merge(parts, whole).stages
    return stage, RecordedRows(whole, 0, len(whole)).table()


# Times of which sums and differences are exact, so that "the same figures" can be meant to the last bit of a window.
STARTS_S = st.integers(0, 30 * 1024).map(lambda n: n / 1024)
REQUESTS = st.builds(
    request,
    st.integers(0, 60 * 1024).map(lambda n: n / 1024),
    st.integers(1, 5 * 512).map(lambda n: n / 512),
    st.sampled_from([Outcome.OK, Outcome.OK, Outcome.OK, Outcome.TIMEOUT, Outcome.CANCELLED]),
    st.integers(1, 50),
)
TABLES = st.lists(REQUESTS, min_size=1, max_size=60).map(
    lambda records: RequestTable.of(sorted(records, key=lambda record: record.end_s))
)


def figures(stage: Stage) -> dict[str, object]:
    """All that is measured of the server, flat."""
    found: dict[str, object] = {}
    for name, value in vars(stage).items():
        if name in ("latency", "ttft", "itl", "tpot") and value is not None:
            found |= {f"{name}.{key}": figure for key, figure in vars(value).items()}
        elif name == "window_s":
            found |= {"from_s": value[0], "until_s": value[1]}
        elif name == "errors":
            found |= {f"errors.{kind}": count for kind, count in value.items()}
        elif name not in ("client", "level", "notes"):
            found[name] = value
    return found


def content(rows: RequestTable) -> list[tuple[float, ...]]:
    """The rows in an order that does not depend on how they came together; times to the microsecond."""
    columns = [np.nan_to_num(np.round(getattr(rows, name).astype(float), 6), nan=-1.0) for name in COLUMNS]
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@given(TABLES, st.data())
def test_a_run_in_shards_merges_to_the_run(rows: RequestTable, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 5))
    owner = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=len(rows), max_size=len(rows))))
    starts_s = data.draw(st.lists(STARTS_S, min_size=count, max_size=count))
    # Each shard's process began at its own time, and each level at one and the same.
    parts = [
        part(rows.where(owner == index), f"{index}/{count}", start_s, 2000.0 - start_s)
        for index, start_s in enumerate(starts_s)
    ]
    stage, together = merged(data.draw(st.permutations(parts)))
    assert content(together.shifted(max(starts_s))) == content(rows)
    found, expected = figures(stage), figures(part(rows, "0/1").curve.stages[0])
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        near = pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True) if isinstance(value, float) else value
        assert found[name] == near, name


@given(TABLES, STARTS_S)
def test_merging_one_whole_run_is_the_run(rows: RequestTable, start_s: float) -> None:
    whole = part(rows, "0/1", start_s)
    own, again = Journal.in_memory(), Journal.in_memory()
    whole.append(own)
    assert merging.merge([whole], again) == whole.curve
    for name in COLUMNS:
        assert np.array_equal(again.column(name), own.column(name), equal_nan=name.endswith("_s"))
    for one, other in zip(again.chunk_times(), own.chunk_times(), strict=True):
        assert np.array_equal(one[1], other[1]) and np.array_equal(one[2], other[2])


def steady(shift_s: float = 0.0, count: int = 300) -> RequestTable:
    return RequestTable.of([request(shift_s + 0.2 * n, 0.1) for n in range(count)])


def test_the_clients_health_is_the_worst_shards() -> None:
    stage, _ = merged([part(steady(), "0/2", cpu=0.2), part(steady(0.1), "1/2", cpu=0.99)])
    assert stage.client.cpu == 0.99
    assert "the client used 99% of a core" in stage.invalid
    health = merging.together(ClientHealth(0.1, 0.2, 0.3, 0.4, stalls=2), ClientHealth(0.2, 0.1, 0.1, 0.5, stalls=3))
    assert health == ClientHealth(0.2, 0.2, 0.3, 0.5, stalls=5)


def test_a_shard_that_began_late_is_said_and_only_the_common_time_is_measured() -> None:
    # Five requests a second of each; the second shard's level began 10 s later.
    stage, rows = merged([part(steady(), "0/2"), part(steady(0.1), "1/2", unix_s=1010.0)])
    assert stage.notes[-1] == "shard 1 of 2 began 10 s after the first: measured are the 49.8 s in which all sent"
    assert stage.offered_per_s == pytest.approx(10.0, rel=0.02)
    assert len(rows) == 600  # all are kept
    with pytest.raises(InputError, match="shard 1 of 2 began when another had ended"):
        merged([part(steady(), "0/2"), part(steady(0.1), "1/2", unix_s=1070.0)])


def test_a_missing_shard_is_refused_or_said_and_so_is_one_that_was_cut_off() -> None:
    parts = [part(steady(), "0/4"), replace(part(steady(0.1), "2/4"), cut_off="the run was interrupted")]
    with pytest.raises(InputError, match=re.escape("shards 1, 3 of 4 are missing: a share of 50% of the load; give")):
        merged(parts)
    stage, _ = merged(parts, partial=True)
    assert stage.notes == (
        "shard 2 of 4: the run was interrupted",
        "shards 1, 3 of 4 are missing: a share of 50% of the load",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://y"}, "this run has url http://y, and runs/0/2 has http://x"),
        ({"model": "n"}, "has model n"),
        ({"seed": 8}, "has seed 8"),
        ({"shard": "1/3"}, "this is shard 1 of 3, and runs/0/2 is shard 0 of 2"),
        ({"shard": "0/2"}, "this is shard 0 of 2, as runs/0/2 is"),
    ],
)
def test_what_does_not_belong_together_is_refused(change: dict[str, object], words: str) -> None:
    one, other = part(steady(), "0/2"), part(steady(0.1), "1/2")
    record = replace(other.record, spec=replace(other.spec, **change))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=re.escape(words)):
        merging.check([one, replace(other, record=record)])


def test_another_level_is_refused() -> None:
    one, other = part(steady(), "0/2"), part(steady(0.1), "1/2")
    (stage,) = other.curve.stages
    louder = replace(stage, level=replace(LEVEL, rate_per_s=20.0))
    with pytest.raises(InputError, match="its levels are not those of runs/0/2"):
        merging.check([one, replace(other, curve=LoadCurve("unit", (louder,)))])
