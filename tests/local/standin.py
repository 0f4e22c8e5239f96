"""A unit in a few lines: says where it listens, tells whether it is ready, answers after a delay or by a stream."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path


class Unit:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.busy = 0
        self.requests = 0
        self.quiet = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((line.split(":")[1] for line in head.split("\r\n") if "content-length:" in line), "0")
                await reader.readexactly(int(length))
                self.busy += 1
                try:
                    await self.answer(head.split()[1], writer)
                finally:
                    self.busy -= 1
                    self.quiet.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path == self.options.readiness:
            self.write(writer, 503 if self.unready() else 200, {})
            return
        self.requests += 1
        if path == "/stream":
            await self.stream(writer)
            return
        await asyncio.sleep(self.options.delay_s)
        self.write(writer, self.options.status, {"pid": os.getpid(), "requests": self.requests})

    def unready(self) -> bool:
        return bool(self.options.unready) and Path(self.options.unready).exists()

    async def stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(20):
            writer.write(b"5\r\ntoken\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(b"0\r\n\r\n")

    def write(self, writer: asyncio.StreamWriter, status: int, content: dict[str, int]) -> None:
        body = json.dumps(content).encode()
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)


async def main(options: argparse.Namespace) -> None:
    unit = Unit(options)
    server = await asyncio.start_server(unit.serve, "127.0.0.1", options.port)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write("a line that is no announcement\n")
    if not options.port:
        sys.stdout.write(json.dumps({"event": "listening", "url": f"http://127.0.0.1:{port}"}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    server.close()
    while unit.busy:
        unit.quiet.clear()
        await unit.quiet.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--unready", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--readiness", default="/readiness")
    parser.add_argument("--deaf", action="store_true")
    asyncio.run(main(parser.parse_args()))
