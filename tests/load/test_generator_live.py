"""The generator against a server of the test's own loop: what is sent when, and what is told of it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable, Coroutine, Iterator

import numpy as np
import pytest
import uvloop

from holdfast.load.agenda import Agenda
from holdfast.load.answers import Answer
from holdfast.load.connection import Connection
from holdfast.load.generator import Generator
from holdfast.load.http import Exchange
from holdfast.load.nap import CROWD
from holdfast.load.prompts import Ask
from holdfast.load.recorder import Recorder
from holdfast.load.stalls import collector_off
from holdfast.model.fleet import Api, TokenLengths, Workload
from holdfast.model.records import Floats, Outcome, RequestTable
from load.raw_server import CLOSING, HEAD, TOKEN, WHOLE, Reply, connected, serving

TEXT = Workload(api=Api.COMPLETIONS, input_tokens=TokenLengths(mean=3), output_tokens=TokenLengths(mean=5))


def after(seconds: float, seen: list[bytes] | None = None) -> Reply:
    """Answers after a while; keeps the bodies that it was asked."""

    async def reply(writer: asyncio.StreamWriter, body: bytes) -> None:
        if seen is not None:
            seen.append(body)
        await asyncio.sleep(seconds)
        writer.write(WHOLE)

    return reply


def ran(
    reply: Reply,
    work: Callable[[Generator], Coroutine[None, None, None]],
    asks: Iterator[Ask] | None = None,
    timeout_s: float = 5,
) -> tuple[RequestTable, Generator]:
    """What a generator recorded while it did some work, and the generator."""

    async def run() -> tuple[RequestTable, Generator]:
        async with serving(reply) as server, connected(server.url, timeout_s) as client:
            recorder = Recorder(time.perf_counter())
            generator = Generator(client, TEXT, "m", recorder, asks=asks)
            async with asyncio.timeout(30):
                await work(generator)
            return recorder.table(), generator

    return uvloop.run(run())


def evenly(count: int, gap_s: float) -> Floats:
    """Times from 0 on, this far apart."""
    return np.arange(count, dtype=np.float64) * np.float64(gap_s)


def numbered() -> Iterator[Ask]:
    """Asks that carry their number as the length that they ask for."""
    return (Ask(b'{"n": %d}' % n, n, 5) for n in itertools.count())


def test_the_agenda_keeps_order_and_time() -> None:
    async def run() -> None:
        agenda, start_s, seen = Agenda(), time.perf_counter(), list[tuple[float, float]]()
        for offset_s in (0.03, 0.01, 0.02, 0.01, -1.0):
            agenda.at(start_s + offset_s, lambda due_s: seen.append((due_s - start_s, time.perf_counter() - start_s)))
        await asyncio.sleep(0.2)
        assert [round(due_s, 3) for due_s, _ in seen] == [-1.0, 0.01, 0.01, 0.02, 0.03]
        assert all(at_s >= due_s for due_s, at_s in seen)
        agenda.at(time.perf_counter() + 0.01, lambda _: seen.append((9, 9)))
        agenda.close()
        await asyncio.sleep(0.05)
        assert len(seen) == 5

    uvloop.run(run())
    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the loop's timers have to do")
def test_sends_are_on_time_to_a_fraction_of_a_millisecond() -> None:
    times_s = evenly(300, 0.00331)
    table, _ = ran(after(0), lambda generator: generator.offer(times_s, stage=0, patience_s=5))
    assert np.all(table.lag_s >= 0)
    # The median: a machine that stalls delays some.
    assert np.median(table.lag_s) < 0.0005


def test_a_trace_is_sent_in_its_order_at_its_times() -> None:
    times_s = np.array([0.0, 0.0, 0.01, 0.05, 0.05])
    table, _ = ran(after(0), lambda generator: generator.offer(times_s, stage=0, patience_s=5, asks=numbered()))
    table = table.take(np.argsort(table.sent_s))
    assert table.tokens_in_asked.tolist() == [0, 1, 2, 3, 4]
    assert table.intended_s - table.intended_s[0] == pytest.approx(times_s)


def test_a_source_that_ends_before_the_times_ends_the_level() -> None:
    three = itertools.islice(numbered(), 3)
    table, _ = ran(after(0), lambda generator: generator.offer(evenly(9, 0.01), stage=0, patience_s=5), three)
    assert len(table) == 3
    three = itertools.islice(numbered(), 3)
    table, _ = ran(
        after(0), lambda generator: generator.hold(2, duration_s=5, stage=0, patience_s=5, stagger_s=0), three
    )
    assert len(table) == 3


def test_what_a_bound_on_requests_in_flight_holds_back_counts_from_its_intended_start() -> None:
    times_s = evenly(8, 0.001)
    table, generator = ran(
        after(0.1), lambda generator: generator.offer(times_s, stage=0, patience_s=5, max_in_flight=2)
    )
    assert table.ok.all()
    assert generator.held == 6
    assert generator.held_s == pytest.approx(np.sort(table.lag_s)[-6:].sum(), rel=0.05)
    table = table.take(np.argsort(table.intended_s))
    assert np.all(np.diff(table.sent_s) >= 0)  # first come, first served
    assert table.latency_s[-1] > 0.35
    starts_and_ends = sorted([(s, 1) for s in table.sent_s] + [(e, -1) for e in table.end_s])
    assert max(itertools.accumulate(change for _, change in starts_and_ends)) <= 2


def test_what_is_held_back_when_patience_ends_is_recorded_as_cancelled() -> None:
    table, generator = ran(
        after(0.4), lambda generator: generator.offer(np.zeros(3), stage=0, patience_s=0.1, max_in_flight=1)
    )
    assert table.outcome.tolist() == [Outcome.CANCELLED] * 3
    assert generator.held == 2


def test_users_think_between_an_answer_and_the_next_request() -> None:
    table, _ = ran(
        after(0.02), lambda generator: generator.hold(1, duration_s=5, requests=4, stage=0, patience_s=5, think_s=0.1)
    )
    assert table.intended_s[1:] - table.end_s[:-1] == pytest.approx(0.1)
    assert np.all(table.lag_s >= 0)


def test_users_who_do_not_think_send_when_they_have_read_the_answer() -> None:
    table, _ = ran(after(0.01), lambda generator: generator.hold(1, duration_s=5, requests=9, stage=0, patience_s=5))
    assert np.all(table.intended_s[1:] >= table.end_s[:-1])
    assert np.median(table.intended_s[1:] - table.end_s[:-1]) < 0.005


def test_users_start_one_after_another() -> None:
    table, _ = ran(
        after(0.5), lambda generator: generator.hold(4, duration_s=5, requests=4, stage=0, patience_s=5, stagger_s=0.4)
    )
    assert np.diff(np.sort(table.intended_s)) == pytest.approx(0.1, abs=1e-6)


def conversation(turns: int) -> Iterator[Ask]:
    """One conversation, whose turns carry what was said before; then nothing."""

    def turn(left: int, said: str) -> Ask:
        body = json.dumps({"said": said}).encode()
        return Ask(body, left, 5, (lambda text: turn(left - 1, said + text)) if left > 1 else None)

    return iter([turn(turns, "")])


def test_a_conversation_goes_on_with_what_was_said() -> None:
    seen: list[bytes] = []
    table, _ = ran(
        after(0, seen),
        lambda generator: generator.hold(1, duration_s=5, requests=9, stage=0, patience_s=5, think_s=0.05),
        conversation(3),
    )
    assert [json.loads(body)["said"] for body in seen] == ["", "xxxxx", "xxxxxxxxxx"]
    assert table.intended_s[1:] - table.end_s[:-1] == pytest.approx(0.05)


def test_a_conversation_in_an_open_loop_goes_on_beside_the_schedule_until_its_end() -> None:
    seen: list[bytes] = []
    table, _ = ran(
        after(0, seen),
        lambda generator: generator.offer(np.zeros(1), stage=0, patience_s=5, think_s=0.05, talk_s=2.0),
        conversation(3),
    )
    assert len(seen) == 3
    assert table.intended_s[1:] - table.end_s[:-1] == pytest.approx(0.05)
    table, _ = ran(
        after(0),
        lambda generator: generator.offer(np.zeros(1), stage=0, patience_s=5, think_s=0.05),
        conversation(3),
    )
    assert len(table) == 1


def test_a_crowd_of_streams_is_read_together_and_timed_apart() -> None:
    gap_s = 0.02

    async def slowly(writer: asyncio.StreamWriter, _: bytes) -> None:
        for piece in (HEAD, *[b"%x\r\n%b\r\n" % (len(TOKEN), TOKEN)] * 5, WHOLE[WHOLE.rindex(CLOSING) - 4 :]):
            writer.write(piece)
            await asyncio.sleep(gap_s)

    crowd = CROWD + 16
    table, _ = ran(
        slowly, lambda generator: generator.hold(crowd, duration_s=5, requests=2 * crowd, stage=0, patience_s=5)
    )
    assert table.ok.all()
    assert table.chunks.tolist() == [5] * 2 * crowd
    # A server in Python falls behind its own gaps, and never runs ahead of them.
    assert np.all(table.itl_s > 0.9 * gap_s)


def test_a_loop_that_was_blocked_is_told() -> None:
    async def work(generator: Generator) -> None:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 0.2)
        await generator.offer(np.array([0.4]), stage=0, patience_s=5)

    _, generator = ran(after(0), work)
    assert generator.stalls.count >= 1
    assert generator.stalls.worst_s > 0.15
    assert generator.stalls.total_s >= generator.stalls.worst_s
    generator.reset()
    assert generator.stalls.count == 0


def test_the_collector_is_off_while_load_is_sent_and_on_again_after_it() -> None:
    seen = []

    async def work(generator: Generator) -> None:
        asyncio.get_running_loop().call_later(0.05, lambda: seen.append(gc.isenabled()))
        await generator.offer(np.array([0.1]), stage=0, patience_s=5)

    ran(after(0), work)
    assert seen == [False]
    assert gc.isenabled()
    with collector_off(), collector_off():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_requests_and_connections_leave_no_cycles_for_the_collector() -> None:
    left: list[object] = []

    async def closes(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(WHOLE)
        await writer.drain()
        writer.close()

    async def work(generator: Generator) -> None:
        await generator.hold(1, duration_s=5, requests=2, stage=0, patience_s=5)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await generator.hold(2, duration_s=5, requests=20, stage=0, patience_s=5, stagger_s=0)
            gc.collect()
            left.extend(type(thing) for thing in gc.garbage if isinstance(thing, Exchange | Answer | Connection))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    ran(closes, work)
    assert left == []


def test_an_interrupted_level_sends_nothing_more() -> None:
    seen: list[bytes] = []

    async def work(generator: Generator) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await generator.hold(3, duration_s=5, stage=0, patience_s=5)

    table, _ = ran(after(0.01, seen), work)
    assert len(table) <= len(seen)  # the last ones are cancelled when the client closes
