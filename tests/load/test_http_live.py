"""The client against servers on this machine: what is reused, what is told, when things arrived."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from holdfast.load.answers import Answer
from holdfast.load.http import Exchange
from holdfast.model.records import Outcome
from load.raw_server import HEAD, UNARY, WHOLE, ask, connected, says, serving


def open_files() -> int:
    """Descriptors of this process, where the system tells."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.exists() else 0


LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    """Runs a coroutine on a loop of either kind, within a bound, and looks that nothing is left of it."""

    def bounded(work: Awaitable[None]) -> None:
        async def whole() -> None:
            async with asyncio.timeout(30):
                await work
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left:
                await asyncio.wait(left, timeout=5)  # the server's side of connections that were just closed
            assert not asyncio.all_tasks() - {asyncio.current_task()}

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())

    return bounded


def test_a_connection_is_used_again_and_one_that_was_closed_meanwhile_is_not(run: Callable[..., None]) -> None:
    async def work() -> None:
        async with serving(says(WHOLE)) as server, connected(server.url) as client:
            for _ in range(3):
                assert (await ask(client)).outcome is Outcome.OK
            assert (client.opened, server.accepted) == (1, 1)
            await server.kill()
            await server.start()
            assert (await ask(client)).outcome is Outcome.OK
            assert client.opened == 2

    run(work())


def test_a_request_written_into_a_closed_connection_that_nobody_looked_at_goes_to_a_new_one() -> None:
    async def work() -> None:
        async with serving(says(WHOLE)) as server, connected(server.url) as client:
            await ask(client)
            server.hang_up()
            # No turn of the loop lies between: the end has arrived, and nobody has read it.
            assert (await ask(client)).outcome is Outcome.OK
            assert client.opened == 2

    asyncio.run(work())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what it receives")
def test_arrival_is_the_kernels_time_however_late_the_loop_reads(run: Callable[..., None]) -> None:
    async def work() -> None:
        async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
            writer.write(WHOLE)
            await writer.drain()
            written_s.append(time.perf_counter())
            time.sleep(0.3)  # noqa: ASYNC251  # blocks the loop that the client lives on too

        async with serving(reply) as server, connected(server.url) as client:
            written_s: list[float] = []
            await ask(client)  # a kernel that stamped for nobody begins to a moment after the first socket asks for it
            ended = await ask(client)
            assert ended.outcome is Outcome.OK
            assert ended.end_s - written_s[1] < 0.15
            assert abs(ended.answer.first_token_s - written_s[1]) < 0.15

    run(work())


def test_a_body_that_the_socket_does_not_take_at_once_is_sent_whole(run: Callable[..., None]) -> None:
    async def work() -> None:
        seen: list[int] = []

        async def reply(writer: asyncio.StreamWriter, body: bytes) -> None:
            seen.append(len(body))
            writer.write(UNARY)

        async with serving(reply) as server, connected(server.url) as client:
            done = asyncio.get_running_loop().create_future()
            payload = client.target.request("POST", "/", b"x" * 8_000_000)
            client.send(Exchange(payload, Answer(streams=False), done.set_result))
            assert (await done).outcome is Outcome.OK
            assert seen == [8_000_000]

    run(work())


@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_answer_in_pieces_is_the_same_answer(run: Callable[..., None], size: int) -> None:
    async def work() -> None:
        pieces = [WHOLE[start : start + size] for start in range(0, len(WHOLE), size)]
        async with serving(says(*pieces)) as server, connected(server.url) as client:
            ended = await ask(client)
            assert (ended.outcome, ended.answer.chunks, ended.answer.tokens_out) == (Outcome.OK, 5, 5)

    run(work())


def test_a_100_continue_is_no_response_and_what_comes_behind_one_ends_the_connection(run: Callable[..., None]) -> None:
    async def work() -> None:
        async with serving(says(b"HTTP/1.1 100 Continue\r\n\r\n" + UNARY)) as server, connected(server.url) as client:
            assert (await ask(client, streams=False)).outcome is Outcome.OK
            assert (await ask(client, streams=False)).outcome is Outcome.OK
            assert client.opened == 1
        async with serving(says(UNARY + UNARY)) as server, connected(server.url) as client:
            assert (await ask(client, streams=False)).outcome is Outcome.OK
            assert (await ask(client, streams=False)).outcome is Outcome.OK
            assert client.opened == 2

    run(work())


def test_any_body_will_do_where_the_api_is_not_known(run: Callable[..., None]) -> None:
    async def work() -> None:
        plain = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"
        empty = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        events = HEAD.replace(b"transfer-encoding: chunked\r\n", b"") + b'data: {"x": 1}\n\ndata: {"x": 2}\n\n'
        for said, outcome, chunks in ((plain, Outcome.OK, 1), (empty, Outcome.MALFORMED, 0), (events, Outcome.OK, 2)):

            async def reply(writer: asyncio.StreamWriter, _: bytes, said: bytes = said) -> None:
                writer.write(said)
                await writer.drain()
                writer.close()

            async with serving(reply) as server, connected(server.url) as client:
                ended = await ask(client, answer=Answer(streams=False, anything=True))
                assert (ended.outcome, ended.answer.chunks) == (outcome, chunks)

    run(work())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_address_of_a_name_is_tried(run: Callable[..., None], host: str) -> None:
    if not any(found[4][0] == host for found in socket.getaddrinfo("localhost", 1)):
        pytest.skip(f"localhost is not {host} here")

    async def work() -> None:
        async with serving(says(WHOLE), host=host) as server, connected(f"http://localhost:{server.port}") as client:
            assert (await ask(client)).outcome is Outcome.OK

    run(work())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(["openssl", *command.split(), *names], check=True, capture_output=True, timeout=30)
    both = folder / "both.pem"
    both.write_text((folder / "key").read_text() + (folder / "cert").read_text())
    return both


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_tls_carries_streams_and_is_used_again(
    run: Callable[..., None], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def work() -> None:
        answer = says(HEAD, WHOLE[len(HEAD) :])
        async with serving(answer, tls(certificate)) as server, connected(server.url) as client:
            for _ in range(3):
                ended = await ask(client)
                assert (ended.outcome, ended.error, ended.answer.chunks) == (Outcome.OK, "", 5)
            assert client.opened == 1
            large = client.target.request("POST", "/", b"x" * 3_000_000)
            done = asyncio.get_running_loop().create_future()
            client.send(Exchange(large, Answer(streams=True), done.set_result))
            assert (await done).outcome is Outcome.OK

    run(work())


def test_a_certificate_that_is_not_trusted_is_a_clear_sentence(run: Callable[..., None], certificate: Path) -> None:
    async def work() -> None:
        async with serving(says(WHOLE), tls(certificate)) as server, connected(server.url) as client:
            ended = await ask(client)
            assert ended.outcome is Outcome.CONNECT
            assert ended.error == "the server's certificate is not trusted: self-signed certificate"

    run(work())


def test_tls_to_a_port_that_does_not_speak_it_is_a_failed_connection(run: Callable[..., None]) -> None:
    async def work() -> None:
        async def reply(writer: asyncio.StreamWriter, _: bytes) -> None:
            raise AssertionError("no request can be read from a TLS greeting")

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server, connected(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            ended = await ask(client)
            assert ended.outcome is Outcome.CONNECT
            assert ended.error == "the TLS handshake failed: wrong version number"

    run(work())


def test_closing_the_client_ends_what_is_in_flight_and_what_is_connecting(run: Callable[..., None]) -> None:
    async def work() -> None:
        ended: list[Exchange] = []

        async def never(_: asyncio.StreamWriter, __: bytes) -> None:
            await asyncio.sleep(0.5)

        async with serving(never) as server:
            before = open_files()
            async with connected(server.url) as client:
                client.send(Exchange(client.target.request("POST", "/", b"{}"), Answer(streams=True), ended.append))
                await asyncio.sleep(0.05)
                client.send(Exchange(client.target.request("POST", "/", b"{}"), Answer(streams=True), ended.append))
            assert [exchange.outcome for exchange in ended] == [Outcome.CANCELLED] * 2
            await server.kill()
            assert open_files() <= before

    run(work())


def test_a_get_that_is_not_answered_is_given_up(run: Callable[..., None]) -> None:
    async def work() -> None:
        async def never(_: asyncio.StreamWriter, __: bytes) -> None:
            await asyncio.sleep(0.3)

        async with serving(never) as server, connected(server.url, timeout_s=0.1) as client:
            assert await client.get("/metrics") == (0, b"")

    run(work())
