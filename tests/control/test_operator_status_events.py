"""Events about a fleet: what is worth saying, once, and how often it is written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from holdfast.control.observation import Applied
from holdfast.control.operator.account import Account, News
from holdfast.control.operator.reasons import TELLINGS, Word
from holdfast.control.operator.telling import said
from holdfast.control.operator.telling.said import Memory, Saying, Writes
from holdfast.control.operator.telling.status import status
from holdfast.model.pools import RoutingMode
from holdfast.model.status import FleetStatus

from .accounts import LOST, NOW_S, WELL, account, fleet, pool, shortage

SAYING = Saying("ShortageBegan", "inf2 gets no capacity.", True, "Observed", "inf2")


def told(*looks: Account, before: FleetStatus | None = None) -> list[list[str]]:
    """The words of the events of each look, one after the other."""
    found = []
    for look in looks:
        after = status(look, before)
        found.append([one.reason for one in said.sayings(before, after, look)])
        before = after
    return found


def write(memory: Memory, sayings: Sequence[Saying], at_s: float) -> tuple[Memory, Writes]:
    return said.tell(memory, sayings, fleet(), instance="holdfast-operator-0", now_s=at_s)


def test_a_fleet_that_begins_well_is_no_news() -> None:
    assert told(account(*WELL)) == [[]]


def test_that_there_is_no_plan_is_told_once() -> None:
    without = account(*WELL, plan=None, observation=None, applied=None, decision=None)
    assert told(without, without, account(*WELL)) == [["NoPlan"], [], ["Serving"]]


def test_a_lost_pool_is_told_once_with_what_came_of_it() -> None:
    again = account(*LOST, now_s=NOW_S + 10, applied=account(*LOST).applied)
    assert told(account(*WELL), account(*LOST), again) == [
        [],
        ["ShortageBegan", "WeightsShifted", "CapacityLost"],
        [],
    ]


def test_the_end_of_a_shortage_is_told() -> None:
    over = account(pool("inf2", 0, 4), pool("g5", 4), now_s=NOW_S + 600, applied=account(*LOST).applied)
    assert "ShortageEnded" in told(account(*WELL), account(*LOST), over)[2]


def test_who_takes_over_repeats_nothing_that_the_status_shows() -> None:
    assert told(account(*LOST), before=status(account(*LOST), None)) == [[]]


def test_news_are_told_though_no_status_shows_them() -> None:
    back = News(Word.PUT_BACK, "Deployment sd21-g5 is as it was.")
    changed = News(Word.PLAN_CHANGED, "Another plan runs.")
    assert told(account(*WELL, news=(back, changed))) == [["PutBack", "PlanChanged"]]


def test_a_second_proposal_is_not_counted_as_the_first_again() -> None:
    news = [News(Word.PLAN_PROPOSED, f"{cost} USD/h", cost) for cost in ("17", "24")]
    assert told(*(account(*WELL, news=(one,)) for one in news)) == [["PlanProposed"], ["PlanProposed"]]


def test_a_refused_decision_is_told() -> None:
    refused = replace(account(*LOST, refused=("1. traffic to the dead",)), applied=account(*WELL).applied)
    assert told(account(*WELL), refused)[1] == ["ShortageBegan", "DecisionRefused"]


def test_the_steps_of_a_ramp_are_one_series() -> None:
    before, memory, created, patches = status(account(*WELL), None), Memory(), 0, []
    for step, inf2 in enumerate((24, 49, 74, 99)):
        applied = Applied({"inf2": inf2, "g5": 100 - inf2}, RoutingMode.CAPACITY_OPTIMIZED, NOW_S, NOW_S)
        look = replace(account(*WELL, now_s=NOW_S + 30 * step), applied=applied)
        if step == 0:
            before = status(replace(look, applied=replace(applied, weights={"inf2": 0, "g5": 100})), None)
        after = status(look, before)
        shifts = [one for one in said.sayings(before, after, look) if one.reason == "WeightsShifted"]
        memory, writes = write(memory, shifts, look.now_s)
        created += len(writes.created)
        patches += [patch["series"]["count"] for patch in writes.patched.values()]
        before = after
    assert created == 1
    assert patches == [2, 4]  # the second at once, then not within a minute of it


def test_a_shift_back_is_another_event_than_the_shift() -> None:
    shifts = [
        one.topic
        for before, after in itertools.pairwise([account(*WELL), account(*LOST), account(*WELL)])
        for one in said.sayings(status(before, None), status(after, status(before, None)), after)
        if one.reason == "WeightsShifted"
    ]
    assert shifts == ["g5", "inf2"]


def test_what_is_said_again_after_six_minutes_is_a_new_event() -> None:
    memory, first = write(Memory(), [SAYING], NOW_S)
    memory, later = write(memory, [SAYING], NOW_S + said.SERIES_S)
    names = {one["metadata"]["name"] for one in (*first.created, *later.created)}
    assert len(names) == 2


def test_an_event_is_as_the_api_server_takes_it() -> None:
    _, writes = write(Memory(), [replace(SAYING, note="é" * 2000)], 1_795_000_000.25)
    event = writes.created[0]
    assert event["eventTime"] == "2026-11-18T11:06:40.250000Z"  # six decimals, or it is refused
    assert len(event["note"].encode()) == 1023  # 1024 bytes at most, and an é has two
    assert event["metadata"]["namespace"] == event["regarding"]["namespace"]
    assert re.fullmatch(r"sd21\.[0-9a-f]{16}", event["metadata"]["name"])
    assert event["type"] == "Warning"


def test_a_flood_is_bounded_and_counted() -> None:
    memory, written = Memory(), 0
    for n in range(100):
        memory, writes = write(memory, [replace(SAYING, topic=str(n))], NOW_S + n)
        written += len(writes.created)
    assert (written, memory.unsaid) == (said.MOST, 100 - said.MOST)
    _, later = write(memory, [replace(SAYING, topic="late")], NOW_S + 100 + said.WITHIN_S)
    assert len(later.created) == 1


@given(st.lists(st.tuples(st.floats(0, 200), st.sampled_from("abc")), max_size=60))
def test_every_saying_is_counted_in_the_end_and_names_differ(gaps: list[tuple[float, str]]) -> None:
    memory, now_s, counts, names = Memory(), NOW_S, dict[str, int](), list[str]()
    for gap_s, topic in [*gaps, *[(said.SERIES_EVERY_S + 1, "")] * 2]:
        now_s += gap_s
        again = write(memory, [replace(SAYING, topic=topic)] if topic else [], now_s)
        assert again == write(memory, [replace(SAYING, topic=topic)] if topic else [], now_s)
        memory, writes = again
        names += [one["metadata"]["name"] for one in writes.created]
        counts |= dict.fromkeys(names[-len(writes.created) :], 1) if writes.created else {}
        counts |= {name: patch["series"]["count"] for name, patch in writes.patched.items()}
    assert len(set(names)) == len(names)
    assert sum(counts.values()) + memory.unsaid == len(gaps)


def test_every_word_has_a_telling() -> None:
    assert set(TELLINGS) == set(Word)
    assert shortage("inf2").holds(NOW_S)
