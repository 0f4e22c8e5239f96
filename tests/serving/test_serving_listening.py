"""What a connection may cost a server that never gets a whole request on it."""

from __future__ import annotations

import asyncio
import socket

from starlette.responses import PlainTextResponse

from holdfast.serving import listening


class Hasty(listening.Connection):
    head_s = 0.1
    most_unread_bytes = 1000


def talk(*parts: bytes) -> bytes:
    """All that the server answers to these, sent one by one, until it closes the connection."""

    async def spoken() -> bytes:
        listener = listening.bind("127.0.0.1", 0)
        config = listening.config(PlainTextResponse("alive"), certificate=None, key=None, connection=Hasty)
        config.timeout_keep_alive = 1
        up = asyncio.Event()
        server = listening.Listener(config, up.set, lambda: None)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server._serve([listener]))
            await up.wait()
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            try:
                async with asyncio.timeout(5):
                    for part in parts:
                        writer.write(part)
                        await asyncio.sleep(0.02)
                    return await reader.read()
            except ConnectionError:
                return b"reset"
            finally:
                writer.close()
                server.should_exit = True
                await serving

    return asyncio.run(spoken())


HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n"


def test_a_head_that_does_not_end_is_not_waited_for() -> None:
    assert talk(HEAD) in (b"", b"reset")
    assert talk() in (b"", b"reset")


def test_nor_is_that_of_the_next_request() -> None:
    said = talk(HEAD + b"\r\n", HEAD)
    assert said == b"reset" or said.count(b"HTTP/1.1 200") == 1


def test_a_body_is_not_read_for_ever_once_it_is_answered() -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n"
    said = talk(head, *[b"a" * 400] * 5)
    assert said == b"reset" or said.count(b"HTTP/1.1 200") == 1


def test_a_url_says_where_a_socket_is_reached() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert listening.url(bound, secure=True) == f"https://127.0.0.1:{bound.getsockname()[1]}"
