"""How many tokens the emulated accelerator streams per second of one core, beside a plain server of events.

    python benchmarks/emulator.py [STREAMS] [ROUNDS]

Each server runs in a process of its own and is asked for STREAMS (256) streams at a time of 400 tokens, ROUNDS (3)
times over, by an epoll loop that counts `data:` and keeps nothing. Tokens over CPU seconds (user and system) of the
server's process is what one core can do; tokens over wall seconds is what it did here, beside what else ran here.

    holdfast        `holdfast emulate`: an engine that steps 256 sequences every 4 ms, each token an event of its own
    uvicorn         a Starlette StreamingResponse on uvloop and httptools, no engine: an event per stream every 4 ms
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOKENS = 400
STEP_S = 0.004
MODEL = "openai/gpt-oss-20b"
UNIT = "gpt-oss-20b-g5-12xlarge"
LIMIT_S = 120.0

_PLAIN = f"""
import asyncio, json, socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

EVENT = ("data: " + json.dumps({{"id": "cmpl-0", "object": "text_completion", "created": 0, "model": {MODEL!r},
    "choices": [{{"index": 0, "text": " kelp", "logprobs": None, "finish_reason": None}}]}}) + "\\n\\n").encode()

async def events(count):
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    for _ in range(count):
        due_s += {STEP_S}
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        yield EVENT
    yield b"data: [DONE]\\n\\n"

async def answer(request):
    return StreamingResponse(events((await request.json())["max_tokens"]), media_type="text/event-stream")

listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(json.dumps({{"url": "http://127.0.0.1:%d" % listener.getsockname()[1]}}), flush=True)
app = Starlette(routes=[Route("/v1/completions", answer, methods=["POST"])])
server = uvicorn.Server(uvicorn.Config(app, http="httptools", loop="uvloop", access_log=False, log_level="warning"))
server.run(sockets=[listener])
"""


@dataclass(frozen=True)
class Streamed:
    """What one server did: tokens that came, the CPU that took, and how long."""

    tokens: int
    cpu_s: float
    wall_s: float


@contextlib.contextmanager
def served(command: list[str]) -> Iterator[tuple[int, int]]:
    """Process id and port of a server that says its URL in a line of JSON."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(json.loads(process.stdout.readline())["url"].rsplit(":", 1)[1])
        finally:
            process.kill()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stream(port: int, streams: int) -> int:
    """Ask for so many streams at once and read them to their ends; the tokens that came."""
    body = json.dumps(
        {"model": MODEL, "prompt": list(range(1, 21)), "max_tokens": TOKENS, "ignore_eos": True, "stream": True}
    )
    head = f"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    poll = select.epoll()
    open_ = {}
    for _ in range(streams):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(f"{head}\r\n\r\n{body}".encode())
        poll.register(client, select.EPOLLIN)
        open_[client.fileno()] = client
    tokens, until_s = 0, time.monotonic() + LIMIT_S
    while open_ and time.monotonic() < until_s:
        for number, _ in poll.poll(1.0):
            data = open_[number].recv(65536)
            tokens += data.count(b"data: {")
            if b"[DONE]" in data or not data:
                open_.pop(number).close()
    return tokens


def measure(command: list[str], streams: int, rounds: int, ready_s: float) -> Streamed:
    with served(command) as (pid, port):
        time.sleep(ready_s)
        stream(port, streams)
        before_s, began_s = cpu_s(pid), time.monotonic()
        tokens = sum(stream(port, streams) for _ in range(rounds))
        return Streamed(tokens, cpu_s(pid) - before_s, time.monotonic() - began_s)


def main(streams: int, rounds: int) -> None:
    # At 256 sequences a step of this unit takes 92.5 ms.
    scale = (0.011818 + 0.0003152 * streams) / STEP_S
    emulate = "from holdfast.cli.emulate import emulate; emulate()"
    ours = ["-c", emulate, UNIT, "--time-scale", f"{scale:g}", "--cold-start", "1ms"]
    print(f"{'server':10} {'tokens':>9} {'CPU s':>7} {'wall s':>7} {'tokens/s of a core':>19} {'tokens/s here':>14}")
    for name, command in (("holdfast", ours), ("uvicorn", ["-c", _PLAIN])):
        did = measure(command, streams, rounds, 1.0)
        row = f"{did.tokens:9,} {did.cpu_s:7.2f} {did.wall_s:7.2f} {did.tokens / did.cpu_s:19,.0f}"
        print(f"{name:10} {row} {did.tokens / did.wall_s:14,.0f}")
        assert did.tokens == streams * rounds * TOKENS, "a token was lost"


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [256, 3][len(given) :]))
