"""The forms of the page, one for each task. Every one shows a refusal as its sentence, where the answer would be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import gradio as gr

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.boxes import drawn
from holdfast.serving.hosted.generation.engine import Sampling
from holdfast.serving.hosted.generation.streams import TextGenerator, TextRequest
from holdfast.serving.hosted.loaded import Loaded
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.predicting.painting import Painted, Painting
from holdfast.serving.hosted.predicting.pictures import Detected, Picture, Recognised
from holdfast.serving.hosted.predicting.texts import Classified, Embedded, Labelled, Text
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.hosted.threads import preparing

_MOST_LABELS = 10
_ANSWER_TOKENS = 256

_EVENT = {"api_visibility": "private", "show_progress": "minimal"}


def _generation(generator: TextGenerator) -> None:
    prompt = gr.Textbox(label="Prompt", lines=4, autofocus=True)
    with gr.Row():
        kind = gr.Radio(["text", "chat"], value="text", label="Prompt is", info="chat: by the model's template")
        most = gr.Number(value=_ANSWER_TOKENS, minimum=1, precision=0, label="Tokens at most")
        temperature = gr.Number(value=0.0, minimum=0.0, maximum=2.0, step=0.1, label="Temperature")
        seed = _optional("Seed", "by chance")
    with gr.Row():
        ask = gr.Button("Generate", variant="primary")
        stop = gr.Button("Stop")
    answer = gr.Textbox(label="Answer", lines=10, interactive=False, buttons=["copy"])
    told = gr.HTML()

    async def generate(
        prompt: str, kind: str, most: float | None, temperature: float | None, seed: str
    ) -> AsyncIterator[tuple[str, str]]:
        begun_s, text, tokens = time.monotonic(), "", 0
        yield text, ""
        try:
            request = await preparing(_text_request, generator, prompt, kind, most, temperature, seed)
            async with contextlib.aclosing(generator.answer(request)) as pieces:
                async for piece in pieces:
                    text, tokens = text + piece.text, tokens + len(piece.tokens)
                    why = f", ended by {piece.finish_reason}" if piece.finish_reason else ""
                    yield text, _said(begun_s, f"{len(request.tokens)} tokens of prompt, {tokens} of answer{why}")
        except RequestError as error:
            yield text, _refused(error)

    asked = gr.on(
        [ask.click, prompt.submit], generate, [prompt, kind, most, temperature, seed], [answer, told], **_EVENT
    )
    stop.click(None, cancels=[asked], **_EVENT)


def _text_request(
    generator: TextGenerator,
    prompt: str,
    kind: str,
    most: float | None,
    temperature: float | None,
    seed: str,
) -> TextRequest:
    """Raises RequestError where no room is left for an answer, or the model has no template for a chat."""
    chat = kind == "chat"
    tokens = generator.encode_chat([{"role": "user", "content": prompt}]) if chat else generator.encode(prompt)
    room = generator.max_model_len - len(tokens)
    if not tokens:
        raise RequestError(400, "the prompt is empty", param="prompt")
    if room < 1:
        raise RequestError(
            400,
            f"the prompt has {len(tokens)} tokens and the context ends at {generator.max_model_len} with the answer",
        )
    sampling = Sampling(temperature=temperature or 0.0, seed=_whole("seed", seed))
    return TextRequest(tuple(tokens), max_tokens=min(int(most or _ANSWER_TOKENS), room), sampling=sampling)


def _painting(batcher: Batcher[Painting, Any, Painted]) -> None:
    prompt = gr.Textbox(label="Prompt", autofocus=True)
    with gr.Row():
        steps = _optional("Steps", "the model's own")
        seed = _optional("Seed", "by chance")
    ask = gr.Button("Make the image", variant="primary")
    made = gr.HTML(elem_classes="made")
    told = gr.HTML()

    async def paint(prompt: str, steps: str, seed: str) -> tuple[str, str]:
        begun_s = time.monotonic()
        try:
            wanted = Painting(prompt, steps=_whole("steps", steps), seed=_whole("seed", seed))
            painted = await batcher.answer(wanted)
        except RequestError as error:
            return "", _refused(error)
        # Not by a file of Gradio's, which would be another encoding of it.
        source = f"data:image/png;base64,{base64.b64encode(painted.png).decode()}"
        return f"<img src='{source}' alt='{html.escape(prompt)}'>", _said(begun_s, f"seed {painted.seed}")

    gr.on([ask.click, prompt.submit], paint, [prompt, steps, seed], [made, told], **_EVENT)


def _classification(batcher: Batcher[Text, Any, Classified]) -> None:
    text = gr.Textbox(label="Text", lines=4, autofocus=True)
    ask = gr.Button("Classify", variant="primary")
    labels = gr.Label(label="Labels", num_top_classes=_MOST_LABELS)
    told = gr.HTML()

    async def classify(text: str) -> tuple[Mapping[str, float], str]:
        begun_s = time.monotonic()
        try:
            found = await batcher.answer(Text(text))
        except RequestError as error:
            return {}, _refused(error)
        return _scores(found.labels), _said(begun_s, f"{found.tokens} tokens")

    gr.on([ask.click], classify, [text], [labels, told], **_EVENT)


def _embeddings(batcher: Batcher[Text, Any, Embedded]) -> None:
    with gr.Row():
        one = gr.Textbox(label="A text", lines=4, autofocus=True)
        other = gr.Textbox(label="Another", lines=4)
    ask = gr.Button("Compare", variant="primary")
    similarity = gr.Number(label="Similarity: cosine of their embeddings, -1 to 1", interactive=False, precision=4)
    told = gr.HTML()

    async def compare(one: str, other: str) -> tuple[float | None, str]:
        begun_s = time.monotonic()
        answers = await asyncio.gather(*(batcher.answer(Text(text)) for text in (one, other)), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, RequestError):
                return None, _refused(answer)
            if isinstance(answer, BaseException):
                raise answer
        first, second = cast(list[Embedded], answers)
        facts = f"{first.tokens} and {second.tokens} tokens, {len(first.vector)} dimensions"
        return float(first.vector @ second.vector), _said(begun_s, facts)

    gr.on([ask.click], compare, [one, other], [similarity, told], **_EVENT)


def _recognition(batcher: Batcher[Picture, Any, Recognised]) -> None:
    image = _sent_image()
    ask = gr.Button("Classify", variant="primary")
    labels = gr.Label(label="Labels", num_top_classes=_MOST_LABELS)
    told = gr.HTML()

    async def recognise(image: Path | None) -> tuple[Mapping[str, float], str]:
        begun_s = time.monotonic()
        try:
            found = await batcher.answer(Picture(await preparing(_bytes, image)))
        except RequestError as error:
            return {}, _refused(error)
        return _scores(found.labels), _said(begun_s)

    gr.on([ask.click], recognise, [image], [labels, told], **_EVENT)


def _detection(batcher: Batcher[Picture, Any, Detected]) -> None:
    image = _sent_image()
    threshold = gr.Slider(0.0, 1.0, value=0.5, step=0.05, label="Least score")
    ask = gr.Button("Find objects", variant="primary")
    boxes = gr.HTML(elem_classes="made")
    told = gr.HTML()

    async def detect(image: Path | None, threshold: float) -> tuple[str, str]:
        begun_s = time.monotonic()
        try:
            sent = await preparing(_bytes, image)
            found = await batcher.answer(Picture(sent, threshold))
        except RequestError as error:
            return "", _refused(error)
        said = _said(begun_s, f"{len(found.objects)} objects")
        return await preparing(drawn, sent, found), said

    gr.on([ask.click], detect, [image, threshold], [boxes, told], **_EVENT)


def _optional(label: str, otherwise: str) -> Any:
    """A field for a whole number or nothing: Gradio's own field for numbers shows nothing as 0."""
    return gr.Textbox(label=label, placeholder=otherwise, max_lines=1)


def _whole(name: str, written: str) -> int | None:
    if not written.strip():
        return None
    if not re.fullmatch(r"\d{1,18}", written.strip()):
        raise RequestError(400, f"{name} must be a whole number, not {written!r}", param=name)
    return int(written)


def _sent_image() -> Any:
    """A field whose value is the file that was sent. Gradio would open it first, before the model's own checks do."""
    image = gr.Image(label="Image", sources=["upload", "clipboard"], height=320)
    image.preprocess = lambda sent: None if sent is None else Path(sent.path)
    return image


def _bytes(sent: Path | None) -> bytes:
    if sent is None:
        raise RequestError(400, "send an image")
    return sent.read_bytes()


def _scores(labels: Sequence[Labelled]) -> dict[str, float]:
    return {each.label: each.score for each in labels[:_MOST_LABELS]}


def _said(begun_s: float, *facts: str) -> str:
    """How long it took on the server, and what else is to be said of an answer."""
    return html.escape(", ".join([f"{time.monotonic() - begun_s:.2f} s", *facts]))


def _refused(error: RequestError) -> str:
    return f"<div class='refused' role='alert'>{html.escape(error.message)} ({error.status})</div>"


_FORMS: dict[Task, Callable[[Any], None]] = {
    Task.TEXT_GENERATION: _generation,
    Task.TEXT_CLASSIFICATION: _classification,
    Task.EMBEDDINGS: _embeddings,
    Task.IMAGE_CLASSIFICATION: _recognition,
    Task.OBJECT_DETECTION: _detection,
    Task.TEXT_TO_IMAGE: _painting,
}


def form(task: Task, loaded: Loaded) -> None:
    """Add the task's form to the page that is being built."""
    _FORMS[task](loaded)
