"""Every way for a server, or the way to it, to fail ends in an outcome that is true, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine

import numpy as np
import pytest
import uvloop

from holdfast.load.generator import Generator
from holdfast.load.http import Client, Target
from holdfast.load.recorder import Recorder
from holdfast.model.fleet import Api, TokenLengths, Workload
from holdfast.model.records import Outcome, RequestTable
from load.raw_server import CLOSING, HEAD, TOKEN, WHOLE, Reply, ask, connected, says, serving

TEXT = Workload(api=Api.COMPLETIONS, input_tokens=TokenLengths(mean=3), output_tokens=TokenLengths(mean=5))
PROMISED = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"


def bounded(work: Coroutine[None, None, None]) -> None:
    """Runs it on the production loop; a task that it leaves behind is a failure."""

    async def whole() -> None:
        async with asyncio.timeout(30):
            await work
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=5)
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    uvloop.run(whole())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def then_closes(*pieces: bytes) -> Reply:
    async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()

    return reply


FAULTS = {
    "closed before an answer": (then_closes(), Outcome.RESET, "closed by the server"),
    "closed in the head": (then_closes(b"HTTP/1.1 200"), Outcome.TRUNCATED, "closed by the server"),
    "half a body": (then_closes(PROMISED, b"{"), Outcome.TRUNCATED, "closed by the server"),
    "half a stream": (then_closes(HEAD, chunk(TOKEN)), Outcome.TRUNCATED, "closed by the server"),
    "half an event": (then_closes(HEAD, chunk(TOKEN), b"25\r\ndata: {"), Outcome.TRUNCATED, "closed by the server"),
    "a stream without its end": (says(HEAD, chunk(TOKEN), b"0\r\n\r\n"), Outcome.TRUNCATED, ""),
    "a stream that says nothing": (says(HEAD, chunk(CLOSING), b"0\r\n\r\n"), Outcome.MALFORMED, ""),
    "events that are no JSON": (says(HEAD, chunk(b"data: {{{\n\n"), b"0\r\n\r\n"), Outcome.MALFORMED, ""),
    "nothing but brackets": (says(HEAD, chunk(b"data: " + b"[" * 9999 + b"\n\n"), b"0\r\n\r\n"), Outcome.MALFORMED, ""),
    "no HTTP at all": (says(b"220 mail.example.com ESMTP\r\n"), Outcome.MALFORMED, "the answer is not http/1.1"),
    "a chunk size that is none": (says(HEAD, b"zz\r\n"), Outcome.MALFORMED, "the answer is not http/1.1"),
    "another protocol": (
        says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        Outcome.MALFORMED,
        "the answer is not http/1.1",
    ),
    "an error with a status": (says(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"), Outcome.HTTP_ERROR, ""),
    "an error in mid-stream": (
        says(HEAD, chunk(TOKEN), chunk(b'data: {"error": {"message": "x"}}\n\ndata: [DONE]\n\n'), b"0\r\n\r\n"),
        Outcome.TRUNCATED,
        "",
    ),
    "huge headers": (
        says(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n" + WHOLE.partition(b"\r\n")[2]),
        Outcome.OK,
        "",
    ),
    "one byte at a time": (says(*(WHOLE[n : n + 1] for n in range(len(WHOLE)))), Outcome.OK, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_as_what_it_is(fault: str) -> None:
    reply, outcome, error = FAULTS[fault]

    async def work() -> None:
        async with serving(reply) as server, connected(server.url) as client:
            for _ in range(2):  # and the next request is not spoilt by it
                ended = await ask(client)
                assert ended.outcome is outcome
                assert ended.error.startswith(error)
                assert ended.end_s >= ended.sent_s

    bounded(work())


def test_what_came_of_a_stream_before_it_broke_is_counted() -> None:
    async def work() -> None:
        async with serving(then_closes(HEAD, chunk(TOKEN) * 3)) as server, connected(server.url) as client:
            ended = await ask(client)
            assert (ended.outcome, ended.answer.chunks, len(ended.answer.times_s)) == (Outcome.TRUNCATED, 3, 3)

    bounded(work())


def test_a_stall_ends_at_the_time_out() -> None:
    async def stalls(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(HEAD + chunk(TOKEN))
        await asyncio.sleep(1.5)

    async def work() -> None:
        async with serving(stalls) as server, connected(server.url, timeout_s=0.5) as client:
            ended = await ask(client)
            assert (ended.outcome, ended.error) == (Outcome.TIMEOUT, "timed out")
            assert 0.5 <= ended.end_s - ended.sent_s < 1.4
            assert ended.answer.chunks == 1

    bounded(work())


def test_a_name_that_does_not_resolve_is_a_failed_connection_with_its_reason() -> None:
    async def work() -> None:
        async with connected("http://no-such-host.invalid:80") as client:
            ended = await ask(client)
            assert ended.outcome is Outcome.CONNECT
            assert "name" in ended.error

    bounded(work())


def test_a_port_where_nobody_listens_is_a_refused_connection() -> None:
    async def work() -> None:
        async with connected("http://127.0.0.1:9") as client:
            ended = await ask(client)
            assert (ended.outcome, ended.error) == (Outcome.CONNECT, "connection refused")

    bounded(work())


async def load(client: Client, coroutine: str, *arguments: object, **options: object) -> RequestTable:
    recorder = Recorder(time.perf_counter())
    generator = Generator(client, TEXT, "m", recorder)
    await getattr(generator, coroutine)(*arguments, stage=0, patience_s=5, **options)
    return recorder.table()


def test_a_server_that_dies_and_comes_back_is_measured_again() -> None:
    async def slowly(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(0.01)
        writer.write(WHOLE)

    async def work() -> None:
        async with serving(slowly) as server, connected(server.url) as client:

            async def outage() -> None:
                await asyncio.sleep(0.5)
                await server.kill()
                await asyncio.sleep(0.5)
                await server.start()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(outage(), name="outage")
                loaded = tasks.create_task(load(client, "offer", np.arange(0, 2, 0.01)), name="load")
            table = loaded.result()
            assert len(table) == 200
            assert set(table.outcome) <= {Outcome.OK, Outcome.CONNECT, Outcome.RESET, Outcome.TRUNCATED}
            down = (table.intended_s > 0.7) & (table.intended_s < 0.9)
            assert not table.ok[down].any()
            assert table.ok[table.intended_s < 0.3].all()
            assert table.ok[table.intended_s > 1.7].all()

    bounded(work())


def busy(retry_after: bytes) -> Reply:
    """Sheds every other request."""
    turn = itertools.count()

    async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
        if next(turn) % 2:
            writer.write(WHOLE)
        else:
            writer.write(b"HTTP/1.1 429 X\r\nretry-after: " + retry_after + b"\r\ncontent-length: 0\r\n\r\n")

    return reply


def test_a_user_who_is_told_to_come_back_later_does() -> None:
    async def work() -> None:
        async with serving(busy(b"1")) as server, connected(server.url) as client:
            table = await load(client, "hold", 1, duration_s=5, requests=2)
            assert table.outcome.tolist() == [Outcome.REJECTED, Outcome.OK]
            assert table.intended_s[1] - table.end_s[0] == pytest.approx(1.0)

    bounded(work())


def test_an_open_loop_does_not_come_back_later_as_that_would_hide_load() -> None:
    async def work() -> None:
        async with serving(busy(b"30")) as server, connected(server.url) as client:
            table = await load(client, "offer", np.arange(0, 0.5, 0.05))
            assert len(table) == 10
            assert np.all(table.lag_s < 0.4)

    bounded(work())


@pytest.mark.parametrize("reply", ["refused", "reset"])
def test_users_do_not_spin_on_a_server_that_is_gone(reply: str) -> None:
    async def work() -> None:
        async with serving(then_closes()) as server:
            url = server.url if reply == "reset" else "http://127.0.0.1:9"
            client = Client(Target.parse(url), timeout_s=5)
            table = await load(client, "hold", 2, duration_s=0.5)
            assert 2 <= len(table) <= 24
            await client.close()

    bounded(work())
