"""Headless Chromium, driven over its debugging pipe: what a page shows, says on its console and asks for."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    # Only this machine is there: anything else that a page asks for fails, and is seen to.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Chromium reads from 3 and writes to 4, which may be taken by others of this process.
_WIRED = """
import fcntl, os, sys
to, by = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(to, 3), os.dup2(by, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE_S = 30.0
_QUIET_S = 0.5
_LOOK_S = 0.05


class Tab:
    """One page. complaints: what its console or its requests complained of; asked: all URLs that it asked for."""

    def __init__(self, to: int, by: int) -> None:
        self._to, self._by = to, by
        self._number = 0
        self._buffer = b""
        self._session: str | None = None
        self.complaints: list[str] = []
        self.asked: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self._call(f"{domain}.enable")

    def open(self, url: str, *, width: int = 1280, dark: bool = False) -> None:
        """Load a page as on a screen of that many CSS pixels."""
        phone = width < 600
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=url)
        self._settle()

    def _settle(self) -> None:
        """Wait until nothing more has been loaded for half a second: fields whose code is still to come lose what is
        written into them."""
        before, since_s = -1, time.monotonic()
        deadline_s = since_s + _PATIENCE_S
        while time.monotonic() < since_s + _QUIET_S:
            assert time.monotonic() < deadline_s, "the page goes on loading"
            if (loaded := self.value("performance.getEntriesByType('resource').length")) != before:
                before, since_s = loaded, time.monotonic()
            time.sleep(_LOOK_S)

    def value(self, script: str) -> Any:
        """What the JavaScript expression is."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until the expression is true, for it."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not (found := self.value(script)):
            assert time.monotonic() < deadline_s, f"never true: {script}; the page shows {self.text()!r}"
            time.sleep(0.05)
        return found

    def text(self) -> str:
        """All that is shown."""
        return str(self.value("document.body?.innerText ?? ''"))

    def shows(self, text: str) -> None:
        """Wait until that is among what is shown."""
        self.until(f"(document.body?.innerText ?? '').includes({json.dumps(text)})")

    def write(self, selector: str, text: str) -> None:
        """Type into a field as a person does."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        self.value(f"(field => {{ field.focus(); field.select(); }})(document.querySelector({json.dumps(selector)}))")
        self._call("Input.insertText", text=text)

    def press(self, button: str) -> None:
        named = f"[...document.querySelectorAll('button')].find(one => one.innerText.trim() === {json.dumps(button)})"
        self.until(f"!!({named})")
        self.value(f"({named}).click()")

    def send_file(self, path: Path) -> None:
        """Choose a file in the page's first field for files."""
        self.until("document.querySelector('input[type=file]') !== null")
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector="input[type=file]")["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path) -> None:
        png = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(png))

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._hear(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._by], [], [], _PATIENCE_S)[0], "the browser says nothing"
            self._buffer += os.read(self._by, 1 << 16)
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _hear(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.asked.append(told["request"]["url"])
            case "Network.responseReceived" if told["response"]["status"] >= 400:
                self.complaints.append(f"{told['response']['status']} {told['response']['url']}")
            case "Network.loadingFailed" if not told.get("canceled"):
                self.complaints.append(f"failed: {told.get('errorText')}")
            case "Log.entryAdded" if told["entry"]["level"] in ("warning", "error"):
                self.complaints.append(f"{told['entry']['level']}: {told['entry']['text']} {told['entry'].get('url')}")
            case "Runtime.consoleAPICalled" if told["type"] in ("warning", "error", "assert"):
                self.complaints.append(f"{told['type']}: {[one.get('value') for one in told['args']]}")
            case "Runtime.exceptionThrown":
                self.complaints.append(f"exception: {told['exceptionDetails']}")


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Tab]:
    """A browser of its own, that ends with the block, and its children with it."""
    (their_in, to), (by, their_out) = os.pipe(), os.pipe()
    command = [sys.executable, "-c", _WIRED, str(their_in), str(their_out), str(CHROMIUM), *_FLAGS]
    process = subprocess.Popen(
        [*command, f"--user-data-dir={profile}"],
        pass_fds=(their_in, their_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(their_in)
    os.close(their_out)
    try:
        yield Tab(to, by)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        os.close(to)
        os.close(by)
