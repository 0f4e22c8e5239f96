"""The page at /serve, on a real server and in a real browser that can reach nothing else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import io
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import boxes, page
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.streams import Piece, TextRequest
from holdfast.serving.hosted.loaded import Loaded
from holdfast.serving.hosted.metrics import Labels, Published
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.predicting.painting import Painted, Painting
from holdfast.serving.hosted.predicting.pictures import Detected, Found, Picture, Recognised
from holdfast.serving.hosted.predicting.texts import Classified, Embedded, Labelled, Text
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.lifecycle import Lifecycle, Phase
from serving.hosted.browser import CHROMIUM, Tab, chromium

pytestmark = [
    pytest.mark.live,
    # Gradio asks pandas for an option that pandas 3 has no use for.
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting'"),
]
in_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed; on Debian: apt-get install chromium"
)

LABELS = Labels("g5-eager", "tiny/model", "cuda", "inference-sd21-g5-eager")
HOSTILE = "<img src=x onerror=\"console.error('run')\">${console.error('run')}{{constructor}}"
FULL = RequestError(429, "the queue is full; try again later")


def png(width: int = 96, height: int = 64) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(file, "PNG")
    return file.getvalue()


class Answering:
    """Stands for a batcher: it answers with what was made for the test, and keeps what it was asked."""

    def __init__(self, answers: Callable[[Any], Any]) -> None:
        self._answers = answers
        self.asked: list[Any] = []

    async def answer(self, request: Any) -> Any:
        self.asked.append(request)
        return self._answers(request)


@dataclass
class Writing:
    """Stands for a text generator: says each word of the prompt back, one at a time."""

    max_model_len: int = 16
    pause_s: float = 0.0
    asked: list[TextRequest] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def encode_chat(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        raise RequestError(400, f"the model has no template for {len(messages)} messages of a chat")

    async def answer(self, request: TextRequest) -> AsyncIterator[Piece]:
        self.asked.append(request)
        try:
            for token in request.tokens[: request.max_tokens]:
                await asyncio.sleep(self.pause_s)
                yield Piece(chr(token).upper(), (token,))
            yield Piece("", (), "stop")
        finally:
            self.closed.set()


class Server:
    """A real server on loopback, in a thread, to which the page is mounted once it listens, as in life."""

    def __init__(self, task: Task, loaded: object) -> None:
        self.app = FastAPI(redirect_slashes=False)  # as the model server's
        self.lifecycle = Lifecycle("loading")
        config = uvicorn.Config(self.app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=10)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline_s = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/serve"
        files = ModelFiles("tiny/model", Path("/models"), task, {})
        page.mount(self.app, cast(Loaded, loaded), files, labels=LABELS, bounds=Bounds(), lifecycle=self.lifecycle)
        self.lifecycle.move(Phase.READY, "warmed up")

    def ask(self, path: str, fields: object = None) -> tuple[int, str]:
        body = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(self.url + path, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> float:
        """End it as a signal does, and say how long it took."""
        begun_s = time.monotonic()
        self._server.should_exit = True
        self._thread.join(15)
        return time.monotonic() - begun_s


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Task, object], Server]]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    with contextlib.ExitStack() as stack:

        def started(task: Task, loaded: object) -> Server:
            server = Server(task, loaded)
            stack.callback(server.stop)
            return server

        yield started


Serve = Callable[[Task, object], Server]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def tab(browser: Tab, serve: Serve) -> Iterator[Tab]:
    """Whatever a test does in it, console and requests are without a complaint, and nobody but the server was asked."""
    browser.complaints, browser.asked = [], []
    yield browser
    # Gradio's own client says that of itself when a file is sent.
    complaints = [each for each in browser.complaints if each != "warning: ['Method not implemented.']"]
    asked = browser.asked
    browser.open("about:blank")
    browser.until("document.readyState === 'complete' && location.href === 'about:blank'")
    here = ("http://127.0.0.1:", "data:", "blob:", "about:")
    assert (complaints, [url for url in asked if not url.startswith(here)]) == ([], [])


def kept(tab: Tab, name: str) -> None:
    """A screenshot, where HOLDFAST_SCREENSHOTS says."""
    if folder := os.environ.get("HOLDFAST_SCREENSHOTS"):
        tab.screenshot(Path(folder) / f"{name}.png")


def classified(_: Text) -> Classified:
    return Classified((Labelled("positive", 0.9), Labelled(HOSTILE, 0.1)), 7)


@in_browser
def test_a_text_gets_its_labels(serve: Serve, tab: Tab) -> None:
    batcher = Answering(classified)
    tab.open(serve(Task.TEXT_CLASSIFICATION, batcher).url)
    tab.write("textarea", "what a day")
    tab.press("Classify")
    tab.shows("7 tokens")
    assert batcher.asked == [Text("what a day")]
    assert "positive" in tab.text() and HOSTILE in tab.text()
    kept(tab, "classify")


@in_browser
def test_the_page_says_which_server_answers(serve: Serve, tab: Tab) -> None:
    tab.open(serve(Task.TEXT_CLASSIFICATION, Answering(classified)).url)
    tab.shows("g5-eager")
    shown = tab.text()
    assert {"tiny/model", "text-classification", "cuda", "inference-sd21-g5-eager", os.uname().nodename} <= set(
        shown.split()
    )
    assert "gradio" not in shown.lower()


@in_browser
def test_a_refusal_is_its_sentence(serve: Serve, tab: Tab) -> None:
    def refuse(_: Text) -> Classified:
        raise RequestError(429, f"the queue is full {HOSTILE}")

    tab.open(serve(Task.TEXT_CLASSIFICATION, Answering(refuse)).url)
    tab.write("textarea", "what a day")
    tab.press("Classify")
    tab.until("document.querySelector('.refused') !== null")
    assert tab.value("document.querySelector('.refused').innerText") == f"the queue is full {HOSTILE} (429)"


@in_browser
def test_two_texts_are_compared_by_their_embeddings(serve: Serve, tab: Tab) -> None:
    vectors = {"a": (0.6, 0.8), "b": (0.8, 0.6)}
    batcher = Answering(lambda request: Embedded(np.array(vectors[request.text], dtype=np.float32), 3))
    tab.open(serve(Task.EMBEDDINGS, batcher).url)
    tab.until("document.querySelectorAll('textarea').length === 2")
    tab.write("textarea", "a")
    tab.value("document.querySelectorAll('textarea')[1].id = 'other'")
    tab.write("#other", "b")
    tab.press("Compare")
    tab.shows("2 dimensions")
    assert tab.value("document.querySelector('input[type=number]').value") == "0.96"
    kept(tab, "compare")


@in_browser
def test_a_prompt_becomes_an_image(serve: Serve, tab: Tab) -> None:
    batcher = Answering(lambda request: Painted(png(), request.seed))
    tab.open(serve(Task.TEXT_TO_IMAGE, batcher).url, width=390)
    tab.shows("Steps")
    tab.value("[...document.querySelectorAll('textarea, input')].forEach((field, at) => field.id = 'field' + at)")
    tab.write("#field0", HOSTILE)
    tab.write("#field1", "many")
    tab.press("Make the image")
    tab.shows("steps must be a whole number, not 'many' (400)")
    tab.write("#field1", "4")
    tab.write("#field2", "17")
    tab.press("Make the image")
    tab.until("document.querySelector('.made img')?.naturalWidth === 96")
    assert batcher.asked == [Painting(HOSTILE, steps=4, seed=17)]
    assert "seed 17" in tab.text()
    kept(tab, "paint-phone")


@in_browser
def test_a_prompt_is_answered_as_a_stream(serve: Serve, tab: Tab) -> None:
    generator = Writing(pause_s=0.02)
    tab.open(serve(Task.TEXT_GENERATION, generator).url, dark=True)
    tab.write("textarea", "kelp")
    tab.press("Generate")
    tab.shows("4 of answer, ended by stop")
    assert tab.value("document.querySelectorAll('textarea')[1].value") == "KELP"
    assert generator.asked[0].max_tokens == 12
    kept(tab, "generate-dark")


@in_browser
def test_a_stream_can_be_stopped(serve: Serve, tab: Tab) -> None:
    generator = Writing(max_model_len=1000, pause_s=0.05)
    tab.open(serve(Task.TEXT_GENERATION, generator).url)
    tab.write("textarea", "kelp" * 100)
    tab.press("Generate")
    tab.until("document.querySelectorAll('textarea')[1].value.startsWith('KE')")
    tab.press("Stop")
    assert generator.closed.wait(5)


@in_browser
def test_what_has_no_room_or_no_template_is_refused(serve: Serve, tab: Tab) -> None:
    tab.open(serve(Task.TEXT_GENERATION, Writing()).url)
    tab.write("textarea", "a prompt that is longer than the context")
    tab.press("Generate")
    tab.shows("the prompt has 40 tokens and the context ends at 16")
    tab.value("document.querySelector('input[value=chat]').click()")
    tab.press("Generate")
    tab.shows("the model has no template for 1 messages of a chat")


@in_browser
def test_objects_are_drawn_over_the_image_that_was_sent(serve: Serve, tab: Tab, tmp_path: Path) -> None:
    found = Detected((Found("cat", 0.9, (80, 80, 360, 460)), Found(HOSTILE, 0.6, (8, 8, 700, 500))), 768, 512)
    batcher = Answering(lambda _: found)
    (tmp_path / "cat.png").write_bytes(png(768, 512))
    tab.open(serve(Task.OBJECT_DETECTION, batcher).url)
    tab.send_file(tmp_path / "cat.png")
    tab.until("document.querySelector('.image-frame img, [data-testid=image] img, img[alt]')?.naturalWidth === 768")
    tab.press("Find objects")
    tab.until("document.querySelectorAll('.made svg rect').length === 2")
    assert batcher.asked == [Picture(png(768, 512), 0.5)]
    assert tab.value("[...document.querySelectorAll('.made svg text')].map(one => one.textContent)") == [
        f"{HOSTILE} 0.60",
        "cat 0.90",
    ]
    kept(tab, "detect")


@in_browser
def test_an_image_gets_its_labels_and_none_is_refused(serve: Serve, tab: Tab, tmp_path: Path) -> None:
    batcher = Answering(lambda _: Recognised((Labelled("kelp", 0.75), Labelled("rock", 0.25))))
    (tmp_path / "not-an-image.png").write_bytes(b"no image")
    tab.open(serve(Task.IMAGE_CLASSIFICATION, batcher).url, dark=True, width=390)
    tab.press("Classify")
    tab.shows("send an image (400)")
    tab.send_file(tmp_path / "not-an-image.png")
    tab.until("!document.body.innerText.includes('Drop Image Here')")
    tab.press("Classify")
    tab.shows("kelp")
    assert batcher.asked == [Picture(b"no image")]
    kept(tab, "recognise-phone-dark")


def test_a_client_that_leaves_ends_its_answer(serve: Serve) -> None:
    generator = Writing(max_model_len=1000, pause_s=0.01)
    server = serve(Task.TEXT_GENERATION, generator)
    config = json.loads(server.ask("/config")[1])
    number = next(each["id"] for each in config["dependencies"] if len(each["inputs"]) == 5)
    asked = {"data": ["kelp" * 200, "text", 500, 0, ""], "fn_index": number, "session_hash": "one"}
    assert server.ask("/gradio_api/queue/join?", asked)[0] == 200
    with urllib.request.urlopen(server.url + "/gradio_api/queue/data?session_hash=one", timeout=10) as events:
        for _ in range(8):
            events.readline()
        assert not generator.closed.is_set()
    assert generator.closed.wait(5)


class Echo:
    """A predictor that finds every text positive."""

    max_batch = 4

    def prepare(self, request: Text) -> Text:
        if not request.text:
            raise RequestError(400, "the text is empty", param="input")
        return request

    def shape(self, prepared: Text) -> object:
        return len(prepared.text)

    def predict(self, batch: Sequence[Text]) -> list[Classified]:
        return [classified(text) for text in batch]

    def warm_up(self) -> None:
        pass


def test_what_the_page_asks_goes_through_the_servers_queue_and_counts(serve: Serve) -> None:
    published = Published(LABELS, has_tokens=False)
    batcher = Batcher(Echo(), Bounds(), published)
    server = serve(Task.TEXT_CLASSIFICATION, batcher)
    begun: list[asyncio.Task[None]] = []

    async def begin() -> None:
        begun.append(asyncio.create_task(batcher.run()))

    server.app.add_api_route("/begin", begin)
    assert urllib.request.urlopen(server.url.replace("/serve", "/begin"), timeout=10).read()
    for text, said in (("what a day", "7 tokens"), ("", "the text is empty (400)")):
        session = text or "none"
        assert server.ask("/gradio_api/queue/join?", {"data": [text], "fn_index": 0, "session_hash": session})[0] == 200
        assert said in server.ask(f"/gradio_api/queue/data?session_hash={session.replace(' ', '%20')}")[1]
    counted = [line for line in published.exposition().decode().splitlines() if line.startswith("vllm:request_success")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted if 'finished_reason="stop"' in line) == 1


def test_its_address_without_a_slash_leads_to_it_on_whatever_host_that_was(serve: Serve) -> None:
    server = serve(Task.TEXT_CLASSIFICATION, Answering(classified))
    client = http.client.HTTPConnection(server.url.split("/")[2], timeout=10)
    with contextlib.closing(client):
        client.request("GET", "/serve", headers={"host": "elsewhere"})
        assert client.getresponse().headers["location"] == "/serve/"
    assert server.ask("")[0] == 200


def test_open_pages_do_not_hold_a_server_up_that_drains(serve: Serve) -> None:
    server = serve(Task.TEXT_CLASSIFICATION, Answering(classified))
    with urllib.request.urlopen(server.url + "/gradio_api/heartbeat/one", timeout=10) as open_page:
        open_page.readline()
        server.lifecycle.move(Phase.DRAINING, "SIGTERM")
        assert server.ask("/") == (503, "the server is draining: SIGTERM")
        assert server.stop() < 5


def test_files_that_are_not_of_the_page_are_not_to_be_had(serve: Serve, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    server = serve(Task.IMAGE_CLASSIFICATION, Answering(classified))
    for path in (f"/gradio_api/file={secret}", "/gradio_api/file=/etc/passwd", f"/gradio_api/file=../{secret}"):
        status, body = server.ask(path)
        assert status in (403, 404) and "a secret" not in body
    asked = {"data": [{"path": str(secret)}], "fn_index": 0, "session_hash": "one"}
    assert server.ask("/gradio_api/queue/join?", asked)[0] == 200
    with urllib.request.urlopen(server.url + "/gradio_api/queue/data?session_hash=one", timeout=10) as events:
        assert "a secret" not in events.read().decode()


def test_boxes_lie_on_the_image_as_its_camera_turned_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    file = io.BytesIO()
    Image.new("RGB", (300, 100)).save(file, "JPEG", exif=exif)
    svg = boxes.drawn(file.getvalue(), Detected((), 100, 300))
    shown = base64.b64decode(svg.partition("base64,")[2].partition("'")[0])
    assert Image.open(io.BytesIO(shown)).size == (100, 300)
