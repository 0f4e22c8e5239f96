"""A small OpenAI-shaped server for the client's tests, with every way to misbehave.

    python stand_in.py PORT_FILE MODE SERVICE_S

One request is served at a time (a batch of one), in SERVICE_S. MODE: ok, stream, http500, cut (stops in mid-stream),
reset (closes before answering), malformed, reject (429), die (exits after 20 requests),
strict (refuses fields that are not OpenAI's), unary (never streams), close (ends an answer by closing),
tired (fifty times as slow after 5 requests).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

SERVED = 0
LOCK = asyncio.Lock()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: str, service_s: float) -> None:
    global SERVED
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method = head.split(" ", 1)[0]
            length = next(
                (
                    int(v)
                    for k, _, v in (li.partition(":") for li in head.splitlines())
                    if k.lower() == "content-length"
                ),
                0,
            )
            body = await reader.readexactly(length)
            if method == "GET":
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                continue
            SERVED += 1
            if mode == "die" and SERVED > 20:
                os._exit(1)
            tired = mode == "tired" and SERVED > 5
            async with LOCK:
                await asyncio.sleep(service_s * (50 if tired else 1))
            if not await reply(writer, mode, json.loads(body)):
                break
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def reply(writer: asyncio.StreamWriter, mode: str, asked: dict[str, object]) -> bool:
    if mode == "reset":
        return False
    if mode == "strict" and "ignore_eos" in asked:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}")
        return True
    if mode == "close":
        writer.write(b'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{"data": [{"b64_json": "AA=="}]}')
        return False
    if mode in ("http500", "reject"):
        status = "500 Internal Server Error" if mode == "http500" else "429 Too Many Requests"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        return True
    if asked.get("stream") and mode != "unary":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        tokens = int(str(asked["max_tokens"]))
        for n in range(tokens):
            if mode == "cut" and n == tokens // 2:
                await writer.drain()
                return False
            send(writer, {"choices": [{"text": f" t{n}"}]})
            await asyncio.sleep(0)
        send(writer, {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": tokens}})
        chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        return True
    whole = (
        b'{"oops": 1}'
        if mode == "malformed"
        else json.dumps({"data": [{"b64_json": "AA=="}], "choices": [{"text": "x"}]}).encode()
    )
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole
    )
    return True


def send(writer: asyncio.StreamWriter, event: dict[str, object]) -> None:
    chunk(writer, b"data: " + json.dumps(event).encode() + b"\n\n")


def chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n" % len(data) + data + b"\r\n")


async def main() -> None:
    port_file, mode, service_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    server = await asyncio.start_server(lambda r, w: answer(r, w, mode, service_s), "127.0.0.1", 0)
    partial = port_file.with_suffix(".part")
    partial.write_text(str(server.sockets[0].getsockname()[1]))
    partial.rename(port_file)
    async with asyncio.timeout(120):
        await server.serve_forever()


asyncio.run(main())
